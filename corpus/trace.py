"""The graph of an exported program: what each node computes, of which type and shape, and in which module.

A graph here has no cycles: what leads back to a node that comes earlier, as in a hand-written one with recurrences,
is left out and counted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from corpus.order import forwards

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch.export import ExportedProgram
    from torch.fx import Node

__all__ = ["Edge", "Graph", "Vertex", "acyclic", "trace"]


@dataclass(frozen=True, slots=True)
class Vertex:
    """One node.

    ``kind`` is input, parameter, constant, call or output; ``operator`` what a call computes (``aten.conv2d.default``).
    ``types`` and ``shapes`` are those of the tensors that it gives, a size that is not fixed being its name.
    ``modules`` is the way from the model to the module that the node stands in, each as [path, class]. ``arguments``
    are those of a call that are no tensors, each as [name, Python's text of it].
    """

    name: str
    kind: str
    operator: str
    types: tuple[str, ...]
    shapes: tuple[tuple[int | str, ...], ...]
    modules: tuple[tuple[str, str], ...]
    arguments: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """From one node to another, by their places; ``position`` is which of its arguments the value is."""

    source: int
    target: int
    position: int


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in an order in which they can be computed, and edges that all lead forwards."""

    vertices: tuple[Vertex, ...]
    edges: tuple[Edge, ...]
    removed: int = 0

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "nodes": [asdict(vertex) for vertex in self.vertices],
            "edges": [[edge.source, edge.target, edge.position] for edge in self.edges],
            "back_edges_removed": self.removed,
        }


def trace(program: ExportedProgram) -> Graph:
    """The graph of a program; blocks of a choice or a loop are one node each."""
    nodes = list(program.graph.nodes)
    places = {node: place for place, node in enumerate(nodes)}
    signature = program.graph_signature
    parameters = {*signature.inputs_to_parameters, *signature.inputs_to_buffers}
    constants = {*signature.inputs_to_lifted_tensor_constants, *signature.inputs_to_lifted_custom_objs}
    vertices = [_vertex(node, parameters, constants) for node in nodes]
    edges = [
        Edge(places[source], places[node], position)
        for node in nodes
        for position, source in enumerate(node.all_input_nodes)
    ]
    return acyclic(vertices, edges)


def acyclic(vertices: Sequence[Vertex], edges: Iterable[Edge]) -> Graph:
    """A graph of these nodes without the edges that close a cycle.

    A depth-first walk from the nodes in their order finds them: an edge to a node that the walk is still inside of
    leads back. What is left is put into an order in which all edges lead forwards, the given one wherever it serves.
    """
    kept = list(edges)
    successors: dict[int, list[Edge]] = {place: [] for place in range(len(vertices))}
    for edge in kept:
        successors[edge.source].append(edge)
    back = _back_edges(successors)
    forward = [edge for edge in kept if edge not in back]
    order = forwards(len(vertices), ((edge.source, edge.target) for edge in forward))
    place = {old: new for new, old in enumerate(order)}
    moved = [Edge(place[edge.source], place[edge.target], edge.position) for edge in forward]
    moved.sort(key=lambda edge: (edge.target, edge.position, edge.source))
    return Graph(tuple(vertices[old] for old in order), tuple(moved), len(kept) - len(forward))


def _back_edges(successors: Mapping[int, Sequence[Edge]]) -> set[Edge]:
    back: set[Edge] = set()
    finished: set[int] = set()
    for root in successors:
        if root in finished:
            continue
        inside = {root}
        stack = [(root, iter(successors[root]))]
        while stack:
            place, rest = stack[-1]
            edge = next(rest, None)
            if edge is None:
                stack.pop()
                inside.discard(place)
                finished.add(place)
            elif edge.target in inside:
                back.add(edge)
            elif edge.target not in finished:
                inside.add(edge.target)
                stack.append((edge.target, iter(successors[edge.target])))
    return back


def _vertex(node: Node, parameters: set[str], constants: set[str]) -> Vertex:
    import torch
    from torch.utils import _pytree as pytree

    value = node.meta.get("val")
    tensors = [leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, torch.Tensor)]
    kind = {"placeholder": "input", "output": "output", "get_attr": "constant"}.get(node.op, "call")
    if node.op == "placeholder" and node.name in parameters:
        kind = "parameter"
    if node.op == "placeholder" and node.name in constants:
        kind = "constant"
    stack = node.meta.get("nn_module_stack") or {}
    return Vertex(
        node.name, kind, str(node.target) if kind == "call" else "",
        tuple(str(tensor.dtype).removeprefix("torch.") for tensor in tensors),
        tuple(tuple(dim if isinstance(dim, int) else str(dim) for dim in tensor.shape) for tensor in tensors),
        tuple((path, _class(kind_)) for path, kind_ in stack.values() if path), _arguments(node),
    )  # fmt: skip


_LONGEST = 200  # characters of an argument


def _arguments(node: Node) -> tuple[tuple[str, str], ...]:
    from torch.utils import _pytree as pytree

    schema = getattr(node.target, "_schema", None) if node.op == "call_function" else None
    if schema is None:
        return ()
    names = [argument.name for argument in schema.arguments]
    given = [*zip(names, node.args, strict=False), *node.kwargs.items()]
    return tuple(
        (name, repr(value)[:_LONGEST])
        for name, value in given
        if value is not None and not any(isinstance(leaf, type(node)) for leaf in pytree.tree_leaves(value))
    )


def _class(kind: Any) -> str:
    text = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    return text.rpartition(".")[2]
