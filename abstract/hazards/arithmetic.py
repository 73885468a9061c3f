"""Hazards of element-wise arithmetic."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from abstract.hazards.hazard import ALL, NONE, Hazard, Says, Treatment, each

if TYPE_CHECKING:
    from collections.abc import Callable

    from abstract.hazards.hazard import Mask
    from abstract.operator import Array, Run

__all__ = ["HAZARDS", "NARROW_OVERFLOW", "WIDE_OVERFLOW", "nan_result"]

_LARGE_ANGLE = 1e4 + 1
_INTEGER = ("Abs", "Add", "CumProd", "CumSum", "Div", "Gemm", "LeakyRelu", "MatMul", "Mul", "Neg", "PRelu", "Pow",
            "Range", "ReduceL1", "ReduceProd", "ReduceSum", "ReduceSumSquare", "ScatterElements", "ScatterND",
            "Sub")  # fmt: skip


def nan_result(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """NaN in the reference's own result, which has it wherever an operand of that element had it."""
    del run
    if y[0].dtype.kind != "f":
        return NONE
    unclear = np.isnan(y[0])
    return (unclear,) * len(y) if unclear.any() else NONE


def _nan_anywhere(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Elements of which an operand is NaN, though it may be compared away, or the result (by a NaN bound, say)."""
    arrays = [x for x in (*run.inputs, y[0]) if x is not None and x.dtype.kind == "f"]
    found = [np.isnan(x) for x in arrays if np.isnan(x).any()]
    if not found:
        return NONE
    try:
        return (reduce(np.logical_or, found),)
    except ValueError:  # below version 7 a slope belongs to a channel, which numpy does not broadcast to
        return ALL


# -- integer division ----------------------------------------------------------------------------------------


def _by_zero(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    b = run[1]
    if b.dtype.kind == "f" or np.count_nonzero(b) == b.size:
        return NONE
    return each(np.broadcast_to(b == 0, np.broadcast_shapes(run[0].shape, b.shape)))


def _least_by_minus_one(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    a, b, own = run[0], run[1], run.dtypes[0]
    if a.dtype.kind != "i" or own is None or own.minimum == 0:
        return NONE
    least = a == own.minimum
    return each(least & (b == -1)) if least.any() else NONE


def _harmless(run: Run) -> Run:
    """Divisors of 1 in place of 0 and, under the least number, of -1."""
    a, b, own = run[0], run[1], run.dtypes[0]
    bad = b == 0
    if own is not None and own.minimum < 0:
        bad = bad | ((b == -1) & (a == own.minimum))
    return replace(run, inputs=(a, np.where(bad, 1, b), *run.inputs[2:]))


# -- powers, shifts, functions ---------------------------------------------------------------------------------


def _power_corner(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Floats: operands that are not finite, 0 to a power <= 0, a negative base to a power that is not whole."""
    a, b = run[0], run[1]
    if a.dtype.kind != "f":
        return NONE
    b = b.astype(np.float64, copy=False)
    if a.size and b.size and a.min() > 0 and np.isfinite(y[0]).all() and np.isfinite(b).all():
        return NONE
    corner = ~(np.isfinite(a) & np.isfinite(b)) | ((a == 0) & (b <= 0)) | ((a < 0) & (b != np.rint(b)))
    return each(np.asarray(corner))


def _integer_power(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Integers: a negative or fractional exponent, or a power outside the type."""
    del y
    a, b, own = run[0], run[1], run.dtypes[0]
    if a.dtype.kind == "f" or own is None:
        return NONE
    size = np.power(np.abs(a.astype(np.float64)), b.astype(np.float64))
    return each(np.asarray((b < 0) | (b != np.rint(b)) | ~(size <= own.maximum)))


def _wide_shift(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    own = run.dtypes[0]
    if own is None or not run[1].size or run[1].max() < own.bits:
        return NONE
    return each(np.broadcast_to(run[1] >= own.bits, np.broadcast_shapes(run[0].shape, run[1].shape)))


def _outside(low: float, high: float) -> Callable[[Run, tuple[Array, ...]], tuple[Mask, ...]]:
    """Operands that are not strictly between two numbers; an infinite end counts as inside."""

    def detect(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
        del y
        x = run[0]
        if x.dtype.kind != "f" or not x.size or (low < x.min() and x.max() < high):
            return NONE
        below = x <= low if np.isfinite(low) else np.zeros(x.shape, bool)
        above = x >= high if np.isfinite(high) else np.zeros(x.shape, bool)
        return each(np.asarray(below | above))

    return detect


def _pole(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    return NONE if np.count_nonzero(run[0]) == run[0].size else each(run[0] == 0)


def _crossed(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    low, high = (np.asarray(run.params.get(name, np.nan)) for name in ("min", "max"))
    return (True,) if bool(np.any(low > high)) else NONE


def _float_modulo_pole(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Floats: divisor 0, or an operand that is not finite."""
    del y
    a, b = run[0], run[1]
    if a.dtype.kind != "f":
        return NONE
    return each(np.asarray((b == 0) | ~np.isfinite(b) | ~np.isfinite(a)))


NARROW_OVERFLOW = Hazard(
    "narrow-integer-overflow", _INTEGER,
    "a result that 8 or 16 bits do not hold, the magnitude of the least number among them: most wrap, some saturate",
    Says.SILENT, "text", Treatment.AVOID, words="overflow|wrap", since=13)  # fmt: skip
WIDE_OVERFLOW = Hazard(
    "wide-integer-overflow", _INTEGER,
    "a result that 32 or 64 bits do not hold: every implementation measured wraps; sums that may be formed in floats "
    "are masked by their bound",
    Says.SILENT, "text", Treatment.COMPARE, words="overflow|wrap", since=13)  # fmt: skip
"""Both are seen by the reference as it wraps a result: no detector finds them in operands."""

_BENT = ("Celu", "Clip", "Elu", "HardSigmoid", "HardSwish", "LeakyRelu", "PRelu", "Relu", "Selu", "ThresholdedRelu")

HAZARDS: tuple[Hazard, ...] = (
    NARROW_OVERFLOW,
    WIDE_OVERFLOW,
    Hazard(
        "integer-division-by-zero", ("Div",), "integers with a divisor of 0",
        Says.SILENT, "text", Treatment.AVOID, _by_zero, since=6, words="by zero|divisor", stops=True,
        repair=_harmless),
    Hazard(
        "integer-modulo-by-zero", ("Mod",), "integers with a divisor of 0",
        Says.SILENT, "text: version 10 calls a zero dividend platform dependent, no version speaks of the divisor",
        Treatment.AVOID, _by_zero, since=10, words="divisor (is|being) (0|zero)|division by zero", stops=True,
        repair=_harmless),
    Hazard(
        "least-integer-by-minus-one", ("Div", "Mod"),
        "the least number of a signed type divided by -1: the quotient has no place in the type",
        Says.SILENT, "text", Treatment.AVOID, _least_by_minus_one, since=6, words="INT_MIN|overflow", stops=True,
        repair=_harmless),
    Hazard(
        "float-modulo-pole", ("Mod",), "floats with a divisor of 0, or an operand that is not finite",
        Says.SILENT, "text of version 10; the later ones have a list of special cases", Treatment.AVOID,
        _float_modulo_pole, since=10, until=13, words="infinit|∞"),
    Hazard(
        "modulo-sign-of-zero", ("Mod",), "fmod of -0: either zero is right; zeros compare as equal",
        Says.IMPLEMENTATION, "text: special cases of fmod", Treatment.COMPARE, since=13, words=r"either `\+0` or `-0`"),
    Hazard(
        "power-corner", ("Pow",),
        "floats: 0 to a power of 0 or less, a negative base to a power that is not whole, an operand not finite",
        Says.SILENT, "text", Treatment.AVOID, _power_corner, since=1, words="negative|zero|nan"),
    Hazard(
        "integer-power", ("Pow",), "integers: an exponent that is negative or not whole, or a power outside the type",
        Says.SILENT, "text", Treatment.AVOID, _integer_power, since=12, words="negative|overflow|trunc"),
    Hazard(
        "shift-beyond-width", ("BitShift",), "a shift by as many bits as the type has, or more",
        Says.SILENT, "text; defined from version 28 on", Treatment.AVOID, _wide_shift, since=11, until=28,
        words="number of bits|width"),
    Hazard(
        "shift-beyond-width-defined", ("BitShift",), "the same from version 28 on: 0, or -1 where a sign is extended",
        Says.DEFINED, "text", Treatment.COMPARE, since=28, words="number of bits"),
    Hazard(
        "nan-in-extremum", ("Max", "Min"), "NaN among the operands: passed on or passed over",
        Says.SILENT, "text", Treatment.AVOID, _nan_anywhere, since=6, words=r"(?-i:\bNaN\b)"),
    Hazard(
        "nan-in-clamp", _BENT, "NaN in a function that is defined by comparisons: NaN, 0 or a bound come out",
        Says.SILENT, "text", Treatment.AVOID, _nan_anywhere, since=1, words=r"(?-i:\bNaN\b)"),
    Hazard(
        "nan-in-sign", ("Sign",), "NaN, which is neither above, nor below, nor equal to 0",
        Says.SILENT, "text", Treatment.AVOID, _nan_anywhere, since=9, words=r"(?-i:\bNaN\b)"),
    Hazard(
        "clip-crossed", ("Clip",), "a lower bound above the upper one",
        Says.SILENT, "text; defined from version 13 on", Treatment.AVOID, _crossed, since=6, until=13,
        words="greater than"),
    Hazard(
        "clip-crossed-defined", ("Clip",), "the same from version 13 on: everything becomes the upper bound",
        Says.DEFINED, "text", Treatment.COMPARE, since=13, words="greater than"),
    Hazard(
        "inverse-outside-domain", ("Acos", "Asin", "Atanh"), "an operand beyond -1 or 1 (of Atanh, also at them)",
        Says.SILENT, "text", Treatment.AVOID, _outside(-1 - 2**-40, 1 + 2**-40), since=7, words="nan|domain"),
    Hazard(
        "atanh-pole", ("Atanh",), "an operand of -1 or 1", Says.SILENT, "text", Treatment.AVOID, _outside(-1, 1),
        since=9, words="nan|infinit"),
    Hazard(
        "acosh-outside-domain", ("Acosh",), "an operand below 1", Says.SILENT, "text", Treatment.AVOID,
        _outside(1 - 2**-40, np.inf), since=9, words="nan|domain"),
    Hazard(
        "logarithm-outside-domain", ("Log",), "an operand of 0 or below", Says.SILENT, "text", Treatment.AVOID,
        _outside(0.0, np.inf), since=1, words="nan|negative|zero"),
    Hazard(
        "reciprocal-of-zero", ("Reciprocal",), "an operand of 0, whose sign decides between the infinities",
        Says.SILENT, "text", Treatment.AVOID, _pole, since=1, words="zero|infinit"),
    Hazard(
        "large-angle", ("Cos", "Sin", "Tan"), "angles beyond ±10,000, whose reduction by multiples of pi loses digits",
        Says.SILENT, "text", Treatment.AVOID, _outside(-_LARGE_ANGLE, _LARGE_ANGLE), since=7, words="reduc|large"),
    Hazard(
        "root-of-negative", ("Sqrt",), "a negative operand gives NaN; the sign and payload of NaN are not compared",
        Says.DEFINED, "text", Treatment.COMPARE, since=6, words=r"(?-i:\bNaN\b)"),
    Hazard(
        "round-half-even", ("Round",), "halves go to the even neighbour; zeros, NaN and infinities stay",
        Says.DEFINED, "text", Treatment.COMPARE, since=11, words="even"),
    Hazard(
        "comparison-with-nan", ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"),
        "NaN, which by IEEE 754 compares as unordered: all but one backend measured agree",
        Says.SILENT, "text", Treatment.COMPARE, since=13, words=r"(?-i:\bNaN\b)"),
    Hazard(
        "nan-not-chosen", ("Where",), "NaN in the branch that is not taken must not leak",
        Says.DEFINED, "text: elements are selected", Treatment.COMPARE, since=9,
        words="elements, either from|from X or Y"),
    Hazard(
        "subnormal-operand", ("Add", "Div", "Mul", "Sub"),
        "subnormal numbers, which devices flush to 0: the bound is at least as wide as they are",
        Says.SILENT, "text", Treatment.COMPARE, since=13, words="denormal|subnormal"),
)  # fmt: skip
