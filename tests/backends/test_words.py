"""The words by which each backend says that it lacks something, each drawn from it by a small model."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from backends.protocol import Outcome, Stage
from backends.tensor import Tensor, to_numpy

X = np.ones(2, np.float32)
TRACT = (
    ("Unimplemented", "g (float[2, 2] x) => (float y) { y = Det (x) }"),
    ("Unknown DatumType", "g (bfloat16[2] x) => (bfloat16[2] y) { y = Neg (x) }"),
    ("unknown ONNX TensorProto.DataType", "g (float[2] x) => (int2[2] y) { y = Cast <to = 26> (x) }"),
    ("has no type value", "g (seq(float[2]) x) => (int64 y) { y = SequenceLength (x) }"),
    (
        "Unsupported",
        'g (float[2] x) => (float[3] y) <int64[2] p = {1, 0}> { y = Pad <mode = "wrap"> (x, p) }',
    ),
    ("as a constant", "g (float[2, 2] x, int64[1] a) => (float[n, m] y) { y = ReduceSum (x, a) }"),
    ("is a const", "g (float[4] x, int64[1] a) => (float[n] y) { y = Slice (x, a, a, a, a) }"),
    ("to be a const", "g (float[4] x, int64 a) => (float[n] y) { y = CumSum (x, a) }"),
    ("be constant", "g (float[4] x, int64[2] a) => (float[n] y) { y = Pad (x, a) }"),
    ("not const", "g (float[1, 2, 3] x, float[2] s) => (float[1, 2, 3] y) { y = BatchNormalization (x, s, s, s, s) }"),
    ("shape input is variable", "g (float[4] x, int64[2] a) => (float[n, m] y) { y = Reshape (x, a) }"),
    ("can not be typed", "g (float[4] x, bool[4] c) => (float[n] y) { y = Compress (x, c) }"),
    ("be determined", "g (int64[2] x, int64[1] d, float[2] v) => (float[2, n] y) { y = OneHot (x, d, v) }"),
    ("sizes: None", "g (float[1, 1, 2, 2] x, float[4] s) => (float[n, m, h, w] y) { y = Resize (x, , s) }"),
    ("Undetermined symbol", "g (float[n] x) => (int64[1] y) { y = Shape (x) }"),
    ("expects a const", "g (float[1, 8, 1] x, int64 s, int64 n) => (float[1, a, b, 2] y) { y = STFT (x, s, , n) }"),
)


@pytest.mark.parametrize(("words", "body"), TRACT)
def test_what_tract_lacks_is_unsupported(execute, model, words, body):
    attempt = execute("tract", model(body, opset=25 if "int2" in body else 19), [X])
    assert attempt.outcome is Outcome.UNSUPPORTED, attempt.message
    assert words in attempt.message


ONNXRUNTIME = (
    (
        "Only 4-D or 5-D",
        "g (float[1,1,2] x, float[1,1,1] p) => (float[1,1,1] y) { y = GridSample (x, p) }",
        ((1, 1, 2), (1, 1, 1)),
    ),
    (
        "Cubic mode in 4-D",
        'g (float[1,1,2,2,2] x, float[1,1,1,1,3] p) => (float[1,1,1,1,1] y) { y = GridSample <mode = "cubic"> (x, p) }',
        ((1, 1, 2, 2, 2), (1, 1, 1, 1, 3)),
    ),
    (
        "must be 4D",
        "g (float[1,1,2] x, float[1,1,1] w) => (float[n] y) { o = Sub (x, x) y = DeformConv (x, w, o) }",
        ((1, 1, 2), (1, 1, 1)),
    ),
    (
        "'Linear' mode only supports:",
        'g (float[1,1,1,1] x) => (float[1,2,2,2] y) <int64[4] s = {1,2,2,2}> {y = Resize <mode = "linear"> (x,,,s)}',
        ((1, 1, 1, 1),),
    ),
)


@pytest.mark.parametrize(("words", "body", "shapes"), ONNXRUNTIME)
def test_what_onnx_runtime_lacks_is_unsupported(execute, model, words, body, shapes):
    attempt = execute("onnxruntime", model(body, opset=20), [np.zeros(shape, np.float32) for shape in shapes])
    assert attempt.outcome is Outcome.UNSUPPORTED, attempt.message
    assert words in attempt.message


def test_what_onnxruntime_finds_out_when_it_runs_is_unsupported(execute, model):
    body = "g (double[1,1,1] x, double[1,4,1] w) => (double[1,1,1,1] y) { y = LSTM <hidden_size = 1> (x, w, w) }"
    attempt = execute("onnxruntime", model(body), [np.ones((1, 1, 1)), np.ones((1, 4, 1))])
    assert attempt.outcome is Outcome.UNSUPPORTED, attempt.message
    assert "LSTM operator does not support double yet" in attempt.message


JAX = (
    ("is not implemented", "g (float[2] x) => (float[2] y) { y = Unique (x) }"),
    ("version 21 is not implemented", "g (float[2] x) => (float[2] y) { y = Transpose (x) }"),
    ("only support", "g (float[1, 1, 2] x) => (float[n] y) { y = AveragePool <kernel_shape=[2], ceil_mode=1> (x) }"),
    ("is not implement yet", "g (float[1, 1, 2] x) => (float[n] y) { y = MaxPool<kernel_shape=[2], ceil_mode=1>(x) }"),
    ("must have static", "g (float[2] x) => (int64[1, n] y) { y = NonZero (x) }"),
)


@pytest.mark.parametrize(("words", "body"), JAX)
def test_what_jax_lacks_is_unsupported(execute, model, words, body):
    attempt = execute("jax", model(body, opset=21), [X.reshape(1, 1, 2) if "Pool" in body else X])
    assert (attempt.outcome, attempt.stage) == (Outcome.UNSUPPORTED, Stage.IMPORT), attempt.message
    assert words in attempt.message


def test_strings_are_no_arrays_of_jax(execute, model):
    strings = model("g (string[2] x) => (string[2] y) { y = Identity (x) }")
    attempt = execute("jax", strings, [np.array(["a", "b"], dtype=object)])
    assert attempt.outcome is Outcome.UNSUPPORTED
    assert "arrays of numbers only" in attempt.message


def test_values_that_jax_makes_constants_are_made_anew_for_each_data_set(execute, model):
    """The importer takes the shape from the first inputs; the second data set has another shape in mind."""
    serialized = model("g (float[4] x, int64[2] s) => (float[n, m] y) { y = Reshape (x, s) }")
    x = np.arange(4, dtype=np.float32)
    attempt = execute("jax", serialized, [x, np.array([2, 2])], [x, np.array([1, 4])], [x, np.array([2, 2])])
    assert [outputs[0].shape for outputs in attempt.outputs] == [(2, 2), (1, 4), (2, 2)]


def test_jax_leaves_a_pass_out_and_shows_what_came_of_it(artefacts):
    """Two reversals are none, unless the algebraic simplifier is off; no path of this machine is in what is shown."""
    body = (
        "g (float[4] x) => (float[4] y) <int64[1] s={-1}, int64[1] e={-9}, int64[1] a={0}> "
        "{ t = Slice (x, s, e, a, s) y = Slice (t, s, e, a, s) }"
    )
    x = np.arange(4, dtype=np.float32)
    whole, without = (artefacts(target, body, x) for target in ("jax", "jax:disable=algsimp"))
    assert list(whole) == ["stablehlo.mlir", "optimized.hlo.txt"]
    assert b"reverse(" not in whole["optimized.hlo.txt"]
    assert b"reverse(" in without["optimized.hlo.txt"]
    assert not any(b".py" in text for text in (*whole.values(), *without.values()))


TORCH = (
    ("Converter is not implemented", "g (float[2] x) => (float[2] y) { y = Acosh (x) }"),
    ("not implemented for 'UInt16'", "g (uint16[2] x) => (uint16[2] y) { y = Add (x, x) }"),
    ("can't convert np.ndarray of type", "g (float[2] x) => (bfloat16[2] y) <bfloat16[2] y = {1, 2}> { z = Neg (x) }"),
    ("min/max is not implemented", "g (float[2] x, float a) => (float[2] y) { y = Clip (x, a) }"),
    ("one output of a node", "g (float[1,1,2] x) => (float[n] y, int64[n] i) {y, i=MaxPool<kernel_shape=[1]>(x)}"),
    ("torch has no tensors of uint4", "g (uint4[2] x) => (uint4[2] x) {}"),
)  # fmt: skip


@pytest.mark.parametrize(("words", "body"), TORCH)
def test_what_torch_lacks_is_unsupported(execute, model, words, body):
    kind = body[3 : body.index("[")]
    shape = (1, 1, 2) if "1,1,2" in body else (2,)
    x = np.ones(shape, np.uint16 if kind == "uint16" else np.float32)
    values = [Tensor(kind, shape, bytes(1)) if kind == "uint4" else x, np.array(0, np.float32)]
    serialized = model(body, opset=17)
    attempt = execute("torch:mode=eager", serialized, values[: len(onnx.load_from_string(serialized).graph.input)])
    assert attempt.outcome is Outcome.UNSUPPORTED, attempt.message
    assert words in attempt.message


def test_torch_gives_outputs_back_in_the_models_order_whatever_makes_them(execute, model):
    """Nodes of the same type as an input's name, an input, a constant, one of two outputs, one output twice read."""
    serialized = model("""g (float[4] Add, float[4] z) => (float[4] s, float[4] z, float[2] right,
        float[1] w, float[4] t) <float[1] w = {5}> { s = Add (Add, z) left, right = Split (s) t = Add (s, Add) }""")
    x, z = np.arange(4, dtype=np.float32), np.full(4, 10, np.float32)
    for mode in ("eager", "aot_eager"):
        attempt = execute(f"torch:mode={mode}", serialized, [x, z])
        assert attempt.outcome is Outcome.OK, attempt.message
        expected = [x + z, z, (x + z)[2:], np.array([5], np.float32), x + z + x]
        assert [to_numpy(value).tolist() for value in attempt.outputs[0]] == [array.tolist() for array in expected]


