"""A model cut into consecutive parts, or after its first nodes.

What the whole takes to compile beyond its parts is not the number of nodes; what it takes to run beyond its beginning
is what comes after.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import onnx

from abstract.inference import infer_types

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["PARTS", "beginning", "cut", "whole"]

PARTS = 8
"""How many parts: quadratic work takes 8 times as long on the whole as on them together."""


def cut(model: bytes) -> tuple[bytes, ...]:
    """Consecutive parts of a model, PARTS of them, each a model; empty where it cannot be cut so.

    That is a model with fewer nodes, with bodies (If, Loop, Scan) or functions, with external data, with a value whose
    type shape inference does not find, or where a cut would make an input of what the whole can compute while it
    compiles: such a part would compile otherwise than it does in the whole.
    """
    parsed = whole(model)
    if parsed is None or len(parsed.graph.node) < PARTS:
        return ()
    graph = parsed.graph
    bounds = [len(graph.node) * number // PARTS for number in range(PARTS + 1)]
    parts = [part for start, end in pairwise(bounds) if (part := _part(parsed, start, end)) is not None]
    return tuple(part.SerializeToString() for part in parts) if len(parts) == PARTS else ()


def whole(model: bytes) -> onnx.ModelProto | None:
    """A model with types inferred, of which a part is a model too; None of one that is no model or cannot be cut.

    That is one with bodies, functions, external data, or sparse initializers.
    """
    try:
        parsed = infer_types(onnx.load_model_from_string(model), data_prop=True)
    except Exception:  # noqa: BLE001 - protobuf's own exception class differs between releases
        return None
    graph = parsed.graph
    beside = any(t.HasField("data_location") and t.data_location for t in graph.initializer)
    bodies = any(a.HasField("g") or a.graphs for node in graph.node for a in node.attribute)
    return None if parsed.functions or beside or bodies or graph.sparse_initializer else parsed


def beginning(model: onnx.ModelProto, count: int) -> onnx.ModelProto | None:
    """The first nodes of what `whole` gave, which take the same inputs; None where a type is not known."""
    part = _part(model, 0, count)
    if part is None:
        return None
    unread = {tensor.name for tensor in model.graph.initializer} - {tensor.name for tensor in part.graph.initializer}
    del part.graph.input[:]
    part.graph.input.extend(info for info in model.graph.input if info.name not in unread)
    return part


def _part(model: onnx.ModelProto, start: int, end: int) -> onnx.ModelProto | None:
    graph = model.graph
    nodes = graph.node[start:end]
    made = [name for node in nodes for name in node.output if name]
    read = dict.fromkeys(name for node in nodes for name in node.input if name)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    known = {info.name: info for info in (*graph.input, *graph.value_info, *graph.output)}
    later = _read(graph.node[end:]) | {info.name for info in graph.output}
    inputs = [name for name in read if name not in weights and name not in made]
    outputs = [name for name in made if name in later] or made[-1:]
    if any(name not in known for name in (*inputs, *outputs)) or _constant(graph, start) & set(inputs):
        return None
    part = onnx.ModelProto()
    part.CopyFrom(model)
    part.graph.Clear()
    part.graph.name = graph.name
    part.graph.node.extend(nodes)
    part.graph.initializer.extend(weights[name] for name in read if name in weights)
    part.graph.input.extend(known[name] for name in inputs)
    part.graph.output.extend(known[name] for name in outputs)
    return part


def _read(nodes: Iterable[onnx.NodeProto]) -> set[str]:
    return {name for node in nodes for name in node.input if name}


def _constant(graph: onnx.GraphProto, end: int) -> set[str]:
    """The values before a node that hang on no input."""
    varying = {info.name for info in graph.input}
    nodes: Sequence[onnx.NodeProto] = graph.node[:end]
    found: set[str] = set()
    for node in nodes:
        (varying if _read([node]) & varying else found).update(node.output)
    return found
