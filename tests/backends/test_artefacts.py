"""What backends show of their work: the same each time, and changed by the switches that say so."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from backends.frame import Frame, encode
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


@pytest.mark.parametrize(
    ("target", "fuses"),
    [
        ("tvm", False), ("tvm:pipeline=cpu", True), ("tvm:pipeline=zero", True), ("tvm:pipeline=unfused", False),
        ("tvm:disable=FuseOps,pipeline=zero", False),
    ],
)  # fmt: skip
def test_tvm_fuses_in_the_pipelines_that_say_so(target, fuses, show):
    assert (b"FuseOps" in show(target)["passes.txt"]) == fuses


def test_tvm_shows_graph_bytecode_and_code(show):
    files = show("tvm")
    assert list(files) == ["imported.py", "passes.txt", "bytecode.txt", "library_0.llvm"]
    assert b"R.nn.relu" in files["imported.py"]
    assert b"define" in files["library_0.llvm"]


def test_openvino_shows_what_its_plugin_runs(show):
    (line,) = [line for line in show("openvino")["runtime.txt"].splitlines() if b"Subgraph" in line or b"Relu" in line]
    assert b"f32" in line


@pytest.mark.parametrize("name", ["onnxruntime", "tvm", "jax", "xla", "onnxoptimizer", "onnxscript", "onnxslim"])
def test_the_table_of_passes_is_what_the_backend_says(name, workers):
    table = load_passes(name)
    assert table is not None
    worker = workers(name)
    if installed_version(BACKENDS[name]) != table.version:
        pytest.skip(f"the table is of {table.version}")
    attempt = worker.execute(encode(Frame("passes")))
    assert [tuple(row.fields["passes"]) for row in attempt.reports] == [table.names]


def test_a_target_is_asked_for_its_passes(workers):
    workers("onnxruntime")
    table = load_passes("onnxruntime")
    assert table is not None
    assert passes(parse_target("onnxruntime"), Limits(60.0, 4 << 30)).names == table.names


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
