"""What a model asks for and returns, read from its bytes without parsing the rest.

The field numbers are those of onnx.proto3 (ModelProto, GraphProto, ValueInfoProto, TypeProto).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.tensor import ONNX_NUMBERS
from fuzz.errors import CaseError
from fuzz.wire import WireError, as_bytes, as_int, as_text, fields

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Port", "Signature", "ValueType", "parse_port", "read_signature", "signature"]

_NAMES = {number: name for name, number in ONNX_NUMBERS.items()}
_NESTING = 8  # sequence(optional(sequence(...))): no operator makes deeper types
_KINDS = {1: "tensor", 4: "sequence", 5: "map", 8: "sparse_tensor", 9: "optional"}


@dataclass(frozen=True, slots=True)
class ValueType:
    """The type of a graph input or output.

    ``kind`` is tensor, sequence, optional, map, sparse_tensor or unknown. A tensor has an ``element_type``
    (ONNX's name in lower case; None where the model does not say) and a ``shape`` (None: rank unknown; a dim
    is a number, a symbol, or None); a sequence or optional has the type of its ``element``.
    """

    kind: str
    element_type: str | None = None
    shape: tuple[int | str | None, ...] | None = None
    element: ValueType | None = None


@dataclass(frozen=True, slots=True)
class Port:
    """One graph input or output."""

    name: str
    type: ValueType


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs that a caller must give, in order, and the outputs.

    An input that has an initialiser of its name (a default, as models before IR version 4 list them) is in
    ``defaults`` and not in ``inputs``.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    defaults: tuple[Port, ...] = ()


def read_signature(path: Path) -> Signature:
    """The signature of a model file; CaseError where it cannot be read."""
    try:
        return signature(path.read_bytes())
    except OSError as error:
        raise CaseError(f"{path}: {error.strerror}") from None
    except WireError as error:
        raise CaseError(f"{path} is no ONNX model ({error}); check the file with onnx.checker") from None


def signature(model: bytes) -> Signature:
    """The signature of a serialised ModelProto; WireError where the bytes are none."""
    graph = None
    for number, value in fields(model):
        if number == 7:
            graph = as_bytes(value)
    if graph is None:
        raise WireError("it holds no graph")
    inputs, outputs, defaults = [], [], set()
    for number, value in fields(graph):
        if number == 11:
            inputs.append(parse_port(as_bytes(value)))
        elif number == 12:
            outputs.append(parse_port(as_bytes(value)))
        elif number == 5:
            defaults.add(_initializer_name(as_bytes(value)))
    return Signature(
        tuple(port for port in inputs if port.name not in defaults),
        tuple(outputs),
        tuple(port for port in inputs if port.name in defaults),
    )


def _initializer_name(tensor: memoryview) -> str:
    return next((as_text(value) for number, value in fields(tensor) if number == 8), "")


def parse_port(value_info: memoryview) -> Port:
    """The name and type in a ValueInfoProto."""
    name, kind = "", ValueType("unknown")
    for number, value in fields(value_info):
        if number == 1:
            name = as_text(value)
        elif number == 2:
            kind = _type(as_bytes(value), _NESTING)
    return Port(name, kind)


def _type(message: memoryview, depth: int) -> ValueType:
    if not depth:
        raise WireError("types are nested too deeply")
    for number, value in fields(message):
        kind = _KINDS.get(number)
        if kind == "tensor":
            return _tensor_type(as_bytes(value))
        if kind in {"sequence", "optional"}:
            return ValueType(kind, element=_element(as_bytes(value), depth - 1))
        if kind:
            return ValueType(kind)
    return ValueType("unknown")


def _element(message: memoryview, depth: int) -> ValueType:
    for number, value in fields(message):
        if number == 1:
            return _type(as_bytes(value), depth)
    return ValueType("unknown")


def _tensor_type(message: memoryview) -> ValueType:
    element_type, shape = None, None
    for number, value in fields(message):
        if number == 1:
            element_type = _NAMES.get(as_int(value))
        elif number == 2:
            shape = tuple(_dim(as_bytes(dim)) for field, dim in fields(as_bytes(value)) if field == 1)
    return ValueType("tensor", element_type, shape)


def _dim(message: memoryview) -> int | str | None:
    for number, value in fields(message):
        if number == 1:
            return as_int(value)
        if number == 2:
            return as_text(value) or None
    return None
