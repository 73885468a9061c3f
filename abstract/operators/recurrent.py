"""Recurrent operators: RNN, GRU, LSTM.

One recurrence serves all three; an operator adds its cell: what one step makes of the inputs' share and the states.
The same steps give values and error bounds (``abstract/running.py``). What changed between versions 7, 14 and 22 is
the attribute ``layout`` and bfloat16.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible
from abstract.dtypes import BY_NAME
from abstract.operator import Array, Call, Domain, NotCovered, Operator, Run, Scope, Typing
from abstract.operators.activation import activations_of, propose_activations
from abstract.operators.elementwise import FLOAT
from abstract.running import Algebra, Bounding, Quantity, rules

if TYPE_CHECKING:
    from abstract.dims import Dim
    from abstract.graph import Value
    from abstract.types import Shape

__all__ = ["OPERATORS", "clipped_cell"]

_INPUT = Domain(-8.0, 8.0)
_WEIGHT = Domain(-1.0, 1.0)  # what is fed back grows by the row sums of |R| a step, and so does its error
_LONGEST = 8  # steps, batches, features: each step costs as much as a small graph
_FEW = 4  # steps that are taken in both directions
_DIRECTIONS = (b"forward", b"forward", b"reverse", b"bidirectional")
_LENGTHS, _BIAS, _HIDDEN, _CELL, _PEEPHOLES = 4, 3, 5, 6, 7

_CELL_FREE = "cell is not clipped"  # no attribute: set by ``clipped_cell`` alone

Function = Callable[[Algebra, Quantity], Quantity]
States = tuple[Quantity, ...]


@dataclass(frozen=True, slots=True)
class _Direction:
    """The operands of one direction, biases taken apart by gate, and its functions."""

    recurrence: Quantity
    biases: tuple[Quantity, ...]
    peepholes: tuple[Quantity, ...]
    functions: Sequence[Function]
    size: int

    def gate(self, x: Quantity, index: int, until: int | None = None) -> Quantity:
        """The columns of one gate, or of several."""
        return x[..., index * self.size : (until or index + 1) * self.size]


Cell = Callable[[Algebra, _Direction, Quantity, States], States]


@dataclass(frozen=True, slots=True)
class _Kind:
    """One recurrent operator: how many gates, states and functions it has, and its cell."""

    gates: int
    states: int
    functions: tuple[str, ...]
    cell: Cell


# -- cells -----------------------------------------------------------------------------------------------------


def _clipped(k: Algebra, x: Quantity) -> Quantity:
    """The input of an activation, clipped where the node asks for it."""
    limit = k.run.params.get("clip")
    return x if not limit else k.clip(x, -limit, limit)


def _rnn(k: Algebra, d: _Direction, share: Quantity, states: States) -> States:
    """H' = f(x W + H R + Wb + Rb)."""
    (h,) = states
    (f,) = d.functions
    return (f(k, _clipped(k, k.total(share, k.product(h, d.recurrence, 0, 2), *d.biases))),)


def _gru(k: Algebra, d: _Direction, share: Quantity, states: States) -> States:
    """Z and r of their gates; the hidden gate sees r * H, or r times what R makes of H; H' = (1 - z) h + z H."""
    (h,) = states
    f, g = d.functions
    pair = k.product(h, d.gate(d.recurrence, 0, 2), 0, 2)
    both = f(k, _clipped(k, k.total(d.gate(share, 0, 2), pair, *(d.gate(b, 0, 2) for b in d.biases))))
    z, r = d.gate(both, 0), d.gate(both, 1)
    own, last = d.gate(share, 2), d.gate(d.recurrence, 2)
    biases = [d.gate(b, 2) for b in d.biases]
    if k.run.params.get("linear_before_reset", 0):
        inner = r * k.total(k.product(h, last, 0, 2), *biases[1:])
        total = k.total(own, inner, *biases[:1])
    else:
        total = k.total(own, k.product(r * h, last, 0, 2), *biases)
    return (k.blend(z, g(k, _clipped(k, total)), h),)


def _lstm(k: Algebra, d: _Direction, share: Quantity, states: States) -> States:
    """Gates in the order i, o, f, c; C' = f C + i c, H' = o h(C'). Coupled gates: f = 1 - i."""
    h, c = states
    f, g, last = d.functions
    total = k.total(share, k.product(h, d.recurrence, 0, 2), *d.biases)

    def gate(index: int, seen: Quantity) -> Quantity:
        x = d.gate(total, index)
        return f(k, _clipped(k, k.total(x, d.peepholes[index] * seen) if d.peepholes else x))

    i = gate(0, c)
    new = g(k, _clipped(k, d.gate(total, 3)))
    cell = k.blend(i, c, new) if k.run.params.get("input_forget", 0) else gate(2, c) * c + i * new
    return gate(1, cell) * last(k, cell if k.run.params.get(_CELL_FREE) else _clipped(k, cell)), cell


