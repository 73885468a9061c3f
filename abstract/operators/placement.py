"""Operators that put elements back where a window took them from: Col2Im and MaxUnpool."""

from __future__ import annotations

from itertools import product as every
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible, divisible
from abstract.dims import floor_div
from abstract.dims import product as multiplied
from abstract.dtypes import Kind
from abstract.error import accumulator, is_exact, summation, within_range
from abstract.operator import Array, Bound, Call, Domain, NotCovered, Operator, Params, Run, Scope, Typing
from abstract.operators.axes import operand, unique_indices
from abstract.operators.window import per_axis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abstract.graph import Value
    from abstract.types import Shape

__all__ = ["OPERATORS"]

NUMBER = (Kind.FLOAT, Kind.SIGNED, Kind.UNSIGNED)
FLOAT = (Kind.FLOAT,)
_MODERATE = Domain(-64.0, 64.0)

# -- Col2Im --------------------------------------------------------------------------------------------------


def propose_col2im(s: Scope) -> Call:
    """Blocks that overlap, touch or leave gaps in a picture of two axes, three or four."""
    rank = s.pick((2, 2, 2, 3, 4))
    most = 6 if rank == 2 else 4
    block = tuple(s.integer(1, 3 if rank < 4 else 2) for _ in range(rank))
    params: dict[str, Any] = {"block_shape": block}
    dilations, pads = (1,) * rank, (0,) * 2 * rank
    if s.coin(0.4):
        params["strides"] = tuple(s.integer(1, 3) for _ in block)
    if s.coin(0.3):
        dilations = params["dilations"] = tuple(s.integer(1, 2) for _ in block)
    if s.coin(0.4):
        pads = params["pads"] = tuple(s.integer(0, 2) for _ in range(2 * rank))
    least = [max(1, d * (k - 1) + 1 - a - b)
             for k, d, a, b in zip(block, dilations, pads, pads[rank:], strict=False)]  # fmt: skip
    params["image_shape"] = tuple(s.integer(n, n + most - 1) for n in least)
    counts = _blocks(params)
    batch, channels = s.size(1, 4, "n"), s.size(1, 4, "c")
    s.dtype(s.signature.formal(0).variable, NUMBER)
    shape = (batch, channels * prod(block), prod(counts))
    return Call((s.shaped(shape, s.signature.formal(0).variable, domain=_MODERATE),), params)


def _blocks(params: Params) -> list[int]:
    """The number of blocks along each axis. Raises NotCovered where none fits."""
    sizes, block = params["image_shape"], params["block_shape"]
    rank = len(sizes)
    strides, dilations = per_axis(params, "strides", rank, 1), per_axis(params, "dilations", rank, 1)
    pads = per_axis(params, "pads", 2 * rank, 0)
    counts = [
        (int(n) + a + b - d * (int(k) - 1) - 1) // st + 1
        for n, k, st, d, a, b in zip(sizes, block, strides, dilations, pads, pads[rank:], strict=False)
    ]
    if min(counts) < 1:
        raise NotCovered("Col2Im of blocks larger than the picture")
    return counts


def col2im_shape(t: Typing) -> tuple[Shape, ...]:
    """(N, C, *image_shape) of (N, C * elements of a block, blocks)."""
    batch, columns, blocks = t[0]
    taps = multiplied(tuple(t.params["block_shape"]))
    t.store.require(divisible(columns, t.store.value(taps)))
    t.store.unify(blocks, prod(_blocks(t.params)))
    return ((batch, floor_div(columns, taps), *t.params["image_shape"]),)


def _laid(run: Run, x: Array) -> list[Array]:
    """The picture with the first elements of all blocks in their places, with the second ones, and so on."""
    sizes, block = tuple(map(int, run.params["image_shape"])), tuple(map(int, run.params["block_shape"]))
    rank, counts = len(sizes), _blocks(run.params)
    strides, dilations = per_axis(run.params, "strides", rank, 1), per_axis(run.params, "dilations", rank, 1)
    pads = per_axis(run.params, "pads", 2 * rank, 0)
    columns = x.reshape(x.shape[0], -1, prod(block), *counts)
    wide = [n + a + b for n, a, b in zip(sizes, pads, pads[rank:], strict=False)]
    inside = tuple(slice(a, a + n) for a, n in zip(pads, sizes, strict=False))
    layers = []
    for tap, offset in enumerate(every(*map(range, block))):
        layer = np.zeros((x.shape[0], columns.shape[1], *wide), x.dtype)
        at = tuple(
            slice(o * d, o * d + (c - 1) * st + 1, st)
            for o, d, c, st in zip(offset, dilations, counts, strides, strict=True)
        )
        layer[(slice(None), slice(None), *at)] = columns[:, :, tap]
        layers.append(layer[(slice(None), slice(None), *inside)])
    return layers


def _summed(run: Run, x: Array) -> Array:
    if x.dtype.kind not in "fiu":
        raise NotCovered("Col2Im of what cannot be added")
    return run.arithmetic.sum(np.stack(_laid(run, x), axis=-1), (-1,), keepdims=False)


def col2im(run: Run) -> tuple[Array, ...]:
    """Each element of the picture is the sum of all that lie on it."""
    return (_summed(run, run[0]),)


