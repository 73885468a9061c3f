"""Conversion between element types."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from abstract.dtypes import BY_CODE, DType, Kind
from abstract.error import is_exact, rounding_unit, tainted
from abstract.operator import Array, Bound, Call, NotCovered, Operator, Run, Scope, Typing
from abstract.operators.elementwise import apart, same_shape

if TYPE_CHECKING:
    from abstract.schema import Signature

__all__ = ["OPERATORS"]

_NUMERIC = (Kind.FLOAT, Kind.SIGNED, Kind.UNSIGNED, Kind.BOOL)


def _target(run: Run) -> DType:
    """The type to convert to; what saturates or converts text is left to ONNX's own operator."""
    target, source = run.output_dtypes[0], run.dtypes[0]
    for dtype in (target, source):
        if dtype is None or dtype.kind not in _NUMERIC or (dtype.is_float and dtype.bits < 16):
            raise NotCovered(f"Cast from {source} to {target}")
    return target


def propose_cast(s: Scope) -> Call:
    """Any element type to any other; floats to integers only inside the integers' range (H1.1).

    Text to numbers it spells (H1.7); integers to text, floats never, whose digits are open (H1.8).
    """
    x = s.tensor("T1")
    target = s.dtype("T2", (*_NUMERIC, Kind.STRING))
    if x.type.dtype.kind is Kind.STRING and target.kind not in (Kind.STRING, Kind.BOOL) and not s.coin(0.1):
        x = s.constant(_numerals(s, target), x.type.dtype)
    return Call((x,), {"to": target.code})


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
    return Call((x, s.tensor("T2")))


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
    if target.is_float:
        y = x if x.dtype.kind == "f" else x.astype(target.carrier)
        return (_to_nearest(y, target) if _always_rounded(run) else y,)
    if x.dtype.kind != "f":
        # High bits are lost; the narrow integers that numpy lacks are the interpreter's to wrap.
        return ((x if target.extension else x.astype(target.numpy)).astype(target.carrier),)
    return (np.trunc(x).astype(target.carrier),)


def _of_text(run: Run) -> bool:
    return any(d is not None and d.kind is Kind.STRING for d in (run.dtypes[0], run.output_dtypes[0]))


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
        return (_rounded(run, target, y[0], bound),)
    if x.dtype.kind != "f":
        return (0.0 if is_exact(bound) else _within(x, x, bound, target, bound),)
    below, above = np.trunc(x - bound), np.trunc(x + bound)
    middle = np.trunc(x)
    steps = 0.0 if is_exact(bound) else np.maximum(above - middle, middle - below)
    low, high = float(np.min(below, initial=0)), float(np.max(above, initial=0))
    if is_exact(bound) and target.minimum <= low and high <= target.maximum:
        return (0.0,)
    return (_within(below, above, 0.0, target, steps),)


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
    """Floats in range for integers, and off the whole numbers at which truncation jumps. Text that spells a number."""
    if _of_text(run):
        return _legible(run)
    target, x = _target(run), run[0]
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
    except ValueError:
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


OPERATORS: tuple[Operator, ...] = (
    Operator("Cast", propose_cast, same_shape, cast, cast_error, defined=_defined, output_dtypes=_given, exact=True),
    Operator("CastLike", propose_cast_like, same_shape, cast, cast_error, defined=_defined,
             output_dtypes=_alike, since=15, weight=0.5, exact=True),
)  # fmt: skip
