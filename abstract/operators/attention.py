"""Attention: queries against keys, a softmax over those that may be seen, and what it makes of the values.

The text of the newest version is what is computed for all (docs/disputes.md, hazards ``masked-query`` and
``causal-alignment``: errata changed it without a new version). Version 24 added the lengths of a cache that is kept
outside (``nonpad_kv_seqlen``), version 25 windows.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible, at_least, divisible
from abstract.dims import floor_div
from abstract.dtypes import BY_CODE, BY_NAME, Kind
from abstract.error import is_exact, step_unit, summation
from abstract.operator import Array, Bound, Call, Domain, NotCovered, Operator, Run, Scope, Typing
from abstract.operators.broadcast import broadcast_shape
from abstract.operators.elementwise import FLOAT
from abstract.running import Algebra, Bounding, Exact, Quantity, Running, bounds_of

if TYPE_CHECKING:
    from abstract.dims import Dim
    from abstract.graph import Value
    from abstract.types import Shape

__all__ = ["OPERATORS", "admitted", "by_heads", "softcapped", "softmax_of", "unsettled_rows"]

_MODERATE = Domain(-4.0, 4.0)
_LONGEST = 8
_MASK, _PAST_KEY, _PAST_VALUE, _FILLED = 3, 4, 5, 6


# -- what is computed ------------------------------------------------------------------------------------------


def by_heads(x: Quantity, count: int) -> Quantity:
    """(batch, length, heads * size) as (batch, heads, length, size)."""
    return x.reshape(x.shape[0], x.shape[1], count, -1).transpose(0, 2, 1, 3)


def _split(k: Algebra) -> tuple[Quantity, Quantity, Quantity]:
    """Query, key and value by heads, the past before the new."""
    params, parts = k.run.params, [k.operand(i) for i in range(3)]
    if parts[0].ndim == 3:
        query, other = params.get("q_num_heads"), params.get("kv_num_heads")
        if not query or not other:
            raise NotCovered("Attention on three axes without numbers of heads")
        parts = [by_heads(x, count) for x, count in zip(parts, (query, other, other), strict=True)]
    if parts[0].ndim != 4 or len({d for d in k.run.dtypes[:3] if d is not None}) > 1:
        raise NotCovered("Attention of other ranks, or on several types")
    for i, position in enumerate((_PAST_KEY, _PAST_VALUE), 1):
        past = k.operand(position)
        if past is not None:
            parts[i] = k.concatenate([past, parts[i]], 2)
    return parts[0], parts[1], parts[2]


def _lengths(run: Run) -> tuple[int, int, int]:
    """How many queries there are, keys in the past, and keys in all."""
    past = run.optional(_PAST_KEY)
    before = 0 if past is None else past.shape[2]
    return run[0].shape[-2], before, before + run[1].shape[-2]


def admitted(run: Run) -> Array | None:
    """Which keys each query may attend to, so that it broadcasts to (batch, heads, queries, keys); None: to all.

    A mask that is too short shuts out what lies beyond it; -inf in a mask of numbers shuts out as well.
    """
    queries, _, keys = _lengths(run)
    params, mask, filled = run.params, run.optional(_MASK), run.optional(_FILLED)
    at: Any = np.arange(keys)
    open_: list[Array] = []
    if mask is not None:
        seen = mask if mask.dtype == np.bool_ else ~np.isneginf(mask)
        short = keys - seen.shape[-1]
        open_.append(np.pad(seen, [(0, 0)] * (seen.ndim - 1) + [(0, short)]) if short else seen)
    if filled is not None:
        open_.append(at < filled.reshape(-1, 1, 1, 1))
    here = np.arange(queries)[:, None] + _offset(run)
    left, right = params.get("left_window_size", -1), params.get("right_window_size", -1)
    if params.get("is_causal", 0):
        open_.append(at <= here)
    if left >= 0:
        open_.append(here - at <= left)
    if right >= 0:
        open_.append(at - here <= right)
    result = None
    for part in open_:
        result = part if result is None else result & part
    return result


def _offset(run: Run) -> Any:
    """How many keys come before the first query's own."""
    queries, before, _ = _lengths(run)
    filled = run.optional(_FILLED)
    return before if filled is None or run.optional(_PAST_KEY) is not None else filled.reshape(-1, 1, 1, 1) - queries


