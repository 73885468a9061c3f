"""Hazards of casts and quantisation."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.hazards.hazard import ALL, NONE, Hazard, Says, Treatment, each

if TYPE_CHECKING:
    from abstract.hazards.hazard import Mask
    from abstract.operator import Array, Run

__all__ = ["HAZARDS"]

_CAST = ("Cast", "CastLike")


def _out_of_range(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Floats that no integer of the target type is next to, towards zero; NaN and infinities among them."""
    del y
    x, target = run[0], run.output_dtypes[0]
    if x.dtype.kind != "f" or not target.is_integer or not x.size:
        return NONE
    low, high = float(target.minimum) - 1, float(target.maximum) + 1
    least, most = float(x.min()), float(x.max())
    if low < least and most < high:
        return NONE
    # Below -2**53 the float next to the minimum is the minimum itself.
    inside = (x > low) | (x == target.minimum)
    return each(~(inside & (x < high)))


def _negative(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    x = run[0]
    if run.output_dtypes[0].name != "float8e8m0" or x.dtype.kind not in "fi":
        return NONE
    return each(np.asarray(np.signbit(x) if x.dtype.kind == "f" else x < 0))


def _no_nan(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """NaN on its way to a type of 4 or 6 bits."""
    del y
    x, target = run[0], run.output_dtypes[0]
    return each(np.isnan(x)) if target.is_float and target.bits < 8 and x.dtype.kind == "f" else NONE


def _zero_power(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """0, and what lies below the least power of two that the type has."""
    del y
    x, target = run[0], run.output_dtypes[0]
    return each(np.abs(x) < target.smallest_normal * 2) if target.name == "float8e8m0" else NONE


def _fraction(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Floats that are no whole numbers on their way to the narrowest integers."""
    del y
    x, target = run[0], run.output_dtypes[0]
    return each(x != np.rint(x)) if target.is_integer and target.bits < 8 and x.dtype.kind == "f" else NONE


def _no_number(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Text that is not the spelling of a number of the target's kind."""
    del y
    x, target = run[0], run.output_dtypes[0]
    if x.dtype != object or not (target.is_integer or target.is_float):
        return NONE
    return each(np.array([not _spells(text, whole=target.is_integer) for text in x.ravel()], bool).reshape(x.shape))


def _spells(text: Any, *, whole: bool) -> bool:
    with suppress(ValueError, TypeError):
        if isinstance(text, str) and text == text.strip() and "_" not in text:
            (int if whole else float)(text)
            return True
    return False


def _written(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    source = run.dtypes[0]
    return ALL if run.output_dtypes[0].name == "string" and source is not None and source.is_float else NONE


def _narrow(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    return ALL if any(d is not None and d.bits < 8 for d in (run.dtypes[0], run.output_dtypes[0])) else NONE


def _spread(scale: Array, run: Run) -> Array:
    """What belongs to a quantisation scale, a number each element of the first operand that it scales."""
    x = run[0]
    if scale.ndim == 0 or scale.size == 1:
        return scale.reshape(())
    axis, block = int(run.params.get("axis", 1)), int(run.params.get("block_size", 0))
    if scale.ndim == x.ndim and block:
        cut = [slice(None)] * x.ndim
        cut[axis] = slice(x.shape[axis])
        result: Array = np.repeat(scale, block, axis=axis)[tuple(cut)]
        return result
    return scale.reshape([-1 if a == axis % x.ndim else 1 for a in range(x.ndim)])


def _bad(run: Run, position: int) -> Array:
    """Which of the scales at a position are zero, negative, subnormal or no number."""
    scale, own = run[position], run.dtypes[position]
    least = own.smallest_normal if own is not None else 0.0
    result: Array = ~((scale >= least) & (scale > 0) & np.isfinite(scale))
    return result


def _bad_scale(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Scales that are zero, negative, subnormal or no number."""
    del y
    bad = _bad(run, 1)
    return each(_spread(bad, run)) if bad.any() else NONE


def _bad_scales(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """The same of any of the three scales of a quantised product."""
    del y
    return ALL if any(_bad(run, position).any() for position in (1, 4, 6)) else NONE


def _not_finite(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    return each(~np.isfinite(run[0])) if run[0].dtype.kind == "f" else NONE


def _zero_point(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    point, own = run.optional(2), run.dtypes[0]
    if point is None or own is None or own.name != "int32":
        return NONE
    return each(_spread(point != 0, run))


def _integer_scale(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    own = run.dtypes[1]
    return ALL if own is not None and own.is_integer else NONE


def _float_zero_point(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    point = run.optional(2)
    if point is None or point.dtype.kind != "f" or not point.any():
        return NONE
    return each(_spread(point != 0, run))


def _all_zero(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    return ALL if not run[0].any() else NONE


def _long_sum(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Sums of so many products of bytes that they may leave 32 bits."""
    del y
    terms = run[1].shape[0] if run[1].ndim < 3 else int(np.prod(run[1].shape[1:]))
    return ALL if terms * 255 * 255 >= 2**31 else NONE


def _zero_bits(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Zeros whose sign becomes a bit of another type."""
    x = run[0]
    if x.dtype.kind != "f" or run.dtypes[0] is run.output_dtypes[0] or np.count_nonzero(x) == x.size:
        return NONE
    return each(np.broadcast_to(x == 0, y[0].shape))


HAZARDS: tuple[Hazard, ...] = (
    Hazard(
        "cast-out-of-range", _CAST,
        "a float that lies outside the integer type it is converted to, an infinity, or NaN",
        Says.UNDEFINED, "text: casting from floating point to fixed point", Treatment.AVOID, _out_of_range,
        since=13, words=r"fixed point: undefined if OOR|See documentation of the Cast operator"),
    Hazard(
        "early-cast-out-of-range", ("Cast",),
        "the same below version 13, whose text has no table of conversions",
        Says.SILENT, "text", Treatment.AVOID, _out_of_range, since=6, until=13, words="OOR|out of range"),
    Hazard(
        "cast-wraps", ("Cast",), "an integer converted to a narrower one loses its high bits",
        Says.DEFINED, "text: casting from fixed point to fixed point", Treatment.COMPARE, since=13,
        words="discard higher bits"),
    Hazard(
        "cast-to-bool", ("Cast",), "any float but the zeros is true, NaN and subnormals too",
        Says.DEFINED, "text: casting from floating point to bool", Treatment.COMPARE, since=13,
        words="all else to True"),
    Hazard(
        "cast-negative-to-float8e8m0", _CAST, "a number below zero, or -0, converted to a type without a sign",
        Says.UNDEFINED, "text: table of float8e8m0", Treatment.AVOID, _negative, since=24,
        words="negative values to FLOAT8E8M0|See documentation of the Cast operator"),
    Hazard(
        "cast-fraction-to-int4", _CAST,
        "a float with a fraction converted to 2 or 4 bits: ONNX's page on the types rounds, its own operator truncates",
        Says.SILENT, "text: casting to fixed point", Treatment.AVOID, _fraction, since=21,
        words="int4|nearest integer"),
    Hazard(
        "cast-small-to-float8e8m0", _CAST,
        "0 or a subnormal float converted to powers of two: the table says 0, which is none of them",
        Says.SILENT, "text: table of float8e8m0", Treatment.AVOID, _zero_power, since=24, words="subnormal|denormal"),
    Hazard(
        "cast-nan-to-float4", _CAST, "NaN converted to a type of 4 or 6 bits, which has none",
        Says.SILENT, "text: the tables have the types of 8 bits", Treatment.AVOID, _no_nan, since=23,
        words="FLOAT4E2M1|float 4"),
    Hazard(
        "cast-of-text", ("Cast",), "text that does not spell a number of the type it is converted to",
        Says.UNDEFINED, "text: conversion of strings", Treatment.AVOID, _no_number, since=9, stops=True,
        words="undefined behavior"),
    Hazard(
        "cast-to-text", ("Cast",), "a float written as text: the number of digits is open",
        Says.IMPLEMENTATION, "text: conversion to strings", Treatment.PROPERTIES, _written, since=9,
        words="plain floating-point representation"),
    Hazard(
        "bit-cast-below-a-byte", ("BitCast",), "an element type narrower than a byte, whose packing is open",
        Says.SILENT, "text", Treatment.AVOID, _narrow, since=26, words="nibble|sub-byte"),
    Hazard(
        "bit-cast-of-zero", ("BitCast",),
        "a zero read as another type: which sign it has is said of hardly any operator (the greater of -0 and 0, say)",
        Says.SILENT, "text", Treatment.MASK, _zero_bits, since=26, words="-0|signed zero"),
    Hazard(
        "quantise-tie", ("QuantizeLinear",),
        "a quotient next to a half: x / scale and x * (1 / scale) round to neighbours; the bound allows one step",
        Says.DEFINED, "text: rounding", Treatment.COMPARE, since=10, words="to nearest(,)? ties to even|nearest even"),
    Hazard(
        "quantise-integer-scale", ("QuantizeLinear",),
        "an integer scale: its type is said to be that of the division, whether that truncates is not",
        Says.SILENT, "text: x and y_scale", Treatment.AVOID, _integer_scale, since=19,
        words="truncat|integer division"),
    Hazard(
        "quantise-float-zero-point", ("DequantizeLinear", "QuantizeLinear"),
        "a zero point other than 0 with a floating-point type: before or after rounding, in which type",
        Says.SILENT, "text: zero point is usually not used", Treatment.AVOID, _float_zero_point, since=19,
        words="add the zero point"),
    Hazard(
        "quantise-scale", ("QuantizeLinear",), "a scale that is zero, negative, subnormal or not finite",
        Says.SILENT, "text, y_scale", Treatment.AVOID, _bad_scale, since=10, words="negative scale|subnormal",
        stops=True),
    Hazard(
        "requantise-scale", ("QLinearConv", "QLinearMatMul"),
        "one of the three scales is zero, negative, subnormal or not finite",
        Says.SILENT, "text, scales", Treatment.AVOID, _bad_scales, since=10, words="negative scale|subnormal",
        stops=True),
    Hazard(
        "quantise-not-finite", ("QuantizeLinear",), "NaN or an infinity is quantised",
        Says.SILENT, "text, x", Treatment.AVOID, _not_finite, since=10, words=r"(?-i:\bNaN\b)"),
    Hazard(
        "dequantise-scale", ("DequantizeLinear",),
        "a scale that is zero, negative, subnormal or not finite, by which compilers divide what they move across it",
        Says.SILENT, "text, x_scale", Treatment.AVOID, _bad_scale, since=10, words="negative scale|subnormal",
        stops=True),
    Hazard(
        "dequantise-int32-zero-point", ("DequantizeLinear",), "an int32 operand with a zero point other than 0",
        Says.UNDEFINED, "text: no zero point is supposed to go with int32", Treatment.AVOID, _zero_point, since=10,
        words="no zero point"),
    Hazard(
        "dynamic-quantise-zeros", ("DynamicQuantizeLinear",),
        "every element is 0, so the scale is 0 and the quotient 0 / 0",
        Says.SILENT, "text: y_scale", Treatment.AVOID, _all_zero, since=11, words="all zero|divide by zero|scale is 0"),
    Hazard(
        "long-integer-sum", ("ConvInteger", "MatMulInteger"), "so many products of bytes that 32 bits may overflow",
        Says.IMPLEMENTATION, "text: accumulation", Treatment.MASK, _long_sum, since=10, words="overflow"),
    Hazard(
        "requantised-accumulation", ("QLinearConv", "QLinearMatMul"),
        "how the accumulator is rescaled: by a float or in fixed point; the bound allows one step",
        Says.SILENT, "text", Treatment.COMPARE, since=10, words="fixed.point|requantiz|multiplier"),
)  # fmt: skip
