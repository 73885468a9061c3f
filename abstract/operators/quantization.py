"""Quantisation to narrow types and back: one scale for a tensor, one a slice of an axis, or one a block (opset 21).

A quotient is computed in the type of the scale, or in that of ``precision`` (opset 23), and may as well be the product
with the scale's reciprocal. Next to a tie the two give neighbours, so a step is granted there and nowhere else; where
the scale is a power of two both are exact, and ties go to even. Changes by version: 8-bit floats (19), blocks, 16- and
4-bit types (21), scales of another type than what is quantised, ``precision`` and ``output_dtype`` of DequantizeLinear
(23), scales of powers of two (24), 2-bit integers (25), 6-bit floats (28).
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible
from abstract.dims import ceil_div
from abstract.dtypes import BY_CODE, BY_NAME, DType
from abstract.error import is_exact, rounding_unit, spread, step_unit, underflow
from abstract.narrow import between, to_narrow
from abstract.operator import Array, Bound, Call, Domain, NotCovered, Operator, Run, Scope, Typing
from abstract.operators.elementwise import FLOAT, MARGIN

if TYPE_CHECKING:
    from abstract.dims import Dim
    from abstract.graph import Value
    from abstract.schema import Signature
    from abstract.types import Shape

__all__ = ["OPERATORS", "dynamic", "dynamic_error", "is_power_of_two", "scale_values", "stepped", "zero_point"]

_UINT8, _FLOAT = BY_NAME["uint8"], BY_NAME["float"]
_SCALES = Domain(2.0**-6, 16.0)  # far from subnormal in every type (H1.12)
_PRECISIONS = ("float", "float16", "bfloat16")
_POWERS = (0.125, 0.25, 0.5, 0.5, 1.0, 2.0)


def scale_values(s: Scope, shape: Shape, variable: str) -> Value:
    """A scale: powers of two, by which quotients are exact and ties occur, or any numbers off 0."""
    dtype = s.dtype(variable, FLOAT)
    if s.coin(0.35):
        sizes = tuple(s.store.value(d) for d in shape)
        return s.constant(np.array([s.pick(_POWERS) for _ in range(prod(sizes))]).reshape(sizes), dtype)
    return s.shaped(shape, variable, domain=_SCALES, weight=True)


def _granularity(s: Scope, x: Value) -> tuple[Shape, dict[str, Any]]:
    """The shape of the scale, and the attributes that say what it goes with."""
    style, rank = s.integer(0, 9), x.type.rank
    if style < 4 or rank < 2:  # of one axis the text says that it is quantised by one scale
        return (), {"axis": s.integer(-rank, rank - 1)} if rank and s.coin(0.1) else {}
    axis = s.integer(-rank, rank - 1)
    given = {} if axis == 1 and s.coin(0.5) else {"axis": axis}
    length = x.type.shape[axis]
    if style < 8 or "block_size" not in s.signature.attributes or not x.array.size:
        return (length,), given
    block = s.integer(1, min(s.store.value(length), 4))
    shape: list[Dim] = list(x.type.shape)
    shape[axis] = ceil_div(length, block)
    return tuple(shape), {**given, "block_size": block}


def zero_point(s: Scope, scale: Value, dtype: DType, variable: str) -> Value:
    """As many as there are scales; floats have none but 0."""
    if dtype.is_float:
        return s.constant(np.zeros(scale.array.shape), dtype)
    return s.shaped(scale.type.shape, variable, weight=True)


def propose_quantize(s: Scope) -> Call:
    """Any granularity, any quantised type, the zero point given or left out with the type said or not (H1.13)."""
    _, by, zero = (formal.variable for formal in s.signature.inputs)
    x = s.tensor("T1", kinds=FLOAT if by == "T1" else None)
    shape, params = _granularity(s, x)
    scale = scale_values(s, shape, by)
    target = s.dtype(zero)
    said = "output_dtype" in s.signature.attributes
    if not ((said or target is _UINT8) and s.coin(0.4)):
        inputs: tuple[Value, ...] = (x, scale, zero_point(s, scale, target, zero))
        if said and s.coin(0.2):
            params["output_dtype"] = target.code
    else:
        inputs = (x, scale)
        if target is not _UINT8 or (said and s.coin(0.5)):
            params["output_dtype"] = target.code
    if "saturate" in s.signature.attributes and target.is_float and s.coin(0.4):
        params["saturate"] = s.integer(0, 1)
    if "precision" in s.signature.attributes and s.coin(0.2):
        params["precision"] = BY_NAME[s.pick(_PRECISIONS)].code
    return Call(inputs, params)


def propose_dequantize(s: Scope) -> Call:
    """Any granularity, any quantised type; a zero point with integers but int32, or 0 (H1.15)."""
    of, by, _ = (formal.variable for formal in s.signature.inputs)
    x = s.tensor(of)
    shape, params = _granularity(s, x)
    scale = scale_values(s, shape, by)
    inputs: tuple[Value, ...] = (x, scale)
    own = x.type.dtype
    if s.coin(0.5):
        none = own.is_float or own.name == "int32"
        zeros = np.zeros(scale.array.shape)
        inputs = (x, scale, s.constant(zeros, own) if none else zero_point(s, scale, own, of))
    if "output_dtype" in s.signature.attributes and (scale.type.dtype.name == "float8e8m0" or s.coin(0.3)):
        params["output_dtype"] = s.dtype("T3", FLOAT).code
    return Call(inputs, params)


def granular_shape(t: Typing) -> tuple[Shape, ...]:
    """That of the operand, which the scale fits: a scalar, the length of an axis, or a number a block."""
    x, scale = t[0], t[1]
    axis, block = t.params.get("axis", 1), t.params.get("block_size", 0)
    if block and len(scale) == len(x):
        wanted = list(x)
        wanted[axis] = ceil_div(x[axis], block)
        for mine, theirs in zip(scale, wanted, strict=True):
            t.store.unify(mine, theirs)
    elif scale and not _is_one(t, scale):
        if len(scale) > 1:
            raise Infeasible("a scale of more axes than one, and no blocks")
        t.store.unify(scale[0], x[axis if len(x) > 1 else 0])
    zero = t.shapes[2] if len(t.shapes) > 2 else None
    if zero is None or (not (len(zero) == len(scale) > 0) and _is_one(t, zero)):  # one for all scales does no harm
        return (x,)
    if len(zero) != len(scale):
        raise Infeasible("zero points of another shape than the scales")
    for mine, theirs in zip(zero, scale, strict=True):
        t.store.unify(mine, theirs)
    return (x,)


def _is_one(t: Typing, shape: Shape) -> bool:
    """Whether it is one number, as a scalar or a vector."""
    return not shape or (len(shape) == 1 and t.store.value(shape[0]) == 1)


def _granular(run: Run, given: Array) -> Array:
    """Scales or zero points, so that they broadcast with the operand."""
    x = run[0]
    axis, block = int(run.params.get("axis", 1)), int(run.params.get("block_size", 0))
    if block and given.ndim == x.ndim:
        kept: list[Any] = [slice(None)] * x.ndim
        kept[axis] = slice(x.shape[axis])
        result: Array = np.repeat(given, block, axis=axis)[tuple(kept)]
        return result
    if given.size == 1:
        return given.reshape(())
    axis = axis % x.ndim if x.ndim > 1 else 0
    return given.reshape([-1 if a == axis else 1 for a in range(x.ndim)])


def _spread_bound(run: Run, bound: Bound) -> Bound:
    return bound if isinstance(bound, float) or not bound.ndim else _granular(run, bound)


def _zero(run: Run, position: int = 2) -> Array | int:
    given = run.optional(position)
    return 0 if given is None else _granular(run, given)


def is_power_of_two(scale: Array) -> bool:
    """Whether all numbers are powers of two: what is divided by them stays exact."""
    return bool(np.all(np.frexp(scale)[0] == 0.5))


def _holds(dtype: DType, own: DType | None, x: Array) -> bool:
    """Whether a type holds the values of an operand of another without rounding them."""
    if own is None or own is dtype or not x.size:
        return True
    if own.is_float:
        return own.precision <= dtype.precision and own.maximum <= dtype.maximum
    return float(np.max(np.abs(x))) <= min(2.0**dtype.precision, dtype.maximum)


def _precision(run: Run) -> DType:
    """The type in which the quotient is computed; a scale of powers of two leaves it to the operand."""
    given = run.params.get("precision", 0)
    if given:
        return BY_CODE[given]
    own, by = run.dtypes[0], run.dtypes[1]
    if by is None or not by.is_float:
        raise NotCovered("QuantizeLinear by an integer scale, whose division the text leaves open")
    if by.bits > 8:
        return by
    return own if own is not None and own.is_float else _FLOAT


def _quotient(run: Run) -> Array:
    _precision(run)
    quotient: Array = np.asarray(run[0] / _granular(run, run[1]))
    return quotient


def stepped(quotient: Array, zero: Array | int, dtype: DType, *, saturate: bool = True) -> Array:
    """A quotient rounded to a quantised type, the zero point added."""
    if dtype.is_float:
        return to_narrow(quotient + np.asarray(zero, np.float64), dtype, saturate=saturate)
    whole = np.rint(quotient).astype(np.float64) + zero
    return np.asarray(np.clip(whole, dtype.minimum, dtype.maximum)).astype(dtype.carrier)


def _steps(run: Run, quotient: Array) -> Array:
    return stepped(quotient, _zero(run), run.output_dtypes[0], saturate=bool(run.params.get("saturate", 1)))


def quantize(run: Run) -> tuple[Array, ...]:
    """saturate(round(x / scale) + zero_point), ties to even."""
    return (_steps(run, _quotient(run)),)


def _exact_quotient(run: Run, precision: DType) -> bool:
    """Whether x / scale and x * (1 / scale) are exact, whatever the operand is."""
    if not (_holds(precision, run.dtypes[0], run[0]) and is_power_of_two(run[1])):
        return False
    return _holds(precision, run.dtypes[1], run[1])


def quotient_reach(run: Run, quotient: Array, e: tuple[Bound, ...]) -> Bound:
    """How far the quotient may be off: both operands brought to the type of the division, a reciprocal, a product.

    The zero point may be added before rounding. All of the line, where that type overflows on the way.
    """
    precision = _precision(run)
    if is_exact(e[0]) and is_exact(e[1]) and _exact_quotient(run, precision):
        return 0.0
    scale, size = _granular(run, run[1]), np.abs(quotient.astype(np.float64))
    moved, unit = _spread_bound(run, e[1]), step_unit(run, precision)
    least = scale - moved
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(least > 0, (e[0] + size * moved) / least, np.inf)
        reciprocal = 1 / scale
    lossy = sum(not _holds(precision, d, x) for d, x in ((run.dtypes[0], run[0]), (run.dtypes[1], run[1])))
    reach = reach * (1 + 8 * unit) + (size * (2 + lossy) + np.abs(_zero(run))) * unit + underflow(run, precision)
    beyond = (size + reach > precision.maximum) | (np.abs(run[0]) + e[0] > precision.maximum)
    return np.where(beyond | (reciprocal > precision.maximum), np.inf, reach)


def quantize_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """What the ends of the quotient's interval are rounded to."""
    quotient = _quotient(run)
    reach = quotient_reach(run, quotient, e)
    zero: Bound = 0.0 if len(e) < 3 else _spread_bound(run, e[2])
    bound: Bound = 0.0
    if not is_exact(reach):
        wide = quotient.astype(np.float64)
        bound = between(y[0].astype(np.float64), _steps(run, wide - reach), _steps(run, wide + reach))
    return (spread(bound + zero, y[0]),)


