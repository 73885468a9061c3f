"""Normalization and Softmax: values against plain formulas, and where their bounds end."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from abstract.dtypes import dtype
from abstract.operator import NotCovered, Run
from abstract.operators import TABLE
from abstract.reference import Float64
from abstract.schema import signature


def numbers(*shape, seed=0):
    return (np.random.default_rng(seed).normal(size=shape) * 2).astype(np.float32)


def by_formula(x, axes, epsilon=1e-5):
    x = x.astype(np.float64)
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + np.float32(epsilon))


X = numbers(2, 6, 3, 4)
SCALE, BIAS = numbers(6, seed=1), numbers(6, seed=2)


def channels(v):
    return v.astype(np.float64).reshape(-1, 1, 1)


def check(found, expected, sharp=1e-4, rtol=1e-9):
    value, bound = found
    np.testing.assert_allclose(value, expected, rtol=rtol, atol=1e-12)
    assert np.max(bound) < sharp * np.max(np.abs(expected))


def test_instances(laboratory):
    _, _, found = laboratory.by_hand("InstanceNormalization", (X, SCALE, BIAS))
    check(found, by_formula(X, (2, 3)) * channels(SCALE) + channels(BIAS))


def test_batches(laboratory):
    mean, variance = numbers(6, seed=3), np.abs(numbers(6, seed=4)) + 1
    _, _, found = laboratory.by_hand("BatchNormalization", (X, SCALE, BIAS, mean, variance), epsilon=0.5)
    expected = (X - channels(mean)) / np.sqrt(channels(variance) + 0.5) * channels(SCALE) + channels(BIAS)
    check(found, expected)


def test_training_is_left_to_onnx(laboratory):
    mean, variance = numbers(6, seed=3), np.abs(numbers(6, seed=4)) + 1
    _, _, found = laboratory.by_hand(
        "BatchNormalization", (X, SCALE, BIAS, mean, variance), outputs=3, training_mode=1
    )
    expected = by_formula(X, (0, 2, 3)) * channels(SCALE) + channels(BIAS)
    np.testing.assert_allclose(found[0][0], expected, atol=1e-5)
    assert found[1][0].shape == (6,)


def test_a_variance_that_may_be_negative_leaves_nothing():
    one = np.array([1.0])
    made = Run({"epsilon": 0.0}, (np.ones((1, 1)), one, one, one, np.array([0.5])), (dtype("float"),) * 5,
               (dtype("float"),), Float64())  # fmt: skip
    y = TABLE["BatchNormalization"].evaluate(made)
    with np.errstate(all="ignore"):
        bounds = TABLE["BatchNormalization"].error(made, y, (0.0, 0.0, 0.0, 0.0, np.array([0.6])))
    assert np.all(np.isnan(bounds[0]) | np.isinf(bounds[0]))


@pytest.mark.parametrize(("opset", "length"), [(18, 3), (21, 6)])
def test_groups_have_a_scale_each_or_one_a_channel(laboratory, opset, length):
    scale, bias = SCALE[:length], BIAS[:length]
    _, _, found = laboratory.by_hand("GroupNormalization", (X, scale, bias), opset, num_groups=3)
    wide = by_formula(X.reshape(2, 3, 2, 3, 4), (2, 3, 4)).reshape(X.shape)
    repeat = 6 // length
    check(found, wide * channels(np.repeat(scale, repeat)) + channels(np.repeat(bias, repeat)))


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_layers_and_their_statistics(laboratory, axis):
    axes = tuple(range(axis % 4, 4))
    scale = numbers(*X.shape[axis % 4 :], seed=5)
    _, _, found = laboratory.by_hand("LayerNormalization", (X, scale, None), axis=axis, outputs=3)
    check(found[0], by_formula(X, axes) * scale)
    wide = X.astype(np.float64)
    np.testing.assert_allclose(found[1][0], wide.mean(axes, keepdims=True), rtol=1e-9)
    np.testing.assert_allclose(found[2][0], 1 / np.sqrt(wide.var(axes, keepdims=True) + np.float32(1e-5)), rtol=1e-9)
    assert np.median(found[2][1]) < 1e-4


def test_the_stash_type_decides_what_double_is_good_for(laboratory):
    x = X.astype(np.float64)
    _, _, (value, bound) = laboratory.by_hand("LayerNormalization", (x, x[0, 0, 0] * 0 + 1), outputs=1)
    np.testing.assert_allclose(value, by_formula(X, (3,)), rtol=1e-12)
    assert np.min(bound) > 1e-8  # statistics may be computed in float


def test_root_mean_square(laboratory):
    scale = numbers(4, seed=5)
    _, _, found = laboratory.by_hand("RMSNormalization", (X, scale), 23, epsilon=0.5)
    wide = X.astype(np.float64)
    check(found, wide / np.sqrt((wide * wide).mean(-1, keepdims=True) + 0.5) * scale)


@pytest.mark.parametrize("axes", [None, [0, -1], [1]])
def test_mean_and_variance(laboratory, axes):
    given = {} if axes is None else {"axes": axes}
    _, _, found = laboratory.by_hand("MeanVarianceNormalization", (X,), **given)
    check(found, by_formula(X, tuple(axes or (0, 2, 3)), 0.0), rtol=1e-7)  # ONNX's body adds 1e-9 to the root


def bound_of(name, arrays, bounds, element_type="float", **params):
    kinds = (dtype(element_type),) * len(arrays)
    sign = signature(name, 24)
    carried = tuple(np.asarray(a, np.float64) for a in arrays)
    made = Run({**sign.defaults, **params}, carried, kinds, kinds[:1], Float64())
    with np.errstate(all="ignore"):
        y = tuple(map(np.asarray, TABLE[name].evaluate(made)))
        return TABLE[name].error(made, y, bounds)[0]


def test_a_plane_of_one_element_is_its_bias():
    bound = bound_of("InstanceNormalization", (np.full((1, 1, 1), 50.0), [1.0], [2.0]), (0.0, 0.0, 0.0))
    assert np.max(bound) < 0.1


def test_a_large_mean_next_to_a_small_spread_leaves_nothing():
    row = np.array([[1e4, 1e4 + 1, 1e4 - 1, 1e4]])
    assert np.all(np.isinf(bound_of("LayerNormalization", (row, np.ones(4)), (0.0, 0.0))))
    assert np.all(bound_of("LayerNormalization", (row - 1e4, np.ones(4)), (0.0, 0.0)) < 1e-4)


def test_an_error_as_large_as_the_spread_leaves_nothing():
    row = np.array([[1.0, 2.0, 3.0, 4.0]])
    assert np.all(np.isinf(bound_of("LayerNormalization", (row, np.ones(4)), (np.full((1, 4), 2.0), 0.0))))
    assert np.all(bound_of("LayerNormalization", (row, np.ones(4)), (np.full((1, 4), 0.01), 0.0)) < 0.2)


# -- norms of neighbours ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("axis", [0, -1])
def test_norms(laboratory, p, axis):
    x = X.copy()
    x[0, 0] = 0
    _, _, (value, bound) = laboratory.by_hand("LpNormalization", (x, ), opset=22, p=p, axis=axis)
    wide = x.astype(np.float64)
    norm = np.abs(wide).sum(axis, keepdims=True) if p == 1 else np.sqrt((wide * wide).sum(axis, keepdims=True))
    np.testing.assert_allclose(value, np.divide(wide, norm, out=np.zeros_like(wide), where=norm > 0), rtol=1e-9)
    assert np.all(np.isfinite(bound))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("shape", [(2, 6, 3, 4), (1, 5, 2)])
def test_local_response(laboratory, size, shape):
    x = numbers(*shape)
    _, _, found = laboratory.by_hand("LRN", (x,), size=size, alpha=0.5, beta=0.75, bias=2.0)
    wide, total = x.astype(np.float64), np.zeros(shape)
    for c in range(shape[1]):
        low, high = max(0, c - (size - 1) // 2), min(shape[1] - 1, c + -(-(size - 1) // 2))
        total[:, c] = (wide[:, low : high + 1] ** 2).sum(axis=1)
    check(found, wide / (2 + 0.5 / size * total) ** 0.75)


# -- softmax ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 2, -1])
def test_softmax_and_its_logarithm(laboratory, axis):
    wide = X.astype(np.float64)
    powers = np.exp(wide)
    expected = powers / powers.sum(axis, keepdims=True)
    _, _, found = laboratory.by_hand("Softmax", (X,), axis=axis)
    check(found, expected)
    _, _, found = laboratory.by_hand("LogSoftmax", (X,), axis=axis)
    check(found, np.log(expected))


def test_softmax_of_large_numbers_does_not_overflow(laboratory):
    x = np.array([1000.0, 999.0, -1000.0], np.float32)
    _, _, (value, bound) = laboratory.by_hand("Softmax", (x,))
    np.testing.assert_allclose(value, [1 / (1 + np.exp(-1)), np.exp(-1) / (1 + np.exp(-1)), 0], rtol=1e-12)
    assert np.all(np.isfinite(bound))


def test_the_logarithm_of_what_underflows_is_open(laboratory):
    _, _, (value, bound) = laboratory.by_hand("LogSoftmax", (np.array([100.0, 0.0], np.float32),))
    np.testing.assert_allclose(value, [0, -100], atol=1e-12)
    np.testing.assert_array_equal(np.isinf(bound), [False, True])


@pytest.mark.parametrize("name", ["Softmax", "LogSoftmax", "Hardmax"])
def test_a_scalar_has_no_axis(name):
    made = Run({"axis": -1}, (np.float64(1.0) * np.ones(()),), (dtype("float"),), (dtype("float"),), Float64())
    with pytest.raises(NotCovered):
        TABLE[name].evaluate(made)


def test_the_first_of_the_greatest_wins(laboratory):
    _, _, (value, bound) = laboratory.by_hand("Hardmax", (np.array([[1, 3, 3], [2, 2, 2]], np.float32),))
    np.testing.assert_array_equal(value, [[0, 1, 0], [1, 0, 0]])
    assert np.all(np.asarray(bound) == 0)


def test_who_may_win_is_tainted_and_nobody_else():
    bound = bound_of("Hardmax", ([[1.0, 3.0, 3.05], [5.0, 1.0, 1.0]],), (np.full((2, 3), 0.1),))
    np.testing.assert_array_equal(bound, [[0, 1, 1], [0, 0, 0]])
    bound = bound_of("Hardmax", ([[1.0, 3.0], [5.0, 1.0]],), (np.array([[np.inf, 0], [0, 0]]),))
    np.testing.assert_array_equal(bound, [[np.inf, np.inf], [0, 0]])


def test_empty_tensors_pass(laboratory):
    empty = np.zeros((0, 3), np.float32)
    for name in ("Softmax", "LogSoftmax", "Hardmax", "LpNormalization"):
        _, _, (value, _) = laboratory.by_hand(name, (empty,))
        assert value.shape == (0, 3)


def test_onnx_gives_the_type_of_the_input_where_the_schema_says_the_scale():
    """Why RMSNormalization is proposed with one type alone (docs/disputes.md)."""
    node = onnx.helper.make_node("RMSNormalization", ["x", "s"], ["y"])
    infos = [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2, 3]),
             onnx.helper.make_tensor_value_info("s", onnx.TensorProto.DOUBLE, [3])]  # fmt: skip
    graph = onnx.helper.make_graph([node], "g", infos, [onnx.ValueInfoProto(name="y")])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 23)])
    inferred = onnx.shape_inference.infer_shapes(model)
    assert inferred.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert onnx.defs.get_schema("RMSNormalization", 23).outputs[0].type_str == "V"
