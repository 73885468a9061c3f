"""The transforms compute correlations exactly; how much they amplify."""

from __future__ import annotations

from fractions import Fraction

import pytest

from abstract.winograd import amplification, steps, transforms


def times(matrix, vector):
    return [sum((a * b for a, b in zip(row, vector, strict=True)), start=Fraction(0)) for row in matrix]


@pytest.mark.parametrize(("m", "r"), [(1, 3), (2, 3), (3, 3), (4, 3), (6, 3), (2, 5), (4, 5), (6, 5)])
def test_transforms_are_exact(m, r):
    outputs, weights, inputs = transforms(m, r)
    d = [Fraction(k * k - 7 * k + 3, k + 2) for k in range(m + r - 1)]
    g = [Fraction(3 - 2 * k, k + 1) for k in range(r)]
    products = [a * b for a, b in zip(times(weights, g), times(inputs, d), strict=True)]
    assert times(outputs, products) == [sum(g[k] * d[i + k] for k in range(r)) for i in range(m)]


def test_too_many_points():
    with pytest.raises(ValueError, match=r"F\(12, 3\) takes 13 points"):
        transforms(12, 3)


def test_amplification_grows_with_the_tile():
    assert amplification(2, 3) == 4
    assert amplification(4, 3) == pytest.approx(88 / 3)
    assert amplification(4, 3) < amplification(6, 3) < amplification(6, 5)


def test_steps_are_counted_along_each_axis():
    assert steps(2, 3, 1) == 3 + 4 + 4 + 3 + 1
    assert steps(2, 3, 2) - 1 == 2 * (steps(2, 3, 1) - 1)
