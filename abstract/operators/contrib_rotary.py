"""Rotary positions of the domain com.microsoft: ONNX's, with positions and caches in another order.

ONNX Runtime, docs/ContribOperators.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from abstract.constraints import at_least, divisible
from abstract.dims import floor_div
from abstract.dtypes import BY_NAME
from abstract.operator import Array, Call, Domain, NotCovered, Operator, Run, Scope, Typing
from abstract.operators.elementwise import FLOAT
from abstract.operators.transformer import even_heads, is_even, rotated
from abstract.running import Algebra, Bounding, Exact, Quantity, rules

if TYPE_CHECKING:
    from abstract.dims import Dim
    from abstract.types import Shape

__all__ = ["OPERATORS"]

_MODERATE = Domain(-4.0, 4.0)


def propose_rotary(s: Scope) -> Call:
    """Three axes or four, all of a head or its first part; a position for each, or that of the first."""
    x = s.tensor("T", kinds=FLOAT, rank=(3, 4), domain=_MODERATE, where=is_even)
    shape, params = x.type.shape, {}
    size: Dim = shape[-1]
    if len(shape) == 3:
        heads, size = even_heads(s, shape[2])
        if s.coin(0.5):
            params["num_heads"] = heads
    s.store.require(divisible(size, 2))
    width = size
    if s.coin(0.3):
        width = 2 * s.integer(1, s.store.value(size) // 2)
        params |= {"rotary_embedding_dim": width, "num_heads": params.get("num_heads", 0) or (
            heads if len(shape) == 3 else s.store.value(shape[1]))}  # fmt: skip
    if s.coin(0.5):
        params["interleaved"] = s.integer(0, 1)
    batch, length = shape[0], shape[-2] if len(shape) == 4 else shape[1]
    rows = s.store.value(length) + s.integer(0, 3)
    first = s.coin(0.4)
    if first:
        s.store.unify(length, s.store.value(length))  # more would go beyond the caches
    last = rows - s.store.value(length) if first else rows - 1
    sizes = (1,) if first else (s.store.value(batch), s.store.value(length))
    places = np.array([s.integer(0, last) for _ in range(int(np.prod(sizes)))]).reshape(sizes)
    caches = [s.shaped((rows, floor_div(width, 2)), "T", weight=True, domain=_MODERATE) for _ in range(2)]
    return Call((x, s.constant(places, BY_NAME["int64"]), *caches), params)


def _placed(run: Run) -> tuple[Array, int]:
    """The position of each, and how many heads there are."""
    x, places = run[0], run[1]
    length = x.shape[-2] if x.ndim == 4 else x.shape[1]
    if run.params.get("is_packed_batching", 0) or x.ndim not in (3, 4):
        raise NotCovered("RotaryEmbedding of packed samples")
    if places.ndim == 1:
        places = np.broadcast_to(places + np.arange(length), (x.shape[0], length))
    heads = int(run.params.get("num_heads") or 0) or (x.shape[-1] // (2 * run[2].shape[1]) if x.ndim == 3 else 0)
    return places, heads


def _rotary(k: Algebra) -> tuple[Quantity, ...]:
    places, heads = _placed(k.run)
    inner = replace(
        k.run, inputs=(k.run[0], k.run[2], k.run[3], places), params={**k.run.params, "num_heads": heads}
    )
    if isinstance(k, Bounding):
        return (rotated(Bounding(inner, (k.errors[0], k.errors[2], k.errors[3], 0.0))),)
    return (rotated(Exact(inner)),)


def rotary_shape(t: Typing) -> tuple[Shape, ...]:
    """The shape of the input; the caches have an angle for each pair of a head, or of its first part."""
    x, turned = t[0], 2 * t[2][1]
    part = t.params.get("rotary_embedding_dim") or 0
    size: Dim = x[-1]
    if len(x) == 3:
        heads = int(t.params.get("num_heads") or t.store.value(size) // t.store.value(turned))
        t.store.require(divisible(size, heads))
        size = floor_div(size, heads)
    t.store.unify(turned, part or size)
    if part:
        t.store.require(at_least(size, part))
    batch, length = x[0], x[-2] if len(x) == 4 else x[1]
    if len(t[1]) == 2:
        for mine, theirs in zip(t[1], (batch, length), strict=True):
            t.store.unify(mine, theirs)
    for mine, theirs in zip(t[2], t[3], strict=True):
        t.store.unify(mine, theirs)
    return (x,)


OPERATORS: tuple[Operator, ...] = (
    Operator("com.microsoft.RotaryEmbedding", propose_rotary, rotary_shape, *rules(_rotary, 1)),
)
