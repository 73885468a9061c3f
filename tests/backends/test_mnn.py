"""MNN: what it lacks, what it holds in narrower types, what it is kept from, what it shows."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from backends.protocol import Outcome
from backends.tensor import from_numpy

pytest.importorskip("MNN", reason="pip install mnn")
mnn = pytest.importorskip("backends.mnn")

X = np.array([[1, -2], [3, 4]], np.float32)
WORDS = (
    ("These Op Not Support: ONNX::Hardmax", "g (float[2, 2] x) => (float[2, 2] y) { y = Hardmax (x) }"),
    ("Can't compute size for", "g (float[2, 2] x) => (float[2, 2] y, bool[2, 2] m) { y, m = Dropout (x) }"),
    ("no element type int16", "g (float[2, 2] x) => (float[2, 2] y) { i = Cast <to = 5> (x) y = Cast <to = 1> (i) }"),
    ("no element type string", "g (string[2, 2] x) => (string[2, 2] y) { y = Identity (x) }"),
    ("no sequences", "g (float[2, 2] x) => (seq(float[2, 2]) y) { y = SequenceConstruct (x) }"),
)


@pytest.mark.parametrize(("words", "body"), WORDS)
def test_what_it_lacks_is_unsupported(execute, model, words, body):
    attempt = execute("mnn", model(body), [X])
    assert attempt.outcome is Outcome.UNSUPPORTED, attempt.message
    assert words in attempt.message


def test_its_error_code_for_what_is_not_supported_is_known(execute, model):
    shifted = model('g (uint8[3] x, uint8[3] y) => (uint8[3] z) { z = BitShift <direction = "LEFT"> (x, y) }')
    attempt = execute("mnn", shifted, [np.array([16, 4, 1], np.uint8), np.array([1, 2, 3], np.uint8)])
    assert attempt.outcome is Outcome.UNSUPPORTED, attempt.message
    assert "code=2 in onForward" in attempt.message


def test_what_it_holds_in_narrower_types_comes_back_as_the_model_says(execute, model):
    body = "g (int64[2] i, bool[2] b, double[2] d, float16[2] h) => (int64[2] j, bool[2] c, double[2] e, float16[2] k)"
    nodes = " { j = Neg (i) c = Not (b) e = Neg (d) k = Neg (h) }"
    inputs = [np.array([5, -7]), np.array([True, False]), np.array([0.5, 2.0]), np.array([1.5, 3], np.float16)]
    attempt = execute("mnn", model(body + nodes), inputs)
    expected = [-inputs[0], ~inputs[1], -inputs[2], -inputs[3]]
    assert list(attempt.outputs[0]) == list(map(from_numpy, expected))


def test_what_does_not_fit_is_not_passed(execute, model):
    attempt = execute("mnn", model("g (int64[1] i) => (int64[1] j) { j = Neg (i) }"), [np.array([2**31])])
    assert attempt.outcome is Outcome.UNSUPPORTED
    assert "holds int64 in 32 bits" in attempt.message


def weighted(kind, weights, x, y) -> bytes:
    """A model of one node with constant weights."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", x), ("y", y))]
    constant = numpy_helper.from_array(weights.astype(np.float32), "w")
    graph = helper.make_graph([helper.make_node(kind, ["x", "w"], ["y"])], "g", ports[:1], ports[1:], [constant])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def test_large_constant_products_are_left_out(execute):
    serialized = weighted("MatMul", np.zeros((257, 300)), [1, 257], [1, 300])
    attempt = execute("mnn", serialized, [np.zeros((1, 257), np.float32)])
    assert attempt.outcome is Outcome.UNSUPPORTED
    assert "Strassen" in attempt.message


def test_windows_are_not_computed_in_winograds_way(execute):
    """So an element of 10^6 disturbs none of the outputs whose window it is not in."""
    draw = np.random.default_rng(0)
    calm = draw.standard_normal((1, 16, 12, 12)).astype(np.float32)
    wild = calm.copy()
    wild[..., 0, 0] = 1e6
    serialized = weighted("Conv", draw.standard_normal((16, 16, 5, 5)), [1, 16, 12, 12], [1, 16, 8, 8])
    attempt = execute("mnn", serialized, [calm], [wild])
    one, other = (mnn.to_numpy(outputs[0]).reshape(-1, 64) for outputs in attempt.outputs)
    assert not np.array_equal(one[:, 0], other[:, 0])
    assert np.array_equal(one[:, 1:], other[:, 1:])


def test_it_shows_the_converted_graph(model):
    serialized = model("g (float[2] x) => (float[2] y) { y = Exp (x) }")
    compiled = mnn.BACKEND.compile(serialized, None, {}, lambda _stage: None)
    shown = compiled.artefacts()
    assert list(shown) == ["model.json"]
    assert b"UnaryOp" in shown["model.json"]
    assert shown == compiled.artefacts()


def test_its_tools_that_call_home_stay_out():
    assert not any(name.startswith("MNN.tools") for name in sys.modules)
