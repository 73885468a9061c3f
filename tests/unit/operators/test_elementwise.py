"""Functions of one element: corner values, attributes, the error rules that are not those of a monotone function."""

from __future__ import annotations

import math

import numpy as np
import pytest

from abstract.dtypes import dtype
from abstract.operator import Run
from abstract.operators import TABLE
from abstract.operators.elementwise import apart
from abstract.reference import Float64
from fuzz.generate.choices import Seeded
from fuzz.generate.graph import generate_graph
from fuzz.generate.settings import Settings

INF, NAN = np.inf, np.nan


def floats(*values):
    return np.array(values, dtype=np.float32)


@pytest.mark.parametrize(
    ("name", "x", "attributes", "expected"),
    [
        ("Round", floats(0.5, 1.5, 2.5, -0.5, -1.5, INF, NAN), {}, (0, 2, 2, 0, -2, INF, NAN)),
        ("Ceil", floats(-0.5, 0.5, 3, -INF), {}, (0, 1, 3, -INF)),
        ("Floor", floats(-0.5, 0.5, 3, INF), {}, (-1, 0, 3, INF)),
        ("Sign", floats(-2, 0, 3), {}, (-1, 0, 1)),
        ("Sign", np.array([0, 7], np.uint8), {}, (0, 1)),
        ("Relu", floats(-1, 0, 2), {}, (0, 0, 2)),
        ("Relu", np.array([-1, 2], np.int64), {}, (0, 2)),
        ("LeakyRelu", floats(-2, 3), {"alpha": -0.5}, (1, 3)),
        ("LeakyRelu", floats(-2, 3), {}, (-0.02, 3)),
        ("ThresholdedRelu", floats(1, 1.5, -2), {}, (0, 1.5, 0)),
        ("ThresholdedRelu", floats(-2, -0.25), {"alpha": -0.5}, (0, -0.25)),
        ("Elu", floats(-1, 2), {"alpha": 2.0}, (2 * math.expm1(-1), 2)),
        ("Celu", floats(-1, 2), {"alpha": 2.0}, (2 * math.expm1(-0.5), 2)),
        ("Celu", floats(1000, -1000), {"alpha": 0.5}, (1000, -0.5)),
        ("Selu", floats(2), {"alpha": 1.0, "gamma": 0.5}, (1,)),
        ("HardSigmoid", floats(-3, 0, 3, 1), {}, (0, 0.5, 1, 0.7)),
        ("HardSigmoid", floats(1), {"alpha": -0.5, "beta": 0.0}, (0,)),
        ("HardSwish", floats(-4, 4, 0, 1), {}, (0, 4, 0, 2 / 3)),
        ("Softplus", floats(1000, -1000, 0), {}, (1000, 0, math.log(2))),
        ("Sigmoid", floats(-1000, 0, 1000), {}, (0, 0.5, 1)),
        ("Softsign", floats(-3, 1), {}, (-0.75, 0.5)),
        ("Mish", floats(0, 1000), {}, (0, 1000)),
        ("Gelu", floats(-1, 30), {}, (-0.15865525393145707, 30)),
        ("Gelu", floats(1), {"approximate": "tanh"}, (0.8411919906082768,)),
        ("Erf", floats(0.5, -INF), {}, (math.erf(0.5), -1)),
        ("Tanh", floats(INF), {}, (1,)),
        ("Sqrt", floats(-1, 4), {}, (NAN, 2)),
        ("Log", floats(0, 1), {}, (-INF, 0)),
        ("Reciprocal", floats(4), {}, (0.25,)),
        ("Neg", np.array([3, -4], np.int8), {}, (-3, 4)),
        ("Neg", np.array([-128], np.int8), {}, (-128,)),
        ("Abs", np.array([3, 200], np.uint8), {}, (3, 200)),
        ("BitwiseNot", np.array([0, 5], np.uint8), {}, (255, 250)),
        ("BitwiseNot", np.array([0, 2**64 - 1], np.uint64), {}, (2**64 - 1, 0)),
        ("BitwiseNot", np.array([5], np.int16), {}, (-6,)),
        ("Not", np.array([True, False]), {}, (False, True)),
        ("IsNaN", floats(NAN, 1, INF), {}, (True, False, False)),
        ("IsInf", floats(INF, -INF, NAN), {}, (True, True, False)),
        ("IsInf", floats(INF, -INF, NAN), {"detect_negative": 0}, (True, False, False)),
        ("IsInf", floats(INF, -INF, NAN), {"detect_positive": 0}, (False, True, False)),
        ("Swish", floats(1, -1000), {"alpha": 2.0}, (1 / (1 + math.exp(-2)), 0)),
        ("Exp", floats(), {}, ()),
    ],
)
def test_values(laboratory, name, x, attributes, expected):
    _, _, (value, bound) = laboratory.by_hand(name, (x,), opset=24, **attributes)
    assert value.shape == x.shape
    np.testing.assert_allclose(value.astype(np.float64), np.array(expected, dtype=np.float64), rtol=1e-7, atol=1e-12)
    assert np.shape(bound) in {(), x.shape}


