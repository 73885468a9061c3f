"""Operators that pick or place elements by index: Gather, Scatter and their kin, OneHot, Compress."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import at_least
from abstract.dims import product
from abstract.dtypes import Kind
from abstract.error import is_exact, moved, rounding_unit, tainted, underflow
from abstract.operator import Array, Bound, Call, Operator, Run, Scope, Typing
from abstract.operators.axes import (
    drawn_indices,
    from_either_end,
    from_front,
    index_constant,
    index_shape,
    long_axis,
    operand,
    reach,
    signed,
    unique_indices,
    whole_number,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from abstract.dims import Dim
    from abstract.graph import Value
    from abstract.types import Shape

__all__ = ["OPERATORS", "mesh"]


def mesh(shape: tuple[int, ...]) -> list[Array]:
    """One index array an axis that together read a tensor of this shape as it stands (an open mesh)."""
    rank = len(shape)
    return [np.arange(n).reshape((1,) * a + (n,) + (1,) * (rank - a - 1)) for a, n in enumerate(shape)]


def picked(
    pick: Callable[[Run, Array], Array], touched: Callable[[Run, Array], Array]
) -> Callable[..., tuple[Bound, ...]]:
    """The error rule of reading by index: bounds are read likewise; an unsure index may read anything."""

    def rule(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
        bound: Any = 0.0
        if not is_exact(e[0]):
            bound = pick(run, np.broadcast_to(np.asarray(e[0]), run[0].shape))
        if not is_exact(e[1]):
            unsure = np.broadcast_to(np.asarray(e[1]) > 0, run[1].shape)
            bound = np.broadcast_to(np.where(touched(run, unsure), np.inf, bound), y[0].shape)
        return (bound,)

    return rule


# -- Gather ------------------------------------------------------------------------------------------------


def propose_gather(s: Scope) -> Call:
    """Rows of one axis by constant or computed indices of rank 0 to 3."""
    x = operand(s, rank=(1, 8), where=lambda v: 0 < v.array.size <= 1024)
    axis = long_axis(s, x.array.shape)
    indices = drawn_indices(s, 1, x.type.shape[axis], rank=(0, min(3, 9 - x.type.rank)))
    return Call((x, indices), {} if axis == 0 and s.coin(0.5) else {"axis": signed(s, axis, x.type.rank)})


def gather_shape(t: Typing) -> tuple[Shape, ...]:
    """The axis replaced by the axes of the indices."""
    x, axis = t[0], from_front(t.params.get("axis", 0), len(t[0]))
    return ((*x[:axis], *t[1], *x[axis + 1 :]),)


def _gather(run: Run, source: Array) -> Array:
    return np.take(source, run[1], axis=run.params.get("axis", 0))


def _gather_touched(run: Run, unsure: Array) -> Array:
    x = run[0]
    return unsure.reshape(unsure.shape + (1,) * (x.ndim - 1 - from_front(run.params.get("axis", 0), x.ndim)))


def propose_gather_elements(s: Scope) -> Call:
    """Indices of the operand's own rank, as long as it on the other axes."""
    x = operand(s, rank=(1, 8), where=lambda v: 0 < v.array.size <= 1024)
    axis = long_axis(s, x.array.shape)
    shape = index_shape(s, x.type.shape, axis, longest=6, whole=True)
    count = prod(shape)
    size = x.array.shape[axis]
    start, step = s.integer(0, size - 1), s.integer(1, 7)
    array = from_either_end(s, ((np.arange(count) * step + start) % size).reshape(shape), size)
    reach(s, x.type.shape[axis], array)
    indices = index_constant(s, 1, array)
    return Call((x, indices), {} if axis == 0 and s.coin(0.5) else {"axis": signed(s, axis, x.type.rank)})


def gather_elements_shape(t: Typing) -> tuple[Shape, ...]:
    """The indices' shape."""
    return (t[1],)


def _along(indices: Array, axis: int) -> tuple[Array, ...]:
    index = mesh(indices.shape)
    index[axis] = indices
    return tuple(index)


def _gather_elements(run: Run, source: Array) -> Array:
    result: Array = source[_along(run[1], run.params.get("axis", 0))]
    return result


