"""What torch.compile is told, and what it shows of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backends.tensor import to_numpy

X = np.linspace(-2, 2, 64, dtype=np.float32).reshape(4, 16)
CHAIN = "g (float[4, 16] x) => (float[4, 1] y) <int64[1] a = {1}> { t = Exp (x) s = ReduceSum (t, a) y = Sqrt (s) }"
SETTINGS = """
from torch._inductor import config
from backends.torch import SWITCHES, _settings

known = config.get_config_copy()
for name in SWITCHES:
    assert _settings({"disable": name}).items() >= SWITCHES[name].items()
    for key, value in SWITCHES[name].items():
        assert known[key] != value, f"{name} changes nothing: {key} is {value}"
settings = _settings({"disable": "fusion+remove_noop_ops", "casts": "kept", "freezing": "yes", "simd_bits": "256"})
assert settings["max_fusion_size"] == 1
assert settings["disabled_passes"] == "REMOVE_NOOP_OPS"
assert settings["emulate_precision_casts"]
assert settings["freezing"]
assert settings["cpp.simdlen"] == 256
"""


@pytest.fixture
def shown(artefacts):
    """The files that show what became of a model under some options, as text."""

    def make(body: str, *inputs: np.ndarray, **options: str) -> dict[str, str]:
        target = "torch:" + ",".join(f"{name}={value}" for name, value in sorted(options.items()))
        files = artefacts(target.removesuffix(":"), body, *inputs)
        return {name: content.decode() for name, content in files.items()}

    return make


def test_every_switch_is_a_setting_of_inductor(workers):
    workers("torch:mode=eager")
    done = subprocess.run(
        [sys.executable, "-c", SETTINGS], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr


def test_aot_eager_shows_the_graph_it_captured_and_eager_nothing(shown):
    graph = shown(CHAIN, X, mode="aot_eager")
    assert list(graph) == ["captured-0.txt"]
    assert "exp" in graph["captured-0.txt"]
    assert not shown(CHAIN, X, mode="eager")


def test_shapes_in_tensors_do_not_break_the_graph(shown):
    body = "g (float[4, 16] x) => (float[8, 8] y) <int64[2] s = {8, -1}> { t = Exp (x) r = Reshape (t, s) y = Neg (r) }"
    assert list(shown(body, X, mode="aot_eager", fullgraph="yes")) == ["captured-0.txt"]


def test_a_graph_is_made_for_each_shape(execute, model):
    body = "g (float[n, 2] x) => (float[m, 1] y) <int64[2] s = {-1, 1}> { y = Reshape (x, s) }"
    data_sets = [[np.arange(2 * rows, dtype=np.float32).reshape(rows, 2)] for rows in (1, 3, 1)]
    attempt = execute("torch:mode=aot_eager", model(body), *data_sets)
    assert [to_numpy(outputs[0]).ravel().tolist() for outputs in attempt.outputs] == [
        list(range(2)), list(range(6)), list(range(2)),
    ]  # fmt: skip


def test_inductor_shows_its_graph_and_code_with_vectors_unless_it_is_told_not_to(shown):
    whole = shown(CHAIN, X)
    assert list(whole) == ["captured-0.txt", "optimized-0.txt", "code-0.py"]
    assert whole == shown(CHAIN, X)
    assert "AOT ID" not in whole["code-0.py"]
    assert whole["code-0.py"].count("async_compile.cpp_pybinding(") == 1
    assert "at::vec::Vectorized" in whole["code-0.py"]
    assert "at::vec::Vectorized" not in shown(CHAIN, X, simd_bits="1")["code-0.py"]
