"""XLA by way of TensorFlow: what onnx-tf makes of a model's names, bodies and sizes, and how its options reach the compiler."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from backends.protocol import Outcome, Stage
from backends.registry import BACKENDS, installed_version, is_installed
from backends.tensor import to_numpy
from fuzz.errors import TargetError
from fuzz.execute.target import parse_target

X = np.array([1, -2], np.float32)
MODES = ("xla", "xla:mode=graph", "xla:mode=eager")


def results(attempt) -> list[list]:
    assert (attempt.outcome, attempt.message) == (Outcome.OK, "")
    return [[to_numpy(value).tolist() for value in outputs] for outputs in attempt.outputs]


@pytest.mark.parametrize("target", MODES)
def test_names_of_values_and_nodes_are_the_models_own_affair(execute, target):
    """TensorFlow takes few characters in names, onnx-tf passes inputs as arguments, variables are named by nodes."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("self", "ü: $", "_0", "s e")]
    nodes = [helper.make_node("Sub", ["self", "ü: $"], ["_0"], name="$ a"), helper.make_node("Neg", ["_0"], ["s e"], name="$ a")]
    graph = helper.make_graph(nodes, "ö ö", ports[:2], ports[2:])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    assert results(execute(target, made.SerializeToString(), [X, X * 3])) == [[[-2, 4], [2, -4]]]


@pytest.mark.parametrize("target", MODES)
def test_an_output_may_be_an_input_a_constant_or_stand_twice(execute, model, target):
    serialized = model(
        "g (float[2] x) => (float[2] y, float[2] x, float[2] y, float[2] c) <float[2] c = {5, 6}> { y = Neg (x) }"
    )
    assert results(execute(target, serialized, [X])) == [[[-1, 2], [1, -2], [-1, 2], [5, 6]]]


@pytest.mark.parametrize("target", MODES)
def test_a_body_reads_the_graph_around_it(execute, model, target):
    serialized = model(
        "g (bool c, float[2] x) => (float[2] y) { n = Neg (x) y = If (c) <"
        "then_branch = t () => (float[2] r) { r = Add (n, n) }, else_branch = e () => (float[2] q) { q = Identity (x) }> }",
        opset=13,
    )
    both = execute(target, serialized, [np.array(True), X], [np.array(False), X])
    assert results(both) == [[[-2, 4]], [[1, -2]]]


def test_xla_compiles_for_each_size_once(execute, model):
    serialized = model("g (float[n] x) => (float[n] y) { y = Add (x, x) }")
    three = [np.ones(n, np.float32) for n in (1, 3, 1)]
    assert results(execute("xla", serialized, *([x] for x in three))) == [[[2]], [[2, 2, 2]], [[2]]]


def test_what_xla_cannot_compile_is_told_when_it_compiles(execute, model):
    """The converter has numpy compute this pool behind TensorFlow's back, which TensorFlow itself runs."""
    serialized = model(
        "g (float[1, 1, 4, 4] x) => (float[1, 1, 2, 2] y) { y = AveragePool <kernel_shape=[3, 3], pads=[1, 1, 0, 0], strides=[2, 2]> (x) }"
    )
    x = np.ones((1, 1, 4, 4), np.float32)
    attempt = execute("xla", serialized, [x])
    assert (attempt.outcome, attempt.stage) == (Outcome.UNSUPPORTED, Stage.COMPILE)
    assert "PyFunc" in attempt.message
    assert "File" not in attempt.message
    assert execute("xla:mode=graph", serialized, [x]).outcome is Outcome.OK


def test_a_newer_operator_is_refused_and_never_converted(execute, model):
    """What came after operator set 15 is not read as if it were older."""
    serialized = model("g (float[2] x) => (float[1, 2] y) <int64[2] s = {1, 2}> { y = Reshape (x, s) }", opset=19)
    attempt = execute("xla", serialized, [X])
    assert (attempt.outcome, attempt.stage) == (Outcome.UNSUPPORTED, Stage.IMPORT)
    assert attempt.message.endswith("Reshape version 19 is not implemented.")


def test_more_threads_where_they_are_asked_for(execute, model):
    serialized = model("g (float[2] x) => (float[2] y) { y = Add (x, x) }")
    assert results(execute("xla:threads=2", serialized, [X])) == [[[2, -4]]]


def test_the_gpu_needs_the_distribution_that_reaches_it():
    if installed_version(BACKENDS["xla"]) is None or is_installed("tensorflow"):
        pytest.skip("for tensorflow-cpu alone")
    with pytest.raises(TargetError, match=r"tensorflow"):
        parse_target("xla@cuda")
