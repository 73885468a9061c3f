"""Operators that join tensors along an axis or part them: Concat, Split."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from abstract.constraints import at_least, divisible
from abstract.dims import Dim, ceil_div, floor_div
from abstract.error import moved
from abstract.operator import Array, Call, Operator, Run, Scope, Typing
from abstract.operators.axes import from_front, operand, signed

if TYPE_CHECKING:
    from abstract.types import Shape

__all__ = ["OPERATORS"]


def propose_concat(s: Scope) -> Call:
    """One to four operands, now and then up to 16, among them the same one twice."""
    x = operand(s, rank=(1, 8))
    axis = s.integer(0, x.type.rank - 1)
    shape = x.type.shape
    parts = [x]
    for _ in range(s.pick((0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 3, 3)) if s.integer(0, 11) < 11 else s.integer(4, 15)):
        if s.coin(0.15):
            parts.append(x)
        else:
            own = shape[axis] if s.coin(0.4) else s.size(1, 4, "c")
            parts.append(s.shaped((*shape[:axis], own, *shape[axis + 1 :])))
    if s.coin(0.3):
        parts.reverse()
    return Call(tuple(parts), {"axis": signed(s, axis, x.type.rank)})


def concat_shape(t: Typing) -> tuple[Shape, ...]:
    """The sum along the axis; the other dimensions agree."""
    first = t[0]
    at = from_front(t.params["axis"], len(first))
    total = first[at]
    for position in range(1, len(t.shapes)):
        other = t[position]
        total = total + other[at]
        for a, (mine, theirs) in enumerate(zip(first, other, strict=True)):
            if a != at:
                t.store.unify(mine, theirs)
    return ((*first[:at], total, *first[at + 1 :]),)


def concat_values(run: Run) -> tuple[Array, ...]:
    """As numpy's concatenate."""
    return (np.concatenate([run[i] for i in range(len(run.inputs))], axis=run.params["axis"]),)


def propose_split(s: Scope) -> Call:
    """2 to 4 parts along one axis, of given sizes or equal ones (said differently from opset 18 on)."""
    x = operand(s, rank=(1, 8), where=lambda v: any(d >= 2 for d in v.array.shape))
    axes = [a for a, d in enumerate(x.type.shape) if s.store.value(d) >= 2]
    axis = s.pick(axes or range(x.type.rank))
    whole = x.type.shape[axis]
    size = s.store.value(whole)
    params: dict[str, object] = {} if axis == 0 and s.coin(0.5) else {"axis": signed(s, axis, x.type.rank)}
    parts = s.integer(2, min(4, size)) if size >= 2 else 1
    even = size % parts == 0
    counted = "num_outputs" in s.signature.attributes
    # The last part may be smaller, but what happens where nothing is left for it is open (hazard H4.9).
    if s.coin(0.4) and (even or (counted and -(-size // parts) * (parts - 1) < size)):
        s.store.require(at_least(whole - ceil_div(whole, parts) * (parts - 1), 1))
        return Call((x,), {**params, "num_outputs": parts} if counted else params, outputs=parts)
    first = s.told(1, size - 1, whole) if size >= 2 else None
    if first is not None:
        s.store.require(at_least(whole - first, 1))
        return Call((x,), {**params, "split": (first, whole - first)}, outputs=2)
    cuts = sorted({s.integer(1, size - 1) for _ in range(parts - 1)}) if size >= 2 else []
    edges = [0, *cuts, size]
    split: list[Dim] = [b - a for a, b in pairwise(edges)]
    if len(split) > 1 and s.coin(0.5):
        # One part is whatever the others leave.
        rest = s.integer(0, len(split) - 1)
        split[rest] = whole - (size - s.store.value(split[rest]))
        s.store.require(at_least(split[rest], 0))
    return Call((x,), {**params, "split": tuple(split)}, outputs=len(split))


def split_shape(t: Typing) -> tuple[Shape, ...]:
    """The given sizes, which add up to the axis, or equal ones with a smaller last."""
    x, axis = t[0], t.params.get("axis", 0)
    at, given = from_front(axis, len(x)), t.params.get("split")
    if given is None:
        given = _equal_parts(t, x[at], t.params.get("num_outputs", t.outputs))
    else:
        total: Dim = 0
        for size in given:
            total = total + size
        t.store.unify(x[at], total)
    return tuple((*x[:at], size, *x[at + 1 :]) for size in given)


def _equal_parts(t: Typing, whole: Dim, count: int) -> tuple[Dim, ...]:
    if t.store.value(whole) % count == 0:
        t.store.require(divisible(whole, count))
        return (floor_div(whole, count),) * count
    part = ceil_div(whole, count)
    last = whole - part * (count - 1)
    t.store.require(at_least(last, 0))
    return (part,) * (count - 1) + (last,)


def split_values(run: Run) -> tuple[Array, ...]:
    """Slices at the running sums of the sizes."""
    x, axis = run[0], run.params.get("axis", 0)
    given = run.params.get("split")
    if given is None:
        count = run.params.get("num_outputs", len(run.output_dtypes))
        part = -(-x.shape[axis] // count)
        given = (part,) * (count - 1) + (x.shape[axis] - part * (count - 1),)
    before = (slice(None),) * from_front(axis, x.ndim)
    parts, start = [], 0
    for size in given:
        parts.append(x[(*before, slice(start, start + size))])
        start += size
    return tuple(parts)


OPERATORS: tuple[Operator, ...] = (
    Operator("Concat", propose_concat, concat_shape, concat_values, moved(concat_values),
             exact=True, weight=2.0),
    Operator("Split", propose_split, split_shape, split_values, moved(split_values),
             parameters=("split",), exact=True),
)  # fmt: skip
