"""Reductions and running sums."""

from __future__ import annotations

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from abstract.dtypes import dtype
from abstract.operator import Run
from abstract.operators import TABLE
from abstract.reference import Float64

SUMS = ("ReduceSum", "ReduceMean", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp")
REDUCTIONS = (*SUMS, "ReduceProd", "ReduceMax", "ReduceMin")
PAIRS = [
    *((name, opset) for name in REDUCTIONS for opset in ((13,) if name == "ReduceSum" else (13, 18))),
    ("ReduceMax", 20), ("ReduceMin", 20), ("CumSum", 14), ("CumProd", 26),
]  # fmt: skip
NEWEST = [*((name, 18) for name in REDUCTIONS), ("CumSum", 14), ("CumProd", 26)]


SOUND = ("float", "double", "int8", "int32", "uint8")
"""ONNX Runtime 1.31.1 errs in the extremum of int64 beyond 2**31: min of 7 elements along the last axis, for one."""


@pytest.mark.parametrize(("name", "opset"), PAIRS)
def test_generated_calls_are_valid_and_a_runtime_agrees(laboratory, name, opset):
    laboratory.generated(name, opset, 20, SOUND if name in {"ReduceMax", "ReduceMin"} else ())


@pytest.mark.untraced
@pytest.mark.parametrize(("name", "opset"), NEWEST)
def test_symbolic_shapes_hold_at_other_sizes(laboratory, name, opset):
    assert laboratory.at_other_sizes(name, opset) >= 20


@pytest.mark.untraced
@pytest.mark.parametrize(("name", "opset"), NEWEST)
@pytest.mark.parametrize("kind", ["float", "float16", "bfloat16"])
def test_legal_recomputations_stay_within_the_bound(laboratory, name, opset, kind):
    laboratory.recomputed(name, opset, (kind,))


@pytest.mark.parametrize(("name", "opset"), NEWEST)
def test_errors_propagate(laboratory, name, opset):
    assert laboratory.perturbed(name, opset, 40) >= 30


def ints(*values):
    return np.array(values, dtype=np.int64)


X = np.array([[[0.5, 2.0], [1.5, 3.0]], [[4.0, 0.25], [1.0, 7.0]]], dtype=np.float64)


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize(
    ("axes", "attributes"),
    [
        (None, {}),
        (None, {"keepdims": 0}),
        (ints(1), {}),
        (ints(-1, 0), {"keepdims": 0}),
        (ints(), {}),
        (None, {"noop_with_empty_axes": 1}),
        (ints(), {"noop_with_empty_axes": 1}),
        (ints(2), {"noop_with_empty_axes": 1}),
    ],
)
def test_every_way_to_name_axes(laboratory, name, axes, attributes):
    inputs = (X,) if axes is None else (X, axes)
    model, feeds, (value, bound) = laboratory.by_hand(name, inputs, **attributes)
    (want,) = ReferenceEvaluator(model).run(None, feeds)
    assert value.shape == want.shape
    assert np.all(np.abs(value - want) <= bound)
    assert np.max(bound) < 1e-10


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ReduceSum", 0.0), ("ReduceProd", 1.0), ("ReduceL1", 0.0), ("ReduceL2", 0.0), ("ReduceSumSquare", 0.0),
        ("ReduceMax", -np.inf), ("ReduceMin", np.inf), ("ReduceLogSum", -np.inf), ("ReduceLogSumExp", -np.inf),
    ],
)  # fmt: skip
def test_an_empty_set_gives_the_neutral_element(laboratory, name, expected):
    _, _, (value, _) = laboratory.by_hand(name, (np.zeros((2, 0, 3), np.float32), ints(1)), keepdims=0)
    np.testing.assert_array_equal(value, np.full((2, 3), expected))


def test_the_extremum_of_no_integers_is_the_far_end_of_their_type(laboratory):
    _, _, (value, _) = laboratory.by_hand("ReduceMax", (np.zeros((0, 2), np.int8), ints(0)), keepdims=0)
    np.testing.assert_array_equal(value, [-128, -128])


def test_truth_values_have_extrema(laboratory):
    x = np.array([[True, False], [False, False]])
    _, _, (most, _) = laboratory.by_hand("ReduceMax", (x, ints(1)), keepdims=0)
    _, _, (least, _) = laboratory.by_hand("ReduceMin", (x, ints(0)), keepdims=0)
    assert most.tolist() == [True, False]
    assert least.tolist() == [False, False]


