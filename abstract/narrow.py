"""Rounding to the floating-point types of 8 bits and fewer, as Cast and QuantizeLinear define it.

Computed in float64 and in one step: ml_dtypes goes by way of float32, which rounds twice.

Sources: the tables of Cast's text (float 8 types, float8e8m0), ONNX's page on float 4, OCP Microscaling Formats v1.0
(E2M3 and E3M2, sections 5.3.2): what has no infinity saturates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from abstract.dtypes import DType
    from abstract.operator import Array, Bound

__all__ = ["ROUND_MODES", "between", "is_narrow", "settled", "to_narrow"]

ROUND_MODES = (b"up", b"down", b"nearest")
"""How a number becomes a power of two (float8e8m0): the next one above, below, or the nearest, ties up."""

_WITH_INFINITY = frozenset({"float8e5m2"})
_SATURATING = frozenset({"float4e2m1", "float6e2m3", "float6e3m2"})


def is_narrow(dtype: DType | None) -> bool:
    """Whether it is a floating-point type of 8 bits or fewer."""
    return dtype is not None and dtype.is_float and dtype.bits <= 8


def to_narrow(x: Array, dtype: DType, *, saturate: bool = True, mode: bytes = b"up") -> Array:
    """Numbers rounded to a narrow type, to nearest with ties to even, as float64.

    What lies beyond the largest number becomes it; without ``saturate`` it becomes NaN, or infinite where the type has
    infinities. ``mode`` is one of ``ROUND_MODES`` and counts for float8e8m0 alone, whose operands are positive.
    """
    x = np.asarray(x, np.float64)
    if dtype.name == "float8e8m0":
        return _to_power(x, dtype, saturate=saturate, mode=mode)
    exponent = np.maximum(np.frexp(x)[1] - 1, round(np.log2(dtype.smallest_normal))) - (dtype.precision - 1)
    y: Array = np.ldexp(np.rint(np.ldexp(x, -exponent)), exponent)
    if dtype.name.endswith("uz"):
        y = y + 0.0  # the bits of -0 are those of NaN
    elif dtype.name in _SATURATING:
        y = np.where(np.isnan(x), 0.0, y)  # they have no NaN, so what it becomes is open
    over = np.abs(y) > dtype.maximum
    if not over.any():
        return y
    if saturate or dtype.name in _SATURATING:
        return np.asarray(np.clip(y, -dtype.maximum, dtype.maximum))
    beyond = np.copysign(np.inf, y) if dtype.name in _WITH_INFINITY else np.nan
    return np.where(over, beyond, y)


def _to_power(x: Array, dtype: DType, *, saturate: bool, mode: bytes) -> Array:
    fraction, exponent = np.frexp(x)  # x = fraction * 2**exponent, fraction in [1/2, 1)
    above = fraction > 0.5 if mode == b"up" else fraction >= 0.75 if mode == b"nearest" else np.zeros(x.shape, bool)
    with np.errstate(over="ignore"):
        y: Array = np.where(x > 0, np.ldexp(1.0, exponent - 1 + above), np.where(x == 0, 0.0, np.nan))
    y = np.where(np.isinf(x), x, y)
    if saturate:
        return np.asarray(np.clip(y, dtype.minimum, dtype.maximum))
    return np.where((y >= dtype.minimum) & (y <= dtype.maximum), y, np.nan)


def between(y: Array, low: Array, high: Array) -> Bound:
    """How far a rounded number may be off whose operand rounds to ``low`` and ``high`` at its ends: 0 where both agree.

    Inf where a NaN or an infinity is one of several possible results.
    """
    same = (low == high) | (np.isnan(low) & np.isnan(high))
    if same.all():
        return 0.0
    apart = np.maximum(high - y, y - low)
    return np.where(same, 0.0, np.where(np.isfinite(apart), apart, np.inf))


def settled(x: Array, low: Array, high: Array) -> bool:
    """Whether each operand rounds to the same number at both ends of a margin, or lies at a tie exactly."""
    return bool(((low == high) | (x == (low + high) / 2)).all())