def unsettled_rows(run: Run) -> Array:
    """The queries, so that they broadcast to (batch, heads, queries, 1), of which releases of the text differ.

    Where the causal frontier starts: after what came before (now), top left, or bottom right of all keys.
    """
    queries, _, keys = _lengths(run)
    here, at = np.arange(queries)[:, None], np.arange(keys)
    seen = at <= here + _offset(run)
    other = (seen != (at <= here)) | (seen != (at <= here + (keys - queries)))
    return np.asarray(other.any(axis=-1, keepdims=True))


def _addend(k: Algebra, keys: int) -> Quantity | None:
    """A mask of numbers, as long as the keys, 0 where it shuts out; None for a mask of booleans."""
    mask = k.run.optional(_MASK)
    if mask is None or mask.dtype == np.bool_:
        return None
    if mask.dtype.kind != "f":
        raise NotCovered("Attention with a mask of whole numbers")
    quantity = k.operand(_MASK)
    quantity = k.where(~np.isneginf(mask), quantity, k.constant(np.zeros(())))
    short = keys - mask.shape[-1]
    nothing = k.constant(np.zeros((*mask.shape[:-1], short)))
    return k.concatenate([quantity, nothing], -1) if short else quantity


def _exponentials(x: Array, open_: Array | None) -> tuple[Array, Array]:
    """Scores less the greatest of their row, and the exponentials of that; a row without any is all 0."""
    seen = x if open_ is None else np.where(open_, x, x.dtype.type(-np.inf))
    greatest = seen.max(axis=-1, keepdims=True)
    shifted = seen - np.where(np.isneginf(greatest), x.dtype.type(0), greatest)
    return shifted, np.exp(shifted)


def softmax_of(k: Algebra, scores: Quantity, open_: Array | None) -> Quantity:
    """The softmax of each row over the keys that are open.

    Relative: expm1 of the change in log, and (16 + 2 n + n-term sum)(1 + |x - max|) u, where 2 n is what it costs to
    meet the keys one after another and to rescale (Milakov and Gimelshein, Online normalizer calculation for softmax,
    2018). A coarser ``softmax_precision`` rounds the scores as well.
    """
    x = scores.value if isinstance(k, Bounding) else scores
    shifted, powers = _exponentials(x, open_)
    total = k.run.arithmetic.sum(powers, (powers.ndim - 1,), keepdims=True)
    y = powers / np.where(total == 0, x.dtype.type(1), total)
    if not isinstance(k, Bounding):
        return y
    run, count = k.run, x.shape[-1]
    stage = BY_CODE.get(run.params.get("softmax_precision") or 0, run.dtypes[0])
    unit = max(step_unit(run, run.dtypes[0]), step_unit(run, stage))
    factor = max(summation(run, count, run.dtypes[0]), summation(run, count, stage)) + (2 * count + 16) * unit
    own = scores.error + np.abs(x) * unit
    if stage is not None:
        own = np.where(np.abs(x) <= stage.maximum, own, np.inf)
    shut = np.zeros(y.shape, bool) if open_ is None else ~np.broadcast_to(open_, y.shape)
    own = np.where(shut, 0.0, own)
    relative = (1 + np.where(shut, 0.0, np.abs(shifted))) * factor
    relative = relative + np.expm1(own + own.max(axis=-1, keepdims=True)) * (1 + relative)
    return Running(y, np.where(shut, 0.0, y * relative + 4 * k.steps.tiny), k.steps)


def softcapped(k: Algebra, scores: Quantity) -> Quantity:
    """The scores brought between -softcap and softcap by tanh, where there is one."""
    cap = k.run.params.get("softcap") or 0.0
    if cap <= 0:
        return scores
    return k.function("Tanh", np.tanh, scores * k.coefficient(1 / cap, 2)) * k.coefficient(cap)


def _attention(k: Algebra) -> tuple[Quantity, Quantity, Quantity, Quantity]:
    """The result, the keys and values of past and present, and the scores at the stage that is asked for."""
    run = k.run
    query, key, value = _split(k)
    groups = query.shape[1] // key.shape[1]
    if groups * key.shape[1] != query.shape[1]:
        raise NotCovered("Attention with heads that do not divide")
    keys, values = (key, value) if groups == 1 else (key.repeat(groups, 1), value.repeat(groups, 1))
    scale = run.params.get("scale") or 1 / sqrt(query.shape[-1])
    # By the text each factor is multiplied by the root of the scale, which is rounded; most scale once.
    raw = k.total(k.product(query, keys.swapaxes(2, 3), 0, 1)) * k.coefficient(scale, 8)
    capped, open_ = softcapped(k, raw), admitted(run)
    addend = _addend(k, key.shape[2])
    biased = capped if addend is None else capped + addend
    chances = softmax_of(k, biased, open_)
    shut = biased if open_ is None else k.where(open_, biased, k.constant(np.full((), -np.inf)))
    stage = (raw, capped, shut, chances)[int(run.params.get("qk_matmul_output_mode", 0))]
    y = k.total(k.product(chances, values, 0, 2))
    if run[0].ndim == 3:
        y = y.transpose(0, 2, 1, 3).reshape(*run[0].shape[:2], -1)
    return y, key, value, stage


