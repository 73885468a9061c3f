"""Each real backend computes what it should, and says in the right way what it cannot."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from backends.protocol import COMPARED, Outcome, Stage
from backends.tensor import Tensor, to_numpy

NAMES = (
    "onnxruntime", "tvm", "openvino", "reference", "tract", "jax", "iree", "torch", "tinygrad", "emx-onnx-cgen", "xla",
    "mnn", "ncnn",
)  # fmt: skip


def convolution() -> tuple[bytes, np.ndarray, np.ndarray]:
    """A Conv and a Relu with small whole numbers, so that every way of summing gives the same; what comes out."""
    x = (np.arange(50, dtype=np.float32).reshape(1, 2, 5, 5) % 7) - 3
    weights = (np.arange(54, dtype=np.float32).reshape(3, 2, 3, 3) % 5) - 2
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", [1, 2, 5, 5]), ("y", None))]
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Relu", ["c"], ["y"])]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], [numpy_helper.from_array(weights, "w")])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    expected = np.zeros((1, 3, 3, 3), np.float32)
    for channel, row, column in np.ndindex(3, 3, 3):
        window = x[0, :, row : row + 3, column : column + 3]
        expected[0, channel, row, column] = max(0, (window * weights[channel]).sum())
    return made.SerializeToString(), x, expected


def arrays(attempt) -> list[list[np.ndarray]]:
    assert attempt.outcome is Outcome.OK, attempt.message
    assert attempt.message in {"", COMPARED}
    return [[to_numpy(value) for value in outputs] for outputs in attempt.outputs]


def test_a_convolution_is_computed(target, execute):
    serialized, x, expected = convolution()
    attempt = execute(target, serialized, [x], [-x])
    if target == "onnxsim":
        # It asks for the shape of an output, which the standard leaves open.
        assert attempt.outcome is Outcome.REJECTED
        assert "Field 'shape' of 'type' is required" in attempt.message
        return
    first, second = arrays(attempt)
    assert first[0].dtype == np.float32
    np.testing.assert_array_equal(first[0], expected)
    assert not np.array_equal(second[0], expected)
    assert attempt.stage is Stage.RUN
    assert attempt.stderr == ""
    assert attempt.wall_seconds > 0


def test_inputs_go_by_their_order_and_outputs_come_in_theirs(target, execute, model):
    serialized = model("g (float[2] b, float[2] a) => (float[2] t, float[2] s) { s = Add (a, b) t = Sub (a, b) }")
    one, two = np.array([1, 2], np.float32), np.array([10, 20], np.float32)
    ((t, s),) = arrays(execute(target, serialized, [one, two]))
    assert t.tolist() == [9, 18]
    assert s.tolist() == [11, 22]


def test_an_input_that_nothing_reads_shifts_no_other(target, execute, model):
    serialized = model("g (float[2] a, float[2] b, float[2] c) => (float[2] y) { y = Sub (b, c) }")
    a, b, c = (np.array([n, 2 * n], np.float32) for n in (1, 10, 3))
    ((y,),) = arrays(execute(target, serialized, [a, b, c]))
    assert y.tolist() == [7, 14]


def test_a_dynamic_model_is_compiled_once_and_run_at_several_sizes(target, execute, model):
    serialized = model("g (float[n, 3] x) => (float[n, 3] y) { y = Add (x, x) }")
    attempt = execute(target, serialized, *([np.ones((n, 3), np.float32)] for n in (1, 4, 7)))
    assert [outputs[0].shape for outputs in arrays(attempt)] == [(1, 3), (4, 3), (7, 3)]


def test_a_shape_comes_back_as_a_tensor(target, execute, model):
    serialized = model("g (float[n, 3] x) => (int64[2] y) { y = Shape (x) }")
    attempt = execute(target, serialized, [np.ones((5, 3), np.float32)])
    if target.startswith("emx-onnx-cgen"):
        # Its C code has -1 for an open size.
        assert arrays(attempt)[0][0].tolist() == [-1, 3]
        return
    if target.startswith(("tract", "ncnn")):
        # Its interface does not hand out what hangs on a symbol.
        assert attempt.outcome is Outcome.UNSUPPORTED
        return
    ((shape,),) = arrays(attempt)
    assert shape.dtype == np.int64
    assert shape.tolist() == [5, 3]


def test_a_scalar_and_an_empty_tensor(target, execute, model):
    serialized = model("g (float x, float[n] e) => (float y, float[n] f) { y = Neg (x) f = Neg (e) }")
    attempt = execute(target, serialized, [np.array(2, np.float32), np.zeros(0, np.float32)])
    if target.startswith("ncnn"):
        # It has neither, and is not asked.
        assert attempt.outcome is Outcome.UNSUPPORTED
        return
    ((y, f),) = arrays(attempt)
    assert (y.shape, y.tolist(), f.shape) == ((), -2, (0,))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "dtype",
    [
        "float32",
        "float64",
        "float16",
        "bfloat16",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "bool",
    ],
)
def test_element_types_pass_through_or_are_said_to_be_unsupported(execute, name, dtype):
    kind = np.dtype(getattr(ml_dtypes, dtype, None) or dtype)
    number = helper.np_dtype_to_tensor_dtype(kind)
    ports = [helper.make_tensor_value_info(port, number, [2, 2]) for port in "xy"]
    graph = helper.make_graph([helper.make_node("Transpose", ["x"], ["y"])], "g", ports[:1], ports[1:])
    serialized = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    x = np.array([[1, 0], [3, 1]]).astype(kind)
    attempt = execute(name, serialized, [x])
    if attempt.outcome is not Outcome.UNSUPPORTED:
        ((y,),) = arrays(attempt)
        assert y.dtype == kind
        assert y.tobytes() == x.T.tobytes()
    else:
        assert attempt.message


def test_a_value_for_an_input_with_a_default_replaces_it(execute, model):
    serialized = model("g (float[1] x, float[1] d = {5}) => (float[1] y) { y = Add (x, d) }")
    one = np.ones(1, np.float32)
    for name in ("onnxruntime", "reference"):
        first, second = arrays(execute(name, serialized, [one], [one, one]))
        assert (first[0].tolist(), second[0].tolist()) == ([6], [2])


def test_a_value_of_a_type_that_numpy_lacks_replaces_a_default(execute, model):
    # The parser takes the bits: those of 5.
    text = "g (float[1] x, bfloat16[1] d = {16544}) => (float[1] y) { e = Cast <to = 1> (d) y = Add (x, e) }"
    one, two = np.ones(1, np.float32), np.full(1, 2, ml_dtypes.bfloat16)
    first, second = arrays(execute("onnxruntime", model(text), [one], [one, two]))
    assert (first[0].tolist(), second[0].tolist()) == ([6], [3])


def test_strings_and_sequences(execute, model):
    strings = model("g (string[2] x) => (string[2] y) { y = Identity (x) }")
    x = np.array(["ä", ""], dtype=object)
    sequence = model("g (seq(float[2]) x) => (seq(float[2]) y) { y = Identity (x) }")
    items = [Tensor("float", (2,), bytes(8)), Tensor("float", (2,), bytes(8))]
    for name in ("onnxruntime", "reference"):
        assert arrays(execute(name, strings, [x]))[0][0].tolist() == ["ä", ""]
        attempt = execute(name, sequence, [items])
        assert attempt.outcome is Outcome.OK
        assert attempt.outputs == ((items,),)


LACKING = {
    "onnxruntime": "g (uint16[2] x) => (uint16[2] y) { y = Max (x, x) }",
    "tvm": "g (float[2, 2] x) => (float y) { y = Det (x) }",
    "openvino": "g (float[2, 2] x) => (float y) { y = Det (x) }",
    "reference": "g (float[2] x) => (float[2] y) { y = Scatter (x, x, x) }",
    "tract": "g (float[2, 2] x) => (float y) { y = Det (x) }",
    "iree": "g (float[1, 1, 4, 4] x, float[1, 5] r) => (float[n] y) { y = MaxRoiPool <pooled_shape = [2, 2]> (x, r) }",
    "torch": "g (float[2, 2] x) => (float y) { y = Det (x) }",
    "tinygrad": "g () => (float y) <float[2, 2] x = {1, 2, 3, 4}> { y = Det (x) }",
    "xla": "g (float[2] x) => (float[n] y) { y = Unique (x) }",
    "jax": "g () => (float y) { y = RandomNormal <shape = [1]> () }",
    "emx-onnx-cgen": "g (bfloat16[2] x) => (bfloat16[2] y) { y = Neg (x) }",
    "mnn": "g (float[2, 3] x) => (float[2, 3] y) { y = Hardmax (x) }",
    "ncnn": "g (float[2, 3] x) => (float[2, 3] y) { y = Hardmax (x) }",
}
# These tell reading from compiling, and say what they lack only in the second stage.
LACK_WHEN_COMPILED = frozenset({"tract", "iree", "ncnn"})


@pytest.mark.parametrize("name", NAMES)
def test_a_lacking_operator_is_unsupported(execute, model, name):
    attempt = execute(name, model(LACKING[name], opset=9 if name == "reference" else 17), [])
    assert attempt.outcome is Outcome.UNSUPPORTED
    assert attempt.stage is (Stage.COMPILE if name in LACK_WHEN_COMPILED else Stage.IMPORT)
    assert attempt.message


@pytest.mark.parametrize("name", [name for name in NAMES if name != "reference"])
def test_an_invalid_model_is_rejected_and_the_worker_lives_on(execute, model, name):
    bad = "g (float[2, 3] x, float[4, 5] z) => (float[2, 5] y) { y = MatMul (x, z) }"
    attempt = execute(name, model(bad), [np.ones((2, 3), np.float32), np.ones((4, 5), np.float32)])
    assert attempt.outcome is Outcome.REJECTED
    assert len(attempt.message) > 20
    serialized, x, expected = convolution()
    np.testing.assert_array_equal(arrays(execute(name, serialized, [x]))[0][0], expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data", [b"", b"\xff" * 100, b"no model at all"])
def test_a_corrupt_model_is_the_fault_of_the_case(execute, name, data):
    attempt = execute(name, data)
    assert attempt.outcome is Outcome.ERROR
    assert "no readable ONNX model" in attempt.message or "no graph" in attempt.message


@pytest.mark.parametrize("name", NAMES)
def test_external_data_is_read_from_the_folder_of_the_case_only(execute, tmp_path, name):
    weights = np.array([1, 2, 3, 4], np.float32)
    own = tmp_path / "own"
    own.mkdir()
    (own / "w.bin").write_bytes(weights.tobytes())
    (tmp_path / "secret.bin").write_bytes(weights.tobytes())

    def external(location: str) -> bytes:
        made = numpy_helper.from_array(weights, "w")
        made.ClearField("raw_data")
        made.data_location = TensorProto.EXTERNAL
        made.external_data.add(key="location", value=location)
        ports = [helper.make_tensor_value_info(port, TensorProto.FLOAT, [4]) for port in "xy"]
        graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", ports[:1], ports[1:], [made])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()

    ones = np.ones(4, np.float32)
    ((y,),) = arrays(execute(name, external("w.bin"), [ones], folder=str(own)))
    assert y.tolist() == [2, 3, 4, 5]
    for location in ("../secret.bin", str(tmp_path / "secret.bin")):
        attempt = execute(name, external(location), [ones], folder=str(own))
        assert attempt.outcome is Outcome.ERROR
        assert "outside of the model's folder: refused" in attempt.message


def test_too_few_inputs_are_the_fault_of_the_case(target, execute, model):
    attempt = execute(
        target, model("g (float[2] a, float[2] b) => (float[2] y) { y = Add (a, b) }"), [np.ones(2, np.float32)]
    )
    assert attempt.outcome is Outcome.ERROR
    assert "the model has 2 inputs, the data set 1" in attempt.message


@pytest.mark.parametrize("reads", ["Add (x, d)", "Add (x, z)"])
def test_openvino_drops_inputs_and_is_given_those_that_are_left(execute, model, reads):
    """A default between the inputs, and one that is not read."""
    ports = "float[2] unread, float[2] d = {5, 6}, float[2] x, float[2] z"
    serialized = model(f"g ({ports}) => (float[2] y) {{ t = {reads} y = Mul (t, z) }}")
    unread, x, z = np.float32([[7, 7], [1, 2], [10, 20]])
    ((y,),) = arrays(execute("openvino", serialized, [unread, x, z]))
    assert y.tolist() == ((x + np.float32([5, 6]) if "d" in reads.partition("(")[2] else x + z) * z).tolist()


def test_accuracy_mode_is_in_single_precision(execute, model):
    """Where the processor has bfloat16, OpenVINO would compute in it by default and lose these digits."""
    serialized = model("g (float[1, 64] x, float[64, 1] z) => (float[1, 1] y) { y = MatMul (x, z) }")
    x = np.full((1, 64), 1 + 2**-12, np.float32)
    ((y,),) = arrays(execute("openvino", serialized, [x, np.ones((64, 1), np.float32)]))
    assert y[0, 0] == pytest.approx(64 * (1 + 2**-12), rel=1e-6)


def test_the_newest_opset_of_onnx_is_answered_by_all(target, execute):
    """A model of the newest opset is run or said to be unsupported, never called invalid."""
    ports = [helper.make_tensor_value_info(port, TensorProto.FLOAT, [2]) for port in "xy"]
    graph = helper.make_graph([helper.make_node("Abs", ["x"], ["y"])], "g", ports[:1], ports[1:])
    newest = helper.make_model(graph, opset_imports=[helper.make_opsetid("", onnx.defs.onnx_opset_version())])
    attempt = execute(target, newest.SerializeToString(), [np.array([-1, 2], np.float32)])
    assert attempt.outcome in {Outcome.OK, Outcome.UNSUPPORTED}


TEXTS = "g (string[N] x, float[1] z) => (float[1] y, string[N] c) { y = Neg (z) c = Concat <axis = 0> (x) }"


@pytest.mark.parametrize("texts", [["a", "bcä"], []])
def test_openvino_is_given_strings(execute, model, texts):
    serialized = model(TEXTS)
    given = np.array(texts, dtype=object)
    attempt = execute("openvino", serialized, [given, np.ones(1, np.float32)])
    ((_, c),) = arrays(attempt)
    assert c.tolist() == texts


def test_a_text_that_openvino_would_cut_off_is_not_handed_over(execute, model):
    serialized = model(TEXTS)
    attempt = execute("openvino", serialized, [np.array(["a\0"], dtype=object), np.ones(1, np.float32)])
    assert attempt.outcome is Outcome.UNSUPPORTED
    assert "ends in a zero" in attempt.message
