"""Operators that change how elements are laid out: Reshape, Transpose, Expand and their like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from abstract.constraints import divisible, not_equal
from abstract.dims import Dim, Expr, floor_div, product
from abstract.error import moved
from abstract.operator import Array, Call, Operator, Params, Run, Scope, Typing
from abstract.operators.axes import counted, is_one, operand, permutation, spelt, subset

if TYPE_CHECKING:
    from abstract.types import Shape

__all__ = ["OPERATORS", "same_values"]


# -- Reshape -------------------------------------------------------------------------------------------------


def propose_reshape(s: Scope) -> Call:
    """Merge neighbouring axes, split one, insert a 1, or leave all as it is; said with numbers, 0 and -1.

    A tensor without elements gets plain numbers alone, since 0 and -1 are ambiguous there (hazard H4.3).
    """
    x = operand(s)
    shape = list(x.type.shape)
    if len(shape) >= 2 and s.coin(0.6):
        at = s.integer(0, len(shape) - 2)
        shape[at : at + 2] = [shape[at] * shape[at + 1]]
    if len(shape) < 7 and s.coin(0.5):
        at = s.integer(0, max(len(shape) - 1, 0))
        whole = shape[at] if shape else 1
        size = s.store.value(whole)
        inner = s.pick([d for d in range(1, min(size, 64) + 1) if size % d == 0] or [1])
        s.store.require(divisible(whole, inner))
        parts = [floor_div(whole, inner), inner]
        shape[at : at + 1] = parts if s.coin(0.5) else parts[::-1]
    if not x.array.size:
        return Call((x,), {"shape": tuple(x.type.shape)})
    params: dict[str, object] = {}
    target: list[Dim] = list(shape)
    if "allowzero" in s.signature.attributes and s.coin(0.1):
        params["allowzero"] = 1
    elif s.coin(0.3):
        target = [0 if i < x.type.rank and d is x.type.shape[i] else d for i, d in enumerate(target)]
    if target and s.coin(0.4):
        target[s.integer(0, len(target) - 1)] = -1
    return Call((x,), {"shape": tuple(target), **params})


def reshape_shape(t: Typing) -> tuple[Shape, ...]:
    """0 copies the input's dimension (unless allowzero), one -1 takes what is left, the counts agree."""
    x, wanted = t[0], list(t.params["shape"])
    if not t.params.get("allowzero", 0):
        wanted = [x[i] if isinstance(d, int) and d == 0 else d for i, d in enumerate(wanted)]
    rest = [i for i, d in enumerate(wanted) if isinstance(d, int) and d == -1]
    count = product(x)
    if rest:
        known = product([d for i, d in enumerate(wanted) if i != rest[0]])
        wanted[rest[0]] = floor_div(count, known) if t.store.value(known) else 0
    t.store.unify(count, product(wanted))
    return (tuple(wanted),)


def reshape_values(run: Run) -> tuple[Array, ...]:
    """As numpy's reshape with ONNX's meaning of 0."""
    x, wanted = run[0], run.params["shape"]
    if not run.params.get("allowzero", 0):
        wanted = [x.shape[i] if d == 0 else d for i, d in enumerate(wanted)]
    return (x.reshape(wanted),)


# -- Identity, Flatten, Squeeze, Unsqueeze, Transpose --------------------------------------------------------


def propose_one(s: Scope) -> Call:
    """Any operand, no attributes."""
    return Call((operand(s),))


def same_shape(t: Typing) -> tuple[Shape, ...]:
    """The input's shape."""
    return (t[0],)


def same_values(run: Run) -> tuple[Array, ...]:
    """The input."""
    return (run[0],)


def propose_flatten(s: Scope) -> Call:
    """Every axis from -rank to rank; the default left out as well as written."""
    x = operand(s)
    axis = s.integer(-x.type.rank, x.type.rank)
    return Call((x,), {} if axis == 1 and s.coin(0.7) else {"axis": axis})


def _flatten_axis(params: Params, rank: int) -> int:
    axis: int = params.get("axis", 1)
    return axis + rank if axis < 0 else axis


def flatten_shape(t: Typing) -> tuple[Shape, ...]:
    """What lies before the axis, multiplied; what lies from it on, multiplied."""
    axis = _flatten_axis(t.params, len(t[0]))
    return ((product(t[0][:axis]), product(t[0][axis:])),)