def propose_gather_nd(s: Scope) -> Call:
    """Index tuples over the first axes, behind up to one batch axis."""
    x = operand(s, rank=(1, 8), where=lambda v: 0 < v.array.size <= 1024)
    sizes = x.array.shape
    batch = 1 if x.type.rank >= 2 and sizes[0] <= 8 and s.coin(0.3) else 0
    depth = s.integer(1, min(x.type.rank - batch, 3))
    lead = sizes[:batch] + tuple(s.integer(1, 3) for _ in range(s.integer(0, 2)))
    columns = []
    for axis in range(batch, batch + depth):
        start, step = s.integer(0, sizes[axis] - 1), s.integer(1, 5)
        column = from_either_end(s, (np.arange(prod(lead)) * step + start) % sizes[axis], sizes[axis])
        reach(s, x.type.shape[axis], column)
        columns.append(column)
    array = np.stack(columns, axis=-1).reshape(*lead, depth)
    indices = index_constant(s, 1, array)
    return Call((x, indices), {"batch_dims": batch} if batch or s.coin(0.3) else {})


def gather_nd_shape(t: Typing) -> tuple[Shape, ...]:
    """The indices' shape but for its last axis, then what the tuples leave of the data."""
    x, indices = t[0], t[1]
    batch = t.params.get("batch_dims", 0)
    for mine, theirs in zip(x[:batch], indices[:batch], strict=True):
        t.store.unify(mine, theirs)
    return ((*indices[:-1], *x[batch + t.store.value(indices[-1]) :]),)


def _gather_nd(run: Run, source: Array) -> Array:
    indices = run[1]
    batch = run.params.get("batch_dims", 0)
    index = mesh(indices.shape[:-1])[:batch]
    index.extend(indices[..., i] for i in range(indices.shape[-1]))
    result: Array = source[tuple(index)]
    return result


def _gather_nd_touched(run: Run, unsure: Array) -> Array:
    spoilt: Array = np.logical_or.reduce(unsure, axis=-1)
    left = run[0].ndim - run.params.get("batch_dims", 0) - unsure.shape[-1]
    return spoilt.reshape(spoilt.shape + (1,) * left)


# -- Scatter -----------------------------------------------------------------------------------------------

_COMBINE: dict[bytes, np.ufunc] = {b"add": np.add, b"mul": np.multiply, b"max": np.maximum, b"min": np.minimum}
_NUMBERS = (Kind.FLOAT, Kind.SIGNED, Kind.UNSIGNED)
_EXTREMA_SINCE = 18  # the version at which max and min joined add and mul


