"""What backends show of their work: the same each time, and changed by the switches that say so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from backends.passes import load_passes
from backends.registry import BACKENDS, installed_version
from fuzz.execute.target import parse_target
from fuzz.execute.worker import Limits
from fuzz.show import passes

MODEL = """
    g (float[2,3] x) => (float[2,3] y)
    <float[3] one = {1, 1, 1}, float[3] two = {2, 2, 2}>
    { three = Add (one, two) a = Mul (x, three) b = Add (a, x) y = Relu (b) }
"""


@pytest.fixture
def show(artefacts):
    """The artefacts that a target has for the model, by name."""
    return lambda target: artefacts(target, MODEL, np.ones((2, 3), np.float32))


@pytest.mark.parametrize("target", ["onnxruntime", "tvm:pipeline=zero", "tvm:exec_mode=compiled", "openvino"])
def test_what_is_shown_is_the_same_each_time(target, show):
    first = show(target)
    assert first
    assert first == show(target)


def test_onnxruntime_shows_the_graph_that_its_optimizers_left(show):
    files = show("onnxruntime")
    assert files["passes.txt"] == b"ConstantFolding\n"
    kinds = [node.op_type for node in onnx.load_model_from_string(files["optimised.onnx"]).graph.node]
    assert kinds == ["Mul", "Add", "Relu"]


def test_a_disabled_optimizer_leaves_the_graph_alone(show):
    files = show("onnxruntime:disable=ConstantFolding")
    assert files["passes.txt"] == b""
    assert len(onnx.load_model_from_string(files["optimised.onnx"]).graph.node) == 4


PASSES = """
import json
import sys

from backends.tvm import BACKEND

model = sys.stdin.buffer.read()
for pipeline, disabled in (("default", ""), ("cpu", ""), ("zero", ""), ("unfused", ""), ("zero", "FuseOps")):
    options = {"pipeline": pipeline} | ({"disable": disabled} if disabled else {})
    program = BACKEND.compile(model, None, options, lambda _: None)
    print(json.dumps([pipeline, disabled, "FuseOps" in program.artefacts()["passes.txt"].decode()]))
"""


def test_tvm_fuses_in_the_pipelines_that_say_so(workers, model):
    """One process for all: TVM takes five seconds to start, and nothing of a pipeline stays in it."""
    workers("tvm")
    done = subprocess.run(
        [sys.executable, "-c", PASSES],
        input=model(MODEL), capture_output=True, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        ["default", "", False], ["cpu", "", True], ["zero", "", True], ["unfused", "", False],
        ["zero", "FuseOps", False],
    ]  # fmt: skip


def test_tvm_shows_graph_bytecode_and_code(show):
    files = show("tvm")
    assert list(files) == ["imported.py", "passes.txt", "bytecode.txt", "library_0.llvm"]
    assert b"R.nn.relu" in files["imported.py"]
    assert b"define" in files["library_0.llvm"]


def test_openvino_shows_what_its_plugin_runs(show):
    (line,) = [line for line in show("openvino")["runtime.txt"].splitlines() if b"Subgraph" in line or b"Relu" in line]
    assert b"f32" in line


@pytest.mark.parametrize("name", ["onnxruntime", "tvm", "jax", "xla", "onnxoptimizer", "onnxscript", "onnxslim"])
def test_the_table_of_passes_is_what_the_backend_says(name, workers, request):
    workers(name)
    if name != "xla":  # the same code as jax's, and the longest to import
        request.getfixturevalue("measured")
    table = load_passes(name)
    assert table is not None
    if installed_version(BACKENDS[name]) != table.version:
        pytest.skip(f"the table is of {table.version}")
    assert passes(parse_target(name), Limits(60.0, 4 << 30)) == table


def test_every_name_of_a_rewrite_rule_is_one_of_onnxruntimes(workers, model):
    """Without all rules the transformer that holds them is gone; with any of them it is there."""
    workers("onnxruntime")
    from backends import onnxruntime as adapter

    rules = adapter._RULES
    small = model("g (float[2] x) => (float[2] y) { y = Relu (x) }")

    def holders(disabled: tuple[str, ...]) -> set[str]:
        options = {"disable": "+".join(disabled)}
        session = lambda: adapter.session(small, None, options, severity=1)  # noqa: E731
        return {name for name, _ in adapter._journal(session) if "RuleBased" in name}

    assert holders(rules) == set()
    for rule in rules:
        assert holders(tuple(other for other in rules if other != rule)), rule


def test_backends_without_artefacts_show_nothing(show):
    assert show("reference") == {}


def test_a_backend_without_single_passes_lists_none(workers):
    workers("reference")
    assert passes(parse_target("reference"), Limits(60.0, 4 << 30)).names == ()
