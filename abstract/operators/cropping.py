"""Operators that cut from a tensor or pad it: Slice, Pad, CenterCropPad, Trilu."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible, at_least
from abstract.dims import Dim, Expr, ceil_div
from abstract.dtypes import Kind
from abstract.error import held_loss, moved
from abstract.operator import Array, Bound, Call, NotCovered, Operator, Params, Run, Scope, Typing
from abstract.operators.axes import not_empty, operand, spelt, subset, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from abstract.types import Shape

__all__ = ["OPERATORS", "cropped"]

_FAR = 2**31 - 1


# -- Slice ---------------------------------------------------------------------------------------------------


def propose_slice(s: Scope) -> Call:
    """Start, end and step on some axes: now and then backwards, from the back, beyond the end."""
    x = operand(s, rank=(1, 8), where=not_empty)
    rank = x.type.rank
    axes = subset(s, rank)
    if s.coin(0.15):
        axes.reverse()
    columns = [_bounds(s, x.type.shape[axis]) for axis in axes]
    starts, ends, steps = zip(*columns, strict=True)
    params: dict[str, Any] = {"starts": starts, "ends": ends}
    if axes != list(range(len(axes))) or s.coin(0.8):
        params["axes"] = spelt(s, axes, rank)
    if any(k != 1 for k in steps) or ("axes" in params and s.coin(0.7)):
        params.setdefault("axes", tuple(axes))
        params["steps"] = steps
    narrow = all(isinstance(n, Expr) or abs(n) < _FAR for n in (*starts, *ends))
    return Call((x,), params, stored=s.stored("Tind") if narrow else {})


def _bounds(s: Scope, dim: Dim) -> tuple[Dim, Dim, int]:
    size = s.store.value(dim)
    start = s.integer(0, max(size - 1, 0))
    style = s.integer(0, 9)
    if style < 2:
        end = s.pick((-(2**31), -(2**63), -size - 1, -size if start else -size - 1))
        return s.pick((start, start - size, _FAR)), end, -s.integer(1, 2)
    if style < 5:
        return start - size, s.pick((_FAR, 2**63 - 1, size)), s.integer(1, 3)
    if style == 5 and start + 1 < size:
        return start, -1, 1
    end = s.told(start + 1, max(size, start + 1), dim)
    if end is not None and size > 1 and s.coin(0.4):
        return s.told(0, size - 1, dim) or start, _FAR, 1
    return start, end or s.integer(start + 1, max(size, start + 1)), 1


def _columns(params: Params) -> tuple[Sequence[int], Sequence[Any], Sequence[Any], Sequence[int]]:
    starts, ends = params["starts"], params["ends"]
    axes, steps = params.get("axes"), params.get("steps")
    return (range(len(starts)) if axes is None else axes), starts, ends, steps or (1,) * len(starts)


def _clamped(t: Typing, position: Dim, size: Dim, low: int, drop: int) -> Dim:
    """A position from the front or the back, brought into [low, size - drop]; why it may is recorded.

    One that hangs on open sizes counts from the front.
    """
    n = t.store.value(size)
    high = n - drop
    given = t.store.value(position)
    at = given + n if given < 0 else given
    found: Dim = size + position if given < 0 else position
    if at <= low:
        if isinstance(position, Expr) or -_FAR < position < 0:
            t.store.require(at_least(low, found))
        return low
    if at >= high:
        if 0 <= given < _FAR:
            t.store.require(at_least(found, size - drop))
        return size - drop
    t.store.require(at_least(found, low))
    t.store.require(at_least(size - drop, found))
    return found


def sliced(t: Typing, size: Dim, start: Dim, end: Dim, step: int) -> Dim:
    """The length of one sliced axis, following the clamping that the witness takes."""
    if step > 0:
        length = ceil_div(_clamped(t, end, size, 0, 0) - _clamped(t, start, size, 0, 0), step)
    elif t.store.value(size) == 0:
        length = 0
    else:
        length = ceil_div(_clamped(t, start, size, 0, 1) - _clamped(t, end, size, -1, 1), -step)
    if t.store.value(length) > 0:
        t.store.require(at_least(length, 0))
        return length
    t.store.require(at_least(0, length))
    return 0


def slice_shape(t: Typing) -> tuple[Shape, ...]:
    """The ceiling of (end - start) / step on each sliced axis, after clamping to the axis."""
    shape = list(t[0])
    for axis, start, end, step in zip(*_columns(t.params), strict=True):
        shape[axis] = sliced(t, t[0][axis], start, end, step)
    return (tuple(shape),)


def slice_values(run: Run) -> tuple[Array, ...]:
    """Slices after the specification's clamping: backwards, a start before the axis is its first element."""
    x = run[0]
    index = [slice(None)] * x.ndim
    for axis, first, last, step in zip(*_columns(run.params), strict=True):
        n = x.shape[axis]
        start, end = (first + n if first < 0 else first), (last + n if last < 0 else last)
        if step > 0:
            index[axis] = slice(max(start, 0), max(end, 0), step)
        else:
            index[axis] = slice(min(max(start, 0), n - 1), end if end >= 0 else None, step)
    return (x[tuple(index)],)


