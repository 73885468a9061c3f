"""The computation graph of an exported PyTorch program, or of the trace that a corpus cache keeps of one.

Parameters are no nodes but features of those that read them; what is made of constants alone is a constant, as a
weight that is turned. What takes one of several results (``getitem``) belongs to the node that gives them.
"""

from __future__ import annotations

import ast
import json
from math import prod
from typing import TYPE_CHECKING, Any

from corpus.graphs.assembly import Operation, Value, assemble
from corpus.graphs.computation import GraphError
from corpus.graphs.vocabulary import ATEN, UNKNOWN, bare_name
from corpus.trace import Edge, Graph, Vertex, trace

if TYPE_CHECKING:
    from pathlib import Path

    from torch.export import ExportedProgram

    from corpus.graphs.computation import ComputationGraph

__all__ = ["from_program", "from_trace", "read_trace"]

_TYPES = {
    "float32": "float", "float64": "double", "float16": "float16", "bfloat16": "bfloat16", "bool": "bool",
    "complex64": "complex64", "complex128": "complex128",
    **{f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}  # fmt: skip
_NOTHING = frozenset({
    "dropout", "dropout_", "alias", "detach", "detach_", "contiguous", "lift_fresh_copy", "clone", "feature_dropout",
})  # fmt: skip
"""What computes nothing at inference."""
_CONVERSIONS = frozenset({"to", "_to_copy", "type_as"})
_BUFFER = "b_"
"""What torch.export calls a buffer begins so: a number that was counted or set, not learnt."""


def from_program(
    program: ExportedProgram, *, name: str = "", family: str = "", whole: bool = False
) -> ComputationGraph:
    """The graph of a program of ``torch.export``; ``whole`` keeps what computes nothing or leads nowhere.

    Raises GraphError.
    """
    return from_trace(trace(program), name=name, family=family, whole=whole)


def from_trace(graph: Graph, *, name: str = "", family: str = "", whole: bool = False) -> ComputationGraph:
    """The same of a trace. Raises GraphError."""
    reader = _Reader(graph)
    operations = [one for place in range(len(graph.vertices)) if (one := reader.operation(place)) is not None]
    inputs = [vertex.name for vertex in graph.vertices if vertex.kind == "input" and vertex.shapes]
    return assemble((name, family), inputs, operations, reader.outputs, reader.values, whole=whole)


def read_trace(path: Path) -> Graph:
    """The trace that `fuzz corpus run` keeps of a model (``graph.json``). Raises GraphError, OSError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        vertices = tuple(_vertex(row) for row in content["nodes"])
        edges = tuple(Edge(int(source), int(target), int(place)) for source, target, place in content["edges"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise GraphError(f"{path} is no trace of `fuzz corpus run`") from None
    if any(not 0 <= edge.source < edge.target < len(vertices) for edge in edges):
        raise GraphError(f"{path} is no trace of `fuzz corpus run`: an edge does not lead forwards")
    return Graph(vertices, edges)


def _vertex(row: Any) -> Vertex:
    dims = [[dim if isinstance(dim, int) else str(dim) for dim in shape] for shape in row["shapes"]]
    if any(isinstance(dim, int) and dim < 0 for shape in dims for dim in shape):
        raise ValueError
    return Vertex(
        str(row["name"]), str(row["kind"]), str(row["operator"]), tuple(map(str, row["types"])),
        tuple(map(tuple, dims)), tuple((str(path), str(kind)) for path, kind in row["modules"]),
        tuple((str(key), str(text)) for key, text in row.get("arguments", ())),
    )  # fmt: skip


class _Reader:
    """A trace, read vertex by vertex: each is a constant, a part of another, or an operation."""

    def __init__(self, graph: Graph) -> None:
        self.vertices = graph.vertices
        self.sources: list[list[int]] = [[] for _ in graph.vertices]
        for edge in graph.edges:
            self.sources[edge.target].append(edge.source)
        self.values = {vertex.name: _value(vertex) for vertex in graph.vertices}
        self.outputs: list[str] = []
        self._parts: dict[int, list[str]] = {}
        # Constants, and which parameter each of them is made of.
        self._made_of: dict[int, int] = {}
        for place, vertex in enumerate(graph.vertices):
            self._sort(place, vertex)

    def _sort(self, place: int, vertex: Vertex) -> None:
        sources = self.sources[place]
        if vertex.kind == "output":
            names = (self.vertices[source].name for source in sources if source not in self._made_of)
            self.outputs += dict.fromkeys(names)
        elif vertex.kind in {"parameter", "constant"}:
            self._made_of[place] = place
        elif self._is_part(place):
            self._parts.setdefault(sources[0], []).append(vertex.name)
        elif vertex.kind == "call" and all(source in self._made_of for source in sources) and not _is_random(vertex):
            ranked = sorted((self._made_of[one] for one in sources), key=lambda one: -_rank(self.vertices[one]))
            self._made_of[place] = ranked[0] if ranked else place

    def _is_part(self, place: int) -> bool:
        """Whether a vertex takes one of what another gives."""
        sources = self.sources[place]
        return "getitem" in self.vertices[place].operator and bool(sources) and sources[0] not in self._made_of

    def operation(self, place: int) -> Operation | None:
        """What a vertex computes; None where that is a constant, or no tensor, or part of what another gives."""
        vertex = self.vertices[place]
        if vertex.kind != "call" or place in self._made_of or self._is_part(place):
            return None
        bare = bare_name(vertex.operator)
        told = dict(vertex.arguments)
        weights = self._weights(place, bare)
        shapes = [shape for _, shape in weights]
        label = _label(bare, told, shapes)
        parts = self._parts.get(place, [])
        if parts and not vertex.shapes:
            self.values[vertex.name] = self.values[parts[0]]
        reads = (self.vertices[one] for one in self.sources[place] if one not in self._made_of)
        return Operation(
            name=vertex.name, operator=label, source=vertex.operator,
            reads=tuple(one.name for one in reads if one.kind == "call" or one.shapes),
            gives=(vertex.name, *parts),
            kernel=_kernel(label, told, shapes),
            bias=label in {"Conv", "Depthwise", "MatMul"} and any(len(shape) == 1 for shape in shapes),
            weights=tuple(shapes), parameters=tuple(name for name, _ in weights),
            modules=vertex.modules, arguments=vertex.arguments, nothing=bare in _NOTHING or self._is_same(place, bare),
        )  # fmt: skip

    def _is_same(self, place: int, bare: str) -> bool:
        """Whether a conversion is one to the type that its operand has."""
        sources = self.sources[place]
        return bare in _CONVERSIONS and bool(sources) and self.vertices[sources[0]].types == self.vertices[place].types

    def _weights(self, place: int, bare: str) -> list[tuple[str, tuple[int, ...]]]:
        """Name and shape of each parameter that a call reads, the kernel first."""
        result = []
        for source in self.sources[place]:
            root = self.vertices[self._made_of[source]] if source in self._made_of else None
            if root is None or root.kind != "parameter" or root.name.startswith(_BUFFER):
                continue
            shape = tuple(dim for dim in (self.vertices[source].shapes or ((),))[0] if isinstance(dim, int))
            if bare == "linear" and len(shape) == 2:
                shape = shape[::-1]
            if shape and prod(shape) != 1:
                result.append((root.name, shape))
        return sorted(result, key=lambda one: -len(one[1]))


def _value(vertex: Vertex) -> Value:
    if not vertex.shapes:
        return Value()
    return Value(vertex.shapes[0], _TYPES.get(vertex.types[0], vertex.types[0]) if vertex.types else "")


def _rank(vertex: Vertex) -> int:
    return len(vertex.shapes[0]) if vertex.shapes else 0


def _is_random(vertex: Vertex) -> bool:
    return any(word in vertex.operator for word in ("rand", "normal_", "bernoulli", "multinomial"))


def _label(bare: str, told: dict[str, str], weights: list[tuple[int, ...]]) -> str:
    label = ATEN.get(bare, UNKNOWN)
    limits = ("min_val", "max_val") if bare.startswith("hardtanh") else ("min", "max")
    if bare.rstrip("_") in {"hardtanh", "clamp"} and [_number(told.get(key)) for key in limits] == [0, 6]:
        return "ReLU6"
    if bare.rstrip("_") == "hardtanh":
        return UNKNOWN
    groups = _number(told.get("groups"))
    if label == "Conv" and weights and len(weights[0]) > 2 and weights[0][1] == 1 and groups not in {None, 1}:
        return "Depthwise"
    return label


def _kernel(label: str, told: dict[str, str], weights: list[tuple[int, ...]]) -> tuple[int, ...]:
    if label in {"Conv", "Depthwise"}:
        return weights[0][2:] if weights else ()
    if label in {"Maxpool", "Avgpool"}:
        sizes = _parsed(told.get("kernel_size", "()"))
        return tuple(one for one in sizes if isinstance(one, int)) if isinstance(sizes, list | tuple) else ()
    return ()


def _number(text: str | None) -> float | None:
    value = _parsed(text or "None")
    return value if isinstance(value, int | float) else None


def _parsed(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
