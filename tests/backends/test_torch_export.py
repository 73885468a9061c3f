"""The round trip through torch.export: what comes back is the model's, or what cannot go is said to be unsupported."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from backends.frame import Frame, encode
from backends.protocol import Outcome
from backends.tensor import from_numpy, to_numpy

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_outputs_come_back_in_order_from_a_model_with_shapes_in_tensors(execute, model):
    serialized = model(
        "g (float[2, 3] x, float[2, 3] z) => (float[3, 2] b, float[2, 3] a, float[3, 2] c) "
        "<float[3] w = {1, 2, 3}, int64[2] s = {3, -1}> "
        "{ t = Add (x, w) b = Reshape (t, s) a = Relu (z) c = Identity (b) }"
    )
    for target in ("torch-export", "torch-export:optimize=no,opset=20"):
        attempt = execute(target, serialized, [X, -X])
        assert attempt.outcome is Outcome.OK, attempt.message
        reshaped = (X + np.array([1, 2, 3])).reshape(3, 2)
        expected = [reshaped, np.zeros((2, 3)), reshaped]
        for value, wanted in zip(attempt.outputs[0], expected, strict=True):
            np.testing.assert_array_equal(to_numpy(value), wanted)


@pytest.mark.parametrize(
    ("words", "body"),
    [
        ("Converter is not implemented", "g (float[2, 2] x) => (float y) { y = Det (x) }"),
        ("tensors of known sizes", "g (float[n, 3] x) => (float[n, 3] y) { y = Neg (x) }"),
        ("an output that no node makes", "g (float[2, 3] x) => (float[2, 3] x) {}"),
        (
            "one output of a node that has 3",
            (
                "g (float[2, 3] x) => (float[2, 3] y, float[2, 1] m, float[2, 1] d) <float[3] w = {1, 2, 3}>"
                " { y, m, d = LayerNormalization (x, w) }"
            ),
        ),
        ("data-dependent", "g (float[2, 3] x, int64[2] s) => (float[n, m] y) { y = Reshape (x, s) }"),
    ],
)
def test_what_cannot_make_the_trip_is_unsupported(execute, model, words, body):
    attempt = execute("torch-export", model(body), [X, np.array([3, 2])])
    assert attempt.outcome is Outcome.UNSUPPORTED, attempt.message
    assert words in attempt.message


def test_what_was_exported_is_shown(workers, model):
    graph = "g (float[2, 3] x) => (float[2, 3] y) { t = Neg (x) y = Neg (t) }"
    attempt = workers("torch-export").execute(
        encode(Frame("show", {"folder": None}, [[from_numpy(X)]], model(graph)))
    )
    (report,) = attempt.reports
    assert report.fields["file"] == "transformed.onnx"
    exported = onnx.load_model_from_string(bytes(report.values[0].data))
    assert [port.name for port in exported.graph.output] == ["y"]
    assert {node.op_type for node in exported.graph.node} <= {"Neg", "Identity"}
