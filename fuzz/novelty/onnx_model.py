"""Features of an ONNX model that a tool or runtime has left: operators with domains and types, fused nodes included."""

from __future__ import annotations

from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING

from fuzz.novelty.network import Node, features

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, MutableMapping

    import onnx

__all__ = ["model_features"]

_DEFAULT = ("", "ai.onnx")
_FUSED = frozenset({"activation"})  # attributes that say what a fused node does


def model_features(content: bytes) -> Iterator[str]:
    """Of the graph, its bodies and its functions.

    Types are those declared, of values from outside and of what ONNX's inference knows; a fused node's output is `?`
    unless the graph declares it. ValueError where this is no model.
    """
    import onnx
    import onnx.shape_inference

    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's own exception class differs between releases
        raise ValueError("no ONNX model") from error
    with suppress(Exception):  # a graph that inference refuses has the types that it declares
        model = onnx.shape_inference.infer_shapes(model)
    yield from features(_nodes(model.graph, {}, ""))
    for function in model.functions:
        yield from features(_node(node, {}, "") for node in function.node)


def _nodes(graph: onnx.GraphProto, types: MutableMapping[str, str], place: str) -> Iterator[Node]:
    for info in (*graph.input, *graph.value_info, *graph.output):
        types[info.name] = _type(info.type)
    for tensor in graph.initializer:
        types[tensor.name] = _element(tensor.data_type)
    for node in graph.node:
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                yield from _nodes(body, types, f"{place}{node.op_type}.")
        yield _node(node, types, place)


def _node(node: onnx.NodeProto, types: MutableMapping[str, str], place: str) -> Node:
    domain = "" if node.domain in _DEFAULT else f"{node.domain}."
    said = "".join(f" {a.s.decode('utf-8', 'replace')}" for a in node.attribute if a.name in _FUSED)
    detail = f"({_types(node.input, types)})->({_types(node.output, types)}){said}"
    return Node(f"{place}{domain}{node.op_type}", node.input, node.output, detail)


def _types(names: Iterable[str], types: Mapping[str, str]) -> str:
    """What goes in or comes out; how many of the same type stand in a row is a matter of size."""
    return ",".join(kind for kind, _ in groupby(types.get(name, "?") if name else "-" for name in names))


def _type(kind: onnx.TypeProto) -> str:
    which = kind.WhichOneof("value")
    if which == "tensor_type":
        return _element(kind.tensor_type.elem_type)
    return which.removesuffix("_type") if which else "?"


def _element(code: int) -> str:
    import onnx

    name: str = onnx.TensorProto.DataType.Name(code) if code else "?"
    return name.lower()
