"""XLA by way of TensorFlow: what onnx-tf makes of a model's names, bodies and sizes; its words; what it shows."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from backends.frame import Frame, encode
from backends.protocol import Outcome, Stage
from backends.registry import BACKENDS, installed_version, is_installed
from backends.tensor import from_numpy, to_numpy
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
    nodes = [
        helper.make_node("Sub", ["self", "ü: $"], ["_0"], name="$ a"),
        helper.make_node("Neg", ["_0"], ["s e"], name="$ a"),
    ]
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
        "then_branch = t () => (float[2] r) { r = Add (n, n) },"
        "else_branch = e () => (float[2] q) { q = Identity (x) }> }",
        opset=13,
    )
    yes, no = np.array([True, False])
    both = execute(target, serialized, [np.array(yes), X], [np.array(no), X])
    assert results(both) == [[[-2, 4]], [[1, -2]]]


def test_xla_compiles_for_each_size_once(execute, model):
    serialized = model("g (float[n] x) => (float[n] y) { y = Add (x, x) }")
    three = [np.ones(n, np.float32) for n in (1, 3, 1)]
    assert results(execute("xla", serialized, *([x] for x in three))) == [[[2]], [[2, 2, 2]], [[2]]]


def test_what_xla_cannot_compile_is_told_when_it_compiles(execute, model):
    """The converter has numpy compute this pool behind TensorFlow's back, which TensorFlow itself runs."""
    serialized = model(
        "g (float[1, 1, 4, 4] x) => (float[1, 1, 2, 2] y)"
        "{ y = AveragePool <kernel_shape=[3, 3], pads=[1, 1, 0, 0], strides=[2, 2]> (x) }"
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


RECURRENT = "g (float[1,1,2] x, float[1,1,2] w, float[1,1,1] r) => (float[n] y) { y = RNN <hidden_size=1> (x, w, r) }"
WORDS = (
    ("xla", "Unique is not implemented", "g (float[2] x) => (float[n] y) { y = Unique (x) }"),
    ("xla", "Unsqueeze version 13 is not", "g (float[2] x, int64[1] a) => (float[a, b] y) { y = Unsqueeze (x, a) }"),
    ("xla", "without TensorFlow Probability", "g (float[2] x) => (float[2] y) { y = Bernoulli (x) }"),
    ("xla", "uint64' is not supported", "g (uint64[2] x) => (uint64[2] y) { y = Max (x, x) }"),
    ("xla", "compile-time constant", 'g (float[2] x, int64[2] p) => (float[n] y) { y = Pad <mode = "edge"> (x, p) }'),
    ("xla:mode=eager", "not in the list of allowed", "g (uint32[2] x) => (uint32[2] y) { y = Neg (x) }"),
    ("xla", "to a TensorFlow DType", "g (float[2] x) => (float8e8m0[2] y) { y = Cast <to = 24> (x) }"),
    ("xla", "not available with Keras 3", RECURRENT),
    ("xla", "only tensors of numbers", "g (string[2] x) => (string[2] y) { y = Identity (x) }"),
    ("xla", "only tensors of numbers", "g (float[2] x) => (seq(float[2]) y) { y = SequenceConstruct (x) }"),
)


@pytest.mark.parametrize(("target", "words", "body"), WORDS)
def test_what_it_lacks_is_unsupported(execute, model, target, words, body):
    inputs = [X.astype("uint32" if "uint32[2] x" in body else "uint64" if "uint64[2] x" in body else "float32")]
    if "int64[2] p" in body:
        inputs.append(np.array([1, 1]))
    if body is RECURRENT:
        inputs = [np.ones(shape, np.float32) for shape in ((1, 1, 2), (1, 1, 2), (1, 1, 1))]
    attempt = execute(target, model(body, opset=24 if "e8m0" in body else 15), inputs)
    assert attempt.outcome is Outcome.UNSUPPORTED, attempt.message
    assert words in attempt.message
    assert "File" not in attempt.message


def test_a_refusal_without_such_words_is_a_rejection(execute, model):
    """The converter has no MatMul of a vector: what TensorFlow says then is no word of a lack."""
    attempt = execute("xla", model("g (float[2] x) => (float y) { y = MatMul (x, x) }"), [X])
    assert (attempt.outcome, attempt.stage) == (Outcome.REJECTED, Stage.IMPORT)
    assert attempt.message.startswith("ValueError: Shape must be")


@pytest.fixture
def show(workers, model):
    def files(target: str) -> dict[str, bytes]:
        body = "g (float[2,3] x) => (float[2,3] y) { a = Add (x, x) b = Mul (a, x) y = Exp (b) }"
        values = [[from_numpy(np.ones((2, 3), np.float32))]]
        attempt = workers(target).execute(encode(Frame("show", {"folder": None}, values, model(body))))
        assert (attempt.outcome, attempt.message) == (Outcome.OK, "")
        return {report.fields["file"]: bytes(report.values[0].data) for report in attempt.reports}

    return files


def test_xla_shows_its_program_before_and_after_its_passes(show):
    files = show("xla")
    assert sorted(files) == ["hlo.txt", "optimized_hlo.txt"]
    assert files["hlo.txt"].count(b" fusion(") == 0
    assert files["optimized_hlo.txt"].count(b" fusion(") == 1
    assert files == show("xla")


def test_passes_that_are_left_out_leave_their_mark(show):
    """Each operation of the three is a kernel of its own then."""
    assert show("xla:disable=fusion+algsimp,opt=0,threads=2")["optimized_hlo.txt"].count(b" fusion(") == 3


def test_tensorflow_shows_the_graph_that_it_was_given(show):
    assert show("xla:mode=graph")["graph.pbtxt"].count(b'op: "') >= 4
    assert show("xla:mode=eager") == {}


def test_more_threads_where_they_are_asked_for(execute, model):
    serialized = model("g (float[2] x) => (float[2] y) { y = Add (x, x) }")
    assert results(execute("xla:disable=fusion+algsimp,opt=0,threads=2", serialized, [X])) == [[[2, -4]]]


def test_the_gpu_needs_the_distribution_that_reaches_it():
    if installed_version(BACKENDS["xla"]) is None or is_installed("tensorflow"):
        pytest.skip("for tensorflow-cpu alone")
    with pytest.raises(TargetError, match=r"tensorflow"):
        parse_target("xla@cuda")
