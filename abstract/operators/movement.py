"""Operators that move elements without touching them: Reshape, Slice, Split and their like."""

from __future__ import annotations

import numpy as np

from abstract.constraints import at_least
from abstract.dims import Dim, ceil_div, floor_div, product
from abstract.error import moved
from abstract.operator import Array, Call, Operator, Run, Scope, Typing
from abstract.types import Shape

__all__ = ["OPERATORS"]


def propose_reshape(s: Scope) -> Call:
    """Merge runs of neighbouring axes, split one in two, or flatten to a random factorisation of the count."""
    x = s.tensor("T", rank=(0, 8))
    shape = list(x.type.shape)
    if len(shape) >= 2 and s.coin(0.6):
        at = s.integer(0, len(shape) - 2)
        shape[at : at + 2] = [shape[at] * shape[at + 1]]
    if len(shape) < 7 and s.coin(0.5):
        at = s.integer(0, max(len(shape) - 1, 0))
        size = s.store.value(shape[at]) if shape else 1
        divisors = [d for d in range(1, min(size, 64) + 1) if size % d == 0] or [1]
        inner = s.pick(divisors)
        whole = shape[at] if shape else 1
        shape[at : at + 1] = [floor_div(whole, inner), inner]
    target: list[Dim] = list(shape)
    if target and s.coin(0.4) and s.store.value(product(target)) > 0:
        target[s.integer(0, len(target) - 1)] = -1
    return Call((x,), {"shape": tuple(target)})


def reshape_shape(t: Typing) -> tuple[Shape, ...]:
    """0 copies the input's dimension (unless allowzero), one -1 takes what is left, the counts agree."""
    x, wanted = t[0], list(t.params["shape"])
    for i, d in enumerate(wanted):
        if isinstance(d, int) and d == 0 and not t.params.get("allowzero", 0):
            wanted[i] = x[i]
    rest = [i for i, d in enumerate(wanted) if isinstance(d, int) and d == -1]
    count = product(x)
    if rest:
        known = product([d for d in wanted if not (isinstance(d, int) and d == -1)])
        wanted[rest[0]] = _divide(t, count, known)
    t.store.unify(count, product(wanted))
    return (tuple(wanted),)


def _divide(t: Typing, count: Dim, known: Dim) -> Dim:
    """``count / known`` where it comes out even; by cancelling common factors when it can be seen from the terms."""
    if isinstance(count, int) and isinstance(known, int):
        return count // known if known else 0
    return floor_div(count, known) if t.store.value(known) else 0


def propose_slice(s: Scope) -> Call:
    """Start, end and step on a random subset of axes; negative steps and ends beyond the axis now and then."""
    x = s.tensor("T", rank=(1, 8), where=lambda v: all(v.array.shape))
    rank = x.type.rank
    axes = [a for a in range(rank) if s.coin(0.5)] or [s.integer(0, rank - 1)]
    starts: list[int] = []
    ends: list[int] = []
    steps: list[int] = []
    for axis in axes:
        size = s.store.value(x.type.shape[axis])
        start = s.integer(0, size - 1)
        if s.coin(0.2):
            bounds = (start, -(2**31), -s.integer(1, 2))
        elif s.coin(0.3):
            bounds = (start - size, 2**31 - 1, s.integer(1, 3))
        else:
            bounds = (start, s.integer(start + 1, size), 1)
        for one, column in zip(bounds, (starts, ends, steps), strict=True):
            column.append(one)
    params = {"starts": tuple(starts), "ends": tuple(ends), "axes": tuple(axes)}
    return Call((x,), params | {"steps": tuple(steps)} if s.coin(0.8) or any(k != 1 for k in steps) else params)


def sliced(t: Typing, size: Dim, start: int, end: int, step: int) -> Dim:
    """The length of one sliced axis, following the clamping that the witness takes and recording why it may."""
    n = t.store.value(size)

    def clamped(position: int, low: int, high: int) -> Dim:
        at = position + n if position < 0 else position
        if at <= low:
            return low
        if at >= high:
            return size + (high - n)
        if position < 0:
            t.store.require(at_least(size, -position))
            return size + position
        t.store.require(at_least(size, position))
        return position

    if step > 0:
        first, last = clamped(start, 0, n), clamped(end, 0, n)
        length = ceil_div(last - first, step)
    else:
        first, last = clamped(start, 0, n - 1), clamped(end, -1, n - 1)
        length = ceil_div(first - last, -step)
    return length if t.store.value(length) > 0 else 0


