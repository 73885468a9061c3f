"""From what a source says of its operators to a computation graph: what every source language needs.

What computes nothing at inference is folded away: identities (their readers read what they read), nodes that lead to
no output, and an addition of a constant vector right behind a convolution or a matrix product, which is its bias. So
GENNAPE does it; what it drops beyond that (additions and products with one operand that is no constant) is kept here,
since it costs time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from corpus.graphs.computation import ComputationGraph, Edge, GraphError, Node, layout
from corpus.order import forwards

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from corpus.graphs.computation import Shape

__all__ = ["Operation", "Value", "assemble"]


@dataclass(frozen=True, slots=True)
class Value:
    """Shape and element type of a value; None and empty where they are not known."""

    shape: Shape | None = None
    type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operator as a source has it: ``reads`` are values that are computed, parameters stand in ``weights``.

    ``nothing`` says that it computes nothing at inference: readers of its first output read its first input.
    """

    name: str
    operator: str
    source: str
    reads: tuple[str, ...]
    gives: tuple[str, ...]
    kernel: tuple[int, ...] = ()
    bias: bool = False
    weights: tuple[tuple[int, ...], ...] = ()
    parameters: tuple[str, ...] = ()
    modules: tuple[tuple[str, str], ...] = ()
    arguments: tuple[tuple[str, str], ...] = ()
    nothing: bool = False


def assemble(
    title: tuple[str, str],
    inputs: Sequence[str],
    operations: Sequence[Operation],
    outputs: Sequence[str],
    values: Mapping[str, Value],
    *,
    channels_last: bool = False,
    whole: bool = False,
) -> ComputationGraph:
    """The graph of these operations; ``title`` is its name and family, ``values`` what is known of each value.

    An input and an output of the model is a node each. ``channels_last`` says that tensors are [N, H, W, C], ``whole``
    that nothing is folded away. Raises GraphError where operations read each other in a circle, or what nothing gives.
    """
    kept, alias = list(operations), dict[str, str]()
    if not whole:
        kept, alias = _without_nothing(operations)
        kept = _with_biases(kept, {alias.get(name, name) for name in outputs})
        kept = _needed(kept, [alias.get(name, name) for name in outputs])
    kept = _ordered(kept, inputs)
    nodes = [_end(name, "Input", values.get(name, Value()), channels_last=channels_last) for name in inputs]
    maker = {name: place for place, name in enumerate(inputs)}
    edges = []
    for operation in kept:
        for position, read in enumerate(operation.reads):
            edges.append(Edge(maker[read], len(nodes), position))
        maker.update(dict.fromkeys(operation.gives, len(nodes)))
        nodes.append(_node(operation, values, channels_last=channels_last))
    for name in outputs:
        source = alias.get(name, name)
        if source in maker:
            edges.append(Edge(maker[source], len(nodes), 0))
            value = values.get(name) or values.get(source, Value())
            nodes.append(_end(name, "Output", value, channels_last=channels_last))
    return ComputationGraph(*title, tuple(nodes), tuple(edges))


def _without_nothing(operations: Sequence[Operation]) -> tuple[list[Operation], dict[str, str]]:
    """The operations without those that compute nothing, and which value each of theirs stands for."""
    direct = {one.gives[0]: one.reads[0] for one in operations if one.nothing and one.reads and one.gives}
    alias: dict[str, str] = {}
    for name in direct:
        end, seen = name, {name}
        while end in direct and direct[end] not in seen:
            end = direct[end]
            seen.add(end)
        alias[name] = end
    rest = [one for one in operations if not (one.nothing and one.reads and one.gives)]
    return [replace(one, reads=tuple(alias.get(read, read) for read in one.reads)) for one in rest], alias


def _with_biases(operations: Sequence[Operation], outputs: set[str]) -> list[Operation]:
    """Additions of a constant vector that read a convolution or a product which nothing else reads, put into that."""
    readers: dict[str, int] = {}
    for one in operations:
        for read in one.reads:
            readers[read] = readers.get(read, 0) + 1
    at = {name: place for place, one in enumerate(operations) for name in one.gives}
    result: list[Operation | None] = list(operations)
    for place, one in enumerate(operations):
        if one.operator != "Add" or len(one.reads) != 1 or len(one.weights) != 1:
            continue
        read = one.reads[0]
        before = result[at[read]] if read in at else None
        fits = before is not None and before.operator in {"Conv", "Depthwise", "MatMul"} and before.weights
        if before is None or not fits or before.bias or readers[read] > 1 or read in outputs:
            continue
        if len([size for size in one.weights[0] if size > 1]) > 1:
            continue
        result[at[read]] = replace(
            before, gives=one.gives, bias=True, weights=(*before.weights, *one.weights),
            parameters=(*before.parameters, *one.parameters),
        )  # fmt: skip
        at[one.gives[0]] = at[read]
        result[place] = None
    return [one for one in result if one is not None]


def _needed(operations: Sequence[Operation], outputs: Sequence[str]) -> list[Operation]:
    """What some output needs."""
    at = {name: place for place, one in enumerate(operations) for name in one.gives}
    wanted = [at[name] for name in outputs if name in at]
    needed = set(wanted)
    while wanted:
        for read in operations[wanted.pop()].reads:
            if read in at and at[read] not in needed:
                needed.add(at[read])
                wanted.append(at[read])
    return [one for place, one in enumerate(operations) if place in needed]


def _ordered(operations: Sequence[Operation], inputs: Sequence[str]) -> list[Operation]:
    """In an order in which they can be computed, the given one wherever it serves."""
    at = {name: place for place, one in enumerate(operations) for name in one.gives}
    known = {*inputs, *at}
    for one in operations:
        for read in one.reads:
            if read not in known:
                raise GraphError(f"node {one.name!r} reads {read!r}, which nothing gives")
    pairs = ((at[read], place) for place, one in enumerate(operations) for read in one.reads if read in at)
    order = forwards(len(operations), pairs)
    if len(order) < len(operations):
        stuck = operations[min(set(range(len(operations))) - set(order))].name
        raise GraphError(f"node {stuck!r} reads what it gives itself, by way of others")
    return [operations[place] for place in order]


def _node(one: Operation, values: Mapping[str, Value], *, channels_last: bool) -> Node:
    shapes_in = tuple(values.get(read, Value()).shape for read in one.reads)
    out = values.get(one.gives[0], Value()) if one.gives else Value()
    resolution_out, channels_out = layout(out.shape, one.operator, channels_last=channels_last)
    # A node that reads nothing (a source of numbers) has before it what it has behind it: GENNAPE's rule too.
    before = shapes_in[0] if shapes_in else out.shape
    resolution_in, channels_in = layout(before, one.operator, channels_last=channels_last)
    return Node(
        name=one.name, operator=one.operator, source=one.source, resolution_in=resolution_in,
        resolution_out=resolution_out, channels_in=channels_in, channels_out=channels_out, kernel=one.kernel,
        bias=one.bias, weights=one.weights, parameters=one.parameters, shapes_in=shapes_in, shape=out.shape,
        type=out.type, modules=one.modules, arguments=one.arguments,
    )  # fmt: skip


def _end(name: str, operator: str, value: Value, *, channels_last: bool) -> Node:
    """The node of an input or output of the model."""
    resolution, channels = layout(value.shape, channels_last=channels_last)
    return Node(
        name=name, operator=operator, source=operator.lower(), resolution_in=resolution, resolution_out=resolution,
        channels_in=channels, channels_out=channels, shapes_in=(value.shape,) if operator == "Output" else (),
        shape=value.shape, type=value.type,
    )  # fmt: skip