# -- Pad -----------------------------------------------------------------------------------------------------


def propose_pad(s: Scope) -> Call:
    """Up to three elements at either end of some axes, or one or two taken away.

    Reflect stays below the size, wrap within it, and neither mixes signs (hazard H4.6).
    """
    modes = (b"constant", b"constant", b"reflect", b"edge") + ((b"wrap",) if s.signature.since >= 19 else ())
    mode = s.pick(modes)
    x = operand(s, rank=(1, 8), where=lambda v: 0 < v.array.size <= 512)
    rank = x.type.rank
    by_axes = "axes" in {f.name for f in s.signature.inputs} and s.coin(0.4)
    axes = subset(s, rank) if by_axes else list(range(rank))
    taken = s.coin(0.15) and mode == b"constant"
    pairs = [_pads(s, x.type.shape[a], mode, taken) for a in axes]
    params: dict[str, Any] = {"pads": (*(b for b, _ in pairs), *(e for _, e in pairs))}
    if by_axes:
        params["axes"] = spelt(s, axes, rank)
    if mode != b"constant" or s.coin(0.5):
        params["mode"] = mode
    if mode == b"constant" and s.coin(0.6):
        params["constant_value"] = _fill(s, x.type.dtype.kind.value)
    return Call((x,), params)


def _fill(s: Scope, kind: str) -> float | int | bool | str | complex:
    if kind in ("float", "complex"):
        number: float = s.pick((0.0, 1.0, -0.5, 2.5))
        return number if kind == "float" else complex(number, 1.0)
    if kind == "string":
        return str(s.pick(("", "pad", "é")))
    return bool(s.coin(0.5)) if kind == "bool" else int(s.pick((0, 1, 7, 100)))


def _pads(s: Scope, dim: Dim, mode: bytes, taken: bool) -> tuple[Dim, Dim]:
    size = s.store.value(dim)
    if taken and size >= 2 and s.coin(0.5):
        cut = s.integer(1, min(2, size - 1))
        return (-cut, s.integer(0, 1)) if s.coin(0.5) else (0, -cut)
    if s.coin(0.4):
        return 0, 0
    limits = {b"reflect": dim - 1, b"wrap": dim}
    room = min(3, s.store.value(limits.get(mode, 3)))
    free = mode == b"constant"
    pads = tuple(
        ((free and s.told(0, room, dim)) or s.size(0, room, "p")) if room > 0 and s.coin(0.7) else 0 for _ in range(2)
    )
    if mode in limits:
        for p in pads:
            s.store.require(at_least(limits[mode], p))
    return pads[0], pads[1]


def _widths(params: Params, rank: int) -> tuple[list[Any], list[Any]]:
    """Elements to put before and after each axis; both are 0 where ``axes`` leaves it out."""
    pads, axes = params["pads"], params.get("axes")
    before, after = [0] * rank, [0] * rank
    if axes is None:
        axes = range(rank)
    elif isinstance(axes, int):
        axes = (axes,)
    if len(pads) != 2 * len(axes):
        raise Infeasible(f"{len(pads)} pads of {len(axes)} axes")
    for i, axis in enumerate(axes):
        before[axis], after[axis] = pads[i], pads[len(axes) + i]
    return before, after


def pad_shape(t: Typing) -> tuple[Shape, ...]:
    """Each axis with what is put before and after it."""
    before, after = _widths(t.params, len(t[0]))
    shape = tuple(d + b + e for d, b, e in zip(t[0], before, after, strict=True))
    for d in shape:
        t.store.require(at_least(d, 0))
    return (shape,)


def _padded(run: Run, fill: Any) -> tuple[Array, ...]:
    x, mode = run[0], run.params.get("mode", b"constant")
    before, after = _widths(run.params, x.ndim)
    if mode == b"constant":
        return (cropped(x, before, after, fill),)
    for axis, (b, e) in enumerate(zip(before, after, strict=True)):
        n = x.shape[axis]
        if b or e:
            x = x.take(_SOURCES[mode](np.arange(-b, n + e), n), axis=axis)
    return (x,)


def _reflected(at: Array, n: int) -> Array:
    period = max(2 * (n - 1), 1)
    at = at % period
    result: Array = np.minimum(at, period - at) if n > 1 else np.zeros_like(at)
    return result


# Where a padded axis of n elements reads its element: position -> index.
_SOURCES: Mapping[bytes, Callable[[Array, int], Array]] = MappingProxyType({
    b"reflect": _reflected,
    b"edge": lambda at, n: np.clip(at, 0, n - 1),
    b"wrap": lambda at, n: at % n,
})  # fmt: skip


