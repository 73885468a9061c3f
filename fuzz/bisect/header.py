"""The same model under the oldest header that its content permits: other releases read it, and it means the same.

A model names a version of ONNX's file format (`ir_version`) and one of its operators (`opset_import`). Old releases
refuse newer ones, also where nothing of the new is used. Nothing but these numbers is changed here: the version of the
operator set goes down only as far as each operator keeps the very schema that it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import onnx.defs
import onnx.helper

from backends.graph import graphs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["least_format", "plain"]

_OWN = frozenset({"", "ai.onnx"})
_FLOOR_OPSET, _FLOOR_FORMAT = 13, 7
"""Nothing older is asked about: the format that came with opset 12."""
_TYPES = (
    (9, ("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ")), (10, ("UINT4", "INT4")),
    (11, ("FLOAT4E2M1",)), (12, ("FLOAT8E8M0",)), (13, ("UINT2", "INT2")), (14, ("FLOAT6E2M3", "FLOAT6E3M2")),
)  # fmt: skip
"""The version of the format that brought an element type, as onnx.proto tells."""
_FIELDS = (
    (10, ("metadata_props", "overload")), (11, ("configuration", "device_configurations")),
    (9, ("attribute_proto",)), (8, ("functions", "optional_type", "sparse_tensor_type")),
)  # fmt: skip
"""The version that brought a field, whichever message has it; `metadata_props` of a model is older."""


def plain(model: bytes) -> bytes | None:
    """The model under its oldest header; None where it has that already, or it cannot be told."""
    proto: onnx.ModelProto = onnx.ModelProto.FromString(model)
    opset = _least_opset(proto)
    if opset is None:
        return None
    for holder in (proto, *proto.functions):
        for each in holder.opset_import:
            if each.domain in _OWN:
                each.version = min(each.version, opset)
    proto.ir_version = min(proto.ir_version, least_format(proto))
    changed: bytes = proto.SerializeToString(deterministic=True)
    return None if changed == onnx.ModelProto.FromString(model).SerializeToString(deterministic=True) else changed


def least_format(proto: onnx.ModelProto) -> int:
    """The oldest version of the format that has all that a model holds: its opsets, element types and fields."""
    own = [each for each in proto.opset_import if each.domain in _OWN]
    versions = [_FLOOR_FORMAT, onnx.helper.find_min_ir_version_for(own) if own else _FLOOR_FORMAT]
    numbers = {number for message in _messages(proto) for number in _element_types(message)}
    names = {name for message in _messages(proto) for name in _filled(message)}
    versions += [at for at, types in _TYPES if any(onnx.TensorProto.DataType.Value(t) in numbers for t in types)]
    versions += [at for at, fields in _FIELDS if not names.isdisjoint(fields)]
    return max(versions)


def _least_opset(proto: onnx.ModelProto) -> int | None:
    """The oldest version of the operator set in which each operator has the schema that it has now."""
    found = [_FLOOR_OPSET]
    scopes = [(proto.opset_import, graphs(proto.graph))]
    scopes += [(f.opset_import, _bodies(f)) for f in proto.functions]
    for imports, inside in scopes:
        version = next((each.version for each in imports if each.domain in _OWN), None)
        for node in (node for graph in inside for node in graph.node):
            if node.domain not in _OWN:
                continue
            try:
                schema = onnx.defs.get_schema(node.op_type, version or 1, "")
            except onnx.defs.SchemaError:
                return None
            found.append(schema.since_version)
    return max(found)


def _bodies(function: onnx.FunctionProto) -> Iterator[onnx.GraphProto]:
    whole = onnx.GraphProto(node=function.node)
    return iter(graphs(whole))


def _messages(message: object) -> Iterator[object]:
    """A message and all inside of it."""
    yield message
    for field, value in message.ListFields():  # type: ignore[attr-defined]
        if field.message_type is not None:
            for inner in value if not hasattr(value, "ListFields") else (value,):
                yield from _messages(inner)


def _filled(message: object) -> Iterable[str]:
    names = {field.name for field, _ in message.ListFields()}  # type: ignore[attr-defined]
    return names - {"metadata_props"} if isinstance(message, onnx.ModelProto) else names


def _element_types(message: object) -> Iterable[int]:
    """The element types that a message names, a Cast's among them: too many rather than too few."""
    if isinstance(message, onnx.TensorProto):
        return (message.data_type,)
    if isinstance(message, onnx.TypeProto.Tensor):
        return (message.elem_type,)
    if isinstance(message, onnx.AttributeProto) and message.name in {"to", "dtype", "output_dtype"}:
        return (message.i,)
    return ()
