"""A computation graph as JSON, and back, the latter from a file that a stranger may have made."""

from __future__ import annotations

from dataclasses import MISSING, fields
from math import isfinite
from typing import TYPE_CHECKING, Any

from corpus.graphs.computation import ComputationGraph, Edge, GraphError, Node
from corpus.graphs.vocabulary import VOCABULARY

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["VERSION", "graph_from_json", "graph_to_json"]

VERSION = 1
_MOST_NODES, _LONGEST, _LARGEST, _MOST_DIMS = 1_000_000, 10_000, 2**62, 64
_KNOWN = frozenset(VOCABULARY)


def graph_to_json(graph: ComputationGraph) -> dict[str, Any]:
    """As plain data: a node is an object without what it does not have, an edge is [source, target, position]."""
    return {
        "version": VERSION,
        "name": graph.name,
        "family": graph.family,
        "labels": dict(sorted(graph.labels.items())),
        "nodes": [_node_to_json(node) for node in graph.nodes],
        "edges": [[edge.source, edge.target, edge.position] for edge in graph.edges],
    }


def _node_to_json(node: Node) -> dict[str, Any]:
    values = {one.name: getattr(node, one.name) for one in fields(node)}
    return {name: value for name, value in values.items() if value != _DEFAULTS.get(name)}


_DEFAULTS = {one.name: one.default for one in fields(Node) if one.default is not MISSING}


def graph_from_json(content: Any) -> ComputationGraph:
    """What `graph_to_json` gave. Raises GraphError."""
    if not isinstance(content, dict):
        raise GraphError("a graph is a JSON object")
    if content.get("version") != VERSION:
        raise GraphError(f"its version is {content.get('version')!r}, this release reads {VERSION}")
    name, family = (_text(content.get(key), key) for key in ("name", "family"))
    rows, pairs = (_list(content.get(key), key) for key in ("nodes", "edges"))
    if len(rows) > _MOST_NODES or len(pairs) > 16 * _MOST_NODES:
        raise GraphError(f"it has {len(rows):,} nodes and {len(pairs):,} edges; {_MOST_NODES:,} nodes are the most")
    nodes = tuple(_node(row, place) for place, row in enumerate(rows))
    return ComputationGraph(
        name, family, nodes, tuple(_edge(row, len(nodes)) for row in pairs), _labels(content.get("labels"))
    )


def _node(row: Any, place: int) -> Node:
    if not isinstance(row, dict):
        raise GraphError(f"node {place} is no object")
    unknown = sorted(map(str, set(row) - set(_READERS)))
    if unknown:
        raise GraphError(f"node {place} has an unknown entry {unknown[0][:40]!r}")
    missing = [key for key in ("name", "operator", "source") if key not in row]
    if missing:
        raise GraphError(f"node {place} has no {missing[0]}")
    node = Node(**{key: _READERS[key](value, f"{key} of node {place}") for key, value in row.items()})
    if node.operator not in _KNOWN:
        raise GraphError(f"operator of node {place} is {node.operator[:40]!r}, no label of the vocabulary")
    if node.parameters and len(node.parameters) != len(node.weights):
        raise GraphError(f"node {place} has {len(node.weights)} weights and {len(node.parameters)} names of them")
    return node


def _edge(row: Any, count: int) -> Edge:
    numbers = [_number(value, "an edge") for value in _list(row, "an edge")]
    if len(numbers) != 3:
        raise GraphError("an edge is [source, target, position]")
    source, target, position = numbers
    if not source < target < count:
        raise GraphError(f"edge {source} -> {target} does not lead forwards among {count} nodes")
    return Edge(source, target, position)


def _labels(content: Any) -> dict[str, float | str]:
    if not isinstance(content, dict):
        raise GraphError("its labels are no object")
    for key, value in content.items():
        _text(key, "a label's name")
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise GraphError(f"label {key[:40]!r} is neither a number nor a text")
        if isinstance(value, int | float) and not (abs(value) <= _LARGEST or (isfinite(value) and abs(value) < 1e300)):
            raise GraphError(f"label {key[:40]!r} is no finite number")
    return dict(content)


# --- values -----------------------------------------------------------------------------------------------------------


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise GraphError(f"{what} is no text of at most {_LONGEST:,} characters")
    return value


def _flag(value: Any, what: str) -> bool:
    if not isinstance(value, bool):
        raise GraphError(f"{what} is neither true nor false")
    return value


def _number(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
        raise GraphError(f"{what} is no whole number from 0 to 2**62")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise GraphError(f"{what} is no list")
    return list(value)


def _sizes(value: Any, what: str) -> tuple[int, ...]:
    dims = _list(value, what)
    if len(dims) > _MOST_DIMS:
        raise GraphError(f"{what} has {len(dims)} dimensions")
    return tuple(_number(dim, what) for dim in dims)


def _shape(value: Any, what: str) -> tuple[int | str, ...] | None:
    if value is None:
        return None
    dims = _list(value, what)
    if len(dims) > _MOST_DIMS:
        raise GraphError(f"{what} has {len(dims)} dimensions")
    return tuple(dim if isinstance(dim, str) and len(dim) <= _LONGEST else _number(dim, what) for dim in dims)


def _resolution(value: Any, what: str) -> tuple[int, int] | None:
    if value is None:
        return None
    sizes = _sizes(value, what)
    if len(sizes) != 2:
        raise GraphError(f"{what} is not [height, width]")
    return sizes[0], sizes[1]


def _pairs(value: Any, what: str) -> tuple[tuple[str, str], ...]:
    pairs = [_each(_text)(pair, what) for pair in _list(value, what)]
    if any(len(pair) != 2 for pair in pairs):
        raise GraphError(f"{what} is not a list of pairs of texts")
    return tuple((pair[0], pair[1]) for pair in pairs)


def _each(reader: Callable[[Any, str], Any]) -> Callable[[Any, str], tuple[Any, ...]]:
    return lambda value, what: tuple(reader(one, what) for one in _list(value, what))


def _maybe(reader: Callable[[Any, str], int]) -> Callable[[Any, str], int | None]:
    return lambda value, what: None if value is None else reader(value, what)


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "name": _text, "operator": _text, "source": _text, "type": _text, "bias": _flag,
    "resolution_in": _resolution, "resolution_out": _resolution,
    "channels_in": _maybe(_number), "channels_out": _maybe(_number),
    "kernel": _sizes, "weights": _each(_sizes), "parameters": _each(_text),
    "shapes_in": _each(_shape), "shape": _shape, "modules": _pairs, "arguments": _pairs,
}  # fmt: skip
