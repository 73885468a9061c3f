"""Winograd's minimal filtering: its transforms and by how much it amplifies rounding.

F(m, r) computes m outputs of a correlation with r weights from m + r - 1 inputs as y = A((G g) * (B d)), with fewer
multiplications and larger intermediates (A. Lavin, S. Gray, Fast algorithms for convolutional neural networks, 2016).
Its error scales with the whole tile of inputs, so that a large element disturbs outputs whose own window it is not in.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import pairwise
from math import prod
from typing import TypeAlias

__all__ = ["WINDOWS", "amplification", "steps", "transforms"]

WINDOWS = (3, 5)
"""The square windows, of stride 1, that libraries compute in this way."""

Matrix: TypeAlias = tuple[tuple[Fraction, ...], ...]

# The usual points of interpolation, beside infinity: small, and their powers are powers of two.
_POINTS = tuple(map(Fraction, ("0", "1", "-1", "2", "-2", "1/2", "-1/2", "4", "-4", "1/4", "-1/4")))


@cache
def transforms(m: int, r: int) -> tuple[Matrix, Matrix, Matrix]:
    """A (m, n), G (n, r) and B (n, n) with n = m + r - 1, exactly: the construction of Toom and Cook.

    Raises ValueError where there are not enough points: for n > 12.
    """
    n = m + r - 1
    if n - 1 > len(_POINTS):
        raise ValueError(f"F({m}, {r}) takes {n - 1} points, {len(_POINTS)} are known")
    points = _POINTS[: n - 1]
    outputs = tuple((*(p**i for p in points), Fraction(i == m - 1)) for i in range(m))
    weights = []
    inputs = []
    for p in points:
        others = [q for q in points if q != p]
        scale = prod((p - q for q in others), start=Fraction(1))
        weights.append(tuple(p**k / scale for k in range(r)))
        inputs.append((*_polynomial(others), Fraction(0)))
    weights.append(tuple(Fraction(k == r - 1) for k in range(r)))
    inputs.append(_polynomial(list(points)))
    return outputs, tuple(weights), tuple(inputs)


def _polynomial(roots: list[Fraction]) -> tuple[Fraction, ...]:
    """The coefficients of the product of (x - root), the constant one first."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients, Fraction(0)]
        coefficients = [low - root * high for low, high in pairwise(shifted)]
    return tuple(coefficients)


@cache
def amplification(tile: int, r: int) -> float:
    """By what the greatest input of a tile times the sum of the weights is multiplied, along one axis, in the bound.

    The worst output of |A| (|G| |g| * |B| |d|), the form of the worst case in B. Barabasz, A. Anderson, K. Soodhalter,
    D. Gregg, Error analysis and improving the accuracy of Winograd convolution for deep neural networks (2020); over
    all tiles of 2 to ``tile`` outputs. It is 4 for F(2, 3) and 29 for F(4, 3); the square of it in two dimensions.
    """
    return max(float(_amplified(m, r)) for m in range(2, tile + 1))


def _amplified(m: int, r: int) -> Fraction:
    outputs, weights, inputs = transforms(m, r)
    each = [max(map(abs, g)) * sum(map(abs, b)) for g, b in zip(weights, inputs, strict=True)]
    return max(sum((abs(a) * e for a, e in zip(row, each, strict=True)), start=Fraction(0)) for row in outputs)


def steps(tile: int, r: int, rank: int) -> int:
    """How many roundings lie on the longest way from operands to an output, the sum over channels apart.

    Along each axis the sums of the three transforms and the rounding of their coefficients; and one product.
    """
    return rank * (r + 2 * (tile + r - 1) + 3) + 1
