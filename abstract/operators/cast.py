"""Conversion between element types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible
from abstract.dtypes import BY_CODE, DType, Kind
from abstract.error import is_exact, rounding_unit, tainted
from abstract.narrow import ROUND_MODES, between, is_narrow, settled, to_narrow
from abstract.operator import Array, Bound, Call, Domain, NotCovered, Operator, Run, Scope, Typing
from abstract.operators.elementwise import MARGIN, apart, same_shape

if TYPE_CHECKING:
    from abstract.graph import Value
    from abstract.schema import Signature

__all__ = ["OPERATORS"]

_SINGLE = 24  # significand bits of float
_POWERS = Domain(2.0**-24, 2.0**24)
_NUMERIC = (Kind.FLOAT, Kind.SIGNED, Kind.UNSIGNED, Kind.BOOL)
_STORED = (*_NUMERIC, Kind.COMPLEX)


def _target(run: Run) -> DType:
    """The type to convert to; what converts text is left to ONNX's own operator."""
    target, source = run.output_dtypes[0], run.dtypes[0]
    for dtype in (target, source):
        if dtype is None or dtype.kind not in _NUMERIC:
            raise NotCovered(f"Cast from {source} to {target}")
    return target


def propose_cast(s: Scope) -> Call:
    """Any element type to any other; floats to integers only inside the integers' range (H1.1).

    To the narrow floats of 8 bits saturating or not; to float8e8m0 numbers above 0 alone (H1.6), in every rounding.
    Text to numbers it spells (H1.7); integers to text, floats never, whose digits are open (H1.8).
    """
    x = s.tensor("T1")
    target = s.dtype("T2", (*_NUMERIC, Kind.STRING))
    if x.type.dtype.kind is Kind.STRING and target.kind not in (Kind.STRING, Kind.BOOL) and not s.coin(0.1):
        x = s.constant(_numerals(s, target), x.type.dtype)
    return Call((_positive(s, x, target),), {"to": target.code, **_manner(s, target)})


def _numerals(s: Scope, target: DType) -> Array:
    """Text that spells numbers of a type: plain, for floats with a fraction or an exponent as well."""
    spelt: tuple[str, ...] = ("0", "1", "7", "42", "100", "99")
    spelt += () if target.kind is Kind.UNSIGNED else ("-1", "-12", "-100")
    spelt += ("0.5", "-2.25", "1e2", "25E-1", "3.140625", ".5", "-0.1", "1e-2") if target.is_float else ()
    shape = tuple(s.integer(1, 3) for _ in range(s.integer(0, 3)))
    start, step = s.integer(0, len(spelt) - 1), s.integer(1, len(spelt) - 1)
    places = (start + np.arange(int(np.prod(shape))) * step) % len(spelt)
    return np.array(spelt, dtype=object)[places].reshape(shape)


def propose_cast_like(s: Scope) -> Call:
    """The second operand gives its type and nothing else."""
    x = s.tensor("T1")
    like = s.tensor("T2")
    return Call((_positive(s, x, like.type.dtype), like), _manner(s, like.type.dtype))


def _positive(s: Scope, x: Value, target: DType) -> Value:
    """The operand, or where the target has neither 0 nor a sign another one that has neither."""
    if target.name != "float8e8m0" or x.type.dtype.kind is Kind.STRING or _POWERS.admits(x):
        return x
    return s.tensor("T1", domain=_POWERS)


def _manner(s: Scope, target: DType) -> dict[str, Any]:
    """How to convert to a narrow float, said where it counts and now and then where it is the default."""
    params: dict[str, Any] = {}
    if not is_narrow(target):
        return params
    if "saturate" in s.signature.attributes and s.coin(0.4):
        params["saturate"] = s.integer(0, 1)
    if target.name == "float8e8m0" and "round_mode" in s.signature.attributes and s.coin(0.7):
        params["round_mode"] = s.pick(ROUND_MODES)
    return params


def _narrowed(run: Run, x: Array, target: DType) -> Array:
    saturate, mode = bool(run.params.get("saturate", 1)), run.params.get("round_mode", b"up")
    return to_narrow(x, target, saturate=saturate, mode=mode)


def _as_text(run: Run) -> Array | None:
    """What a conversion from or to text gives; None where neither is text. NotCovered where the text is silent."""
    source, target, x = run.dtypes[0], run.output_dtypes[0], run[0]
    if source is None or Kind.STRING not in (source.kind, target.kind):
        return None
    if source is target:
        return x
    if target.kind is Kind.STRING and source.is_integer:
        spelt = np.empty(x.size, dtype=object)
        spelt[:] = [str(number) for number in x.ravel().tolist()]
        return spelt.reshape(x.shape)
    if source.kind is Kind.STRING and (target.is_integer or (target.is_float and target.bits >= 16)):
        read = int if target.is_integer else float
        return np.array([read(text) for text in x.ravel()], dtype=target.carrier).reshape(x.shape)
    raise NotCovered(f"Cast from {source} to {target}")


