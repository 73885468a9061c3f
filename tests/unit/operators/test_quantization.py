"""Quantisation and products of quantised numbers: every granularity and type, and what is granted next to ties."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from abstract.dtypes import dtype
from abstract.operator import Run
from abstract.operators import TABLE
from abstract.program import parse
from abstract.reference import Float64, interpret
from fuzz.generate.settings import DEFAULT_DTYPES

ROWS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "QLinearConv",
        "QLinearMatMul")  # fmt: skip
VERSIONS = [
    *((name, opset) for name in ROWS[:2] for opset in (13, 19, 21, 23, 24, 25)),
    *((name, 13) for name in ROWS[2:]), ("QLinearMatMul", 21),
]  # fmt: skip
NARROW = ("float", "float16", "bfloat16", "int32", *(name for name in DEFAULT_DTYPES if dtype(name).bits <= 16))


def by_hand(name, opset, inputs, outputs=1, **attributes):
    """(value, bound) of each output of one node on the reference."""
    names = ["" if x is None else f"i{n}" for n, x in enumerate(inputs)]
    node = onnx.helper.make_node(name, names, [f"o{n}" for n in range(outputs)], **attributes)
    given = {n: np.asarray(x) for n, x in zip(names, inputs, strict=True) if x is not None}
    ports = [
        onnx.helper.make_tensor_value_info(n, onnx.helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for n, x in given.items()
    ]
    graph = onnx.helper.make_graph([node], "g", ports, [onnx.ValueInfoProto(name=o) for o in node.output])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=10)
    program = parse(model)
    assert program.steps[0].row is not None
    with np.errstate(all="ignore"):
        values = interpret(program, {n: x.astype(program.dtypes[n].carrier) for n, x in given.items()})
    return [(values[o].value, np.broadcast_to(values[o].bound, values[o].value.shape)) for o in node.output]


def ran(name, x, bounds=(), target="uint8", **params):
    """(values, bound) of a row on arrays of declared types, some of which err."""
    arrays = tuple(None if a is None else np.asarray(a) for a in x)
    kinds = tuple(None if a is None else next(d for d in map(dtype, NARROW) if d.numpy == a.dtype) for a in arrays)
    carried = tuple(None if a is None else a.astype(d.carrier) for a, d in zip(arrays, kinds, strict=True))
    run = Run(params, carried, kinds, (dtype(target),), Float64())
    with np.errstate(all="ignore"):
        y = TABLE[name].evaluate(run)
        given = tuple(bounds) + (0.0,) * (len(arrays) - len(bounds))
        bound = TABLE[name].error(run, y, given)[0]
    return y[0], np.broadcast_to(bound, np.shape(y[0]))


def floats(*values):
    return np.array(values, np.float32)


# What ONNX Runtime refuses though it is legal (docs/disputes.md).
KNOWN = ("Tensor type mismatch", "must be a scalar or 1D tensor of size 1", "Non per-tensor quantization")


@pytest.mark.parametrize(("name", "opset"), VERSIONS)
def test_generated_calls_are_valid_and_a_runtime_agrees(laboratory, name, opset):
    decided = 0
    for trial in laboratory.trials(name, opset, 20):
        laboratory.check_valid(trial)
        try:
            outputs = laboratory.run(trial, onnx_too=False)
        except onnxruntime.capi.onnxruntime_pybind11_state.Fail as refusal:
            if any(words in str(refusal) for words in KNOWN):
                continue
            raise
        with np.errstate(all="ignore"):
            decided += laboratory.check_values(trial, outputs)
    assert decided


@pytest.mark.untraced
@pytest.mark.parametrize("name", ROWS)
def test_symbolic_shapes_hold_at_other_sizes(laboratory, name):
    assert laboratory.at_other_sizes(name, 21, 20) >= 3


@pytest.mark.parametrize(("name", "opset"), [p for p in VERSIONS if p[0] in ROWS[:3] and p[1] > 13])
def test_onnx_s_reference_agrees_on_every_type(laboratory, name, opset):
    """It has all types but int32, which it takes for a float and lets overflow, as it does with great quotients."""
    decided = 0
    dtypes = [kind for kind in NARROW if kind != "int32" or name != "QuantizeLinear"]
    for trial in laboratory.trials(name, opset, 25, dtypes=dtypes):
        laboratory.check_valid(trial)
        given = (v.array for v in (*trial.graph.inputs, *trial.graph.initializers) if v.type.dtype.is_float)
        if any(np.abs(array).max(initial=0) > 1e3 for array in given):
            continue
        feeds = {v.name: v.array.astype(v.type.dtype.numpy) for v in trial.graph.inputs}
        with np.errstate(all="ignore"):
            got = ReferenceEvaluator(trial.model).run(None, feeds)
        outputs = {value.name: array for value, array in zip(trial.graph.outputs, got, strict=True)}
        with np.errstate(all="ignore"):
            decided += laboratory.check_values(trial, outputs)
    assert decided


@pytest.mark.untraced
@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("element_type", ["float", "float16", "bfloat16"])
def test_legal_recomputations_stay_within_the_bound(laboratory, name, element_type):
    dtypes = (element_type, "int8", "uint8", "int4", "float8e4m3fn", "int32")
    laboratory.recomputed(name, 23, dtypes, 6)


@pytest.mark.parametrize("name", [n for n in ROWS if "Integer" not in n])
def test_errors_cover_every_move_of_the_inputs(laboratory, name):
    assert laboratory.perturbed(name, 23, 12, dtypes=("float", "int8", "uint8", "int32")) >= 1


def test_a_power_of_two_leaves_no_doubt_at_ties():
    x = floats(0.25, 0.75, 1.25, -0.25, 1e9)
    value, bound = ran("QuantizeLinear", (x, np.float32(0.5), np.uint8(1)))
    np.testing.assert_array_equal(value, [1, 3, 3, 1, 255])
    assert not bound.any()


def test_any_other_scale_is_granted_a_step_next_to_a_tie_and_there_alone():
    value, bound = ran("QuantizeLinear", (floats(1.5, 1.6, 300, 4500), np.float32(3), np.uint8(0)))
    np.testing.assert_array_equal(value, [0, 1, 100, 255])
    np.testing.assert_array_equal(bound, [1, 0, 0, 0])


def test_a_quotient_in_half_precision_is_as_coarse_as_that():
    x, scale = np.float16([100.6, 10.3]), np.float16(0.3)
    half, bound = ran("QuantizeLinear", (x, scale, np.int16(0)), target="int16")
    assert bound[0] == 1
    assert bound[1] == 0
    _, single = ran("QuantizeLinear", (x, scale, np.int16(0)), target="int16", precision=1)
    assert not single.any()
    assert half[0] == np.rint(x[0].astype(float) / scale.astype(float))


def test_what_comes_in_inexact_steps_where_its_interval_holds_a_tie():
    value, bound = ran("QuantizeLinear", (floats(1.4, 1.2), np.float32(1), np.uint8(0)), (np.array([0.2, 0.2]),))
    np.testing.assert_array_equal(value, [1, 1])
    np.testing.assert_array_equal(bound, [1, 0])
    _, bound = ran("QuantizeLinear", (floats(8.0), np.float32(1), np.uint8(0)), (0.0, 1.0, 0.0))
    assert bound[0] > 100  # a scale that may be 0


def test_a_type_that_overflows_on_the_way_decides_nothing():
    _, bound = ran("QuantizeLinear", (floats(1e5, 1.0), np.float16(300), np.int8(0)), target="int8")
    assert bound[0] > 100
    assert bound[1] == 0


def test_blocks_and_axes():
    x = np.arange(10, dtype=np.float32).reshape(2, 5)
    scale = floats([1, 2, 4], [8, 1, 2])
    value, _ = ran("QuantizeLinear", (x, scale, np.zeros((2, 3), np.uint8)), axis=-1, block_size=2)
    np.testing.assert_array_equal(value, [[0, 1, 1, 2, 1], [1, 1, 7, 8, 4]])
    value, _ = ran("QuantizeLinear", (x, floats(1, 2), np.uint8([10, 0])), axis=0)
    np.testing.assert_array_equal(value, [[10, 11, 12, 13, 14], [2, 3, 4, 4, 4]])
    value, _ = ran("DequantizeLinear", (np.uint8([[4, 6]]), floats(0.5, 2), np.uint8([2, 1])), target="float")
    np.testing.assert_array_equal(value, [[1, 10]])


@pytest.mark.parametrize(
    ("kind", "saturate", "expected"),
    [
        ("float8e4m3fn", 1, [448, -448, 1]), ("float8e4m3fn", 0, [np.nan, np.nan, 1]),
        ("float8e5m2", 0, [np.inf, -np.inf, 1]), ("float8e5m2fnuz", 0, [np.nan, np.nan, 1]),
        ("float4e2m1", 0, [6, -6, 1]), ("float6e3m2", 1, [28, -28, 1]),
    ],
)  # fmt: skip
def test_narrow_floats_saturate_if_they_are_to(kind, saturate, expected):
    zero = np.zeros((), dtype(kind).numpy)
    value, bound = ran("QuantizeLinear", (floats(1e6, -1e6, 1), np.float32(1), zero), target=kind, saturate=saturate)
    np.testing.assert_array_equal(value, expected)
    assert not bound.any()


def test_a_difference_that_the_output_cannot_hold_decides_nothing():
    _, bound = ran("DequantizeLinear", (np.uint16([65535, 3]), np.float16(2.0**-8), np.uint16(0)), target="float16")
    assert bound[0] == np.inf
    assert 0 <= bound[1] < 1e-3


def test_a_dynamic_scale_and_the_tie_of_its_zero_point():
    y, scale, zero = by_hand("DynamicQuantizeLinear", 13, (floats(0, 2, -3, -2.5, 1.34, 0.5),), 3)
    np.testing.assert_array_equal(y[0], [153, 255, 0, 25, 221, 179])
    np.testing.assert_allclose(scale[0], 5 / 255)
    assert zero[0] == 153
    assert 0 < scale[1] < 1e-7
    y, scale, zero = by_hand("DynamicQuantizeLinear", 13, (floats(-1, 1),), 3)
    assert zero[1] > 0  # 127.5
    assert TABLE["DynamicQuantizeLinear"].defined is not None


@pytest.mark.parametrize("values", [(-3e38, 1e38), (0.0, 1e-42)])
def test_a_dynamic_scale_that_float_does_not_hold_is_not_judged(values):
    for _, bound in by_hand("DynamicQuantizeLinear", 13, (floats(*values),), 3):
        assert np.all(np.isinf(bound))


def test_padding_is_what_means_zero():
    x, w = np.uint8([[[1, 2]]]), np.int8([[[1, 1]]])
    (y,) = by_hand("ConvInteger", 13, (x, w, np.uint8(3), None), pads=[1, 1])
    np.testing.assert_array_equal(y[0], [[[-2, -3, -1]]])


def test_zero_points_by_row_and_by_column():
    a, b = np.uint8([[1, 2], [3, 4]]), np.int8([[1, 2, 3], [4, 5, 6]])
    (y,) = by_hand("MatMulInteger", 13, (a, b, np.uint8([1, 2]), np.int8([1, 0, -1])))
    expected = (a.astype(int) - [[1], [2]]) @ (b.astype(int) - [1, 0, -1])
    np.testing.assert_array_equal(y[0], expected)
    assert not y[1].any()


def test_a_vector_takes_the_axis_of_scales_away():
    a, b = np.uint8([1, 2]), np.uint8(np.arange(12).reshape(2, 2, 3))
    scale, zero = np.ones((2, 1, 3), np.float32), np.zeros((2, 1, 3), np.uint8)
    (y,) = by_hand("QLinearMatMul", 13, (a, np.float32(1), np.uint8(0), b, scale, zero, np.float32(1), np.uint8(0)))
    np.testing.assert_array_equal(y[0], a.astype(int) @ b.astype(int))


def test_rescaling_is_exact_by_powers_of_two_and_granted_a_step_else():
    a, b = np.uint8([[3, 0]]), np.uint8([[1], [0]])
    zero = np.uint8(0)
    (y,) = by_hand("QLinearMatMul", 13, (a, np.float32(0.5), zero, b, np.float32(1), zero, np.float32(1), zero))
    assert (y[0].item(), y[1].item()) == (2, 0)  # 1.5
    (y,) = by_hand("QLinearMatMul", 13, (a, np.float32(0.3), zero, b, np.float32(1), zero, np.float32(0.6), zero))
    assert y[1].item() == 1
    (y,) = by_hand("QLinearMatMul", 13, (a, np.float32(0.3), zero, b, np.float32(1), zero, np.float32(0.7), zero))
    assert (y[0].item(), y[1].item()) == (1, 0)


def test_a_bias_beyond_32_bits_decides_nothing():
    x, w, zero, one = np.uint8([[[200]]]), np.int8([[[100]]]), np.uint8(0), np.float32(1)
    for bias, decided in ((2**31 - 1, False), (5, True)):
        inputs = (x, one, zero, w, one, np.int8(0), one, zero, np.int32([bias]))
        (y,) = by_hand("QLinearConv", 13, inputs)
        assert bool(np.isfinite(y[1]).all()) is decided


def test_an_integer_scale_is_left_to_onnx():
    run = Run({}, (np.array([7]), np.array(2)), (dtype("int32"),) * 2, (dtype("uint8"),), Float64())
    with pytest.raises(Exception, match="integer scale"):
        TABLE["QuantizeLinear"].evaluate(run)


def test_what_is_quantised_is_never_taken_for_bitwise_certain(laboratory):
    trial = next(laboratory.trials("QuantizeLinear", 21, 3))
    assert not trial.graph.outputs[0].exact


@pytest.mark.parametrize(("kind", "numbers"), [("int4", [-8, 7, 3]), ("uint4", [15, 0, 9]), ("int8", [-128, 1, 2])])
def test_a_runtime_reads_packed_numbers_as_the_reference_does(kind, numbers):
    x = onnx.numpy_helper.from_array(np.array(numbers).astype(dtype(kind).numpy), "x")
    node = onnx.helper.make_node("DequantizeLinear", ["x", "s"], ["y"])
    y = onnx.helper.make_tensor_value_info("y", 1, [3])
    graph = onnx.helper.make_graph([node], "g", [], [y], [x, onnx.helper.make_tensor("s", 1, [], [0.5])])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (value,) = session.run(None, {})
    np.testing.assert_array_equal(value, np.array(numbers) / 2)
    np.testing.assert_array_equal(interpret(parse(model), {})["y"].value, value)


def test_an_unknown_number_times_nothing_leaves_the_sum_unknown():
    """In float64 infinity times 0 is NaN, and an interval between NaN and NaN is no certainty."""
    shape, one = (1, 1, 1, 2), np.asarray(1.0)
    inputs = (
        np.full(shape, 9), one, np.asarray(0), np.array([0, 1]).reshape(shape), one, np.asarray(0), one, np.asarray(0)
    )  # fmt: skip
    kinds = tuple(dtype(n) for n in (*("uint8", "float", "uint8") * 2, "float", "uint8"))
    run = Run({"auto_pad": b"NOTSET", "group": 1}, inputs, kinds, (dtype("uint8"),), Float64())
    row = TABLE["QLinearConv"]
    unknown = np.array([np.inf, 0.0]).reshape(shape)
    errors = (unknown, 0.0, 0.0, 0.0, np.asarray(0.01), 0.0, 0.0, 0.0)
    with np.errstate(invalid="ignore"):
        (bound,) = row.error(run, row.evaluate(run), errors)
    assert np.all(bound >= 246)  # 9, and 255 at most


_BYTES = {
    "MatMulInteger": lambda a, b: (np.ones((3, 2), np.uint8), np.ones((2, 1), np.uint8), a, b),
    "ConvInteger": lambda a, b: (np.ones((1, 2, 1), np.uint8), np.ones((1, 2, 1), np.uint8), a, b),
}


@pytest.mark.parametrize(
    ("name", "left", "right"),
    [
        ("MatMulInteger", None, (2,)),  # two zero points for one column: numpy would make two columns of it
        ("MatMulInteger", (2,), None),
        ("MatMulInteger", (3, 2), None),
        ("ConvInteger", None, (2,)),  # for one map
        ("ConvInteger", (2,), None),
    ],
)
def test_zero_points_that_do_not_fit_are_no_case(name, left, right):
    zeros = [None if shape is None else np.zeros(shape, np.uint8) for shape in (left, right)]
    with pytest.raises(ValueError, match="does not fit its inputs"):
        by_hand(name, 13, _BYTES[name](*zeros))


def test_scales_for_more_maps_than_there_are_are_no_case():
    x, w, one, zero = np.ones((1, 2, 1), np.uint8), np.ones((1, 2, 1), np.uint8), np.float32(1), np.uint8(0)
    each = np.ones(2, np.float32), np.zeros(2, np.uint8)
    with pytest.raises(ValueError, match="does not fit its inputs"):
        by_hand("QLinearConv", 13, (x, one, zero, w, *each, one, zero))


@pytest.mark.parametrize(
    ("name", "scale", "zero"),
    [("QuantizeLinear", (), (3,)), ("DequantizeLinear", (3,), (1, 3)), ("DequantizeLinear", (1, 3), (1, 3))],
)
def test_scales_and_zero_points_of_other_shapes_are_no_case(name, scale, zero):
    x = np.ones((2, 3), np.float32 if name == "QuantizeLinear" else np.uint8)
    with pytest.raises(ValueError, match="does not fit its inputs"):
        by_hand(name, 13, (x, np.ones(scale, np.float32), np.zeros(zero, np.uint8)))