TINYGRAD = (
    ("op='Det' is not supported", "", "g (float[2, 2] x) => (float y) { y = Det (x) }"),
    ("is not a valid OnnxDataType", "", "g (float[2] x) => (int2[2] y) { y = Cast <to = 26> (x) }"),
    ("didn't JIT anything", ":jit=yes", "g (float[2] x) => (int64[1] y) { y = Shape (x) }"),
)  # fmt: skip


@pytest.mark.parametrize(("words", "options", "body"), TINYGRAD)
def test_what_tinygrad_lacks_is_unsupported(execute, model, words, options, body):
    shape = (2, 2) if "[2, 2]" in body else (2,)
    attempt = execute(f"tinygrad{options}", model(body, opset=21), [np.ones(shape, np.float32)])
    assert attempt.outcome is Outcome.UNSUPPORTED, attempt.message
    assert words in attempt.message


def test_tinygrad_takes_shapes_anew_for_each_data_set(execute, model):
    """Its front end keeps the first values of what it needs as numbers."""
    serialized = model("g (float[4] x, int64[2] s) => (float[n, m] y) { y = Reshape (x, s) }")
    x = np.arange(4, dtype=np.float32)
    attempt = execute("tinygrad", serialized, [x, np.array([2, 2])], [x, np.array([1, 4])])
    assert [outputs[0].shape for outputs in attempt.outputs] == [(2, 2), (1, 4)]