def _text_error(run: Run, y: Array, bound: Bound) -> Bound:
    """What a number of that text loses in its type, rounded once or twice; nothing is known of text that errs."""
    target = run.output_dtypes[0]
    if not is_exact(bound):
        return np.where(np.broadcast_to(np.asarray(bound) > 0, y.shape), np.inf, 0.0)
    if not target.is_float:
        return 0.0
    exact = y.astype(target.numpy).astype(y.dtype) == y
    return np.where(exact, 0.0, 2 * np.abs(y) * rounding_unit(run, target) + target.smallest_normal)


def cast(run: Run) -> tuple[Array, ...]:
    """The values in the carrier of the new type. Floats stay as they are: rounding is the interpreter's.

    Where the contract knows no excess precision, the cast itself rounds: then that is its meaning.

    A float outside the integer's range becomes what the machine makes of it: the error rule knows better.
    """
    text = _as_text(run)
    if text is not None:
        return (text,)
    target, x = _target(run), run[0]
    if target.kind is Kind.BOOL:
        return (x != 0,)
    if is_narrow(target):
        return (_narrowed(run, x, target),)
    if target.is_float:
        y = x if x.dtype.kind == "f" else x.astype(target.carrier)
        return (_to_nearest(y, target) if _always_rounded(run) else y,)
    if x.dtype.kind != "f":
        return (_low_bits(x, target),)
    return (np.trunc(x).astype(target.carrier),)


def _of_text(run: Run) -> bool:
    return any(d is not None and d.kind is Kind.STRING for d in (run.dtypes[0], run.output_dtypes[0]))


def _low_bits(x: Array, target: DType) -> Array:
    """What is left of integers or bools when their high bits are lost, in two's complement."""
    if not target.extension:
        return x.astype(target.numpy).astype(target.carrier)
    low = x.astype(np.int64) & ((1 << target.bits) - 1)
    return np.where(low > target.maximum, low - (1 << target.bits), low)


