"""Where a finished model keeps its constants: shared, in Constant nodes instead of initializers, in files beside it."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import onnx

from abstract.schema import signature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fuzz.generate.choices import Choices

__all__ = ["Apart", "apart", "restore"]

_FOLDERS = ("", "", "", "data/")
_FILE = "weights.bin"
_SHORT = 16  # elements of what decides shapes: two for each of eight axes
_ALIGNMENTS = (1, 64, 4096)  # one after the other; cache lines; pages, as who maps the file wants them


@dataclass(frozen=True, slots=True)
class Apart:
    """A model whose data lies beside it: its own bytes, and those of the files by their place."""

    model: bytes
    files: Mapping[str, bytes]


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


# -- data in other files -----------------------------------------------------------------------------------------


def apart(model: bytes, choices: Choices) -> Apart | None:
    """The model with the data of initializers in one file, or in one file each; None where there is none to move.

    Either all that may lie there do, or about half. Text must stay inside (onnx.proto, TensorProto.data_location).
    So does what is short, as in ``onnx.save``: ONNX's shape inference wants axes, shapes and scales, and refuses to
    look into files for them.
    """
    proto = onnx.ModelProto.FromString(model)
    folder = _FOLDERS[choices.integer(0, len(_FOLDERS) - 1)]
    single, some = choices.integer(0, 3) > 0, choices.integer(0, 1)
    long = [t for t in proto.graph.initializer if t.raw_data and (len(t.dims) > 1 or prod(t.dims) > _SHORT)]
    moved = [t for t in long if not (some and choices.integer(0, 1))]
    if not moved:
        return None
    if single:
        align = _ALIGNMENTS[choices.integer(0, len(_ALIGNMENTS) - 1)]
        files = {f"{folder}{_FILE}": _joined(moved, f"{folder}{_FILE}", align)}
    else:
        files = {}
        for number, tensor in enumerate(moved):
            place = f"{folder}w{number}.bin"
            files[place] = tensor.raw_data
            _refer(tensor, place, {"length": len(tensor.raw_data)} if choices.integer(0, 1) else {})
    return Apart(bytes(proto.SerializeToString(deterministic=True)), files)


def _joined(tensors: Sequence[onnx.TensorProto], place: str, align: int) -> bytes:
    data = bytearray()
    for tensor in tensors:
        data.extend(bytes(-len(data) % align))
        content = tensor.raw_data
        _refer(tensor, place, {"offset": len(data), "length": len(content)})
        data.extend(content)
    return bytes(data)


def _refer(tensor: onnx.TensorProto, place: str, where: Mapping[str, int]) -> None:
    """Say where the data is instead of holding it."""
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", place), *where.items()):
        tensor.external_data.add(key=key, value=str(value))