@pytest.mark.parametrize("name", ["ReduceMean", "ReduceL2"])
def test_integers_that_would_be_rounded_are_left_to_onnx(laboratory, name):
    x = np.array([[1, 2], [4, 8]], np.int64)
    model, feeds, (value, _) = laboratory.by_hand(name, (x, ints(1)), opset=18)
    (want,) = ReferenceEvaluator(model).run(None, feeds)
    np.testing.assert_array_equal(value, want)


@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("axis", [0, -1])
def test_running_sums_in_every_direction(laboratory, exclusive, reverse, axis):
    model, feeds, (value, bound) = laboratory.by_hand(
        "CumSum", (X, np.array(axis)), exclusive=exclusive, reverse=reverse
    )
    (want,) = ReferenceEvaluator(model).run(None, feeds)
    assert np.all(np.abs(value - want) <= bound)
    assert np.max(bound) < 1e-12


def bound_of(name, x, e=0.0, kind="float", **params):
    x = np.asarray(x, dtype=np.float64)
    run = Run(params, (x,), (dtype(kind),), (dtype(kind),), Float64())
    with np.errstate(all="ignore"):
        y = tuple(np.asarray(a) for a in TABLE[name].evaluate(run))
        (bound,) = TABLE[name].error(run, y, (e,))
    return np.broadcast_to(bound, y[0].shape)


def test_a_sum_of_one_is_exact():
    assert bound_of("ReduceSum", [[3.0]], axes=(1,)) == 0
    assert bound_of("ReduceProd", [[3.0]], axes=(1,))[0, 0] < 1e-14


@pytest.mark.parametrize("name", ["ReduceSum", "ReduceMean", "CumSum"])
def test_a_narrow_sum_that_leaves_its_range_on_the_way_is_undecidable(name):
    params = {"axis": 0} if name == "CumSum" else {}
    x = np.array([60000.0, 60000.0, -60000.0, -60000.0])
    assert np.isinf(bound_of(name, x, kind="float16", **params)).any()
    assert np.isfinite(bound_of(name, x, kind="float", **params)).all()


@pytest.mark.parametrize("name", ["ReduceSum", "ReduceL1", "ReduceSumSquare", "ReduceProd", "CumSum", "CumProd"])
def test_an_integer_result_that_leaves_its_type_is_undecidable(name):
    params = {"axis": 0} if name.startswith("Cum") else {}
    x = np.array([100000, 100000, 100000])
    run = Run(params, (x,), (dtype("int32"),), (dtype("int32"),), Float64())
    y = tuple(np.asarray(a) for a in TABLE[name].evaluate(run))
    (bound,) = TABLE[name].error(run, y, (0.0,))
    assert np.isinf(bound).any() == (name not in ("ReduceSum", "ReduceL1", "CumSum"))
    large = Run(params, (x * 20000,), (dtype("int32"),), (dtype("int32"),), Float64())
    (bound,) = TABLE[name].error(large, y, (0.0,))
    assert np.isinf(bound).any()


def test_squares_that_leave_the_range_are_undecidable():
    x = np.array([300.0, 1.0])
    assert np.isinf(bound_of("ReduceL2", x, kind="float16")).all()
    assert np.isfinite(bound_of("ReduceL2", x, kind="float")).all()


def test_the_plain_formula_of_log_sum_exp_may_overflow():
    assert np.isinf(bound_of("ReduceLogSumExp", [90.0, 1.0])).all()
    assert np.isinf(bound_of("ReduceLogSumExp", [-200.0, -200.0])).all()
    assert bound_of("ReduceLogSumExp", [20.0, 1.0]) < 1e-4


def test_the_logarithm_of_a_sum_that_may_be_zero_is_undecidable():
    assert np.isinf(bound_of("ReduceLogSum", [1.0, -0.999999], 1e-5)).all()
    assert bound_of("ReduceLogSum", [1.0, 2.0], 1e-5) < 1e-4


def test_partial_products_may_underflow():
    x = np.array([1e-30, 1e-30, 1e30, 1e30])
    assert bound_of("ReduceProd", x) >= 1.0
    assert bound_of("ReduceProd", [1e-3, 1e3]) < 1e-5


def test_only_elements_that_may_be_the_extremum_count():
    x, e = np.array([[1.0, 5.0], [4.9, 5.0]]), np.array([[1.0, 0.01], [0.3, 0.0]])
    np.testing.assert_allclose(bound_of("ReduceMax", x, e, axes=(1,), keepdims=0), [0.01, 0.2])
