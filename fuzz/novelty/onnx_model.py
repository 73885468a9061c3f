"""Features of an ONNX model that a tool or runtime has left: operators with domains and types, fused nodes included."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from abstract.schema import signature
from fuzz.novelty.network import Node, features

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, MutableMapping

    import onnx

__all__ = ["model_features"]

_DEFAULT = ("", "ai.onnx")
_NAMING = frozenset({"to", "dtype", "output_dtype", "value"})  # attributes that say the element type of a result
_FUSED = frozenset({"activation"})  # attributes that say what a fused node does


def model_features(content: bytes) -> Iterator[str]:
    """Of the graph, its bodies and its functions; ValueError where this is no model.

    Types are those declared, and what follows from them by the schemas, `?` where nothing does. ONNX's own inference is
    left out: it ends the process on some valid models.
    """
    import onnx

    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's own exception class differs between releases
        raise ValueError("no ONNX model") from error
    opsets = {"" if each.domain in _DEFAULT else each.domain: each.version for each in model.opset_import}
    yield from features(_nodes(model.graph, {}, opsets, ""))
    for function in model.functions:
        yield from features(_node(node, {}, "") for node in function.node)


def _nodes(
    graph: onnx.GraphProto, types: MutableMapping[str, str], opsets: Mapping[str, int], place: str
) -> Iterator[Node]:
    for info in (*graph.input, *graph.value_info, *graph.output):
        if info.type.WhichOneof("value"):
            types[info.name] = _type(info.type)
    for tensor in graph.initializer:
        types[tensor.name] = _element(tensor.data_type)
    for node in graph.node:
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                yield from _nodes(body, types, opsets, f"{place}{node.op_type}.")
        for name, kind in _results(node, types, opsets):
            types.setdefault(name, kind)
        yield _node(node, types, place)


def _results(node: onnx.NodeProto, types: Mapping[str, str], opsets: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Types of what a node gives: of the operands that share its type variable, its only type, or an attribute."""
    import onnx.defs

    domain = "" if node.domain in _DEFAULT else node.domain
    try:
        schema = signature(node.op_type, opsets.get(domain, 1), domain)
    except onnx.defs.SchemaError:
        return
    named = [_element(a.i or a.t.data_type) for a in node.attribute if a.name in _NAMING]
    known: dict[str, str] = {}
    for position, name in enumerate(node.input):
        if name in types and schema.inputs and not schema.formal(position).mixed:
            known.setdefault(schema.formal(position).variable, types[name])
    for position, name in enumerate(node.output if schema.outputs else ()):
        formal = schema.outputs[min(position, len(schema.outputs) - 1)]
        allowed = [dtype.name for dtype in schema.types.get(formal.variable, ())]
        found = known.get(formal.variable) or (allowed[0] if len(allowed) == 1 else next(iter(named), None))
        if name and found and not formal.mixed:
            yield name, found


def _node(node: onnx.NodeProto, types: Mapping[str, str], place: str) -> Node:
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
