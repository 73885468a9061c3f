"""Extended precision: graphs of double computed where 64 bits of significand show, so that the reference rounds little.

What is double stands in ``numpy.longdouble`` then (x87's 80 bits: unit 2**-64). Some machines have no wider type than
double, some rules compute in double whatever they are given, and large tensors would take too long (numpy has no BLAS
for it): there the operands are rounded to double and the bound grants the reference's roundings beside the target's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from abstract.operator import Array, Bound

__all__ = ["AVAILABLE", "LARGEST", "admits", "narrowed", "outward", "widened"]

AVAILABLE = np.finfo(np.longdouble).nmant >= 63
"""Whether this machine has a type with at least 64 bits of significand."""

LARGEST = 2**12
"""The most elements that a node's tensors may have: a matrix product of that many takes some 10 ms."""

_IN_DOUBLE = frozenset({
    "DeformConv", "Erf", "Gelu", "GlobalLpPool", "GridSample", "LRN", "LpPool", "Resize", "RoiAlign",
})  # fmt: skip
"""Rows that compute in double: C's erf, exponents and coefficients that are made in Python's floats."""


def admits(name: str, elements: int) -> bool:
    """Whether a row can compute in extended precision, its tensors having so many elements."""
    return elements <= LARGEST and name not in _IN_DOUBLE


def widened(content: Any) -> Any:
    """A tensor of doubles in extended precision; what is none stays as it is."""
    return content.astype(np.longdouble) if isinstance(content, np.ndarray) and content.dtype == np.float64 else content


def narrowed(x: Array, bound: Bound) -> tuple[Array, Bound]:
    """A tensor rounded to double, its bound moved by what that loses."""
    if x.dtype != np.longdouble or x.dtype == np.float64:
        return x, bound
    with np.errstate(all="ignore"):
        y = x.astype(np.float64)
        lost = np.where(np.isfinite(y), np.abs(y - x), 0.0).astype(np.float64)
    if not lost.any():
        return y, bound
    # Upward: the loss is rounded itself.
    return y, outward(bound) + lost * (1 + 2.0**-50)


def outward(bound: Bound) -> Bound:
    """A bound in double, no smaller than it was."""
    if isinstance(bound, float) or bound.dtype == np.float64:
        return bound
    wide: Bound = np.asarray(bound, dtype=np.float64) * (1 + 2.0**-52)
    return wide
