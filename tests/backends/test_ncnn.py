"""ncnn through pnnx: what it is not asked, what it says that it lacks, its options, what it shows."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest

from backends.protocol import Outcome, Unsupported
from backends.registry import BACKENDS

pytest.importorskip("ncnn", reason="pip install ncnn, and pnnx with --no-deps")
ncnn = pytest.importorskip("backends.ncnn")

X = np.array([[1, -2], [3, 4]], np.float32)
LIMITS = (
    ("not in int32", "g (float[2] x) => (float[2] y) { i = Cast <to = 6> (x) y = Cast <to = 1> (i) }"),
    ("computes in float, not in double", "g (double[2] x) => (double[2] y) { y = Neg (x) }"),
    ("1 to 4 axes, not of 5", "g (float[1, 1, 1, 2, 2] x) => (float[1, 1, 1, 2, 2] y) { y = Neg (x) }"),
    ("1 to 4 axes, not of 0", "g (float[2, 2] x) => (float y) { y = ReduceSum <keepdims = 0> (x) }"),
    ("no empty tensors", "g (float[2, 0] x) => (float[2, 0] y) { y = Neg (x) }"),
    ("no output of ncnn's", "g (float[2, 2] x) => (int64[2] y) { y = Shape (x) }"),
    (
        "constants have no batch, and Pooling takes one of a constant",
        "g (float[2, 2] x) => (float[1, 2, 1, 1] y) <float[1, 2, 1, 2] c = {1, 2, 3, 4}> { y = GlobalMaxPool (c) }",
    ),
    ("todo Hardmax", "g (float[2, 2] x) => (float[2, 2] y) { y = Hardmax (x) }"),
)


@pytest.mark.parametrize(("words", "body"), LIMITS)
def test_what_it_lacks_is_unsupported(execute, model, words, body):
    attempt = execute("ncnn", model(body), [X])
    assert attempt.outcome is Outcome.UNSUPPORTED, attempt.message
    assert words in attempt.message


UNKNOWN = (  # to the ONNX Runtime inside of pnnx
    ("Could not find an implementation for", '"": 6', "g (float[2, 2] x) => (float[2, 2] y) { y = Mul (x, x) }"),
    (
        "Unrecognized attribute", '"": 26',
        "g (float[1, 1, 2, 2] x) => (float[1, 1, 2, 2] y) { y = Attention <left_window_size = 1> (x, x, x) }",
    ),
    (
        "No Op registered for", '"ai.onnx.ml": 1',
        "g (float[2, 2] x) => (float[2, 2] y) { y = ai.onnx.ml.Binarizer <threshold = 1.0> (x) }",
    ),
)  # fmt: skip


@pytest.mark.parametrize(("words", "opset", "body"), UNKNOWN)
def test_what_its_onnx_runtime_does_not_know_is_unsupported(execute, words, opset, body):
    serialized = onnx.parser.parse_model(f"<ir_version: 8, opset_import: [{opset}]> {body}").SerializeToString()
    attempt = execute("ncnn", serialized, [X.reshape(1, 1, 2, 2) if "[1, 1, 2, 2]" in body else X])
    assert attempt.outcome is Outcome.UNSUPPORTED, attempt.message
    assert words in attempt.message


def test_an_output_that_is_not_there_is_rejected(execute, model):
    body = "g (float[2, 3, 4] x) => (float[2, 3, 4] y) { y = Transpose <perm = [0, 1, 2]> (x) }"
    attempt = execute("ncnn", model(body), [np.zeros((2, 3, 4), np.float32)])
    assert attempt.outcome is Outcome.REJECTED, attempt.message
    assert attempt.message == "ncnn gives no out0: 0"


def test_the_axis_of_the_batch_stays_where_it_is(execute, model):
    body = "g (float[2, 3, 4, 4] x) => (float[2, 3, 1, 1] y) { y = GlobalAveragePool (x) }"
    x = np.arange(96, dtype=np.float32).reshape(2, 3, 4, 4)
    attempt = execute("ncnn", model(body), [x])
    (y,) = attempt.outputs[0]
    assert y.shape == (2, 3, 1, 1)
    np.testing.assert_allclose(ncnn.to_numpy(y), x.mean((2, 3), keepdims=True), rtol=1e-6)


def test_a_constant_that_is_joined_with_a_batch(execute, model):
    """One that stands for all of the batch is right; one for each of it would be added to other axes."""
    body = (
        "g (float[2, 3, 2, 2] x) => (float[2, 3, 1, 1] y) <float[{}] c = {{{}}}>"
        " {{ t = Add (x, c) y = GlobalMaxPool (t) }}"
    )
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    for shape in ("3, 1, 1", "1, 3, 1, 1"):
        attempt = execute("ncnn", model(body.format(shape, "1, 2, 3")), [x])
        expected = (x + np.array([1, 2, 3], np.float32).reshape(3, 1, 1)).max((2, 3), keepdims=True)
        np.testing.assert_array_equal(ncnn.to_numpy(attempt.outputs[0][0]), expected)
    attempt = execute("ncnn", model(body.format("2, 3, 1, 1", "1, 2, 3, 4, 5, 6")), [x])
    assert attempt.outcome is Outcome.UNSUPPORTED, attempt.message
    assert "BinaryOp joins one of more axes with a batch" in attempt.message


def test_what_pnnx_writes_as_if_there_were_no_batch_is_unsupported(execute, model):
    body = "g (float[2, 3, 2, 2] x) => (float[2, 3, 1, 1] y) { t = GlobalMaxPool (x) y = Softmax <axis = 0> (t) }"
    attempt = execute("ncnn", model(body), [np.ones((2, 3, 2, 2), np.float32)])
    assert attempt.outcome is Outcome.UNSUPPORTED, attempt.message
    assert "softmax along batch axis 0 is not supported" in attempt.message


def test_weights_that_are_data_of_another_convolution(execute, model):
    body = (
        "g (float[2, 2, 4] x, float[2, 2, 1] w, float[1, 2, 1] v) => (float[2, 2, 4] y, float[2, 1, 1] z)"
        " { y = Conv (x, w) z = Conv (w, v) }"
    )
    inputs = [np.ones(shape, np.float32) for shape in ((2, 2, 4), (2, 2, 1), (1, 2, 1))]
    attempt = execute("ncnn", model(body), inputs)
    assert attempt.outcome is Outcome.UNSUPPORTED, attempt.message
    assert "weights have no batch" in attempt.message


def test_what_is_computed_of_constants_alone_is_an_output_too(execute, model):
    body = "g (float[2] x) => (float[2] y, float[2] z) <float[2] c = {1, 2}> { y = Neg (c) z = Neg (x) }"
    attempt = execute("ncnn", model(body), [X[0]])
    assert [ncnn.to_numpy(value).tolist() for value in attempt.outputs[0]] == [[-1, -2], [-1, 2]]


def test_a_converter_that_dies_is_a_crash(execute, model):
    """An input that is an output ends pnnx; its end is the worker's."""
    attempt = execute("ncnn", model("g (float[2] x) => (float[2] x, float[2] y) { y = Neg (x) }"), [X[0]])
    assert attempt.outcome in {Outcome.CRASH, Outcome.REJECTED}