def flatten_values(run: Run) -> tuple[Array, ...]:
    """A reshape to two axes; both counts are worked out, since -1 says nothing of an empty tensor."""
    x = run[0]
    axis = _flatten_axis(run.params, x.ndim)
    return (x.reshape(int(np.prod(x.shape[:axis])), int(np.prod(x.shape[axis:]))),)


def propose_squeeze(s: Scope) -> Call:
    """Some axes of size 1, in any order, or all of them by leaving the axes out."""
    x = operand(s, where=lambda v: 1 in v.array.shape)
    if 1 not in x.array.shape and x.type.rank < 5 and s.coin(0.8):
        at = s.integer(0, x.type.rank)
        x = s.shaped((*x.type.shape[:at], 1, *x.type.shape[at:]), s.signature.formal(0).variable)
    ones = [a for a, d in enumerate(x.type.shape) if s.store.value(d) == 1]
    if not ones or s.coin(0.15):
        return Call((x,))
    chosen = [ones[i] for i in subset(s, len(ones))]
    return Call((x,), {"axes": spelt(s, chosen[::-1] if s.coin(0.2) else chosen, x.type.rank)})


def squeeze_shape(t: Typing) -> tuple[Shape, ...]:
    """The axes named, which are 1, are gone; without names all that are 1."""
    x, axes = t[0], t.params.get("axes")
    if axes is None:
        kept = []
        for d in x:
            if not is_one(t, d):
                if isinstance(d, Expr):
                    t.store.require(not_equal(d, 1))
                kept.append(d)
        return (tuple(kept),)
    gone = set(counted(axes, len(x)))
    for a in sorted(gone):
        t.store.unify(x[a], 1)
    return (tuple(d for a, d in enumerate(x) if a not in gone),)


def squeeze_values(run: Run) -> tuple[Array, ...]:
    """As numpy's squeeze."""
    axes = run.params.get("axes")
    return (np.squeeze(run[0], axis=None if axes is None else tuple(axes)),)


def propose_unsqueeze(s: Scope) -> Call:
    """One to three new axes of size 1, in any order (it does not matter: hazard H4.11)."""
    x = operand(s, rank=(0, 7))
    rank = x.type.rank + s.integer(1, min(3, 8 - x.type.rank))
    order = permutation(s, rank)[: rank - x.type.rank]
    return Call((x,), {"axes": spelt(s, order, rank)})


def unsqueeze_shape(t: Typing) -> tuple[Shape, ...]:
    """A 1 at each axis named; the axes count in the output."""
    rank = len(t[0]) + len(t.params["axes"])
    new = set(counted(t.params["axes"], rank))
    old = iter(t[0])
    return (tuple(1 if a in new else next(old) for a in range(rank)),)


def unsqueeze_values(run: Run) -> tuple[Array, ...]:
    """A reshape with ones put in."""
    x, axes = run[0], run.params["axes"]
    rank = x.ndim + len(axes)
    shape = list(x.shape)
    for a in sorted(counted(axes, rank)):
        shape.insert(a, 1)
    return (x.reshape(shape),)


def propose_transpose(s: Scope) -> Call:
    """A random order of the axes, two of them swapped, or all of them reversed by saying nothing."""
    x = operand(s)
    rank = x.type.rank
    if s.coin(0.15):
        return Call((x,))
    if rank >= 2 and s.coin(0.4):
        order = list(range(rank))
        a, b = s.integer(0, rank - 1), s.integer(0, rank - 1)
        order[a], order[b] = order[b], order[a]
    else:
        order = permutation(s, rank)
    return Call((x,), {"perm": tuple(order)} if order else {})


def transpose_shape(t: Typing) -> tuple[Shape, ...]:
    """The dimensions in the new order."""
    perm = t.params.get("perm")
    return (t[0][::-1] if perm is None else tuple(t[0][a] for a in perm),)


def transpose_values(run: Run) -> tuple[Array, ...]:
    """As numpy's transpose."""
    return (run[0].transpose(run.params.get("perm")),)


# -- Expand, Tile --------------------------------------------------------------------------------------------