def attention(run: Run) -> tuple[Array, ...]:
    """See the module."""
    return _attention(Exact(run))


def attention_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The steps' own; nothing is known where lengths or a mask of booleans may be others."""
    mask = run.optional(_MASK)
    unsure = [i for i in (_MASK, _FILLED) if len(e) > i and not is_exact(e[i])]
    if unsure and (unsure != [_MASK] or mask is None or mask.dtype == np.bool_):
        return tuple(np.inf for _ in y)
    return bounds_of(*_attention(Bounding(run, e)))


# -- shapes ----------------------------------------------------------------------------------------------------


def _layout(t: Typing) -> tuple[Dim, Dim, Dim, Dim, Dim]:
    """Heads of the query, heads of the key, size of a head, size of a value's head, new keys."""
    query, key, value = t[0], t[1], t[2]
    if len(query) == 4:
        return query[1], key[1], query[3], value[3], key[2]
    count, other = int(t.params.get("q_num_heads") or 0), int(t.params.get("kv_num_heads") or 0)
    if len(query) != 3 or not count or not other:
        raise Infeasible("three axes need numbers of heads")
    for shape, heads in ((query, count), (key, other), (value, other)):
        t.store.require(divisible(shape[2], heads))
    t.store.unify(floor_div(query[2], count), floor_div(key[2], other))
    return count, other, floor_div(query[2], count), floor_div(value[2], other), key[1]


def attention_shape(t: Typing) -> tuple[Shape, ...]:
    """As many rows as the query has, as wide as the values; present states hold past and new keys."""
    query, key, value = t[0], t[1], t[2]
    heads, others, size, width, fresh = _layout(t)
    past = t.shapes[_PAST_KEY] if len(t.shapes) > _PAST_KEY else None
    batch, queries = query[0], query[-2]
    before: Dim = 0 if past is None else past[2]
    keys = before + fresh
    t.store.require(divisible(heads, others))
    t.store.unify(key[-2], value[-2])
    pairs = [(batch, key[0]), (batch, value[0])]
    if len(query) == 4:
        pairs += [(others, value[1]), (size, key[3])]
    for position, last in ((_PAST_KEY, size), (_PAST_VALUE, width)):
        shape = t.shapes[position] if len(t.shapes) > position else None
        if shape is not None:
            pairs += zip(shape, (batch, others, before, last), strict=True)
    if len(t.shapes) > _FILLED and t.shapes[_FILLED] is not None:
        pairs.append((t[_FILLED][0], batch))
    for mine, theirs in pairs:
        t.store.unify(mine, theirs)
    scores: Shape = (batch, heads, queries, keys)
    if len(t.shapes) > _MASK and t.shapes[_MASK] is not None:
        _fit_mask(t, t[_MASK], scores)
    y: Shape = (batch, queries, heads * width) if len(query) == 3 else (batch, heads, queries, width)
    return (y, (batch, others, keys, size), (batch, others, keys, width), scores)[: t.outputs]


def _fit_mask(t: Typing, mask: Shape, scores: Shape) -> None:
    """A mask broadcasts to the scores; its last axis is as long as theirs or shorter."""
    if not 1 <= len(mask) <= 4:
        raise Infeasible("a mask of another rank")
    if t.store.value(mask[-1]) == t.store.value(scores[-1]):
        t.store.unify(mask[-1], scores[-1])
    t.store.require(at_least(scores[-1], mask[-1]))
    for mine, theirs in zip(scores[:3], broadcast_shape(t.store, scores[:3], mask[:-1]), strict=True):
        t.store.unify(mine, theirs)


# -- calls -----------------------------------------------------------------------------------------------------


def _small(value: Value) -> bool:
    return value.array.size > 0 and max(value.array.shape) <= _LONGEST


def _divisor(s: Scope, number: int) -> int:
    return int(s.pick([d for d in range(1, number + 1) if number % d == 0]))