def test_a_scalar_stays_one(laboratory):
    _, _, (value, _) = laboratory.by_hand("Erf", (np.float32(0.5),))
    assert value.shape == ()


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(None, None, (-2, 0, 5)), (-1, None, (-1, 0, 5)), (None, 1, (-2, 0, 1)), (-1, 1, (-1, 0, 1)), (3, 1, (1, 1, 1))],
)
@pytest.mark.parametrize("element_type", [np.float32, np.int64])
def test_clip_with_either_bound_absent_and_with_crossed_ones(laboratory, low, high, expected, element_type):
    bounds = tuple(None if b is None else np.array(b, element_type) for b in (low, high))
    _, _, (value, bound) = laboratory.by_hand("Clip", (np.array([-2, 0, 5], element_type), *bounds))
    np.testing.assert_array_equal(value, expected)
    assert np.all(np.asarray(bound) == 0)


def test_dropout_passes_everything_and_says_so(laboratory):
    x = floats(1, 2, 3)
    _, _, ((value, bound), (mask, _)) = laboratory.by_hand("Dropout", (x, np.float32(0.5)), outputs=2)
    np.testing.assert_array_equal(value, x)
    assert np.all(np.asarray(bound) == 0)
    assert mask.dtype == np.bool_
    assert mask.all()


def run(name, x, bound, element_type="float", **params):
    x = np.asarray(x, dtype=dtype(element_type).carrier)
    made = Run(params, (x,), (dtype(element_type),), (dtype(element_type),), Float64())
    with np.errstate(all="ignore"):
        y = tuple(map(np.asarray, TABLE[name].evaluate(made)))
        return y[0], TABLE[name].error(made, y, (np.asarray(bound, dtype=np.float64),))[0]


def test_floor_taints_only_what_lies_at_a_step():
    _, bound = run("Floor", [0.5, 1.0, 1.25], [0.1, 0.1, 0.5])
    np.testing.assert_array_equal(bound, [0, 1, 1])


def test_sign_is_sure_away_from_zero():
    _, bound = run("Sign", [0.5, -0.05, 2.0], [0.1, 0.1, 0.1])
    np.testing.assert_array_equal(bound, [0, 2, 0])


def test_a_threshold_within_reach_allows_both_branches():
    _, bound = run("ThresholdedRelu", [1.05, 0.95, 3.0, -3.0], [0.1, 0.1, 0.1, 0.1], alpha=1.0)
    assert bound[0] >= 1.05
    assert bound[1] >= 1.05
    np.testing.assert_array_equal(bound[2:], [0.1, 0])


def test_nothing_is_known_across_a_pole():
    _, bound = run("Tan", [1.5, 1.0], [0.1, 0.1])
    assert np.isinf(bound[0])
    assert bound[1] < 0.5
    _, bound = run("Reciprocal", [0.1, 1.0], [0.2, 0.2])
    assert np.isinf(bound[0])
    assert 0.25 <= bound[1] < 0.26


def test_out_of_the_domain_nothing_is_known():
    _, bound = run("Sqrt", [0.01], [0.1])
    assert np.isnan(bound[0])  # the interpreter makes inf of it


def test_a_kink_inside_the_interval_counts():
    _, bound = run("LeakyRelu", [0.5], [2.0], alpha=-1.0)
    assert bound[0] >= 2.0
    _, bound = run("LeakyRelu", [1.0], [1.0], alpha=-1.0)
    assert bound[0] >= 1.0


def test_isnan_is_sure_of_what_has_a_bound():
    _, bound = run("IsNaN", [1.0, 2.0], [0.1, INF])
    np.testing.assert_array_equal(bound, [0, INF])


def test_sinh_is_granted_more_for_larger_arguments():
    _, bound = run("Sinh", [0.1, 7.0], [0.0, 0.0])
    relative = bound / np.sinh([0.1, 7.0])
    assert relative[1] > 50 * relative[0] / 1.5


@pytest.mark.parametrize(
    ("gap", "scale", "expected"),
    [
        ([0.0, 1.0], [1.0], True),
        ([1e-9, 1.0], [1.0], False),
        ([1e-3], [1.0], True),
        ([1e-3], [1e4], False),
        ([], [1.0], True),
    ],
)
def test_what_rounding_could_close_is_refused(gap, scale, expected):
    assert apart(np.array(gap, dtype=np.float64), np.array(scale)) is expected


def test_integers_sit_where_they_like():
    assert apart(np.array([0, 1]), np.array([5]))


@pytest.mark.parametrize(("source", "target"), [("uint8", "int8"), ("int32", "uint16"), ("int64", "int32")])
def test_casts_to_narrower_integers_lose_high_bits_now_and_then(source, target):
    lost = 0
    for seed in range(200):
        graph, _ = generate_graph(Seeded(seed), Settings(nodes=(1, 1), operators=("Cast",), dtypes=(source, target)))
        node = graph.nodes[-1]
        before, after = node.inputs[0], node.outputs[0]
        if (before.type.dtype.name, after.type.dtype.name) == (source, target):
            np.testing.assert_array_equal(after.array, before.array.astype(target))
            lost += bool((before.array != after.array).any())
    assert lost >= 2
