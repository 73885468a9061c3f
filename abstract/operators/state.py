"""Operators that carry a state from one piece of a sequence to the next: linear attention, causal convolution."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible, divisible
from abstract.dims import floor_div
from abstract.dtypes import BY_NAME
from abstract.operator import Array, Bound, Call, Domain, NotCovered, Operator, Run, Scope, Typing
from abstract.operators.elementwise import FLOAT, sigmoid
from abstract.running import Algebra, Bounding, Exact, Quantity, bounds_of, rules

if TYPE_CHECKING:
    from abstract.dims import Dim
    from abstract.dtypes import DType
    from abstract.graph import Value
    from abstract.schema import Signature
    from abstract.types import Shape

__all__ = ["OPERATORS"]

_KEY = Domain(-1.0, 1.0)  # the text wants keys of norm 1 where they correct the state
_MODERATE = Domain(-8.0, 8.0)
_DECAY = Domain(-4.0, 0.0)
_RATE = Domain(0.0, 1.0)
_LONGEST = 8
_RULES = (b"linear", b"gated", b"delta", b"gated_delta")
_GATED, _CORRECTED = _RULES[1::2], _RULES[2:]


def _small(value: Value) -> bool:
    return value.array.size > 0 and max(value.array.shape) <= _LONGEST


# -- linear attention ------------------------------------------------------------------------------------------


def _heads(x: Quantity, count: int) -> Quantity:
    """(batch, time, heads * size) as (batch, heads, time, size)."""
    return x.reshape(x.shape[0], x.shape[1], count, -1).transpose(0, 2, 1, 3)


def _attention(k: Algebra) -> tuple[Quantity, Quantity]:
    """What is read from the state after each step, and the last state.

    The sequence is followed step by step. Chunks computed in parallel are as good: where the steps here round a
    contribution to the state once more at each step that follows, those round it as it is scaled and summed.
    """
    run, params = k.run, k.run.params
    count, others, rule = int(params["q_num_heads"]), int(params["kv_num_heads"]), params["update_rule"]
    if rule not in _RULES or count % others:
        raise NotCovered(f"LinearAttention by rule {rule}")
    query, key, value = _heads(k.operand(0), count), _heads(k.operand(1), others), _heads(k.operand(2), others)
    state, decay, rate = k.operand(3), run.optional(4) is not None, run.optional(5) is not None
    if decay != (rule in _GATED) or rate != (rule in _CORRECTED):
        raise NotCovered("LinearAttention with operands of another rule")
    size, width = key.shape[3], value.shape[3]
    if state is None:
        state = k.constant(np.zeros((key.shape[0], others, size, width)))
    kept = k.function("Exp", np.exp, _heads(k.operand(4), others)) if decay else None
    share = k.operand(5).transpose(0, 2, 1) if rate else None
    scale = k.coefficient(float(params.get("scale", 0.0)) or 1 / sqrt(size), 3)
    rows = []
    for t in range(query.shape[2]):
        keys, new = key[:, :, t], value[:, :, t]
        if kept is not None:
            state = state * kept[:, :, t, :, None]
        if share is not None:
            seen = k.total(k.product(keys[:, :, None], state, 0, 1))[:, :, 0]
            new = share[:, :, t, None] * (new - seen)
        state = state + keys[..., None] * new[:, :, None]
        read = state if count == others else state.repeat(count // others, 1)
        rows.append(k.total(k.product(query[:, :, t, None], read, 0, 1))[:, :, 0] * scale)
    y = k.stack(rows, 1)  # (batch, time, heads, width)
    return y.reshape(*y.shape[:2], -1), state


def linear_attention(run: Run) -> tuple[Array, ...]:
    """See ``_attention``."""
    return _attention(Exact(run))


def linear_attention_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The steps' own, twice: for the other order of chunks."""
    del y
    return tuple(2.0 * bound for bound in bounds_of(*_attention(Bounding(run, e))))


def linear_attention_shape(t: Typing) -> tuple[Shape, ...]:
    """A row of all heads a step; a matrix a head for the state."""
    query, key, value = t[0], t[1], t[2]
    count, others = int(t.params.get("q_num_heads") or 0), int(t.params.get("kv_num_heads") or 0)
    if not count or not others or count % others or {len(query), len(key), len(value)} != {3}:
        raise Infeasible("heads or ranks that do not fit")
    for shape, heads in ((query, count), (key, others), (value, others)):
        t.store.require(divisible(shape[2], heads))
    size, width = floor_div(query[2], count), floor_div(value[2], others)
    state: Shape = (query[0], others, size, width)
    pairs = [(size, floor_div(key[2], others))]
    given = [t.shapes[i] if len(t.shapes) > i else None for i in range(6)]
    pairs += [pair for other in given[1:3] + given[4:6] if other is not None
              for pair in zip(other[:2], query[:2], strict=True)]  # fmt: skip
    pairs += zip(given[3] or (), state if given[3] else (), strict=True)
    for mine, theirs in pairs:
        t.store.unify(mine, theirs)
    if given[4] is not None:
        one = t.store.value(given[4][2]) == others
        t.store.unify(given[4][2], others if one else others * size)
    if given[5] is not None and t.store.value(given[5][2]) != 1:
        t.store.unify(given[5][2], others)
    return ((query[0], query[1], count * width), state)


