"""Operators that order elements along an axis: TopK, ArgMax, ArgMin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import at_least
from abstract.dtypes import Kind
from abstract.error import is_exact, tainted
from abstract.operator import Array, Bound, Call, Operator, Run, Scope, Typing
from abstract.operators.axes import from_front, not_empty, operand, signed, whole_number
from abstract.operators.elementwise import apart
from abstract.operators.selection import mesh

if TYPE_CHECKING:
    from collections.abc import Callable

    from abstract.types import Shape

__all__ = ["OPERATORS"]

NUMBER = (Kind.FLOAT, Kind.SIGNED, Kind.UNSIGNED)


def decided(default: int) -> Callable[[Run], bool]:
    """Whether the order along the axis hangs on no last bit and on no sign of zero (hazards H3.7, H3.10).

    Other ties are welcome, the specification gives the lower index: but not of numbers that may differ in last bits.
    """

    def rule(run: Run) -> bool:
        x, axis = run[0], run.params.get("axis", default)
        if x.dtype.kind != "f" or x.shape[axis] < 2:
            return True
        ordered = np.sort(x if axis in (-1, x.ndim - 1) else np.moveaxis(x, axis, -1), axis=-1)
        gaps = ordered[..., 1:] - ordered[..., :-1]
        tied = gaps == 0
        forbidden = tied & (ordered[..., 1:] == 0) if run.exact else tied
        return apart(gaps, x) and not np.any(forbidden)

    return rule


# -- TopK --------------------------------------------------------------------------------------------------


def propose_top_k(s: Scope) -> Call:
    """Some or all elements of one axis, the largest or the smallest; unsorted only where it is one (H3.8)."""
    x = operand(s, rank=(1, 8), kinds=NUMBER, where=not_empty)
    axis = s.integer(0, x.type.rank - 1)
    most = min(s.store.value(x.type.shape[axis]), 8)
    k = s.told(1, most, x.type.shape[axis]) or s.size(1, most, "k")
    params: dict[str, Any] = {"K": (k,)}
    if axis != x.type.rank - 1 or s.coin(0.5):
        params["axis"] = signed(s, axis, x.type.rank)
    if s.coin(0.6):
        params["largest"] = s.integer(0, 1)
    if s.coin(0.4):
        params["sorted"] = 0 if s.store.value(k) == 1 else 1
    return Call((x,), params, outputs=2)


def top_k_shape(t: Typing) -> tuple[Shape, ...]:
    """Both outputs have k elements along the axis."""
    axis, k = from_front(t.params.get("axis", -1), len(t[0])), whole_number(t.params["K"])
    t.store.require(at_least(t[0][axis], k))
    shape = (*t[0][:axis], k, *t[0][axis + 1 :])
    return (shape, shape)


def _order(run: Run) -> tuple[Array, int]:
    """All indices in the order asked for, equal values by their index, along the last axis; and the axis."""
    axis = from_front(run.params.get("axis", -1), run[0].ndim)
    x = np.moveaxis(run[0], axis, -1)
    if not run.params.get("largest", 1):
        return np.argsort(x, axis=-1, kind="stable"), axis
    # Ascending and stable, read backwards in both directions: descending and stable, without negating.
    backwards = np.argsort(x[..., ::-1], axis=-1, kind="stable")
    return x.shape[-1] - 1 - backwards[..., ::-1], axis


def _read(x: Array, order: Array, axis: int) -> Array:
    """The elements in that order, along the last axis."""
    result: Array = np.moveaxis(x, axis, -1)[(*mesh(order.shape)[:-1], order)]
    return result


def top_k(run: Run) -> tuple[Array, ...]:
    """The first k of a stable sort, and where they were."""
    order, axis = _order(run)
    order = order[..., : int(whole_number(run.params["K"]))]
    return np.moveaxis(_read(run[0], order, axis), -1, axis), np.moveaxis(order, -1, axis)


def top_k_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The k-th of both ends of all intervals; an index is sure where no other interval meets its element's."""
    x, k = run[0], y[0].shape[run.params.get("axis", -1)]
    axis = from_front(run.params.get("axis", -1), x.ndim)
    if is_exact(e[0]):
        return (0.0, 0.0)
    order, _ = _order(run)
    wide = np.result_type(x, np.float64)
    low, high = (_read(x + d, order, axis).astype(wide) for d in (-np.asarray(e[0]), np.asarray(e[0])))
    sign = 1.0 if run.params.get("largest", 1) else -1.0
    low, high = (low, high) if sign > 0 else (-high, -low)
    inf = np.full((*low.shape[:-1], 1), np.inf)
    above = np.concatenate([inf, np.minimum.accumulate(low, axis=-1)[..., :-1]], axis=-1)
    below = np.concatenate([np.maximum.accumulate(high[..., ::-1], axis=-1)[..., -2::-1], -inf], axis=-1)
    sure = ((above > high) & (low > below))[..., :k]
    most, least = (np.sort(v, axis=-1)[..., ::-1][..., :k] for v in (high, low))
    kept = np.moveaxis(y[0], axis, -1) * sign
    values = np.moveaxis(np.maximum(most - kept, kept - least), -1, axis)
    return (values, tainted(y[1], ~np.moveaxis(sure, -1, axis)))


