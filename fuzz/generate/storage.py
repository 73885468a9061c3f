"""Where a finished model keeps its constants: shared between nodes, or in Constant nodes instead of initializers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from abstract.schema import signature

if TYPE_CHECKING:
    from fuzz.generate.choices import Choices

__all__ = ["restore"]


def restore(model: bytes, structure: frozenset[str], choices: Choices) -> bytes:
    """The model with its initializers kept as its structure says."""
    proto = onnx.ModelProto.FromString(model)
    if "shared" in structure:
        _share(proto.graph)
    if "constants" in structure:
        _move(proto, choices)
    return bytes(proto.SerializeToString(deterministic=True))


def _share(graph: onnx.GraphProto) -> None:
    """One initializer in place of those that hold the same, whether they are weights, axes or shapes."""
    kept: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    renamed: dict[str, str] = {}
    bound = {port.name for port in (*graph.input, *graph.output)}
    for tensor in graph.initializer:
        if tensor.name not in bound:
            first = kept.setdefault(_key(tensor), tensor.name)
            if first != tensor.name:
                renamed[tensor.name] = first
    if renamed:
        _keep(graph, renamed)
        _rename(graph, renamed)


def _key(tensor: onnx.TensorProto) -> tuple[int, tuple[int, ...], bytes]:
    data = tensor.raw_data or b"".join(len(text).to_bytes(4, "little") + text for text in tensor.string_data)
    return tensor.data_type, tuple(tensor.dims), data


def _keep(graph: onnx.GraphProto, gone: dict[str, str] | set[str]) -> None:
    """All initializers but those that are gone."""
    kept = [onnx.TensorProto.FromString(t.SerializeToString()) for t in graph.initializer if t.name not in gone]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _rename(graph: onnx.GraphProto, renamed: dict[str, str]) -> None:
    """Read other initializers, in bodies too."""
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name in renamed:
                node.input[place] = renamed[name]
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                _rename(attribute.g, renamed)


def _move(proto: onnx.ModelProto, choices: Choices) -> None:
    """Constant nodes in place of about half of the initializers, in front of all others."""
    graph = proto.graph
    sign = signature("Constant", next(o.version for o in proto.opset_import if not o.domain))
    allowed = {kind.code for kind in sign.types[sign.outputs[0].variable]}
    inputs = {port.name for port in graph.input}
    moved = [
        t for t in graph.initializer
        if t.data_type in allowed and t.name not in inputs and choices.integer(0, 1)
    ]  # fmt: skip
    if not moved:
        return
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node]
    constants: list[onnx.NodeProto] = []
    for tensor in moved:
        node = onnx.NodeProto(op_type="Constant", name=f"k{len(constants)}", output=[tensor.name])
        node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(tensor)
        constants.append(node)
    _keep(graph, {tensor.name for tensor in moved})
    del graph.node[:]
    graph.node.extend([*constants, *nodes])