def _off_ties(run: Run) -> bool:
    """Exact quotients, or none so near a tie that rounding decides."""
    if not run[0].size or _exact_quotient(run, _precision(run)):
        return True
    quotient = _quotient(run).astype(np.float64)
    reach = MARGIN * np.abs(quotient)
    return bool(np.all(_steps(run, quotient - reach) == _steps(run, quotient + reach)))


def _quantised_type(t: Typing, sign: Signature) -> tuple[DType, ...]:
    del sign
    zero = t.dtypes[2] if len(t.dtypes) > 2 else None
    if zero is not None:
        return (zero,)
    return (BY_CODE[t.params.get("output_dtype", 0) or _UINT8.code],)


# -- back -----------------------------------------------------------------------------------------------------------


def dequantize(run: Run) -> tuple[Array, ...]:
    """(x - zero_point) * scale."""
    return ((run[0] - _zero(run)) * _granular(run, run[1]),)


def dequantize_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """A product's; x * scale - zero_point * scale is as legal, in the type of the output, which may hold neither."""
    target = run.output_dtypes[0]
    unit, x, zero = rounding_unit(run, target), run[0], _zero(run)
    scale, difference = _granular(run, run[1]), np.abs(run[0] - zero).astype(np.float64)
    offset: Bound = 0.0 if len(e) < 3 else _spread_bound(run, e[2])
    moved, by = e[0] + offset, _spread_bound(run, e[1])
    lossy = sum(not _holds(target, d, v) for d, v in ((run.dtypes[0], difference), (run.dtypes[1], run[1])))
    bound = moved * (scale + by) + difference * (by + scale * (lossy * unit))
    if run.optional(2) is not None:
        bound = bound + (np.abs(x) + np.abs(zero)) * scale * (2 * unit)
    if difference.size and float(np.max(difference)) > target.maximum:
        bound = np.where(difference <= target.maximum, bound, np.inf)
    return (spread(bound, y[0]),)