def test_what_tinygrad_records_it_replays(execute, model):
    serialized = model("g (float[2] a, float[2] b) => (float[2] y, float[2] z) { y = Sub (a, b) z = Exp (y) }")
    attempt = execute("tinygrad:jit=yes", serialized, [3 * X, X])
    assert [to_numpy(value).tolist() for value in attempt.outputs[0]] == [[2, 2], pytest.approx([np.exp(2)] * 2)]


def test_tinygrad_without_clang_says_so(execute, model, monkeypatch):
    monkeypatch.setenv("CC", "/nowhere/clang")
    attempt = execute("tinygrad:code=llvm", model("g (float[2] x) => (float[2] y) { y = Neg (x) }"), [X])
    assert attempt.outcome is Outcome.ERROR
    assert "code=llvm needs clang: install it" in attempt.message


def test_tinygrad_knows_its_switches(execute, model):
    serialized = model("g (float[2] x) => (float[2] y) { y = Neg (x) }")
    off = "kernel_optimizations+locals+memory_planner+split_reduce+tensor_cores"
    assert execute(f"tinygrad:disable={off}", serialized, [X]).outcome is Outcome.OK
    attempt = execute("tinygrad:disable=nonsense", serialized, [X])
    assert attempt.outcome is Outcome.ERROR
    assert "tinygrad has no switch nonsense: there are kernel_optimizations" in attempt.message