def test_it_computes_in_float_without_winograd_on_one_thread_unless_told():
    plain = ncnn.settings({})
    assert not any(value for name, value in plain.items() if "16" in name or "winograd" in name or "vulkan" in name)
    assert (plain["num_threads"], plain["use_packing_layout"], plain["use_sgemm_convolution"]) == (1, True, True)
    other = ncnn.settings({"precision": "f16", "threads": "2", "disable": "packing_layout", "winograd": "yes"})
    assert other["use_fp16_storage"]
    assert not other["use_bf16_storage"]
    assert (other["num_threads"], other["use_packing_layout"], other["use_winograd_convolution"]) == (2, False, True)


def test_narrower_types_and_winograd_are_granted_where_they_are_asked_for():
    entry = BACKENDS["ncnn"]
    assert entry.contract({}).float_as == ""
    assert entry.contract({"precision": "bf16"}).float_as == "bfloat16"
    assert entry.contract({"winograd": "yes"}).winograd == 6


def test_without_pnnx_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(ncnn, "find_spec", lambda _name: None)
    with pytest.raises(Unsupported, match="pip install --no-deps pnnx"):
        ncnn.converter()


def test_it_shows_the_graphs_of_pnnx_and_of_ncnn(model):
    serialized = model("g (float[2, 2] x) => (float[2, 2] y) { t = Add (x, x) y = Relu (t) }")
    compiled = ncnn.BACKEND.compile(serialized, None, {}, lambda _stage: None)
    shown = compiled.artefacts()
    assert list(shown) == ["model.pnnx.param", "model.ncnn.param"]
    assert b"BinaryOp" in shown["model.ncnn.param"]
    assert shown == ncnn.BACKEND.compile(serialized, None, {}, lambda _stage: None).artefacts()
