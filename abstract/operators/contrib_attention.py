"""Attention of the domain com.microsoft: of projections of one input, of three inputs, of groups of heads with a cache.

ONNX Runtime, docs/ContribOperators.md. What a mask shuts out gets ``mask_filter_value`` on top of its score, -10000 by
default: nothing is left of it next to a key that is open. Where a query has no open key, what comes out hangs on how
often the value was added; no text says.
"""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible, at_least, divisible
from abstract.dims import floor_div
from abstract.dtypes import BY_NAME
from abstract.error import is_exact
from abstract.operator import Array, Bound, Call, Domain, NotCovered, Operator, Run, Scope, Typing
from abstract.operators.attention import by_heads, softcapped, softmax_of
from abstract.operators.elementwise import FLOAT
from abstract.operators.transformer import rotated
from abstract.running import Algebra, Bounding, Exact, Quantity, Running, bounds_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from abstract.dims import Dim
    from abstract.dtypes import DType
    from abstract.graph import Value
    from abstract.schema import Signature
    from abstract.types import Shape

__all__ = ["OPERATORS"]

_MODERATE = Domain(-4.0, 4.0)
_INT32 = BY_NAME["int32"]
_SHUT = -1000.0  # a filter value above this would leave something of what it shuts out


# -- what is computed ----------------------------------------------------------------------------------------------


def _visible(run: Run, mask: Array | None, sizes: tuple[int, int, int], causal: Any) -> Array | None:
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


