"""Attention of groups of heads with a cache, of the domain com.microsoft.

ONNX Runtime, docs/ContribOperators.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import divisible
from abstract.dims import floor_div
from abstract.dtypes import BY_NAME
from abstract.operator import Call, NotCovered, Operator, Scope, Typing
from abstract.operators.attention import by_heads
from abstract.operators.contrib_attention import MODERATE, attended, joined, visible
from abstract.operators.elementwise import FLOAT
from abstract.operators.transformer import rotated
from abstract.running import Algebra, Bounding, Exact, Quantity, Running, rules

if TYPE_CHECKING:
    from abstract.dims import Dim
    from abstract.dtypes import DType
    from abstract.graph import Value
    from abstract.schema import Signature
    from abstract.types import Shape

__all__ = ["OPERATORS"]

_INT32 = BY_NAME["int32"]


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
    inputs: list[Value | None] = [s.shaped((batch, length, w), "T", domain=MODERATE) for w in widths]
    inputs += [None] * (3 - len(inputs))
    own = inputs[0].type.dtype if inputs[0] is not None else None
    inputs += [s.of(own, (batch, others, before, size)) for _ in range(2)] if past and own else [None, None]
    total = before + length
    counts = np.full(s.store.value(batch), s.store.value(total) - 1)
    inputs.append(s.constant(counts, _INT32))
    params: dict[str, Any] = {"num_heads": heads, "kv_num_heads": others, "total_sequence_length": total}
    if rotary:
        rows = s.store.value(total) + s.integer(0, 2)
        inputs += [s.shaped((rows, 8), "T", weight=True, domain=MODERATE) for _ in range(2)]
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
    """What has rotary positions after what came before; ``x`` is by heads.

    It may be rounded to the operands' type even by who computes all else in a wider one: ONNX Runtime keeps both
    factors in buffers of that type (contrib_ops/cpu/bert/group_query_attention.cc), and one is an output.
    """
    run = k.run
    places = np.broadcast_to(before + np.arange(x.shape[2]), (x.shape[0], x.shape[2]))
    value, error = (x.value, x.error) if isinstance(x, Running) else (x, 0.0)
    params = {"interleaved": run.params.get("rotary_interleaved", 0), "rotary_embedding_dim": 2 * run[6].shape[1]}
    inner = replace(run, inputs=(value, run[6], run[7], places), params=params)
    if isinstance(k, Bounding):
        return _stored(rotated(Bounding(inner, (error, k.errors[6], k.errors[7], 0.0))), run.dtypes[0])
    return rotated(Exact(inner))


def _stored(x: Quantity, own: DType | None) -> Quantity:
    if not isinstance(x, Running) or own is None or own.unit <= x.steps.unit:
        return x
    return Running(x.value, x.error + (np.abs(x.value) + x.error) * own.unit + own.smallest_normal * own.unit, x.steps)


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
        parts[i] = joined(k, k.operand(2 + i), parts[i])
    open_ = visible(run, None, (query.shape[0], query.shape[1], total), 1)
    return (attended(k, (parts[0], parts[1], parts[2]), open_, None, 0), parts[1], parts[2])


OPERATORS: tuple[Operator, ...] = (
    Operator("com.microsoft.GroupQueryAttention", propose_grouped, grouped_shape, *rules(_grouped, 5),
             parameters=("total_sequence_length",), output_dtypes=_grouped_types),
)  # fmt: skip
