"""Casts to and from the narrowest types, and BitCast: rounding, wrapping, what inexact operands leave."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from abstract.dtypes import DTYPES, dtype
from abstract.operator import NotCovered, Run
from abstract.operators import TABLE
from abstract.reference import Float64, finish
from abstract.schema import signature


def floats(*values):
    return np.array(values, dtype=np.float32)


def cast_to(name, x, bound=0.0, source="float"):
    """(value, bound) of Cast on numbers of a type that err by so much."""
    array, own, target = np.array(x, dtype(source).carrier), dtype(source), dtype(name)
    run = Run({"to": target.code}, (array,), (own,), (target,), Float64())
    y = TABLE["Cast"].evaluate(run)
    return y[0], TABLE["Cast"].error(run, y, (bound,))[0]


@pytest.mark.parametrize(
    ("x", "bound", "expected", "reach"),
    [(1.06, 0.0, 1.0, 0.0), (1.06, 0.01, 1.0, 0.125), (1e4, 5.0, 448.0, 0.0), (-1.0, 0.001, -1.0, 0.0)],
)
def test_a_cast_to_eight_bits_rounds_and_steps_where_its_interval_holds_a_tie(x, bound, expected, reach):
    value, found = cast_to("float8e4m3fn", [x], bound)
    assert (value[0], np.broadcast_to(found, (1,))[0]) == (expected, reach)


def test_a_double_may_be_rounded_by_way_of_float():
    tie = [1.0625 + 2.0**-40]
    assert np.any(cast_to("float8e4m3fn", tie, source="double")[1])
    assert not np.any(cast_to("float8e4m3fn", [1.0625])[1])


def test_the_narrowest_integers_wrap():
    value, bound = cast_to("int4", [7, 8, -9, 300], source="int64")
    np.testing.assert_array_equal(value, [7, -8, 7, -4])
    assert not np.any(bound)
    value, _ = cast_to("uint2", [-1, 5], source="int64")
    np.testing.assert_array_equal(value, [3, 1])


@pytest.mark.parametrize("name", ["Cast", "CastLike"])
@pytest.mark.parametrize("opset", [19, 23, 24, 25, 28])
def test_narrow_casts_are_valid_and_onnx_s_reference_agrees(laboratory, name, opset):
    known = {d.name for d in signature(name, min(opset, 25)).types["T1"]} - {"string"}
    kinds = [row.name for row in DTYPES if row.extension and row.name in known]
    decided = 0
    for trial in laboratory.trials(name, opset, 40, dtypes=(*kinds, "float", "int8", "uint16")):
        laboratory.check_valid(trial)
        with np.errstate(all="ignore"):
            try:
                got = ReferenceEvaluator(trial.model).run(None, trial.feeds)
            except TypeError:  # docs/disputes.md
                continue
            outputs = {value.name: array for value, array in zip(trial.graph.outputs, got, strict=True)}
            decided += laboratory.check_values(trial, outputs)
    assert decided


def test_a_type_without_a_zero_is_padded_with_something():
    y = np.array([2.0, 0.0])
    np.testing.assert_array_equal(finish(TABLE["Pad"], y, dtype("float8e8m0"), 0.0), [0, np.inf])
    assert finish(TABLE["Pad"], y, dtype("float8e5m2"), 0.0) == 0.0


def test_bits_are_read_as_another_type(laboratory):
    _, _, (value, bound) = laboratory.by_hand("BitCast", (floats(1, -0.5),), opset=26, to=onnx.TensorProto.UINT32)
    np.testing.assert_array_equal(value, [0x3F800000, 0xBF000000])
    assert not np.any(bound)
    bits = np.array([0x3C00, 0xC000], np.uint16)
    _, _, (value, _) = laboratory.by_hand("BitCast", (bits,), opset=26, to=onnx.TensorProto.FLOAT16)
    np.testing.assert_array_equal(value, [1, -2])


def test_bits_of_what_errs_are_anything():
    x = np.array([1.0, 2.0])
    run = Run({"to": 6}, (x,), (dtype("float"),), (dtype("int32"),), Float64())
    (bound,) = TABLE["BitCast"].error(run, TABLE["BitCast"].evaluate(run), (np.array([0.0, 1e-6]),))
    np.testing.assert_array_equal(bound, [0, np.inf])
    same = Run({"to": 1}, (x,), (dtype("float"),), (dtype("float"),), Float64())
    (bound,) = TABLE["BitCast"].error(same, (x,), (np.array([0.0, 1e-6]),))
    np.testing.assert_array_equal(bound, [0, 1e-6])


def test_a_subnormal_that_was_bits_may_be_flushed():
    run = Run({"to": 1}, (np.array([1, 0x3F800000]),), (dtype("int32"),), (dtype("float"),), Float64())
    y = TABLE["BitCast"].evaluate(run)
    (bound,) = TABLE["BitCast"].error(run, y, (0.0,))
    np.testing.assert_array_equal(bound, [y[0][0], 0])


@pytest.mark.parametrize(("x", "expected"), [([0, 1], True), ([0, 2], False)])
def test_a_bool_is_stored_as_zero_or_one(x, expected):
    row = TABLE["BitCast"]
    assert row.defined is not None
    run = Run({"to": 9}, (np.array(x),), (dtype("uint8"),), (dtype("bool"),), Float64())
    assert row.defined(run) is expected


def test_bits_of_half_a_byte_have_no_row():
    run = Run({"to": 21}, (np.array([1]),), (dtype("int4"),), (dtype("uint4"),), Float64())
    with pytest.raises(NotCovered):
        TABLE["BitCast"].evaluate(run)