def _state_types(t: Typing, sign: Signature) -> tuple[DType, ...]:
    """The state keeps its type; where none is given it has that of the query."""
    del sign
    own = t.dtypes[0] or BY_NAME["float"]
    return own, (t.dtypes[3] if len(t.dtypes) > 3 else None) or own


def propose_linear_attention(s: Scope) -> Call:
    """Every rule, heads in groups, decay a head or a key, rates a head or for all; a state or none."""
    batch, time, size, width = s.size(1, 3, "b"), s.size(1, 6, "t"), s.size(1, 4, "k"), s.size(1, 4, "v")
    others = s.integer(1, 3)
    count = others * s.integer(1, 2)
    s.dtype("T", FLOAT)
    rule = s.pick(_RULES)
    inputs: list[Value | None] = [
        s.shaped((batch, time, count * size), domain=_KEY), s.shaped((batch, time, others * size), domain=_KEY),
        s.shaped((batch, time, others * width), domain=_MODERATE), None, None, None,
    ]  # fmt: skip
    if s.coin(0.5):
        inputs[3] = s.shaped((batch, others, size, width), domain=_MODERATE)
    if rule in _GATED:
        inputs[4] = s.shaped((batch, time, others * (size if s.coin(0.5) else 1)), domain=_DECAY)
    if rule in _CORRECTED:
        inputs[5] = s.shaped((batch, time, others if s.coin(0.6) else 1), domain=_RATE)
    params: dict[str, Any] = {"q_num_heads": count, "kv_num_heads": others}
    if rule != b"gated_delta" or s.coin(0.5):
        params["update_rule"] = rule
    if s.coin(0.4):
        params["scale"] = s.pick((0.25, 0.5, 1.0, 0.0))
    if s.coin(0.2):
        params["chunk_size"] = s.pick((1, 2, 64))
    return Call(tuple(inputs), params, outputs=2)


# -- causal convolution ----------------------------------------------------------------------------------------


def _convolved(k: Algebra) -> tuple[Quantity, Quantity]:
    """Each channel against its own kernel, over what was and what is; then as much of that as the next piece needs."""
    x, weight, bias, past = (k.operand(i) for i in range(4))
    size, length = weight.shape[2], x.shape[2]
    if past is None:
        past = k.constant(np.zeros((*x.shape[:2], size - 1)))
    padded = k.concatenate([past, x], 2)
    windows = k.stack([padded[:, :, i : i + length] for i in range(size)], -1)  # (batch, channel, time, kernel)
    terms = [k.product(windows, weight.transpose(0, 2, 1), 0, 1)[..., 0]]
    y = k.total(*terms) if bias is None else k.total(*terms, bias.reshape(-1, 1))
    if k.run.params.get("activation", b"none") in (b"silu", b"swish"):
        y = y * k.function("Sigmoid", sigmoid, y)
    return y, padded[:, :, length:]


def causal_shape(t: Typing) -> tuple[Shape, ...]:
    """The shape of the input, and a state one shorter than the kernel."""
    x, weight = t[0], t[1]
    if len(x) != 3 or len(weight) != 3:
        raise Infeasible("operands of another rank")
    state: Shape = (x[0], x[1], weight[2] - 1)
    t.store.unify(weight[0], x[1])
    t.store.unify(weight[1], 1)
    for position, want in ((2, (x[1],)), (3, state)):
        shape = t.shapes[position] if len(t.shapes) > position else None
        for mine, theirs in zip(shape or (), want if shape else (), strict=True):
            t.store.unify(mine, theirs)
    return (x, state)


def propose_causal(s: Scope) -> Call:
    """Kernels from one element on, longer than the input as well; bias, state and activation given or not."""
    x = s.tensor(kinds=FLOAT, rank=(3, 3), domain=_MODERATE, where=_small)
    batch, channels, _ = x.type.shape
    before: Dim = s.size(1, 4, "k")
    inputs = [
        x, s.shaped((channels, 1, before + 1), weight=True, domain=_MODERATE),
        s.shaped((channels,), weight=True, domain=_MODERATE) if s.coin(0.5) else None,
        s.shaped((batch, channels, before), domain=_MODERATE) if s.coin(0.5) else None,
    ]  # fmt: skip
    params = {"activation": s.pick((b"silu", b"swish", b"none"))} if s.coin(0.6) else {}
    return Call(tuple(inputs), params, outputs=2)


OPERATORS: tuple[Operator, ...] = (
    Operator("LinearAttention", propose_linear_attention, linear_attention_shape, linear_attention,
             linear_attention_error, since=27, output_dtypes=_state_types),
    Operator("CausalConvWithState", propose_causal, causal_shape, *rules(_convolved), since=27),
)  # fmt: skip