def propose_scatter_elements(s: Scope) -> Call:
    """Constant indices that never meet (hazards H3.2 and H3.3)."""
    x = operand(s, rank=(1, 8), where=lambda v: 0 < v.array.size <= 1024)
    axis = long_axis(s, x.array.shape)
    size = x.array.shape[axis]
    shape = index_shape(s, x.type.shape, axis, longest=min(size, 5))
    line = unique_indices(s, shape[axis], size)
    # Each line along the axis has the same distances, shifted: still no two alike in a line.
    shift = np.arange(prod(shape) // shape[axis]).reshape([n if a != axis else 1 for a, n in enumerate(shape)])
    lines = line.reshape([n if a == axis else 1 for a, n in enumerate(shape)])
    array = from_either_end(s, (lines + shift) % size, size)
    reach(s, x.type.shape[axis], array)
    indices = index_constant(s, 1, array)
    params: dict[str, Any] = {} if axis == 0 and s.coin(0.5) else {"axis": signed(s, axis, x.type.rank)}
    return Call((x, indices, s.shaped(shape)), {**params, **_reduction(s, x)})


def _reduction(s: Scope, x: Value) -> dict[str, Any]:
    """Numbers are mostly replaced, else each is combined once with an update; halves never: runtimes refuse that."""
    dtype = x.type.dtype
    combined = dtype.kind in _NUMBERS and not (dtype.is_float and dtype.bits < 32)
    if not combined or "reduction" not in s.signature.attributes or not s.coin(0.4):
        return {}
    return {"reduction": s.pick((b"add", b"mul") if s.signature.since < _EXTREMA_SINCE else tuple(_COMBINE))}


def propose_scatter_nd(s: Scope) -> Call:
    """Constant index tuples that never meet (hazard H3.4)."""
    x = operand(s, rank=(1, 8), where=lambda v: 0 < v.array.size <= 1024)
    sizes = x.array.shape
    depth = s.integer(1, min(x.type.rank, 3))
    count = s.integer(1, min(prod(sizes[:depth]), 6))
    flat = unique_indices(s, count, prod(sizes[:depth]))
    places = np.unravel_index(flat, sizes[:depth])
    columns = [from_either_end(s, place, n) for place, n in zip(places, sizes, strict=False)]
    for dim, column in zip(x.type.shape, columns, strict=False):
        reach(s, dim, column)
    array = np.stack(columns, axis=-1)
    if count % 2 == 0 and s.coin(0.3):
        array = array.reshape(2, count // 2, depth)
    indices = index_constant(s, 1, array)
    return Call((x, indices, s.shaped((*array.shape[:-1], *x.type.shape[depth:]))), _reduction(s, x))


def scatter_elements_shape(t: Typing) -> tuple[Shape, ...]:
    """The data's shape; indices and updates have one shape."""
    for mine, theirs in zip(t[1], t[2], strict=True):
        t.store.unify(mine, theirs)
    return (t[0],)


def scatter_nd_shape(t: Typing) -> tuple[Shape, ...]:
    """The data's shape; updates have the indices' lead and what the tuples leave of the data."""
    lead, depth = t[1][:-1], t.store.value(t[1][-1])
    for mine, theirs in zip((*lead, *t[0][depth:]), t[2], strict=True):
        t.store.unify(mine, theirs)
    return (t[0],)


def _elements_index(run: Run) -> tuple[Array, ...]:
    return _along(run[1], run.params.get("axis", 0))


def _tuple_index(run: Run) -> tuple[Array, ...]:
    indices = run[1]
    return tuple(indices[..., i] for i in range(indices.shape[-1]))


def _placed(index: tuple[Array, ...], data: Array, updates: Array, reduction: bytes) -> Array:
    y = np.array(data)
    if reduction == b"none":
        y[index] = updates
    else:
        _COMBINE[reduction].at(y, index, updates)
    return y


def scatter(locate: Callable[[Run], tuple[Array, ...]]) -> Callable[[Run], tuple[Array, ...]]:
    """A copy of the data with updates put in, or combined with what stands there."""

    def evaluate(run: Run) -> tuple[Array, ...]:
        return (_placed(locate(run), run[0], run[2], run.params.get("reduction", b"none")),)

    return evaluate


def scatter_error(locate: Callable[[Run], tuple[Array, ...]]) -> Callable[..., tuple[Bound, ...]]:
    """Bounds are placed as the updates are, combined in any order (H3.5); an unsure index spoils all."""

    def rule(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
        reduction = run.params.get("reduction", b"none")
        exact = is_exact(e[0]) and is_exact(e[2])
        if not is_exact(e[1]):
            return (np.inf,)
        is_float = run.output_dtypes[0].is_float
        if exact and (reduction in (b"none", b"max", b"min") or not is_float):
            return (0.0,)
        data, updates = run[0], run[2]
        first = np.broadcast_to(np.asarray(e[0], dtype=np.float64), data.shape)
        second = np.broadcast_to(np.asarray(e[2], dtype=np.float64), updates.shape)
        index = locate(run)
        if reduction == b"none":
            return (_placed(index, first, second, reduction),)
        if reduction in (b"max", b"min"):
            above = _placed(index, data + first, updates + second, reduction)
            below = _placed(index, data - first, updates - second, reduction)
            return (np.maximum(above - y[0], y[0] - below),)
        size = _placed(index, np.abs(data) + first, np.abs(updates) + second, reduction)
        meeting = _placed(index, np.zeros(data.shape), np.ones(updates.shape), b"add")
        # Summed where they are stored, so in the type itself; what nothing meets stays as it is.
        factor = np.where(meeting > 0, meeting + 1, 0) * rounding_unit(run, run.dtypes[0])
        if reduction == b"mul":
            # What underflows on the way may be multiplied up again.
            high = _placed(index, np.maximum(np.abs(data) + first, 1), np.maximum(np.abs(updates) + second, 1), b"mul")
            lost = high * (meeting * underflow(run, run.dtypes[0]))
            return (size * (1 + np.expm1(factor) + 1e-15) - np.abs(y[0]) + lost,)
        return (size * factor + _placed(index, first, second, reduction),)

    return rule


# -- OneHot, Compress --------------------------------------------------------------------------------------


def propose_one_hot(s: Scope) -> Call:
    """Integer indices within the depth, counted from the back now and then (hazard H3.15); no scalar.

    ONNX's shape inference refuses scalar indices, though the text allows them.
    """
    depth = s.told(1, 6) or s.size(1, 6, "h")
    indices = drawn_indices(s, 0, depth, rank=(1, 4), backwards=0.15) if s.coin(0.8) else _whole_indices(s, depth)
    values = s.shaped((2,), s.signature.formal(2).variable)
    rank = indices.type.rank + 1
    params: dict[str, Any] = {"depth": depth if s.coin(0.7) else (depth,)}
    if s.coin(0.6):
        params["axis"] = s.integer(-rank, rank - 1)
    return Call((indices, values), params, stored=s.stored("T2"))


def _whole_indices(s: Scope, depth: Dim) -> Value:
    """A few indices in any type of numbers."""
    kind = s.dtype(s.signature.formal(0).variable, _NUMBERS)
    shape = tuple(s.integer(1, 3) for _ in range(s.integer(1, 3)))
    array = np.array([s.integer(0, s.store.value(depth) - 1) for _ in range(prod(shape))]).reshape(shape)
    reach(s, depth, array)
    return s.constant(array, kind)


def one_hot_shape(t: Typing) -> tuple[Shape, ...]:
    """A new axis as long as the depth, at the place named in the output."""
    rank = len(t[0]) + 1
    depth = whole_number(t.params["depth"])
    axis = from_front(t.params.get("axis", -1), rank)
    return ((*t[0][:axis], int(depth) if isinstance(depth, float) else depth, *t[0][axis:]),)


def _hot(run: Run) -> tuple[Array, int]:
    """Where the output is on, and the place of the new axis."""
    indices = run[0].astype(np.int64)
    axis = from_front(run.params.get("axis", -1), indices.ndim + 1)
    depth = int(whole_number(run.params["depth"]))
    positions = np.arange(depth).reshape(-1, *(1,) * (indices.ndim - axis))
    counted = np.where(indices < 0, indices + depth, indices)
    return np.expand_dims(counted, axis) == positions, axis


def one_hot(run: Run) -> tuple[Array, ...]:
    """The second value where the index points, the first elsewhere; an index out of range is on nowhere."""
    off, on = run[1]
    return (np.where(_hot(run)[0], on, off).astype(run[1].dtype, copy=False),)


def one_hot_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The error of the value that was put there; anything along the new axis of an unsure index."""
    hot, axis = _hot(run)
    bound: Any = 0.0
    if not is_exact(e[1]):
        off, on = np.broadcast_to(np.asarray(e[1]), (2,))
        bound = np.where(hot, on, off)
    if not is_exact(e[0]):
        unsure = np.expand_dims(np.broadcast_to(np.asarray(e[0]) > 0, run[0].shape), axis)
        bound = np.maximum(bound, tainted(y[0], unsure))
    return (bound,)


def propose_compress(s: Scope) -> Call:
    """A constant condition no longer than the axis (hazard H3.16), or than the tensor read as one axis."""
    x = operand(s, rank=(1, 8), where=lambda v: 0 < v.array.size <= 256)
    axis = long_axis(s, x.array.shape)
    params: dict[str, Any] = {} if s.coin(0.3) else {"axis": signed(s, axis, x.type.rank)}
    whole = x.type.shape[axis] if params else product(x.type.shape)
    length = s.integer(1, min(s.store.value(whole), 12))
    bits = s.integer(1, 2**length - 1)
    s.store.require(at_least(whole, length))
    return Call((x,), {**params, "condition": tuple(bool(bits >> i & 1) for i in range(length))})


def compress_shape(t: Typing) -> tuple[Shape, ...]:
    """As many along the axis as conditions hold."""
    x, axis, count = t[0], t.params.get("axis"), sum(map(bool, t.params["condition"]))
    if axis is None:
        return ((count,),)
    at = from_front(axis, len(x))
    return ((*x[:at], count, *x[at + 1 :]),)


def compress(run: Run) -> tuple[Array, ...]:
    """As numpy's compress."""
    return (np.compress(np.array(run.params["condition"], dtype=bool), run[0], axis=run.params.get("axis")),)


def _gathering(pick: Callable[[Run, Array], Array]) -> Callable[[Run], tuple[Array, ...]]:
    return lambda run: (pick(run, run[0]),)


OPERATORS: tuple[Operator, ...] = (
    Operator("Gather", propose_gather, gather_shape, _gathering(_gather), picked(_gather, _gather_touched),
             exact=True),
    Operator("GatherElements", propose_gather_elements, gather_elements_shape, _gathering(_gather_elements),
             picked(_gather_elements, lambda _, unsure: unsure), exact=True, weight=0.7),
    Operator("GatherND", propose_gather_nd, gather_nd_shape, _gathering(_gather_nd),
             picked(_gather_nd, _gather_nd_touched), exact=True, weight=0.7),
    Operator("ScatterElements", propose_scatter_elements, scatter_elements_shape, scatter(_elements_index),
             scatter_error(_elements_index), exact=True, weight=0.7),
    Operator("ScatterND", propose_scatter_nd, scatter_nd_shape, scatter(_tuple_index),
             scatter_error(_tuple_index), exact=True, weight=0.7),
    Operator("OneHot", propose_one_hot, one_hot_shape, one_hot, one_hot_error, parameters=("depth",),
             exact=True, weight=0.7),
    Operator("Compress", propose_compress, compress_shape, compress, moved(compress), parameters=("condition",),
             exact=True, weight=0.5),
)  # fmt: skip