# -- ArgMax, ArgMin ----------------------------------------------------------------------------------------


def propose_arg(s: Scope) -> Call:
    """The first or the last extremum along any axis, which has elements (hazard H3.11)."""
    x = operand(s, rank=(1, 8), kinds=NUMBER, where=not_empty)
    axis = s.integer(0, x.type.rank - 1)
    params: dict[str, Any] = {} if axis == 0 and s.coin(0.5) else {"axis": signed(s, axis, x.type.rank)}
    if s.coin(0.6):
        params["keepdims"] = s.integer(0, 1)
    if s.coin(0.4):
        params["select_last_index"] = s.integer(0, 1)
    return Call((x,), params)


def arg_shape(t: Typing) -> tuple[Shape, ...]:
    """The axis gone, or 1."""
    axis = from_front(t.params.get("axis", 0), len(t[0]))
    kept = (1,) if t.params.get("keepdims", 1) else ()
    return ((*t[0][:axis], *kept, *t[0][axis + 1 :]),)


def arg(function: Callable[..., Any]) -> Callable[[Run], tuple[Array, ...]]:
    """``numpy.argmax`` or ``argmin``; the last index is the first of the reversed axis."""

    def evaluate(run: Run) -> tuple[Array, ...]:
        x, axis = run[0], run.params.get("axis", 0)
        keep = bool(run.params.get("keepdims", 1))
        if not run.params.get("select_last_index", 0):
            return (function(x, axis=axis, keepdims=keep),)
        return (x.shape[axis] - 1 - function(np.flip(x, axis), axis=axis, keepdims=keep),)

    return evaluate


def arg_error(sign: int) -> Callable[..., tuple[Bound, ...]]:
    """Sure where the extremum's interval lies clear of every other (``sign`` -1 for the minimum)."""

    def rule(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
        if is_exact(e[0]):
            return (0.0,)
        x, axis = run[0], run.params.get("axis", 0) % run[0].ndim
        at = y[0] if run.params.get("keepdims", 1) else np.expand_dims(y[0], axis)
        signed = sign * x.astype(np.result_type(x, np.float64))
        high, low = signed + e[0], signed - e[0]
        floor = np.take_along_axis(low, at, axis)
        np.put_along_axis(high, at, -np.inf, axis)
        touched = ~(high.max(axis=axis, keepdims=True) < floor)
        return (tainted(y[0], touched if run.params.get("keepdims", 1) else touched.squeeze(axis)),)

    return rule


OPERATORS: tuple[Operator, ...] = (
    Operator("TopK", propose_top_k, top_k_shape, top_k, top_k_error, parameters=("K",), exact=True,
             defined=decided(-1)),
    Operator("ArgMax", propose_arg, arg_shape, arg(np.argmax), arg_error(1), exact=True, defined=decided(0)),
    Operator("ArgMin", propose_arg, arg_shape, arg(np.argmin), arg_error(-1), exact=True, defined=decided(0)),
)  # fmt: skip