def cropped(x: Array, before: Sequence[int], after: Sequence[int], fill: Any) -> Array:
    """``x`` with elements put before and after each axis, or, where the number is negative, taken away."""
    inner = tuple(
        slice(max(-b, 0), n - max(-e, 0)) for b, e, n in zip(before, after, x.shape, strict=True)
    )
    shape = tuple(n + b + e for b, e, n in zip(before, after, x.shape, strict=True))
    if 0 in shape:
        return np.empty(shape, x.dtype)
    kept = x[inner]
    if kept.shape == shape:
        return kept
    result = np.full(shape, fill, dtype=x.dtype)
    result[tuple(slice(max(b, 0), max(b, 0) + n) for b, n in zip(before, kept.shape, strict=True))] = kept
    return result


def pad_values(run: Run) -> tuple[Array, ...]:
    """Constant padding fills; the other modes read each axis at reflected, clamped or wrapped positions."""
    fill = run.params.get("constant_value")
    if fill is None:
        fill = "" if run[0].dtype == object else 0
    return _padded(run, whole_number(fill))


_pad_moved = moved(lambda run: _padded(run, 0))


def pad_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The data's errors moved; where the fill's type is held in a narrower one, its loss where it may stand."""
    loss = held_loss(run, "constant_value")
    (bound,) = _pad_moved(run, y, e)
    return (np.where(y[0] == run.params["constant_value"], np.maximum(bound, loss), bound),) if loss else (bound,)


# -- CenterCropPad, Trilu ------------------------------------------------------------------------------------


def propose_center(s: Scope) -> Call:
    """Some axes, or all, to a size below or above their own; of text below, for none is said to fill what is above."""
    x = operand(s, rank=(1, 8), where=lambda v: 0 < v.array.size <= 512)
    rank = x.type.rank
    axes = list(range(rank)) if s.coin(0.3) else subset(s, rank)
    dims = [x.type.shape[a] for a in axes]
    if x.type.dtype.kind is Kind.STRING:
        sizes: tuple[Dim, ...] = tuple(s.integer(1, s.store.value(d)) for d in dims)
    else:
        sizes = tuple(s.told(1, s.store.value(d) + 3, d) or s.size(1, s.store.value(d) + 3, "t") for d in dims)
    params: dict[str, Any] = {"shape": sizes}
    if len(axes) < rank or s.coin(0.5):
        params["axes"] = spelt(s, axes, rank)
    return Call((x,), params)


def center_shape(t: Typing) -> tuple[Shape, ...]:
    """The sizes asked for."""
    shape, axes = list(t[0]), t.params.get("axes")
    for axis, size in zip(range(len(shape)) if axes is None else axes, t.params["shape"], strict=True):
        shape[axis] = size
    return (tuple(shape),)


def center_values(run: Run) -> tuple[Array, ...]:
    """An odd difference crops more on the right and pads more on the right; text by empty text, as Pad does."""
    x, axes = run[0], run.params.get("axes")
    before, after = [0] * x.ndim, [0] * x.ndim
    for axis, size in zip(range(x.ndim) if axes is None else axes, run.params["shape"], strict=True):
        more = size - x.shape[axis]
        before[axis] = more // 2 if more > 0 else -(-more // 2)
        after[axis] = more - before[axis]
    return (cropped(x, before, after, "" if x.dtype == object else 0),)


def propose_trilu(s: Scope) -> Call:
    """Either triangle of matrices, the diagonal moved now and then, also beyond the matrix (hazard H3.18)."""
    x = operand(s, rank=(2, 8))
    params: dict[str, Any] = {} if s.coin(0.3) else {"upper": s.integer(0, 1)}
    if s.coin(0.6):
        params["k"] = s.integer(-3, 3) if s.coin(0.9) else s.pick((-100, 100))
    return Call((x,), params)


def trilu_shape(t: Typing) -> tuple[Shape, ...]:
    """The input's shape."""
    return (t[0],)


def trilu_values(run: Run) -> tuple[Array, ...]:
    """Zero below the k-th diagonal (upper) or above it."""
    x, k = run[0], whole_number(run.params.get("k", 0))
    if x.dtype == object:
        raise NotCovered("Trilu of strings")
    offset = np.arange(x.shape[-1]) - np.arange(x.shape[-2])[:, None]
    kept = offset >= k if run.params.get("upper", 1) else offset <= k
    return (np.where(kept, x, np.zeros((), x.dtype)),)


OPERATORS: tuple[Operator, ...] = (
    Operator("Slice", propose_slice, slice_shape, slice_values, moved(slice_values),
             parameters=("starts", "ends", "axes", "steps"), exact=True, weight=0.5),
    Operator("Pad", propose_pad, pad_shape, pad_values, pad_error,
             parameters=("pads", "constant_value", "axes"), exact=True, weight=0.5),
    Operator("CenterCropPad", propose_center, center_shape, center_values, moved(center_values),
             parameters=("shape",), exact=True, since=18, weight=0.5),
    Operator("Trilu", propose_trilu, trilu_shape, trilu_values, moved(trilu_values),
             parameters=("k",), exact=True, since=14, weight=0.5),
)  # fmt: skip
