"""Attention of the domain com.microsoft: of projections of one input, of three inputs; what its other forms share.

ONNX Runtime, docs/ContribOperators.md. What a mask shuts out gets ``mask_filter_value`` on top of its score, -10000 by
default: nothing is left of it next to a key that is open. Where a query has no open key, what comes out hangs on how
often the value was added; no text says.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible, divisible
from abstract.dims import floor_div
from abstract.dtypes import BY_NAME
from abstract.operator import Array, Call, Domain, NotCovered, Operator, Run, Scope, Typing
from abstract.operators.attention import by_heads, softcapped, softmax_of
from abstract.operators.elementwise import FLOAT
from abstract.running import Algebra, Bounding, Quantity, Running, rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abstract.dims import Dim
    from abstract.graph import Value
    from abstract.types import Shape

__all__ = ["MODERATE", "OPERATORS", "attended", "joined", "visible"]

MODERATE = Domain(-4.0, 4.0)
_INT32 = BY_NAME["int32"]
_SHUT = -1000.0  # a filter value above this would leave something of what it shuts out


# -- what is computed ----------------------------------------------------------------------------------------------


def visible(run: Run, mask: Array | None, sizes: tuple[int, int, int], causal: Any) -> Array | None:
    """Which keys each query sees, (batch or 1, 1, queries or 1, keys); None: all.

    A mask is 1 or 0 for each key, or for each query and key; or it has the number of keys of each sample.
    """
    batch, queries, keys = sizes
    open_: Any = None
    if mask is not None:
        if float(run.params.get("mask_filter_value", -10000.0)) > _SHUT:
            raise NotCovered("a mask that leaves something of what it shuts out")
        if mask.shape == (batch,):
            open_ = (np.arange(keys) < mask[:, None])[:, None, None]
        elif mask.shape == (batch, keys):
            open_ = (mask != 0)[:, None, None]
        elif mask.shape == (batch, queries, keys):
            open_ = (mask != 0)[:, None]
        else:
            raise NotCovered("a mask of another form")
    if causal:
        seen = (np.arange(keys) <= np.arange(queries)[:, None] + (keys - queries))[None, None]
        open_ = seen if open_ is None else open_ & seen
    return open_ if open_ is None else np.asarray(open_)


def attended(
    k: Algebra, parts: tuple[Quantity, Quantity, Quantity], open_: Array | None, bias: Quantity | None, at: int
) -> Quantity:
    """(batch, queries, heads * size) of query, key and value by heads; keys and values serve groups of heads.

    ``at`` is the operand that the factors stem from.
    """
    query, key, value = parts
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat(groups, 1), value.repeat(groups, 1)
    scale = k.run.params.get("scale") or 1 / sqrt(query.shape[-1])
    scores = softcapped(k, k.total(k.product(query, key.swapaxes(2, 3), at, at)) * k.coefficient(scale, 8))
    scores = scores if bias is None else scores + bias
    y = k.total(k.product(softmax_of(k, scores, open_), value, at, at))
    if open_ is not None and isinstance(k, Bounding):
        none = ~np.broadcast_to(open_.any(axis=-1, keepdims=True), y.shape)
        y = Running(y.value, np.where(none, np.inf, y.error), y.steps)
    batch, _, queries, _ = y.shape
    return y.transpose(0, 2, 1, 3).reshape(batch, queries, -1)


def joined(k: Algebra, past: Quantity | None, fresh: Quantity) -> Quantity:
    """Keys or values, by heads, behind those of the past."""
    return fresh if past is None else k.concatenate([past, fresh], 2)


def _fit(t: Typing, mask: int, bias: int, scores: Shape) -> None:
    """A mask and what is added to the scores, at their positions, have sizes of (batch, heads, queries, keys)."""
    batch, _, queries, keys = scores
    given = t.shapes[mask] if len(t.shapes) > mask else None
    if given is not None:
        for mine, theirs in zip(given, ((batch,), (batch, keys), (batch, queries, keys))[len(given) - 1], strict=True):
            t.store.unify(mine, theirs)
    added = t.shapes[bias] if len(t.shapes) > bias else None
    if added is not None:
        for mine, theirs in zip(added, scores, strict=True):
            if t.store.value(mine) != 1:
                t.store.unify(mine, theirs)


# -- operands ------------------------------------------------------------------------------------------------------


def _divisor(s: Scope, number: int) -> int:
    return int(s.pick([d for d in range(1, number + 1) if number % d == 0]))


def _mask(s: Scope, batch: Dim, queries: Dim, keys: Dim) -> Value:
    """A mask of each form, in which each query sees the first key at least."""
    sizes = tuple(map(s.store.value, (batch, queries, keys)))
    style = s.integer(0, 2)
    if style == 0:
        return s.constant(np.array([s.integer(1, sizes[2]) for _ in range(sizes[0])]), _INT32)
    shape = (sizes[0], sizes[2]) if style == 1 else sizes
    ones = np.ones(shape, np.int64)
    for row in np.ndindex(*shape[:-1]):
        ones[row][1:] = [s.integer(0, 1) for _ in range(sizes[2] - 1)]
    return s.constant(ones, _INT32)


def _scores_bias(s: Scope, batch: Dim, heads: Dim, queries: Dim, keys: Dim) -> Value:
    first: Dim = 1 if s.coin(0.4) else batch
    second: Dim = 1 if s.coin(0.4) else heads
    return s.shaped((first, second, queries, keys), "T", domain=MODERATE)


def _said(s: Scope, *, causal: bool) -> dict[str, Any]:
    params: dict[str, Any] = {}
    if s.coin(0.3):
        params["scale"] = s.pick((0.125, 0.25, 0.5, 1.0, float(np.float32(0.3))))
    if causal and s.coin(0.4):
        params["unidirectional"] = s.integer(0, 1)
    if s.coin(0.15):
        params["mask_filter_value"] = s.pick((-10000.0, -5000.0))
    return params


# -- projected from one input --------------------------------------------------------------------------------------


def propose_attention(s: Scope) -> Call:
    """Values as wide as queries or not, a past or none, a mask of each form, a bias of the scores without a past."""
    heads, size = s.integer(1, 3), s.integer(1, 4)
    x = s.tensor("T", kinds=FLOAT, rank=(3, 3), domain=MODERATE, where=lambda v: 0 < v.array.size <= 256)
    batch, length, inner = x.type.shape
    params: dict[str, Any] = {"num_heads": heads, **_said(s, causal=True)}
    past = s.coin(0.3)
    width = size if past or s.coin(0.5) else s.integer(1, 4)
    if width != size or s.coin(0.2):
        params["qkv_hidden_sizes"] = (heads * size, heads * size, heads * width)
    wide = heads * (2 * size + width)
    w = s.shaped((inner, wide), "T", weight=True, domain=MODERATE)
    bias = s.shaped((wide,), "T", weight=True, domain=MODERATE)  # optional, and read by ONNX Runtime where it is not
    before: Dim = s.size(1, 4, "p") if past else 0
    keys = before + length
    mask = _mask(s, batch, length, keys) if s.coin(0.5) else None
    state = s.shaped((2, batch, heads, before, size), "T", domain=MODERATE) if past else None
    extra = _scores_bias(s, batch, heads, length, keys) if not past and s.coin(0.4) else None
    outputs = 2 if past or (width == size and s.coin(0.3)) else 1
    return Call((x, w, bias, mask, state, extra), params, outputs, frozenset())


def _widths(t: Typing) -> tuple[Dim, Dim, Dim]:
    """The widths of all queries, keys and values."""
    given = t.params.get("qkv_hidden_sizes")
    if given:
        return given[0], given[1], given[2]
    third = floor_div(t[1][1], 3)
    t.store.require(divisible(t[1][1], 3))
    return third, third, third


def projected_shape(t: Typing) -> tuple[Shape, ...]:
    """(batch, length, width of the values), and the state of all keys and values."""
    batch, length, inner = t[0]
    query, _, value = _widths(t)
    heads = int(t.params["num_heads"])
    for width in (query, value):
        t.store.require(divisible(width, heads))
    t.store.unify(inner, t[1][0])
    past = t.shapes[4] if len(t.shapes) > 4 else None
    keys = length
    if past is not None:
        keys = past[3] + length
        for mine, theirs in zip(past, (2, batch, heads, past[3], floor_div(query, heads)), strict=True):
            t.store.unify(mine, theirs)
    _fit(t, 3, 5, (batch, heads, length, keys))
    return ((batch, length, value), (2, batch, heads, keys, floor_div(query, heads)))[: t.outputs]


def _projected(k: Algebra) -> tuple[Quantity, ...]:
    run, heads = k.run, int(k.run.params["num_heads"])
    if run.params.get("do_rotary") or run.params.get("past_present_share_buffer") or run.optional(6) is not None:
        raise NotCovered("Attention with rotary positions or a shared buffer")
    y, bias = k.total(k.product(k.operand(0), k.operand(1), 0, 1)), k.operand(2)
    y = y if bias is None else y + bias
    third = y.shape[-1] // 3
    one, two, _ = run.params.get("qkv_hidden_sizes") or (third, third, third)
    parts = [by_heads(part, heads) for part in (y[..., :one], y[..., one : one + two], y[..., one + two :])]
    past = k.operand(4)
    if past is not None:
        parts[1:] = [joined(k, past[i], part) for i, part in enumerate(parts[1:])]
    sizes = (run[0].shape[0], run[0].shape[1], parts[1].shape[2])
    open_ = visible(run, run.optional(3), sizes, run.params.get("unidirectional", 0))
    result = attended(k, (parts[0], parts[1], parts[2]), open_, k.operand(5), 0)
    return (result,) if len(run.output_dtypes) == 1 else (result, k.stack(parts[1:], 0))


# -- on three inputs -----------------------------------------------------------------------------------------------


def propose_multi_head(s: Scope) -> Call:
    """Keys and values as rows or by heads, a bias of the projections, a past, a mask of each form, present states."""
    x = s.tensor("T", kinds=FLOAT, rank=(3, 3), domain=MODERATE, where=lambda v: 0 < v.array.size <= 256)
    batch, queries, hidden = x.type.shape
    heads = _divisor(s, s.store.value(hidden))
    s.store.require(divisible(hidden, heads))
    size = floor_div(hidden, heads)
    style = s.integer(0, 9)
    past = style < 3
    same = past or s.coin(0.4)
    fresh: Dim = queries if same else s.size(1, 6, "k")
    by_head = style == 3  # then both of one width
    width: Dim = size if past or by_head else s.size(1, 4, "v")
    if by_head:
        shapes: Sequence[Shape] = ((batch, heads, fresh, size), (batch, heads, fresh, width))
    else:
        shapes = ((batch, fresh, hidden), (batch, fresh, heads * width))
    inputs: list[Value | None] = [x, *(s.shaped(shape, "T", domain=MODERATE) for shape in shapes)]
    wide = 2 * hidden + heads * width
    bias = not by_head and s.coin(0.4)
    inputs.append(s.shaped((wide,), "T", weight=True, domain=MODERATE) if bias else None)
    before: Dim = s.size(1, 4, "p") if past else 0
    keys = before + fresh
    inputs.append(_mask(s, batch, queries, keys) if s.coin(0.5) else None)
    inputs.append(_scores_bias(s, batch, heads, queries, keys) if s.coin(0.3) else None)
    if past:
        inputs += [s.shaped((batch, heads, before, size), "T", domain=MODERATE) for _ in range(2)]
    params = {"num_heads": heads, **_said(s, causal=same)}
    return Call(tuple(inputs), params, 3 if past or (not by_head and s.coin(0.3)) else 1, frozenset())


def multi_head_shape(t: Typing) -> tuple[Shape, ...]:
    """(batch, queries, width of the values); the states by heads."""
    (batch, queries, hidden), heads = t[0], int(t.params["num_heads"])
    if len(t.shapes) < 3 or t.shapes[1] is None or t.shapes[2] is None:
        raise Infeasible("packed operands")
    key, value = t[1], t[2]
    size = floor_div(hidden, heads)
    t.store.require(divisible(hidden, heads))
    width: Dim = value[3] if len(value) == 4 else floor_div(value[2], heads)
    fresh = key[2] if len(key) == 4 else key[1]
    rows = value[2] if len(value) == 4 else value[1]
    pairs: list[tuple[Dim, Dim]] = [(key[0], batch), (value[0], batch), (rows, fresh)]
    if len(key) == 4:
        pairs += [(key[1], heads), (key[3], size), (value[1], heads)]
    else:
        pairs.append((key[2], hidden))
        t.store.require(divisible(value[2], heads))
    if len(t.shapes) > 3 and t.shapes[3] is not None:
        pairs.append((t[3][0], 2 * hidden + heads * width))
    past = t.shapes[6] if len(t.shapes) > 6 else None
    keys = fresh
    if past is not None:
        keys = past[2] + fresh
        for position, last in ((6, size), (7, width)):
            pairs += zip(t[position], (batch, heads, past[2], last), strict=True)
    for mine, theirs in pairs:
        t.store.unify(mine, theirs)
    _fit(t, 4, 5, (batch, heads, queries, keys))
    states = ((batch, heads, keys, size), (batch, heads, keys, width))
    return ((batch, queries, heads * width), *states)[: t.outputs]


def _multi_head(k: Algebra) -> tuple[Quantity, ...]:
    run, heads = k.run, int(k.run.params["num_heads"])
    if any(run.optional(i) is not None for i in (8, 9)) or len(run.output_dtypes) > 3:
        raise NotCovered("MultiHeadAttention on a shared buffer")
    if run.optional(1) is None or run.optional(2) is None or run[0].ndim != 3 or run[1].ndim == 5:
        raise NotCovered("MultiHeadAttention on packed operands")
    parts = [k.operand(i) for i in range(3)]
    bias = k.operand(3)
    if bias is not None:
        one, two = run[0].shape[-1], 2 * run[0].shape[-1]
        parts = [x + b for x, b in zip(parts, (bias[:one], bias[one:two], bias[two:]), strict=True)]
    parts = [by_heads(x, heads) if x.ndim == 3 else x for x in parts]
    for i in (1, 2):
        parts[i] = joined(k, k.operand(5 + i), parts[i])
    sizes = (run[0].shape[0], run[0].shape[1], parts[1].shape[2])
    open_ = visible(run, run.optional(4), sizes, run.params.get("unidirectional", 0))
    return (attended(k, (parts[0], parts[1], parts[2]), open_, k.operand(5), 0), parts[1], parts[2])


OPERATORS: tuple[Operator, ...] = (
    Operator("com.microsoft.Attention", propose_attention, projected_shape, *rules(_projected, 3)),
    Operator("com.microsoft.MultiHeadAttention", propose_multi_head, multi_head_shape, *rules(_multi_head, 4)),
)
