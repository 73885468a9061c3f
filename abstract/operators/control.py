"""Nodes with bodies: If, Loop, Scan.

A body is a parameter that is a graph (``abstract.operator.Body`` makes one). The first trip of a loop is the witness of
its body; the other trips are run on what the one before gave, and what is not defined there ends the loop before it.
The reference has its own way with bodies (``abstract/body.py``): these rows serve the generator.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible
from abstract.dtypes import BY_NAME
from abstract.error import unknown
from abstract.operator import Array, Body, Call, Domain, Operator, Run, Scope, Typing
from abstract.types import ContainerType, Shape, Sizes, TensorType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from abstract.dtypes import DType
    from abstract.graph import Graph, Value
    from abstract.schema import Signature

__all__ = ["OPERATORS", "TRIPS", "as_before", "body_dtypes", "chosen_of", "inside", "small", "states_of", "typed_of"]

_INT64, _BOOL = BY_NAME["int64"], BY_NAME["bool"]
TRIPS = 4
_LARGEST = 256  # elements of what is carried or scanned


def small(value: Value) -> bool:
    """Whether a value may be carried or scanned: trips cost its elements each."""
    return value.array.size <= _LARGEST


def chosen_of(s: Scope, values: Sequence[Value], most: int) -> list[Value]:
    """Up to so many of the values, none twice, in any order."""
    left: list[Value] = list(values)
    kept: list[Value] = []
    while left and len(kept) < most:
        kept.append(left.pop(s.integer(0, len(left) - 1)))
    return kept


def typed_of(s: Scope, values: Sequence[Value]) -> list[Value]:
    """Those whose element type may pass through the node."""
    allowed = s.signature.types["V"]
    return [v for v in values if v.type.dtype in allowed and not isinstance(v.type, ContainerType)]


def _inner(body: Body, value: Value) -> Value:
    """The value as one of the body's own: a body may not give what is outside, and its inputs at a runtime's whim."""
    return value if value in body.made() else body.call("Identity", (value,), {})


def _dtypes(values: Sequence[Value]) -> tuple[DType, ...]:
    return tuple(v.type.dtype for v in values)


# -- If ----------------------------------------------------------------------------------------------------------


def propose_if(s: Scope) -> Call:
    """Two bodies that give values of the same types and ranks; mostly of the same sizes."""
    condition = s.tensor("B", rank=(0, 0), where=lambda v: v.exact)
    first, second = s.body(), s.body()
    first.grow(s.integer(1, 3))
    wanted = chosen_of(s, typed_of(s, first.made()), s.integer(1, 3))
    if not wanted:
        raise Infeasible("a branch without a node")
    second.grow(s.integer(0, 3))
    given: list[Value] = []
    for value in wanted:
        given.append(_alike(s, second, value, given))
    first.graph.outputs.extend(wanted)
    second.graph.outputs.extend(given)
    if s.coin(0.5):
        first, second = second, first
    return Call((condition,), {"then_branch": first.graph, "else_branch": second.graph}, outputs=len(wanted))


def _alike(s: Scope, body: Body, model: Value, taken: Sequence[Value]) -> Value:
    """A value of the other branch with the type and rank of one branch's; one made there, seen there, or a constant.

    None is given twice: names of outputs are unique (IR.md, Names Within a Graph).
    """
    fits = [v for v in body.visible() if v.type.dtype is model.type.dtype and v.type.rank == model.type.rank]
    fits = [v for v in fits if v not in taken]
    same = [v for v in fits if v.array.shape == model.array.shape]
    pool = same if same and s.coin(0.85) else fits
    own = body.made()
    made = [v for v in pool if v in own]
    if pool:
        return _inner(body, s.pick(made or pool))
    own_type = model.type.dtype
    same_all = np.full(model.array.shape, _PLAIN.get(own_type.name, 0), own_type.carrier)
    return body.call("Identity", (body.constant(same_all, own_type),), {})


_PLAIN: Mapping[str, Any] = MappingProxyType({"string": "", "float8e8m0": 1})  # types that have no 0


def if_shape(t: Typing) -> tuple[Sizes, ...]:
    """The sizes on which the branches agree; what the condition decides is known to the values alone."""
    resolve = t.store.resolve
    pairs = zip(t.params["then_branch"].outputs, t.params["else_branch"].outputs, strict=True)
    shapes = ((x.type.shape, y.type.shape) for x, y in pairs)
    return tuple(tuple(a if resolve(a) == resolve(b) else None for a, b in zip(*s, strict=True)) for s in shapes)


def run_if(run: Run) -> tuple[Any, ...]:
    """What the branch gives that the condition chooses."""
    graph = run.params["then_branch" if run[0].item() else "else_branch"]
    return inside(run, graph, {})


def inside(run: Run, graph: Graph, values: dict[Value, Array]) -> tuple[Any, ...]:
    """What a body gives for these values. Raises ValueError where nobody runs bodies."""
    if run.inside is None:
        raise ValueError("nothing here runs bodies")
    return run.inside(graph, values)


def if_dtypes(t: Typing, sign: Signature) -> tuple[DType, ...]:
    """Those of the branches."""
    del sign
    return _dtypes(t.params["then_branch"].outputs)


# -- Loop --------------------------------------------------------------------------------------------------------


def propose_loop(s: Scope) -> Call:
    """A few trips, ended by their number, by the body's own condition, or by both.

    An absent condition never goes with a body that says stop: runtimes obey that, the text does not. A loop that
    collects is entered at least once (hazards loop-without-end, loop-without-trips); one in five
    of those with states is not entered at all.
    """
    trips = s.integer(1, TRIPS)
    states = states_of(s, s.integer(0, 2))
    body = s.body()
    number = body.formal(TensorType(_INT64, ()), np.array(0), exact=True)
    going = body.formal(TensorType(_BOOL, ()), np.array(True), exact=True)  # noqa: FBT003 - its value
    carried = [body.formal(v.type, v.array, exact=v.exact and not v.type.dtype.is_float) for v in states]
    body.grow(s.integer(1, 4))
    following = _following(s, body, carried)
    idle = bool(states) and s.coin(0.2)
    collected = [] if idle else _collected(s, body, following)
    if not (states or collected):
        raise Infeasible("a loop that gives nothing")
    early = s.integer(0, trips) if s.coin(0.35) else None
    if early is None:
        go_on = body.call("Identity", (going if s.coin(0.7) else body.constant(np.array(True), _BOOL),), {})  # noqa: FBT003
    else:
        go_on = body.call("Less", (number, body.constant(np.array(early), _INT64)), {})
    body.graph.outputs.extend((go_on, *following, *collected))
    done = _lasting(s, body.graph, states, trips)
    if idle:
        given = _not_entered(s, done)
        return Call((*given, *states), {"body": body.graph}, outputs=len(states))
    limit = None if early is not None and early + 1 <= done and s.coin(0.5) else _count(s, done)
    condition = None if early is None and s.coin(0.5) else s.constant(np.array(True), _BOOL)  # noqa: FBT003
    if limit is None and condition is None:
        limit = s.constant(np.array(done), _INT64)
    return Call((limit, condition, *states), {"body": body.graph}, outputs=len(states) + len(collected))


def _not_entered(s: Scope, trips: int) -> tuple[Value | None, Value | None]:
    """A number of trips and a condition of which one says: none at all."""
    number = s.constant(np.array(trips if s.coin(0.4) else 0), _INT64)
    if number.array.item() == 0 and s.coin(0.5):
        return number, s.constant(np.array(True), _BOOL) if s.coin(0.5) else None  # noqa: FBT003 - its value
    return number if s.coin(0.8) else None, s.constant(np.array(False), _BOOL)  # noqa: FBT003


def _count(s: Scope, trips: int) -> Value:
    """A number of trips: a constant, or an input of the model that holds it."""
    if s.coin(0.7):
        return s.constant(np.array(trips), _INT64)
    return s.tensor("I", rank=(0, 0), domain=Domain(1, trips), where=lambda v: v.exact)


def states_of(s: Scope, count: int) -> list[Value]:
    """Operands of any types, some of them twice."""
    found: list[Value] = []
    for _ in range(count):
        s.forget("V")
        found.append(s.tensor("V", where=small))
    s.forget("V")
    return found


def _following(s: Scope, body: Body, carried: Sequence[Value]) -> list[Value]:
    """For each state what the body makes of it: a value like it that is made there, else itself."""
    result: list[Value] = []
    for state in carried:
        fits = [
            v for v in body.made()
            if v.type.dtype is state.type.dtype and v.array.shape == state.array.shape
            and (v.exact or not state.exact) and v not in result
        ]  # fmt: skip
        result.append(s.pick(fits) if fits else body.call("Identity", (state,), {}))
    return result


def _collected(s: Scope, body: Body, following: Sequence[Value]) -> list[Value]:
    """What each trip gives beside the states: up to two values, and no state, for names of outputs are unique."""
    fits = [v for v in typed_of(s, body.made()) if small(v) and v not in following]
    return chosen_of(s, fits, s.integer(0 if following else 1, 2))


def _lasting(s: Scope, graph: Graph, states: Sequence[Value], trips: int) -> int:
    """How many trips the body is defined on, of those that are wished for: at least the first."""
    for mine, theirs in zip(states, graph.outputs[1:], strict=False):
        for a, b in zip(mine.type.shape, theirs.type.shape, strict=True):
            s.store.unify(a, b)
    current = [v.array for v in states]
    for trip in range(trips):
        try:
            results = s.inside(graph, _fed(graph, trip, current))
        except Infeasible:
            return max(trip, 1)
        if not as_before(graph, results):
            return max(trip, 1)
        current = list(results[1 : 1 + len(current)])
    return trips


def as_before(graph: Graph, results: Sequence[Any]) -> bool:
    """Whether every output has the sizes that it had in the first trip."""
    return all(np.shape(r) == v.array.shape for r, v in zip(results, graph.outputs, strict=True))


def _fed(graph: Graph, trip: int, states: Sequence[Array]) -> dict[Value, Array]:
    return dict(zip(graph.inputs, (np.array(trip), np.array(True), *states), strict=True))  # noqa: FBT003


def loop_shape(t: Typing) -> tuple[Sizes, ...]:
    """States keep their sizes; what is collected has an axis in front, as long as there were trips."""
    graph = t.params["body"]
    count = len(graph.inputs) - 2
    states: list[Sizes] = [t[2 + k] for k in range(count)]
    return (*states, *((None, *v.type.shape) for v in graph.outputs[1 + count :]))


def run_loop(run: Run) -> tuple[Any, ...]:
    """Trips while there are any left and the condition holds."""
    graph = run.params["body"]
    limit, condition = run.optional(0), run.optional(1)
    states = [run[2 + k] for k in range(len(graph.inputs) - 2)]
    rows: list[tuple[Any, ...]] = []
    trips = TRIPS + 1 if limit is None else int(limit.item())
    going = condition is None or bool(condition.item())
    while going and len(rows) < trips:
        results = inside(run, graph, _fed(graph, len(rows), states))
        if not as_before(graph, results):
            raise Infeasible("a trip gives other sizes")
        going = bool(results[0].item())
        states = list(results[1 : 1 + len(states)])
        rows.append(results[1 + len(states) :])
    if limit is None and going:
        raise Infeasible("a loop that does not end")
    if not rows and len(graph.outputs) > 1 + len(states):
        raise Infeasible("a loop that collects and is not entered")
    return (*states, *(np.stack(column) for column in zip(*rows, strict=True)))


def loop_dtypes(t: Typing, sign: Signature) -> tuple[DType, ...]:
    """Those that the body gives after its condition."""
    del sign
    return _dtypes(t.params["body"].outputs[1:])


# -- Scan --------------------------------------------------------------------------------------------------------


def propose_scan(s: Scope) -> Call:
    """A trip for each slice of one or two operands, along any axis, in either direction; results likewise."""
    states = states_of(s, s.integer(0, 2))
    scanned, axes = _scanned(s)
    back = [s.integer(0, 1) for _ in scanned] if s.coin(0.5) else [0] * len(scanned)
    body = s.body()
    carried = [body.formal(v.type, v.array, exact=v.exact and not v.type.dtype.is_float) for v in states]
    for value, axis, reverse in zip(scanned, axes, back, strict=True):
        shape = (*value.type.shape[:axis], *value.type.shape[axis + 1 :])
        array = value.array.take(-1 if reverse else 0, axis)
        body.formal(TensorType(value.type.dtype, shape), np.asarray(array), exact=value.exact)
    body.grow(s.integer(1, 4))
    following = _following(s, body, carried)
    collected = _collected(s, body, following)
    if not (states or collected):
        raise Infeasible("a scan that gives nothing")
    body.graph.outputs.extend((*following, *collected))
    for mine, theirs in zip(states, following, strict=True):
        for a, b in zip(mine.type.shape, theirs.type.shape, strict=True):
            s.store.unify(a, b)
    params: dict[str, Any] = {"body": body.graph, "num_scan_inputs": len(scanned)}
    if any(axes) or s.coin(0.3):
        params["scan_input_axes"] = tuple(axes)
    if any(back):
        params["scan_input_directions"] = tuple(back)
    if collected and s.coin(0.5):
        params["scan_output_axes"] = tuple(s.integer(-v.type.rank - 1, v.type.rank) for v in collected)
    if collected and s.coin(0.4):
        params["scan_output_directions"] = tuple(s.integer(0, 1) for _ in collected)
    return Call((*states, *scanned), params, outputs=len(states) + len(collected))


def _scanned(s: Scope) -> tuple[list[Value], list[int]]:
    """Operands that are equally long along one axis each."""

    def short(value: Value) -> bool:
        return small(value) and any(0 < n <= TRIPS + 1 for n in value.array.shape)

    first = s.tensor("V", rank=(1, 6), where=short)
    fits = [a for a, n in enumerate(first.array.shape) if 0 < n <= TRIPS + 1]
    if not fits:
        raise Infeasible("no axis is short")
    axis = s.pick(fits)
    if not s.coin(0.4):
        return [first], [axis]
    other = s.shaped((first.type.shape[axis], *(s.pick(first.type.shape) for _ in range(s.integer(0, 1)))), "V")
    return [first, other], [axis, 0]


def scan_shape(t: Typing) -> tuple[Shape, ...]:
    """States keep their sizes; what is collected has an axis more, as long as the scanned ones are."""
    graph, count = t.params["body"], t.params["num_scan_inputs"]
    states = len(graph.inputs) - count
    axes = t.params.get("scan_input_axes") or (0,) * count
    length = t[states][axes[0]]
    collected = []
    outputs = graph.outputs[states:]
    for value, axis in zip(outputs, t.params.get("scan_output_axes") or (0,) * len(outputs), strict=True):
        place = axis % (value.type.rank + 1)
        collected.append((*value.type.shape[:place], length, *value.type.shape[place:]))
    return (*(t[k] for k in range(states)), *collected)


def run_scan(run: Run) -> tuple[Any, ...]:
    """A trip for each slice."""
    graph, count = run.params["body"], run.params["num_scan_inputs"]
    first = len(graph.inputs) - count
    states = [run[k] for k in range(first)]
    axes = run.params.get("scan_input_axes") or (0,) * count
    back = run.params.get("scan_input_directions") or (0,) * count
    scanned = [
        np.flip(run[first + k], axis) if reverse else run[first + k]
        for k, (axis, reverse) in enumerate(zip(axes, back, strict=True))
    ]
    rows: list[tuple[Any, ...]] = []
    for trip in range(scanned[0].shape[axes[0]]):
        slices = (np.asarray(x.take(trip, axis)) for x, axis in zip(scanned, axes, strict=True))
        results = inside(run, graph, dict(zip(graph.inputs, (*states, *slices), strict=True)))
        if not as_before(graph, results):
            raise Infeasible("a trip gives other sizes")
        states = list(results[:first])
        rows.append(results[first:])
    number = len(graph.outputs) - first
    places = run.params.get("scan_output_axes") or (0,) * number
    order = run.params.get("scan_output_directions") or (0,) * number
    columns = [column[::-1] if r else column for column, r in zip(zip(*rows, strict=True), order, strict=True)]
    return (*states, *(np.stack(c, axis=place) for c, place in zip(columns, places, strict=True)))


def body_dtypes(t: Typing, sign: Signature) -> tuple[DType, ...]:
    """Those that the body gives."""
    del sign
    return _dtypes(t.params["body"].outputs)


OPERATORS: tuple[Operator, ...] = (
    Operator("If", propose_if, if_shape, run_if, unknown, exact=True, opaque=True, output_dtypes=if_dtypes),
    Operator("Loop", propose_loop, loop_shape, run_loop, unknown, exact=True, opaque=True, output_dtypes=loop_dtypes,
             weight=0.25),
    Operator("Scan", propose_scan, scan_shape, run_scan, unknown, exact=True, opaque=True, output_dtypes=body_dtypes,
             weight=0.25),
)  # fmt: skip