# -- the recurrence --------------------------------------------------------------------------------------------


def _directions(run: Run, kind: _Kind, k: Algebra, hidden: int) -> list[_Direction]:
    count = _count(run.params)
    names = kind.functions * count
    functions = activations_of(run.params, len(names), names)
    bias, peepholes, width = k.operand(_BIAS), k.operand(_PEEPHOLES), kind.gates * hidden
    recurrence = k.operand(2)
    return [
        _Direction(
            recurrence[i].transpose(1, 0),
            () if bias is None else (bias[i, :width], bias[i, width:]),
            () if peepholes is None else tuple(peepholes[i, j * hidden : (j + 1) * hidden] for j in range(3)),
            functions[i * len(kind.functions) : (i + 1) * len(kind.functions)],
            hidden,
        )
        for i in range(count)
    ]


def _recurrence(kind: _Kind, k: Algebra) -> States:
    """All steps' hidden states, then the last of each state, laid out as the node asks for."""
    run = k.run
    batch_first = bool(run.params.get("layout", 0))
    x = k.operand(0).swapaxes(0, 1) if batch_first else k.operand(0)
    time, batch = x.shape[:2]
    hidden, weights = run[2].shape[-1], k.operand(1)
    if not time or run[1].shape[0] != _count(run.params):
        raise NotCovered("a sequence without steps, or weights for another number of directions")
    initial = [k.operand(p) for p in (_HIDDEN, _CELL)[: kind.states]]
    nothing = k.constant(np.zeros((batch, hidden)))
    steps, lasts = [], []
    for i, direction in enumerate(_directions(run, kind, k, hidden)):
        starts = [nothing if s is None else s[:, i] if batch_first else s[i] for s in initial]
        share = k.product(x, weights[i].transpose(1, 0), 0, 1)
        backwards = i == 1 or run.params.get("direction") == b"reverse"
        made, last = _steps(kind, k, direction, share, tuple(starts), backwards=backwards)
        steps.append(k.stack(made, 0))
        lasts.append(last)
    y = k.stack(steps, 1)  # (time, direction, batch, hidden)
    states = [k.stack([last[j] for last in lasts], 1 if batch_first else 0) for j in range(kind.states)]
    return (y.transpose(2, 0, 1, 3) if batch_first else y, *states)


def _steps(
    kind: _Kind, k: Algebra, direction: _Direction, share: Quantity, states: States, *, backwards: bool
) -> tuple[list[Quantity], States]:
    """The hidden state after each step, in the order of time, and the states after the last.

    A sequence that is shorter stands still beyond its end, where its output is 0; read backwards it starts there.
    """
    lengths, nothing = k.run.optional(_LENGTHS), k.constant(np.zeros(()))
    time = share.value.shape[0] if isinstance(k, Bounding) else share.shape[0]
    made: list[Quantity] = [None] * time
    for t in range(time - 1, -1, -1) if backwards else range(time):
        new = kind.cell(k, direction, share[t], states)
        if lengths is None:
            made[t] = new[0]
        else:
            going = (t < lengths)[:, None]
            made[t] = k.where(going, new[0], nothing)
            new = tuple(k.where(going, a, b) for a, b in zip(new, states, strict=True))
        states = new
    return made, states




def clipped_cell(run: Run, y: tuple[Array, ...]) -> tuple[Array, ...]:
    """Where an LSTM's outputs depend on whether its cell is clipped before it enters the last activation.

    The text has the clip "applied to the input of activations", of which the cell is one; ONNX Runtime clips gates
    alone.
    """
    if not run.params.get("clip"):
        return ()
    other = _LSTM.evaluate(replace(run, params={**run.params, _CELL_FREE: True}))
    return tuple(np.asarray(a != b) for a, b in zip(y, other, strict=False))


# -- shapes and calls ------------------------------------------------------------------------------------------


def _count(params: Any) -> int:
    return 2 if params.get("direction") == b"bidirectional" else 1