IREE = (
    ("'torch.operator'", 20, "g (float[1, 2, 3] t, int64[4] s) => (float[a, b, c, d] y) { y = AffineGrid (t, s) }"),
    ("torch.aten", 17, "g (float[1,1,4,4] x, float[1,5] r) => (float[n] y){ y = MaxRoiPool<pooled_shape=[2,2]>(x,r) }"),
    ("Unknown ONNX tensor element type", 25, "g (float[2] x) => (int2[2] y) { y = Cast <to = 26> (x) }"),
)


@pytest.mark.parametrize(("words", "opset", "body"), IREE)
def test_what_iree_lacks_is_unsupported(execute, model, words, opset, body):
    attempt = execute("iree", model(body, opset=opset), [])
    assert attempt.outcome is Outcome.UNSUPPORTED, attempt.message
    assert words in attempt.message


def test_iree_lacks_attributes_that_are_types(execute):
    element = onnx.helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, [2])
    nodes = [
        onnx.helper.make_node("Optional", [], ["o"], type=element),
        onnx.helper.make_node("OptionalHasElement", ["o"], ["y"]),
    ]
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.BOOL, [])
    graph = onnx.helper.make_graph(nodes, "g", [], [output])
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8)
    attempt = execute("iree", made.SerializeToString(), [])
    assert attempt.outcome is Outcome.UNSUPPORTED, attempt.message
    assert "does not support generic node attribute type" in attempt.message


def test_iree_gives_unsigned_results_back_as_such(execute, model):
    serialized = model("g (uint8[2] x) => (uint8[2] y) { y = Add (x, x) }")
    attempt = execute("iree", serialized, [np.array([100, 1], np.uint8)])
    assert attempt.outputs == ((Tensor("uint8", (2,), bytes([200, 2])),),)


def test_iree_computes_on_more_threads_where_it_is_asked_to(execute, model):
    serialized = model("g (float[2] x) => (float[2] y) { y = Add (x, x) }")
    attempt = execute("iree:threads=2", serialized, [X])
    assert attempt.outputs == ((Tensor("float", (2,), np.array([2, 2], np.float32).tobytes()),),)


def test_a_type_that_onnxoptimizer_does_not_read_is_unsupported(execute, model):
    body = "g (float x) => (float y) <uint4 w = {2}, float s = {0.5}> { d = DequantizeLinear (w, s) y = Add (d, x) }"
    attempt = execute("onnxoptimizer", model(body, opset=21), [np.array(1, np.float32)])
    assert attempt.outcome is Outcome.UNSUPPORTED, attempt.message
    assert "no supported data type" in attempt.message


def test_an_output_that_tvm_does_not_give_is_unsupported(execute, model):
    body = "g (float[1,1,2] x) => (float[1,1,2] y, int64[1,1,2] i) { y, i = MaxPool <kernel_shape = [1]> (x) }"
    attempt = execute("tvm", model(body, opset=18), [X.reshape(1, 1, 2)])
    assert attempt.outcome is Outcome.UNSUPPORTED, attempt.message
    assert "Missing outputs" in attempt.message


def test_of_a_pass_of_onnxscript_that_fails_it_is_told_why(execute, function_of_another_version):
    attempt = execute("onnxscript", function_of_another_version, [X])
    assert attempt.outcome is Outcome.REJECTED, attempt.message
    assert attempt.message.startswith("ValueError: Opset mismatch when inlining function")


@pytest.fixture
def function_of_another_version():
    """Abs is the same in versions 13 and 21, so a function of the one may be called in a model of the other."""
    parsed = onnx.parser.parse_model("""
        <ir_version: 10, opset_import: ["" : 21, "local" : 1]>
        g (float[2] x) => (float[2] y) { y = local.part (x) }
        <domain: "local", opset_import: ["" : 13]>
        part (a) => (b) { b = Abs (a) }""")
    return parsed.SerializeToString()