def col2im_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """That of a sum of at most as many terms as a block has elements; one term is moved."""
    del y
    x, dtype = run[0], run.dtypes[0]
    passed: Bound = 0.0 if is_exact(e[0]) else _summed(run, np.broadcast_to(np.asarray(e[0]), x.shape))
    if dtype is None or not dtype.is_float:
        return (passed,)
    size = _summed(run, np.abs(x))
    meeting = _summed(run, np.ones(x.shape))
    grown = size + passed
    bound = grown * (summation(run, 1, dtype) * np.where(meeting > 1, meeting, 0)) + passed
    return (within_range(bound, grown, accumulator(run, dtype)),)


# -- MaxUnpool -----------------------------------------------------------------------------------------------


def propose_unpool(s: Scope) -> Call:
    """Indices that never meet: constants, or integers that exist, such as those of a MaxPool."""
    params: dict[str, Any] = {}
    if s.coin(0.4):
        indices = operand(s, 1, rank=(3, 5), where=_all_different)
        if _all_different(indices):
            x = s.shaped(indices.type.shape, s.signature.formal(0).variable)
            return _unpooled(s, x, indices, params)
    x = operand(s, rank=(3, 5), kinds=FLOAT, where=lambda v: 0 < v.array.size <= 512)
    return _unpooled(s, x, None, params)


def _all_different(value: Value) -> bool:
    flat = value.array.ravel().tolist()
    fits = value.type.rank >= 3 and 0 < len(flat) <= 512 and value.exact
    return fits and min(flat) >= 0 and len(set(flat)) == len(flat)


def _unpooled(s: Scope, x: Value, indices: Value | None, params: dict[str, Any]) -> Call:
    sizes = x.array.shape
    rank = len(sizes) - 2
    kernel = params["kernel_shape"] = tuple(s.integer(1, 3) for _ in range(rank))
    strides = params["strides"] = tuple(s.integer(1, 3) for _ in range(rank))
    if all(st == 1 for st in strides) and s.coin(0.7):
        del params["strides"]
    if s.coin(0.4):
        params["pads"] = tuple(s.integer(0, min(1, k - 1)) for k in (*kernel, *kernel))
    due = (*sizes[:2], *_returned(params, sizes[2:]))
    count = prod(due)
    if min(due) < 1 or count > 4096:
        raise Infeasible("nothing, or too much, is given back")
    for dim, size in zip(x.type.shape, sizes, strict=True):
        s.store.unify(dim, size)
    if indices is None:
        kind = s.signature.types[s.signature.formal(1).variable][0]
        indices = s.constant(unique_indices(s, x.array.size, count).reshape(sizes), kind)
    elif indices.array.max() >= count:
        raise Infeasible("an index beyond what is given back")
    if s.coin(0.6):
        params["output_shape"] = due
    return Call((x, indices), params)


def _returned(params: Params, spatial: Sequence[Any]) -> list[Any]:
    """The spatial sizes that kernel, strides and pads give back."""
    kernel = params["kernel_shape"]
    rank = len(kernel)
    strides, pads = per_axis(params, "strides", rank, 1), per_axis(params, "pads", 2 * rank, 0)
    return [
        (n - 1) * st - (a + b) + k for n, k, st, a, b in zip(spatial, kernel, strides, pads, pads[rank:], strict=False)
    ]


def unpool_shape(t: Typing) -> tuple[Shape, ...]:
    """The shape asked for, or (N, C, *what kernel, strides and pads give back)."""
    x = t[0]
    for mine, theirs in zip(x, t[1], strict=True):
        t.store.unify(mine, theirs)
    given = t.params.get("output_shape")
    return (tuple(given) if given is not None else (*x[:2], *_returned(t.params, x[2:])),)


def _placed(run: Run, x: Array) -> Array:
    back = (*x.shape[:2], *_returned(run.params, x.shape[2:]))
    given = run.params.get("output_shape")
    shape = back if given is None else tuple(map(int, given))
    index, flat = run[1].ravel(), np.zeros(prod(back), x.dtype)
    if min(back) < 0 or any(a > b for a, b in zip(back, shape, strict=True)):
        raise NotCovered("MaxUnpool into less than it gives back")
    if index.size and (index.min() < 0 or index.max() >= flat.size):
        raise NotCovered("MaxUnpool beyond its output")
    flat[index] = x.ravel()
    if shape == back:
        return flat.reshape(back)
    y = np.zeros(shape, x.dtype)
    y[tuple(map(slice, back))] = flat.reshape(back)
    return y


def max_unpool(run: Run) -> tuple[Array, ...]:
    """Zeros, and each element at the index that goes with it, counted in the output read as one axis.

    Where a larger output is asked for than kernel, strides and pads give back, ONNX's own test counts in the smaller
    one, which lies in the corner; the text leaves it open (hazard max-unpool-indices).
    """
    return (_placed(run, run[0]),)


def unpool_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Bounds go where their elements go; an index that errs leaves nothing sure."""
    if not is_exact(e[1]):
        return (np.inf,)
    if is_exact(e[0]):
        return (0.0,)
    del y
    return (_placed(run, np.broadcast_to(np.asarray(e[0], dtype=np.float64), run[0].shape)),)


OPERATORS: tuple[Operator, ...] = (
    Operator("Col2Im", propose_col2im, col2im_shape, col2im, col2im_error, parameters=("image_shape", "block_shape"),
             since=18, weight=0.7),
    Operator("MaxUnpool", propose_unpool, unpool_shape, max_unpool, unpool_error, parameters=("output_shape",),
             exact=True, weight=0.7),
)  # fmt: skip