def propose_expand(s: Scope) -> Call:
    """Axes of size 1 repeated, leading axes added, others named or 1; none of size 0 (hazard H4.4)."""
    x = operand(s, where=lambda v: 0 < v.array.size <= 512)
    target: list[Dim] = []
    for d in x.type.shape:
        if s.store.value(d) != 1:
            target.append(1 if s.coin(0.3) else d)
        elif s.coin(0.6):
            target.append(s.told(1, 4) or s.size(1, 4, "e"))
        else:
            target.append(1)
    if x.type.rank < 7 and s.coin(0.5):
        target[:0] = [s.told(1, 3) or s.size(1, 3, "e") for _ in range(s.integer(1, 2))]
    elif s.coin(0.2):
        while target and isinstance(target[0], int):
            del target[0]
    return Call((x,), {"shape": tuple(target)})


def expand_shape(t: Typing) -> tuple[Shape, ...]:
    """Broadcasting in both directions between the input's shape and the target."""
    x, target = t[0], tuple(t.params["shape"])
    rank = max(len(x), len(target))
    pairs = zip((1,) * (rank - len(x)) + x, (1,) * (rank - len(target)) + target, strict=True)
    return (tuple(_broadcast(t, a, b) for a, b in pairs),)


def _broadcast(t: Typing, a: Dim, b: Dim) -> Dim:
    if a is b or (isinstance(b, int) and b == 1):
        return a
    if isinstance(a, int) and a == 1:
        return b
    one, other = t.store.value(a) == 1, t.store.value(b) == 1
    if one == other:
        t.store.unify(a, b)
        return a
    t.store.unify(a if one else b, 1)
    return b if one else a


def expand_values(run: Run) -> tuple[Array, ...]:
    """As numpy's broadcast to the common shape."""
    x = run[0]
    return (np.broadcast_to(x, np.broadcast_shapes(x.shape, run.params["shape"])),)


def propose_tile(s: Scope) -> Call:
    """One to three repetitions of each axis; none has 0 of them (hazard H4.5)."""
    x = operand(s, rank=(1, 8), where=lambda v: v.array.size <= 256)
    few = 3 if x.type.rank <= 2 else 2
    repeats = tuple((s.told(1, few) or s.size(1, few, "r")) if s.coin(0.5) else 1 for _ in x.type.shape)
    return Call((x,), {"repeats": repeats})


def tile_shape(t: Typing) -> tuple[Shape, ...]:
    """Each axis times its repetitions."""
    return (tuple(d * r for d, r in zip(t[0], t.params["repeats"], strict=True)),)


def tile_values(run: Run) -> tuple[Array, ...]:
    """A new axis before each, broadcast, merged: quicker than numpy.tile on small tensors."""
    x, repeats = run[0], run.params["repeats"]
    shape, wide = [], []
    for n, r in zip(x.shape, repeats, strict=True):
        shape += [1, n]
        wide += [r, n]
    sizes = [n * r for n, r in zip(x.shape, repeats, strict=True)]
    return (np.broadcast_to(x.reshape(shape), wide).reshape(sizes),)


OPERATORS: tuple[Operator, ...] = (
    Operator("Reshape", propose_reshape, reshape_shape, reshape_values, moved(reshape_values),
             parameters=("shape",), exact=True, weight=0.5),
    Operator("Identity", propose_one, same_shape, same_values, moved(same_values), exact=True, weight=0.5),
    Operator("Flatten", propose_flatten, flatten_shape, flatten_values, moved(flatten_values), exact=True),
    Operator("Squeeze", propose_squeeze, squeeze_shape, squeeze_values, moved(squeeze_values),
             parameters=("axes",), exact=True),
    Operator("Unsqueeze", propose_unsqueeze, unsqueeze_shape, unsqueeze_values, moved(unsqueeze_values),
             parameters=("axes",), exact=True, weight=0.25),
    Operator("Transpose", propose_transpose, transpose_shape, transpose_values, moved(transpose_values),
             exact=True),
    Operator("Expand", propose_expand, expand_shape, expand_values, moved(expand_values),
             parameters=("shape",), exact=True, weight=0.5),
    Operator("Tile", propose_tile, tile_shape, tile_values, moved(tile_values),
             parameters=("repeats",), exact=True),
)  # fmt: skip
