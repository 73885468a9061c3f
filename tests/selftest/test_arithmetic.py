from __future__ import annotations

import numpy as np
import pytest

from fuzz.selftest.arithmetic import ORDERS, Ordered

# 2048 is where float16 stops counting by ones: the order and the accumulator decide what the sum is.
HALF = np.array([2048, 1, 1, 1, 1, 1, 1, 1, 1], np.float16)


@pytest.mark.parametrize(
    ("order", "due"), [("sequential", 2048), ("reversed", 2056), ("pairwise", 2056), ("blocked", 2054)]
)
def test_each_order_rounds_its_own_partial_sums(order, due):
    total = Ordered(ORDERS[order]).sum(HALF, (0,), keepdims=False)
    assert (total.dtype, float(total)) == (np.float16, due)


def test_a_wide_accumulator_rounds_once():
    assert float(Ordered(ORDERS["sequential"], wide=True).sum(HALF, (0,), keepdims=False)) == 2056


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("a", "b"),
    [((3, 5), (5, 4)), ((5,), (5, 4)), ((3, 5), (5,)), ((5,), (5,)), ((2, 1, 3, 5), (4, 5, 2)), ((3, 0), (0, 2))],
)
def test_dot_is_matmul(order, a, b):
    rng = np.random.default_rng(1)
    left, right = rng.standard_normal(a).astype(np.float32), rng.standard_normal(b).astype(np.float32)
    result = Ordered(ORDERS[order]).dot(left, right)
    due = np.matmul(left, right)
    assert result.dtype == np.float32
    assert result.shape == due.shape
    np.testing.assert_allclose(result, due, rtol=1e-5, atol=1e-6)


def test_fused_products_are_not_rounded():
    a = np.array([[-1, 1 + 2**-12]], np.float32)
    b = np.array([[1], [1 + 2**-12]], np.float32)
    assert Ordered(ORDERS["sequential"], fused=True).dot(a, b)[0, 0] == np.float32(2**-11 + 2**-24)
    assert Ordered(ORDERS["sequential"]).dot(a, b)[0, 0] == np.float32(2**-11)


def test_integers_are_summed_exactly():
    assert Ordered(ORDERS["blocked"]).sum(np.arange(2**62, 2**62 + 1), (0,), keepdims=True)[0] == 2**62


@pytest.mark.parametrize("keepdims", [True, False])
def test_sum_over_several_axes_has_numpys_shape(keepdims):
    x = np.arange(24, dtype=np.float64).reshape(2, 3, 4)
    np.testing.assert_array_equal(
        Ordered(ORDERS["pairwise"]).sum(x, (0, -1), keepdims), x.sum((0, 2), keepdims=keepdims)
    )