def _mask(s: Scope, scores: Shape) -> Value:
    """Booleans that leave each query a key, or numbers; of two to four axes, any of the first ones 1."""
    rank = s.integer(2, 4)
    shape = [1 if s.coin(0.3) else d for d in scores[4 - rank : 3]]
    keys, style = s.store.value(scores[3]), s.integer(0, 9)
    last: Dim = scores[3]
    if s.signature.since >= 24 and keys > 2 and style == 0:
        last = s.size(2, keys - 1, "m")
    if style < 5:
        return s.shaped((*shape, last), "T1", domain=_MODERATE)
    if style == 5 and any(d.kind is Kind.BOOL for d in s.signature.types["U"]):
        s.dtype("U", (Kind.BOOL,))
        return s.shaped((*shape, last), "U")
    sizes = [s.store.value(d) for d in shape]
    open_ = np.zeros((*sizes, keys), bool)
    for row in np.ndindex(*sizes):
        open_[row] = [bool(s.integer(0, 1)) for _ in range(keys)]
        open_[(*row, s.integer(0, min(keys - 1, row[-1])))] = True  # one that a causal query may see
    return s.constant(open_, BY_NAME["bool"])


def _filled(s: Scope, batch: Dim, keys: Dim) -> Value:
    """How much of each sample's cache is filled."""
    count = s.store.value(keys)
    if s.coin(0.5):
        return s.constant(np.asarray([s.integer(1, count) for _ in range(s.store.value(batch))]), BY_NAME["int64"])
    return s.shaped((batch,), "tensor(int64)", domain=Domain(1.0, float(count)))


def _attributes(s: Scope) -> dict[str, Any]:
    params: dict[str, Any] = {}
    if s.coin(0.3):
        params["scale"] = s.pick((0.125, 0.25, 0.5, 1.0, float(np.float32(0.3))))
    if s.coin(0.3):
        params["softcap"] = s.pick((0.0, 0.5, 2.0, 8.0))
    if s.coin(0.15):
        params["softmax_precision"] = s.pick((1, 1, 10, 11, 16))
    for side in ("left_window_size", "right_window_size"):
        if side in s.signature.attributes and s.coin(0.25):
            params[side] = s.integer(-1, 3) if side[0] == "r" else s.pick((-1, 0, 1, 2))
    return params


def propose_attention(s: Scope) -> Call:
    """Three axes or four, heads in groups, a mask, a past or a cache outside, causal where all texts agree on it."""
    query = s.tensor("T1", kinds=FLOAT, rank=(3, 4), domain=_MODERATE, where=_small)
    shape, params = query.type.shape, _attributes(s)
    batch, queries, four = shape[0], shape[-2], len(shape) == 4
    count: Dim = shape[1] if four else _divisor(s, s.store.value(shape[2]))
    others: Dim = count if s.coin(0.4) else _divisor(s, s.store.value(count))
    size = shape[3] if four else floor_div(shape[2], count)
    width, same = s.size(1, 4, "v"), s.coin(0.5)
    fresh: Dim = queries if same else s.size(1, 6, "k")
    if not four:
        params |= {"q_num_heads": count, "kv_num_heads": others}
    s.store.require(divisible(count, others))
    form: Any = (lambda last: (batch, others, fresh, last)) if four else (lambda last: (batch, fresh, others * last))
    inputs: list[Value | None] = [query, s.shaped(form(size), "T1", domain=_MODERATE),
                                  s.shaped(form(width), "T1", domain=_MODERATE)]  # fmt: skip
    style = s.integer(0, 9)
    before: Dim = s.size(1, 4, "p") if style < 3 else 0
    if same and style >= 5 and s.coin(0.5):
        params["is_causal"] = 1
    inputs.append(_mask(s, (batch, count, queries, before + fresh)) if s.coin(0.5) else None)
    outputs, absent = 1, frozenset[int]()  # all that are made, then: past and present "shall be used together"
    if style < 3:
        inputs += [s.shaped((batch, others, before, last), "T1", domain=_MODERATE) for last in (size, width)]
        outputs = s.pick((3, 4))
    elif style == 3 and s.signature.since >= 24:
        inputs += [None, None, _filled(s, batch, fresh)]
    elif style == 4:
        outputs, absent = 4, frozenset((1, 2))
    if outputs == 4:
        params["qk_matmul_output_mode"] = s.integer(0, 3)
    return Call(tuple(inputs), params, outputs, absent)


OPERATORS: tuple[Operator, ...] = (
    Operator("Attention", propose_attention, attention_shape, attention, attention_error, since=23),
)
