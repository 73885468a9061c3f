"""A model's graph as the report draws it, read from the bytes without a native parser.

The field numbers are those of onnx.proto3 (GraphProto, NodeProto, AttributeProto, TensorProto,
ValueInfoProto).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from backends.tensor import ONNX_NUMBERS
from fuzz.signature import ValueType, parse_port
from fuzz.wire import WireError, as_bytes, as_int, as_text, fields, packed

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["GraphView", "NodeView", "read_graph", "tensor_label", "type_label"]

_NESTING = 16  # subgraphs in subgraphs
_SHOWN = 6  # entries of an attribute that are written out
_NAMES = {number: name for name, number in ONNX_NUMBERS.items()}
_SHORT = {"float": "f32", "double": "f64", "float16": "f16", "bfloat16": "bf16"} | {
    f"{sign}int{bits}": f"{sign or 'i'}{bits}" for sign in ("", "u") for bits in (2, 4, 8, 16, 32, 64)
}


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node: ``captured`` are the outer values that its subgraphs read, ``attributes`` are texts."""

    name: str
    operator: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    captured: tuple[str, ...]
    attributes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class GraphView:
    """The graph of a model; ``types`` holds the labels of the values whose type the file says."""

    nodes: tuple[NodeView, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    initializers: frozenset[str]
    types: dict[str, str]


def read_graph(model: bytes) -> GraphView:
    """The graph of a serialised ModelProto; WireError where the bytes are none."""
    for number, value in fields(model):
        if number == 7:
            return _graph(as_bytes(value))
    raise WireError("it holds no graph")


def type_label(value_type: ValueType) -> str:
    """`f32 2×3×N`, `seq(i64 ?)`: a type as an edge label, short."""
    if value_type.kind != "tensor":
        inner = type_label(value_type.element) if value_type.element else ""
        return f"{ {'sequence': 'seq', 'optional': 'opt'}.get(value_type.kind, value_type.kind)}({inner})"
    return tensor_label(value_type.element_type or "?", value_type.shape)


def tensor_label(element_type: str, shape: tuple[int | str | None, ...] | None) -> str:
    """`f32 2×3`, `i64 scalar`: the type and sizes of a tensor; its type alone where the shape is not known."""
    name = _SHORT.get(element_type, element_type)
    if shape is None:
        return name
    if not shape:
        return f"{name} scalar"
    return f"{name} " + "×".join(map(_dim, shape))


def _dim(dim: int | str | None) -> str:
    """A dim; shape inference names what it does not know `unk__N`."""
    return "?" if dim is None or str(dim).startswith("unk__") else str(dim)


def _graph(message: memoryview) -> GraphView:
    nodes: list[NodeView] = []
    inputs: list[str] = []
    outputs: list[str] = []
    initializers: set[str] = set()
    types: dict[str, str] = {}
    for number, value in fields(message):
        if number == 1:
            nodes.append(_node(as_bytes(value)))
        elif number == 5:
            name, label = _initializer(as_bytes(value))
            initializers.add(name)
            types[name] = label
        elif number in {11, 12, 13}:
            port = parse_port(as_bytes(value))
            types.setdefault(port.name, type_label(port.type))
            if number != 13:
                (inputs if number == 11 else outputs).append(port.name)
    kept = tuple(name for name in inputs if name not in initializers)
    return GraphView(tuple(nodes), kept, tuple(outputs), frozenset(initializers), types)


def _initializer(message: memoryview) -> tuple[str, str]:
    name, code, shape = "", 0, list[int]()
    for number, value in fields(message):
        if number == 1:
            shape += packed(value)
        elif number == 2:
            code = as_int(value)
        elif number == 8:
            name = as_text(value)
    return name, tensor_label(_NAMES.get(code, "?"), tuple(shape))


def _node(message: memoryview) -> NodeView:
    inputs: list[str] = []
    outputs: list[str] = []
    text = {3: "", 4: "", 7: ""}
    attributes: list[tuple[str, str]] = []
    captured: dict[str, None] = {}
    for number, value in fields(message):
        if number == 1:
            inputs.append(as_text(value))
        elif number == 2:
            outputs.append(as_text(value))
        elif number in text:
            text[number] = as_text(value)
        elif number == 5:
            attributes.append(_attribute(as_bytes(value)))
            captured.update(dict.fromkeys(_captured_by(as_bytes(value), _NESTING)))
    return NodeView(
        text[3], text[4], text[7], tuple(inputs), tuple(outputs), tuple(captured), tuple(attributes)
    )


def _attribute(message: memoryview) -> tuple[str, str]:
    name, entries = "", list[str]()
    for number, value in fields(message):
        if number == 1:
            name = as_text(value)
        elif len(entries) <= _SHOWN:
            entries += _attribute_value(number, value)
    shown = ", ".join(entries[:_SHOWN]) + (", …" if len(entries) > _SHOWN else "")
    return name, shown


def _attribute_value(number: int, value: int | memoryview) -> list[str]:
    if number in {2, 7} and not isinstance(value, int) and len(value) % 4 == 0:
        return [f"{item:g}" for (item,) in struct.iter_unpack("<f", value[: 4 * (_SHOWN + 1)])]
    if number in {3, 8}:
        return [str(item) for item in islice(packed(value), _SHOWN + 1)]
    if number in {4, 9}:
        return [as_text(value)[:40]]
    if number == 5:
        return [_initializer(as_bytes(value))[1]]
    return ["subgraph"] if number in {6, 11} else []


def _captured_by(attribute: memoryview, depth: int) -> Iterator[str]:
    """Names that the subgraphs of an attribute read from outside."""
    if not depth:
        raise WireError("subgraphs are nested too deeply")
    for number, value in fields(attribute):
        if number in {6, 11}:
            yield from _free_names(as_bytes(value), depth)


def _free_names(graph: memoryview, depth: int) -> list[str]:
    used: dict[str, None] = {}
    defined: set[str] = set()
    for number, value in fields(graph):
        if number == 1:
            for field, item in fields(as_bytes(value)):
                if field == 1:
                    used[as_text(item)] = None
                elif field == 2:
                    defined.add(as_text(item))
                elif field == 5:
                    used.update(dict.fromkeys(_captured_by(as_bytes(item), depth - 1)))
        elif number == 5:
            defined.add(_initializer(as_bytes(value))[0])
        elif number == 11:
            defined.add(parse_port(as_bytes(value)).name)
        elif number == 12:
            used[parse_port(as_bytes(value)).name] = None
    return [name for name in used if name and name not in defined]