def cast_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Of text and of numbers."""
    return (_text_error(run, y[0], e[0]),) if _of_text(run) else _number_error(run, y, e)


def _number_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """To bool: sure unless 0 is within reach. To integers: what lies between the ends, if that is in range.

    A bool that is unsure becomes a number that errs by 1 at most.
    """
    target, x, bound = _target(run), run[0], e[0]
    if target.kind is Kind.BOOL:
        unsure = (np.abs(x) <= bound) & (bound > 0) if x.dtype != np.bool_ else np.asarray(bound) > 0
        return (0.0 if is_exact(bound) else tainted(y[0], unsure),)
    if x.dtype == np.bool_:
        return (np.minimum(bound, 1.0),)
    if target.is_float:
        return ((_narrow_error if is_narrow(target) else _rounded)(run, target, y[0], bound),)
    if x.dtype.kind != "f":
        return (0.0 if is_exact(bound) else _within(x, x, bound, target, bound),)
    below, above = np.trunc(x - bound), np.trunc(x + bound)
    middle = np.trunc(x)
    steps = 0.0 if is_exact(bound) else np.maximum(above - middle, middle - below)
    low, high = float(np.min(below, initial=0)), float(np.max(above, initial=0))
    if is_exact(bound) and target.minimum <= low and high <= target.maximum:
        return (0.0,)
    return (_within(below, above, 0.0, target, steps),)


def _narrow_error(run: Run, target: DType, y: Array, bound: Bound) -> Bound:
    """What the ends of the interval round to. Nobody computes in these types: a cast to them is a cast.

    What float cannot hold is rounded to it on the way by backends that convert from float alone.
    """
    source, x = run.dtypes[0], run[0].astype(np.float64)
    double = source is not None and (source.precision if source.is_float else source.bits) > _SINGLE
    reach = bound + np.abs(x) * 2.0**-_SINGLE if double else bound
    if is_exact(reach):
        return 0.0
    return between(y, _narrowed(run, x - reach, target), _narrowed(run, x + reach, target)) + reach * 0.0


def _always_rounded(run: Run) -> bool:
    """Whether a cast gives the nearest number of its type and no other: from float to a 16-bit type, without excess.

    Of wider sources some backends round twice, by way of float; a type that is held in another is not rounded to.
    """
    source, target = run.dtypes[0], run.output_dtypes[0]
    if run.contract.excess_half_precision or source is None or not source.is_float:
        return False
    return target.is_float and target.bits == 16 and target.precision < source.precision <= 24


def _to_nearest(x: Array, target: DType) -> Array:
    return x.astype(target.numpy).astype(x.dtype)


def _rounded(run: Run, target: DType, y: Array, bound: Bound) -> Bound:
    """What conversion to a float loses: nothing where the source fits; a known value is rounded to a known one.

    A backend may as well leave the rounding out, so the bound reaches from the value to what it is rounded to, unless
    its contract denies that: then rounding moves the ends of the interval.
    """
    source = run.dtypes[0]
    if _always_rounded(run):
        if is_exact(bound):
            return 0.0
        above, below = _to_nearest(run[0] + bound, target), _to_nearest(run[0] - bound, target)
        moved: Array = np.maximum(above - y, y - below)
        return moved
    narrow = source is not None and source.is_float and source.precision <= target.precision
    if narrow and source is not None and source.maximum <= target.maximum:
        return bound
    if not is_exact(bound):
        lost = (np.abs(y) + bound) * rounding_unit(run, target) + 4 * target.smallest_normal
        return bound + np.where(np.isinf(y), 0.0, lost)
    rounded = y.astype(target.numpy).astype(y.dtype)
    loss = np.where(rounded == y, 0.0, np.abs(y - rounded))
    return loss if loss.any() else 0.0


def _within(below: Array, above: Array, reach: Bound, target: DType, bound: Bound) -> Bound:
    """The bound where the interval keeps inside the integer type, inf elsewhere (and for NaN)."""
    inside = (below.astype(np.float64) - reach >= target.minimum) & (
        above.astype(np.float64) + reach <= target.maximum
    )
    return np.where(inside, bound, np.inf)


def _defined(run: Run) -> bool:
    """Floats in range for integers, and off the whole numbers at which truncation jumps; off ties for narrow floats.

    Text that spells a number.
    """
    if _of_text(run):
        return _legible(run)
    target, x = _target(run), run[0]
    if is_narrow(target) and x.size:
        reach = MARGIN * float(np.max(np.abs(x)))
        return settled(x, _narrowed(run, x - reach, target), _narrowed(run, x + reach, target))
    if x.dtype.kind != "f" or target.is_float or not x.size:
        return True
    if target.kind is Kind.BOOL:
        return apart(x, x)
    low, high = float(x.min()), float(x.max())
    if not (low > target.minimum - 1 and high < target.maximum and abs(high) < 2**53 and abs(low) < 2**53):
        return False
    return apart(x - np.rint(x), np.maximum(np.abs(x), 1))


def _legible(run: Run) -> bool:
    """Whether text spells numbers that the type has, or is not converted at all."""
    try:
        text = _as_text(run)
    except (ValueError, OverflowError):
        return False
    target = run.output_dtypes[0]
    if text is None or text.dtype.kind not in "fiu" or not text.size:
        return True
    return bool(text.min() >= target.minimum and text.max() <= target.maximum)


def _given(t: Typing, sign: Signature) -> tuple[DType, ...]:
    del sign
    return (BY_CODE[t.params["to"]],)


def _alike(t: Typing, sign: Signature) -> tuple[DType, ...]:
    del sign
    like = t.dtypes[1]
    if like is None:
        raise NotCovered("CastLike without a type to be like")
    return (like,)


# -- the same bits ------------------------------------------------------------------------------------------------


def propose_bit_cast(s: Scope) -> Call:
    """A type of the same width, itself included, of a byte or more."""
    x = s.tensor("T1", kinds=_STORED, where=lambda v: v.type.dtype.bits >= 8)
    target = s.dtype("T2", _STORED)
    if target.bits != x.type.dtype.bits:
        raise Infeasible(f"{x.type.dtype} and {target} are not of one width")
    return Call((x,), {"to": target.code})


def _bits(run: Run) -> tuple[DType, DType]:
    """Both types. Raises NotCovered where their bits are not stored as they are."""
    source, target = run.dtypes[0], run.output_dtypes[0]
    if source is None or min(source.bits, target.bits) < 8:
        raise NotCovered(f"BitCast from {source} to {target}")
    return source, target


def bit_cast(run: Run) -> tuple[Array, ...]:
    """The bytes of each element, read as another type's."""
    source, target = _bits(run)
    stored = np.ascontiguousarray(run[0].astype(source.numpy))
    result: Array = stored.view(target.numpy).reshape(run[0].shape)
    return (result.astype(target.carrier),)


def bit_cast_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Anything where the operand is not known; a subnormal may be read as zero by what comes next."""
    source, target = _bits(run)
    bound: Bound = 0.0 if is_exact(e[0]) else tainted(y[0], np.asarray(e[0]) > 0)
    if source is target:
        return (e[0],)
    if target.is_float and run.contract.flush_subnormals and target.bits > 8:
        size = np.abs(y[0])
        bound = bound + np.where(size < target.smallest_normal, size, 0.0)
    return (bound,)


def _bit_cast_defined(run: Run) -> bool:
    """A bool is stored as 0 or 1; what other bytes are is nowhere said."""
    source, target = _bits(run)
    if target.kind is not Kind.BOOL or source is target:
        return True
    return bool((np.ascontiguousarray(run[0].astype(source.numpy)).reshape(-1).view(np.uint8) <= 1).all())


OPERATORS: tuple[Operator, ...] = (
    Operator("Cast", propose_cast, same_shape, cast, cast_error, defined=_defined, output_dtypes=_given, exact=True,
             weight=0.25),
    Operator("CastLike", propose_cast_like, same_shape, cast, cast_error, defined=_defined,
             output_dtypes=_alike, since=15, weight=0.5, exact=True),
    Operator("BitCast", propose_bit_cast, same_shape, bit_cast, bit_cast_error, defined=_bit_cast_defined,
             output_dtypes=_given, since=26, exact=True),
)  # fmt: skip
