"""What a node stands for in its place: functions inlined, the body of a branch or a trip as a model of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.inliner

from backends.graph import graphs
from backends.tensor import Tensor, from_numpy, to_numpy
from fuzz.triage.assessment import know
from fuzz.triage.candidate import Candidate, encoded, forget_shapes
from fuzz.triage.selection import Whole, declared, reads

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backends.tensor import Value
    from fuzz.triage.candidate import Feed
    from fuzz.triage.search import Search

__all__ = ["bypass_nodes", "bypassed", "open_bodies", "opened"]

_TRIPS = 8  # of a loop that are looked at
_BYPASSES = 60  # tries in one round
_FEW = 4  # nodes


def open_bodies(search: Search) -> None:
    """Take what is inside of a node for the whole, as long as that fails alike."""
    while search.attempt(search.laboratory.apart(opened, search.best) or ()):
        pass


def opened(candidate: Candidate) -> list[Candidate]:
    """The model with its functions inlined, and the bodies of its nodes with the inputs of their first trips."""
    proto = candidate.proto()
    if proto.functions:
        inlined = onnx.inliner.inline_local_functions(proto)
        if len(inlined.functions) < len(proto.functions):
            return [encoded(inlined, candidate.feeds)]
    if not any(a.HasField("g") or a.graphs for node in proto.graph.node for a in node.attribute):
        return []
    whole = Whole.of(candidate, know(candidate))
    return [body for node in whole.nodes for body in _bodies(whole, node)]


def _bodies(whole: Whole, node: onnx.NodeProto) -> Iterator[Candidate]:
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
            feeds = [_first_trip(node, graph, values) for values in whole.known.values]
            for trip in range(_TRIPS):
                if any(feed is None for feed in feeds):
                    break
                made = _standing_alone(whole, graph, [feed for feed in feeds if feed is not None])
                if made is None:
                    break
                yield made
                if node.op_type not in {"Loop", "Scan"} or trip + 1 == _TRIPS:
                    break
                feeds = [
                    _next_trip(node, graph, known, computed, trip + 1)
                    for known, computed in zip(whole.known.values, know(made).values, strict=True)
                ]


def _standing_alone(
    whole: Whole, graph: onnx.GraphProto, given: Sequence[Feed]
) -> Candidate | None:
    """A body as a model; what it captures becomes inputs or constants. None where that is not known."""
    proto = onnx.ModelProto()
    proto.CopyFrom(whole.proto)
    proto.graph.CopyFrom(graph)
    del proto.graph.input[:]
    feeds: list[Feed] = [dict(feed) for feed in given]
    for info in graph.input:
        proto.graph.input.append(declared(info, [feed.get(info.name) for feed in feeds]))
    here = {info.name for info in graph.input} | {t.name for t in graph.initializer}
    here |= {name for inner in graph.node for name in inner.output}
    wanted = dict.fromkeys(n for inner in graph.node for n in reads(inner) if n not in here)
    wanted.update(dict.fromkeys(output.name for output in graph.output if output.name not in here))
    for name in wanted:
        if not whole.give(proto.graph, feeds, name):
            return None
    used = {name for inner in graph.node for name in reads(inner)} | {o.name for o in graph.output}
    for info in [info for info in proto.graph.input if info.name not in used]:
        proto.graph.input.remove(info)
    if not graph.node:
        return None
    return encoded(proto, feeds)


def _first_trip(node: onnx.NodeProto, graph: onnx.GraphProto, values: dict[str, Value]) -> Feed | None:
    """The inputs of a body on its first trip; None where they are not known."""
    operands = [values.get(name) if name else None for name in node.input]
    names = [info.name for info in graph.input]
    match node.op_type:
        case "If":
            return {}
        case "Loop":
            start: list[Value] = [from_numpy(np.array(0, np.int64)), from_numpy(np.ones((), np.bool_))]
            given = [*start, *operands[2:]]
        case "Scan":
            states = len(node.input) - _number(node, "num_scan_inputs")
            given = [*operands[:states], *(_slice(node, at, v, 0) for at, v in enumerate(operands[states:]))]
        case "SequenceMap":
            given = [value[0] if isinstance(value, list) and value else value for value in operands]
        case _:
            return None
    if len(given) < len(names) or any(value is None for value in given[: len(names)]):
        return None
    return dict(zip(names, given, strict=False))


def _next_trip(
    node: onnx.NodeProto, graph: onnx.GraphProto, known: dict[str, Value], computed: dict[str, Value], trip: int
) -> Feed | None:
    """The inputs of the trip after one whose values are ``computed``; None where there is none."""
    results = [computed.get(info.name) for info in graph.output]
    names = [info.name for info in graph.input]
    if node.op_type == "Loop":
        most, goes_on = known.get(node.input[0]), results[0]
        if isinstance(most, Tensor) and trip >= int(to_numpy(most).reshape(-1)[0]):
            return None
        if isinstance(goes_on, Tensor) and not to_numpy(goes_on).all():
            return None
        given = [from_numpy(np.array(trip, np.int64)), *results]
    else:
        states = len(node.input) - _number(node, "num_scan_inputs")
        scanned = [known.get(name) for name in node.input[states:]]
        given = [*results[:states], *(_slice(node, at, value, trip) for at, value in enumerate(scanned))]
    if len(given) < len(names) or any(value is None for value in given[: len(names)]):
        return None
    return dict(zip(names, given, strict=False))


def _slice(node: onnx.NodeProto, at: int, value: Value, trip: int) -> Value:
    """What a Scan hands to its body of one of its scanned inputs; None past the end."""
    if not isinstance(value, Tensor):
        return None
    axes, directions = _numbers(node, "scan_input_axes"), _numbers(node, "scan_input_directions")
    array, axis = to_numpy(value), axes[at] if at < len(axes) else 0
    if trip >= array.shape[axis]:
        return None
    place = array.shape[axis] - 1 - trip if at < len(directions) and directions[at] else trip
    return from_numpy(np.asarray(np.take(array, place, axis=axis)))


def _number(node: onnx.NodeProto, name: str) -> int:
    return next((a.i for a in node.attribute if a.name == name), 0)


def _numbers(node: onnx.NodeProto, name: str) -> list[int]:
    return next((list(a.ints) for a in node.attribute if a.name == name), [])


# --- nodes that only pass something on ---------------------------------------------------------------------------


def bypass_nodes(search: Search) -> None:
    """Read what a node reads in place of what it computes, inside of bodies too: chains get shorter."""
    while search.attempt(search.laboratory.apart(bypassed, search.best) or ()):
        pass


def bypassed(candidate: Candidate) -> list[Candidate]:
    """Without each node in turn, what it reads being read in its place."""
    found: list[Candidate] = []
    for place, graph in enumerate(graphs(candidate.proto().graph)):
        ends = {info.name for info in graph.output}
        for at, node in enumerate(graph.node):
            returned = not ends.isdisjoint(node.output)
            # What a graph returns keeps its name: the node becomes an Identity. Around a main graph's end that is
            # worth it where few nodes are left, which is then the same whatever reads the one at fault.
            if returned and (node.op_type == "Identity" or (not place and not 1 < len(graph.node) <= _FEW)):
                continue
            names = dict.fromkeys(n for n in node.input if n)
            if not place and not returned and len(graph.node) == 1:
                given = [port.name for port in graph.input if port.name in ends]  # an input that is returned
                if node.op_type != "Identity" or (given and node.input[0] not in given):
                    found += (_idle(candidate, name) for name in (*given, *names))
                continue
            found += (_without(candidate, place, at, name, returned=returned) for name in names)
    return found[:_BYPASSES]


def _idle(candidate: Candidate, instead: str) -> Candidate:
    """With an Identity for the only node, which nothing reads: a graph has one, whatever the failure needs."""
    proto = candidate.proto()
    node = proto.graph.node[0]
    node.CopyFrom(onnx.helper.make_node("Identity", [instead], node.output[:1], name=node.name))
    return encoded(proto, candidate.feeds)


def _without(candidate: Candidate, place: int, at: int, instead: str, *, returned: bool) -> Candidate:
    """With another value read in place of what a node computes."""
    proto = candidate.proto()
    graph: Any = list(graphs(proto.graph))[place]
    node = graph.node[at]
    if returned:
        names = [info.name for info in graph.output]
        end = next(name for name in node.output if name in names)
        node.CopyFrom(onnx.helper.make_node("Identity", [instead], [end], name=node.name))
        if not place:
            next(info for info in graph.output if info.name == end).ClearField("type")
            forget_shapes(proto)
        return encoded(proto, candidate.feeds)
    outputs = {name for name in node.output if name}
    graph.node.remove(node)
    for inner in graphs(graph):
        for reader in inner.node:
            for position, name in enumerate(reader.input):
                if name in outputs:
                    reader.input[position] = instead
    forget_shapes(proto)
    return encoded(proto, candidate.feeds)