def _shape(kind: _Kind) -> Callable[[Typing], tuple[Shape, ...]]:
    def rule(t: Typing) -> tuple[Shape, ...]:
        x, recurrence, batch_first = t[0], t[2], bool(t.params.get("layout", 0))
        time, batch = (x[1], x[0]) if batch_first else (x[0], x[1])
        count, hidden = _count(t.params), recurrence[2]
        state: Shape = (batch, count, hidden) if batch_first else (count, batch, hidden)
        wanted: tuple[Shape, ...] = (
            x, (count, kind.gates * hidden, x[2]), (count, kind.gates * hidden, hidden),
            (count, 2 * kind.gates * hidden), (batch,), state, state, (count, 3 * hidden),
        )  # fmt: skip
        for have, want in zip(t.shapes, wanted, strict=False):
            if have is None:
                continue
            if len(have) != len(want):
                raise Infeasible("an operand of another rank")
            for mine, theirs in zip(have, want, strict=True):
                t.store.unify(mine, theirs)
        if t.params.get("hidden_size"):
            t.store.unify(hidden, t.params["hidden_size"])
        y: Shape = (batch, time, count, hidden) if batch_first else (time, count, batch, hidden)
        return (y, *(state for _ in range(kind.states)))

    return rule


def _small(value: Value) -> bool:
    shape = value.array.shape
    return value.array.size > 0 and max(shape) <= _LONGEST


def _lengths(s: Scope, time: Dim, batch: Dim) -> Value | None:
    """A length for each sequence, at least 1: known, or computed or fed; most often none at all."""
    longest = s.store.value(time)
    style = s.integer(0, 9)
    if style < 6:
        return None
    if style < 8:
        picked = [s.integer(1, longest) for _ in range(s.store.value(batch))]
        return s.constant(np.asarray(picked, np.int32), BY_NAME["int32"])
    try:
        return s.shaped((batch,), "T1", domain=Domain(1.0, float(longest)))
    except Infeasible:
        return None  # the model has no int32


def _attributes(s: Scope, kind: _Kind, hidden: Dim, direction: bytes) -> dict[str, Any]:
    count = 2 if direction == b"bidirectional" else 1
    params = propose_activations(s, len(kind.functions) * count)
    if direction != b"forward" or s.coin(0.2):
        params["direction"] = direction
    if s.coin(0.9):  # ONNX Runtime refuses nodes without it
        params["hidden_size"] = hidden
    if s.coin(0.2):
        params["clip"] = s.pick((0.375, 1.25, 4.0))
    for name in ("linear_before_reset", "input_forget"):
        if name in s.signature.attributes and s.coin(0.5):
            params[name] = s.integer(0, 1)
    return params


def _propose(kind: _Kind) -> Callable[[Scope], Call]:
    def propose(s: Scope) -> Call:
        """Every direction, layout and set of functions; few units; each optional operand given or left out."""
        x = s.tensor(kinds=FLOAT, rank=(3, 3), domain=_INPUT, where=_small)
        batch_first = "layout" in s.signature.attributes and s.coin(0.3)
        time, batch = (x.type.shape[1], x.type.shape[0]) if batch_first else x.type.shape[:2]
        few = s.store.value(time) <= _FEW
        direction, hidden = s.pick(_DIRECTIONS if few else _DIRECTIONS[:-1]), s.size(1, 4, "h")
        count, width = 2 if direction == b"bidirectional" else 1, kind.gates * hidden
        params = _attributes(s, kind, hidden, direction)
        if batch_first or ("layout" in s.signature.attributes and s.coin(0.2)):
            params["layout"] = int(batch_first)
        state: Shape = (batch, count, hidden) if batch_first else (count, batch, hidden)
        inputs: list[Value | None] = [
            x,
            s.shaped((count, width, x.type.shape[2]), weight=True, domain=_WEIGHT),
            s.shaped((count, width, hidden), weight=True, domain=_WEIGHT),
            s.shaped((count, 2 * width), weight=True, domain=_WEIGHT) if s.coin(0.6) else None,
            _lengths(s, time, batch),
        ]
        inputs.extend(s.shaped(state, domain=_WEIGHT) if s.coin(0.4) else None for _ in range(kind.states))
        if kind.states > 1:
            inputs.append(s.shaped((count, 3 * hidden), weight=True, domain=_WEIGHT) if s.coin(0.4) else None)
        return Call(tuple(inputs), params, outputs=s.integer(1, 1 + kind.states))

    return propose


def _row(name: str, kind: _Kind, weight: float) -> Operator:
    steps = rules(partial(_recurrence, kind), _LENGTHS)
    return Operator(name, _propose(kind), _shape(kind), *steps, weight=weight)


_LSTM = _row("LSTM", _Kind(4, 2, ("Sigmoid", "Tanh", "Tanh"), _lstm), 0.5)

OPERATORS: tuple[Operator, ...] = (
    _row("RNN", _Kind(1, 1, ("Tanh",), _rnn), 0.25),
    _row("GRU", _Kind(3, 1, ("Sigmoid", "Tanh"), _gru), 0.5),
    _LSTM,
)