def _attended(
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


def _joined(k: Algebra, past: Quantity | None, fresh: Quantity) -> Quantity:
    return fresh if past is None else k.concatenate([past, fresh], 2)


def _rules(compute: Callable[[Algebra], tuple[Quantity, ...]], *exact: int) -> tuple[Any, Any]:
    """The evaluation and the error rule of steps; nothing is known where one of some operands may be another."""

    def evaluate(run: Run) -> tuple[Array, ...]:
        return compute(Exact(run))

    def error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
        if any(len(e) > i and not is_exact(e[i]) for i in exact):
            return tuple(np.inf for _ in y)
        return bounds_of(*compute(Bounding(run, e)))

    return evaluate, error


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
    return s.shaped((first, second, queries, keys), "T", domain=_MODERATE)


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
    x = s.tensor("T", kinds=FLOAT, rank=(3, 3), domain=_MODERATE, where=lambda v: 0 < v.array.size <= 256)
    batch, length, inner = x.type.shape
    params: dict[str, Any] = {"num_heads": heads, **_said(s, causal=True)}
    past = s.coin(0.3)
    width = size if past or s.coin(0.5) else s.integer(1, 4)
    if width != size or s.coin(0.2):
        params["qkv_hidden_sizes"] = (heads * size, heads * size, heads * width)
    wide = heads * (2 * size + width)
    w = s.shaped((inner, wide), "T", weight=True, domain=_MODERATE)
    bias = s.shaped((wide,), "T", weight=True, domain=_MODERATE)  # optional, and read by ONNX Runtime where it is not
    before: Dim = s.size(1, 4, "p") if past else 0
    keys = before + length
    mask = _mask(s, batch, length, keys) if s.coin(0.5) else None
    state = s.shaped((2, batch, heads, before, size), "T", domain=_MODERATE) if past else None
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
        parts[1:] = [_joined(k, past[i], part) for i, part in enumerate(parts[1:])]
    sizes = (run[0].shape[0], run[0].shape[1], parts[1].shape[2])
    open_ = _visible(run, run.optional(3), sizes, run.params.get("unidirectional", 0))
    result = _attended(k, (parts[0], parts[1], parts[2]), open_, k.operand(5), 0)
    return (result,) if len(run.output_dtypes) == 1 else (result, k.stack(parts[1:], 0))


# -- on three inputs -----------------------------------------------------------------------------------------------


def propose_multi_head(s: Scope) -> Call:
    """Keys and values as rows or by heads, a bias of the projections, a past, a mask of each form, present states."""
    x = s.tensor("T", kinds=FLOAT, rank=(3, 3), domain=_MODERATE, where=lambda v: 0 < v.array.size <= 256)
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
    inputs: list[Value | None] = [x, *(s.shaped(shape, "T", domain=_MODERATE) for shape in shapes)]
    wide = 2 * hidden + heads * width
    bias = not by_head and s.coin(0.4)
    inputs.append(s.shaped((wide,), "T", weight=True, domain=_MODERATE) if bias else None)
    before: Dim = s.size(1, 4, "p") if past else 0
    keys = before + fresh
    inputs.append(_mask(s, batch, queries, keys) if s.coin(0.5) else None)
    inputs.append(_scores_bias(s, batch, heads, queries, keys) if s.coin(0.3) else None)
    if past:
        inputs += [s.shaped((batch, heads, before, size), "T", domain=_MODERATE) for _ in range(2)]
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
        parts[i] = _joined(k, k.operand(5 + i), parts[i])
    sizes = (run[0].shape[0], run[0].shape[1], parts[1].shape[2])
    open_ = _visible(run, run.optional(4), sizes, run.params.get("unidirectional", 0))
    return (_attended(k, (parts[0], parts[1], parts[2]), open_, k.operand(5), 0), parts[1], parts[2])


# -- heads in groups -----------------------------------------------------------------------------------------------


def propose_grouped(s: Scope) -> Call:
    """Heads of 8 or 16, packed or not; a first prompt, or more of it after a past; rotary positions or none."""
    others, rotary = s.integer(1, 2), s.coin(0.4)
    heads, size = others * s.integer(1, 2), 16 if rotary else 8
    s.dtype("T", FLOAT)
    past = s.coin(0.5)
    length: Dim = s.size(1, 4, "l")
    many = past and s.store.value(length) > 1  # then for one sample alone
    batch: Dim = 1 if many else s.size(1, 3, "n")
    before: Dim = s.size(1, 4, "p") if past else 0
    packed = s.coin(0.3)
    widths = ((heads + 2 * others) * size,) if packed else (heads * size, others * size, others * size)
    inputs: list[Value | None] = [s.shaped((batch, length, w), "T", domain=_MODERATE) for w in widths]
    inputs += [None] * (3 - len(inputs))
    own = inputs[0].type.dtype if inputs[0] is not None else None
    inputs += [s.of(own, (batch, others, before, size)) for _ in range(2)] if past and own else [None, None]
    total = before + length
    counts = np.full(s.store.value(batch), s.store.value(total) - 1)
    inputs.append(s.constant(counts, _INT32))
    params: dict[str, Any] = {"num_heads": heads, "kv_num_heads": others, "total_sequence_length": total}
    if rotary:
        rows = s.store.value(total) + s.integer(0, 2)
        inputs += [s.shaped((rows, 8), "T", weight=True, domain=_MODERATE) for _ in range(2)]
        params["do_rotary"] = 1
        if s.coin(0.5):
            params["rotary_interleaved"] = s.integer(0, 1)
    if s.coin(0.3):
        params["scale"] = s.pick((0.125, 0.25, 0.5))
    if s.coin(0.2):
        params["softcap"] = s.pick((0.5, 2.0, 8.0))
    return Call(tuple(inputs), params, 3, frozenset())


def grouped_shape(t: Typing) -> tuple[Shape, ...]:
    """(batch, length, width of all heads); the states hold as many keys as there are in all."""
    (batch, length, hidden), total = t[0], t.params["total_sequence_length"]
    heads, others = int(t.params["num_heads"]), int(t.params["kv_num_heads"])
    packed = len(t.shapes) < 2 or t.shapes[1] is None
    count = heads + 2 * others if packed else heads
    t.store.require(divisible(hidden, count))
    size = floor_div(hidden, count)
    pairs: list[tuple[Dim, Dim]] = [(t[5][0], batch)]
    for position in () if packed else (1, 2):
        pairs += zip(t[position], (batch, length, others * size), strict=True)
    past = t.shapes[3] if len(t.shapes) > 3 else None
    keys: Dim = length
    if past is not None:
        keys = past[2] + length
        for position in (3, 4):
            pairs += zip(t[position], (batch, others, past[2], size), strict=True)
    pairs.append((total, keys))
    for mine, theirs in pairs:
        t.store.unify(mine, theirs)
    state = (batch, others, keys, size)
    return ((batch, length, heads * size), state, state)[: t.outputs]


def _grouped_types(t: Typing, sign: Signature) -> tuple[DType, ...]:
    """All of the query's, which are those of the cache where it is not quantised."""
    del sign
    own = t.dtypes[0]
    if own is None or any(d not in (None, own) for d in t.dtypes[3:5]):
        raise NotCovered("GroupQueryAttention with a quantised cache")
    return (own,) * 4


_UNUSUAL = {"local_window_size": -1, "sliding_window_cache": 0, "qk_output": 0, "causal": 1}


def _turned(k: Algebra, x: Quantity, before: int) -> Quantity:
    """What has rotary positions after what came before; ``x`` is by heads."""
    run = k.run
    places = np.broadcast_to(before + np.arange(x.shape[2]), (x.shape[0], x.shape[2]))
    value, error = (x.value, x.error) if isinstance(x, Running) else (x, 0.0)
    params = {"interleaved": run.params.get("rotary_interleaved", 0), "rotary_embedding_dim": 2 * run[6].shape[1]}
    inner = replace(run, inputs=(value, run[6], run[7], places), params=params)
    if isinstance(k, Bounding):
        return rotated(Bounding(inner, (error, k.errors[6], k.errors[7], 0.0)))
    return rotated(Exact(inner))


def _grouped(k: Algebra) -> tuple[Quantity, ...]:
    run, params = k.run, k.run.params
    heads, others = int(params["num_heads"]), int(params["kv_num_heads"])
    unusual = any(params.get(name, usual) != usual for name, usual in _UNUSUAL.items())
    if unusual or params.get("smooth_softmax", -1) > 0:
        raise NotCovered("GroupQueryAttention with windows, or a smooth softmax")
    if any(run.optional(i) is not None for i in range(8, 16)):  # one fewer than the text has: a length is a parameter
        raise NotCovered("GroupQueryAttention with positions, biases or a quantised cache")
    query = k.operand(0)
    if run.optional(1) is None:
        size = query.shape[-1] // (heads + 2 * others)
        parts = [query[..., : heads * size], query[..., heads * size : (heads + others) * size],
                 query[..., (heads + others) * size :]]  # fmt: skip
    else:
        parts = [query, k.operand(1), k.operand(2)]
    parts = [by_heads(x, count) for x, count in zip(parts, (heads, others, others), strict=True)]
    past = run.optional(3)
    before = 0 if past is None else past.shape[2]
    total = before + query.shape[1]
    if int(params["total_sequence_length"]) != total or np.any(run[5] != total - 1):
        raise NotCovered("GroupQueryAttention on a buffer that is not full")
    if params.get("do_rotary", 0):
        parts[:2] = [_turned(k, x, before) for x in parts[:2]]
    for i in (1, 2):
        parts[i] = _joined(k, k.operand(2 + i), parts[i])
    open_ = _visible(run, None, (query.shape[0], query.shape[1], total), 1)
    return (_attended(k, (parts[0], parts[1], parts[2]), open_, None, 0), parts[1], parts[2])


# -- rotary positions ----------------------------------------------------------------------------------------------


def propose_rotary(s: Scope) -> Call:
    """Three axes or four, all of a head or its first part; a position for each, or that of the first."""
    x = s.tensor("T", kinds=FLOAT, rank=(3, 4), domain=_MODERATE,
                 where=lambda v: v.array.size > 0 and v.array.shape[-1] % 2 == 0)  # fmt: skip
    shape, params = x.type.shape, {}
    size: Dim = shape[-1]
    if len(shape) == 3:
        hidden = s.store.value(shape[2])
        options = [h for h in range(1, hidden + 1) if hidden % h == 0 and hidden // h % 2 == 0]
        if not options:
            raise Infeasible("no head of even size")
        heads = s.pick(options)
        size = floor_div(shape[2], heads)
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


def _row(name: str, propose: Any, shape: Any, compute: Any, *exact: int, **more: Any) -> Operator:
    evaluate, error = _rules(compute, *exact)
    return Operator(f"com.microsoft.{name}", propose, shape, evaluate, error, **more)


OPERATORS: tuple[Operator, ...] = (
    _row("Attention", propose_attention, projected_shape, _projected, 3),
    _row("MultiHeadAttention", propose_multi_head, multi_head_shape, _multi_head, 4),
    _row("GroupQueryAttention", propose_grouped, grouped_shape, _grouped, 5, parameters=("total_sequence_length",),
         output_dtypes=_grouped_types),
    _row("RotaryEmbedding", propose_rotary, rotary_shape, _rotary, 1),
)
