"""Operators that exchange positions between axes or along them: DepthToSpace, SpaceToDepth, ReverseSequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import divisible
from abstract.dims import floor_div
from abstract.error import moved
from abstract.operator import Array, Call, Operator, Run, Scope, Typing
from abstract.operators.axes import index_constant, not_empty, operand
from abstract.operators.selection import picked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abstract.types import Shape

__all__ = ["OPERATORS"]


def _block(s: Scope, sizes: Sequence[int], power: int) -> int:
    """A block size whose power divides all sizes; 1 does always."""
    return int(s.pick([b for b in (1, 2, 3, 4) if all(n % b**power == 0 for n in sizes)][-2:]))


def _mode(s: Scope) -> dict[str, Any]:
    if "mode" not in s.signature.attributes or s.coin(0.4):
        return {}
    return {"mode": s.pick((b"DCR", b"CRD"))}


def propose_depth_to_space(s: Scope) -> Call:
    """A block whose square divides the channels, in either order; blocks of 1 as well."""
    if s.coin(0.5):
        block = s.integer(1, 3)
        x = s.shaped((s.size(1, 3, "n"), s.size(1, 3, "c") * (block * block), s.size(1, 4, "h"), s.size(1, 4, "w")))
    else:
        x = operand(s, rank=(4, 4), where=lambda v: not_empty(v) and v.array.shape[1] % 4 == 0)
        block = _block(s, x.array.shape[1:2], 2)
    channels = x.type.shape[1]
    s.store.require(divisible(channels, block * block))
    return Call((x,), {"blocksize": block, **_mode(s)})


def depth_to_space_shape(t: Typing) -> tuple[Shape, ...]:
    """(N, C, H, W) to (N, C / b^2, H b, W b)."""
    n, c, h, w = t[0]
    b = t.params["blocksize"]
    t.store.require(divisible(c, b * b))  # numpy would cut the rest off an empty tensor
    return ((n, floor_div(c, b * b), h * b, w * b),)


def depth_to_space(run: Run) -> tuple[Array, ...]:
    """Depth-column-row order has the block's offsets before the channel, column-row-depth after it."""
    x, b = run[0], run.params["blocksize"]
    n, c, h, w = x.shape
    deep = c // (b * b)
    if run.params.get("mode", b"DCR") == b"DCR":
        blocks = x.reshape(n, b, b, deep, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        blocks = x.reshape(n, deep, b, b, h, w).transpose(0, 1, 4, 2, 5, 3)
    return (blocks.reshape(n, deep, h * b, w * b),)


def propose_space_to_depth(s: Scope) -> Call:
    """A block that divides height and width; the order can be chosen from opset 28."""
    if s.coin(0.5):
        block = s.integer(1, 3)
        x = s.shaped((s.size(1, 3, "n"), s.size(1, 4, "c"), s.size(1, 3, "h") * block, s.size(1, 3, "w") * block))
    else:
        x = operand(s, rank=(4, 4), where=lambda v: not_empty(v) and all(n % 2 == 0 for n in v.array.shape[2:]))
        block = _block(s, x.array.shape[2:], 1)
    for dim in x.type.shape[2:]:
        s.store.require(divisible(dim, block))
    return Call((x,), {"blocksize": block, **_mode(s)})


def space_to_depth_shape(t: Typing) -> tuple[Shape, ...]:
    """(N, C, H, W) to (N, C b^2, H / b, W / b)."""
    n, c, h, w = t[0]
    b = t.params["blocksize"]
    for size in (h, w):
        t.store.require(divisible(size, b))
    return ((n, c * (b * b), floor_div(h, b), floor_div(w, b)),)


def space_to_depth(run: Run) -> tuple[Array, ...]:
    """The inverse of DepthToSpace in the same order."""
    x, b = run[0], run.params["blocksize"]
    n, c, h, w = x.shape
    blocks = x.reshape(n, c, h // b, b, w // b, b)
    order = (0, 3, 5, 1, 2, 4) if run.params.get("mode", b"DCR") == b"DCR" else (0, 1, 3, 5, 2, 4)
    return (blocks.transpose(order).reshape(n, c * b * b, h // b, w // b),)


def propose_reverse(s: Scope) -> Call:
    """Constant lengths from 1 to the whole of the time axis (hazard H3.20)."""
    x = operand(s, rank=(2, 8), where=lambda v: 0 < v.array.size <= 1024 and max(v.array.shape[:2]) <= 16)
    time = s.integer(0, 1)
    longest = s.store.value(x.type.shape[time])
    count = x.array.shape[1 - time]
    lengths = np.array([s.integer(1, longest) for _ in range(min(count, 16))])
    params = {} if time == 0 and s.coin(0.5) else {"time_axis": time, "batch_axis": 1 - time}
    s.store.unify(x.type.shape[1 - time], count)
    s.store.unify(x.type.shape[time], longest)
    return Call((x, index_constant(s, 1, lengths)), params)


def reverse_shape(t: Typing) -> tuple[Shape, ...]:
    """The input's shape; one length for each element of the batch."""
    t.store.unify(t[1][0], t[0][t.params.get("batch_axis", 1)])
    return (t[0],)


def _reversed(run: Run, source: Array) -> Array:
    """The first elements of each sequence backwards, the rest as it stands."""
    lengths, time = run[1], run.params.get("time_axis", 0)
    at = np.arange(source.shape[time])
    where = np.where(at < lengths[:, None], lengths[:, None] - 1 - at, at)  # (batch, time)
    batch = np.arange(lengths.size)[:, None]
    result: Array = source[batch, where] if time == 1 else source[where.T, batch.T]
    return result


def _reversed_touched(run: Run, unsure: Array) -> Array:
    lead = unsure[:, None] if run.params.get("time_axis", 0) == 1 else unsure[None, :]
    return lead.reshape(lead.shape + (1,) * (run[0].ndim - 2))


OPERATORS: tuple[Operator, ...] = (
    Operator("DepthToSpace", propose_depth_to_space, depth_to_space_shape, depth_to_space, moved(depth_to_space),
             exact=True, weight=0.7),
    Operator("SpaceToDepth", propose_space_to_depth, space_to_depth_shape, space_to_depth, moved(space_to_depth),
             exact=True, weight=0.7),
    Operator("ReverseSequence", propose_reverse, reverse_shape, lambda run: (_reversed(run, run[0]),),
             picked(_reversed, _reversed_touched), exact=True, weight=0.5),
)  # fmt: skip