def _restored_type(t: Typing, sign: Signature) -> tuple[DType, ...]:
    del sign
    given, scale = t.params.get("output_dtype", 0), t.dtypes[1]
    if given:
        return (BY_CODE[given],)
    if scale is None:
        raise NotCovered("DequantizeLinear by a scale of no known type")
    return (scale,)


# -- with a scale of its own ----------------------------------------------------------------------------------------


def propose_dynamic(s: Scope) -> Call:
    """Numbers that are not all 0 (H1.18)."""
    x = s.tensor("T1", where=lambda v: v.array.size > 0 and bool(v.array.any()))
    return Call((x,), outputs=3)


def _dynamic_shape(t: Typing) -> tuple[Shape, ...]:
    return (t[0], (), ())


def _range(x: Array) -> tuple[Any, Any]:
    return np.minimum(x.min(), 0), np.maximum(x.max(), 0)


def dynamic(run: Run) -> tuple[Array, ...]:
    """The scale that brings the range of x, 0 included, to 0 .. 255, and what it makes of x."""
    x = run[0]
    low, high = _range(x)
    scale = (high - low) / x.dtype.type(255)
    zero = np.clip(np.rint(-low / scale), 0, 255)
    y = np.clip(np.rint(x / scale) + zero, 0, 255)
    return y.astype(np.int64), np.asarray(scale), np.asarray(zero).astype(np.int64)


