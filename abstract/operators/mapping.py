"""SequenceMap: a body for each part of a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from abstract.bounded import tensors
from abstract.constraints import Infeasible
from abstract.error import unknown
from abstract.operator import Call, Operator, Run, Scope, Typing
from abstract.operators.control import TRIPS, as_before, body_dtypes, chosen_of, inside, small, states_of, typed_of
from abstract.types import Container, ContainerType, Parts, Shape, TensorType

if TYPE_CHECKING:
    from abstract.graph import Value

__all__ = ["OPERATORS"]

_LARGEST = 256  # elements of a part


def propose_map(s: Scope) -> Call:
    """A body for each part of a sequence, all of one shape, and for a tensor that is the same for all."""
    sequence = s.container((Container.SEQUENCE,), lambda v: _uniform(s, v))
    first = tensors(sequence.array)[0]
    others = states_of(s, s.integer(0, 1))
    body = s.body()
    body.formal(TensorType(sequence.type.dtype, _shapes(sequence)[0]), first, exact=sequence.exact)
    for value in others:
        body.formal(value.type, value.array, exact=value.exact)
    body.grow(s.integer(1, 3))
    outputs = chosen_of(s, [v for v in typed_of(s, body.made()) if small(v)], s.integer(1, 2))
    if not outputs:
        raise Infeasible("a body that gives nothing")
    body.graph.outputs.extend(outputs)
    return Call((sequence, *others), {"body": body.graph}, outputs=len(outputs))


def _shapes(value: Value) -> tuple[Shape, ...]:
    return value.type.parts.shapes if isinstance(value.type, ContainerType) else ()


def _uniform(s: Scope, value: Value) -> bool:
    """Whether a sequence has a few small parts, all of one shape."""
    shapes = {tuple(map(s.store.resolve, shape)) for shape in _shapes(value)}
    return len(shapes) == 1 and len(_shapes(value)) <= TRIPS and tensors(value.array)[0].size <= _LARGEST


def map_shape(t: Typing) -> tuple[Parts, ...]:
    """As many parts as there were, of the shapes that the body gives."""
    count = len(t.parts(0).shapes)
    return tuple(Parts(Container.SEQUENCE, (v.type.shape,) * count) for v in t.params["body"].outputs)


def run_map(run: Run) -> tuple[Any, ...]:
    """What the body gives for each part."""
    graph, held = run.params["body"], run.inputs[0]
    others = [run[k] for k in range(1, len(graph.inputs))]
    rows: list[tuple[Any, ...]] = []
    for part in () if held is None else held:
        results = inside(run, graph, dict(zip(graph.inputs, (part, *others), strict=True)))
        if not as_before(graph, results):
            raise Infeasible("a part gives other sizes")
        rows.append(results)
    return tuple(map(list, zip(*rows, strict=True)))


OPERATORS: tuple[Operator, ...] = (
    Operator("SequenceMap", propose_map, map_shape, run_map, unknown, exact=True, opaque=True,
             output_dtypes=body_dtypes, since=17, weight=0.25),
)  # fmt: skip