def slice_shape(t: Typing) -> tuple[Shape, ...]:
    """ceil((end - start) / step) on each sliced axis, after clamping to the axis."""
    shape = list(t[0])
    starts, ends = t.params["starts"], t.params["ends"]
    axes = t.params.get("axes") or range(len(starts))
    steps = t.params.get("steps") or (1,) * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        shape[axis] = sliced(t, t[0][axis], start, end, step)
    return (tuple(shape),)


def slice_values(run: Run) -> tuple[Array, ...]:
    """numpy's own slicing, with an end before the first element spelt as None for a negative step."""
    x = run[0]
    index = [slice(None)] * x.ndim
    starts, ends = run.params["starts"], run.params["ends"]
    axes = run.params.get("axes") or range(len(starts))
    steps = run.params.get("steps") or (1,) * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        before = step < 0 and end < -x.shape[axis]
        index[axis] = slice(start, None if before else end, step)
    return (x[tuple(index)],)


def reshape_values(run: Run) -> tuple[Array, ...]:
    """numpy's reshape with ONNX's meaning of 0."""
    x, wanted = run[0], run.params["shape"]
    if not run.params.get("allowzero", 0):
        wanted = [x.shape[i] if d == 0 else d for i, d in enumerate(wanted)]
    return (x.reshape(wanted),)


def propose_split(s: Scope) -> Call:
    """2 to 4 parts along one axis, of sizes given or (from opset 18) of a number given."""
    x = s.tensor("T", rank=(1, 8), where=lambda v: any(d >= 2 for d in v.array.shape))
    axes = [a for a, d in enumerate(x.type.shape) if s.store.value(d) >= 2]
    axis = s.pick(axes) if axes else 0
    size = s.store.value(x.type.shape[axis])
    parts = s.integer(2, min(4, size)) if size >= 2 else 1
    signed = axis - x.type.rank if s.coin(0.3) else axis
    if "num_outputs" in s.signature.attributes and size % parts == 0 and s.coin(0.4):
        return Call((x,), {"axis": signed, "num_outputs": parts}, outputs=parts)
    cuts = sorted(s.integer(1, size - 1) for _ in range(parts - 1))
    edges = [0, *cuts, size]
    split = tuple(b - a for a, b in zip(edges, edges[1:], strict=False))
    return Call((x,), {"axis": signed, "split": split}, outputs=parts)


def split_shape(t: Typing) -> tuple[Shape, ...]:
    """The given sizes, or equal ones with a smaller last; they add up to the axis."""
    x, axis = t[0], t.params.get("axis", 0)
    given = t.params.get("split")
    if given is None:
        count = t.params.get("num_outputs", t.outputs)
        part = ceil_div(x[axis], count)
        given = (part,) * (count - 1) + (x[axis] - part * (count - 1),)
    else:
        total: Dim = 0
        for size in given:
            total = total + size
        t.store.unify(x[axis], total)
    at = axis % len(x)
    return tuple((*x[:at], size, *x[at + 1 :]) for size in given)


def split_values(run: Run) -> tuple[Array, ...]:
    """numpy's split at the running sums of the sizes."""
    x, axis = run[0], run.params.get("axis", 0)
    given = run.params.get("split")
    if given is None:
        count = run.params.get("num_outputs", len(run.output_dtypes))
        part = -(-x.shape[axis] // count)
        given = (part,) * (count - 1) + (x.shape[axis] - part * (count - 1),)
    return tuple(np.split(x, np.cumsum(given)[:-1], axis=axis))


OPERATORS: tuple[Operator, ...] = (
    Operator("Reshape", propose_reshape, reshape_shape, reshape_values, moved(reshape_values),
             parameters=("shape",), exact=True),  # fmt: skip
    Operator("Slice", propose_slice, slice_shape, slice_values, moved(slice_values),
             parameters=("starts", "ends", "axes", "steps"), exact=True),  # fmt: skip
    Operator("Split", propose_split, split_shape, split_values, moved(split_values),
             parameters=("split",), exact=True),  # fmt: skip
)