def dynamic_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The scale errs by a subtraction and a quotient, the zero point and each element besides by one of their own.

    Of the last two quotients each may be off by the scale's error, so they step where they come near a tie. Where the
    range of the operand is no number of its type, or the scale no normal number, nothing is known.
    """
    x, unit, own = run[0], rounding_unit(run, run.dtypes[0]), BY_NAME["float"]  # the scale's type
    low, high = _range(x)
    moved = float(np.max(e[0])) if not isinstance(e[0], float) else e[0]
    scale = float(high - low) / 255
    off = 2 * moved / 255 + 2 * scale * unit
    if scale - off <= own.smallest_normal or 255 * (scale + off) > own.maximum:
        return (np.full(x.shape, np.inf), np.inf, np.inf)

    def off_by(quotient: Any, bound: Bound) -> Bound:
        size = np.abs(quotient)
        reach = (bound + size * off) / (scale - off) + size * (4 * unit)
        middle = np.rint(quotient)
        steps: Array = np.maximum(np.rint(quotient + reach) - middle, middle - np.rint(quotient - reach))
        return steps

    zero = float(off_by(-low / scale, moved))
    return (spread(np.minimum(off_by(x / scale, e[0]) + zero, 255.0), y[0]), off, min(zero, 255.0))


def _dynamic_defined(run: Run) -> bool:
    """No quotient so near a tie that rounding decides."""
    y = dynamic(run)
    bounds = dynamic_error(run, y, (MARGIN * float(np.max(np.abs(run[0]))),))
    return float(np.max(bounds[0])) == 0.0 and bounds[2] == 0.0


def _dynamic_types(t: Typing, sign: Signature) -> tuple[DType, ...]:
    del t, sign
    return (_UINT8, _FLOAT, _UINT8)


OPERATORS: tuple[Operator, ...] = (
    Operator("QuantizeLinear", propose_quantize, granular_shape, quantize, quantize_error, defined=_off_ties,
             output_dtypes=_quantised_type, exact=True, tied=True),
    Operator("DequantizeLinear", propose_dequantize, granular_shape, dequantize, dequantize_error,
             output_dtypes=_restored_type),
    Operator("DynamicQuantizeLinear", propose_dynamic, _dynamic_shape, dynamic, dynamic_error,
             defined=_dynamic_defined, output_dtypes=_dynamic_types, tied=True),
)  # fmt: skip
