"""Values on disk: TensorProto, SequenceProto and OptionalProto files to and from `backends.tensor.Value`.

The field numbers are those of onnx.proto3 and onnx-data.proto3. A file does not say which of the
three it holds: the model's signature does.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np

from backends.tensor import ONNX_NUMBERS, Tensor, byte_size
from fuzz.wire import WireError, as_bytes, as_int, as_text, fields, length_delimited, packed, varint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backends.tensor import Value
    from fuzz.signature import ValueType

__all__ = ["decode_value", "encode_value"]

_TENSOR_KIND, _SEQUENCE_KIND = 1, 3  # SequenceProto.DataType and OptionalProto.DataType
_EXTERNAL = 1  # TensorProto.DataLocation
_NAMES = {number: name for name, number in ONNX_NUMBERS.items()}


def encode_value(name: str, value: Value, kind: str = "") -> bytes:
    """The file of one value; ``kind`` (a `ValueType` kind) tells an optional from what it holds."""
    if kind == "optional" or value is None:
        return _encode_optional(name, value)
    if isinstance(value, Tensor):
        return _encode_tensor(name, value)
    return _encode_sequence(name, value)


def _encode_tensor(name: str, tensor: Tensor) -> bytes:
    parts = [b"\x08" + varint(dim) for dim in tensor.shape]
    parts.append(b"\x10" + varint(ONNX_NUMBERS[tensor.element_type]))
    if tensor.element_type == "string":
        strings = json.loads(tensor.data)
        parts += [length_delimited(6, text.encode("utf-8", "surrogateescape")) for text in strings]
    if name:
        parts.append(length_delimited(8, name.encode("utf-8", "surrogateescape")))
    if tensor.element_type != "string":
        parts.append(length_delimited(9, tensor.data))
    return b"".join(parts)


def _encode_name(name: str) -> bytes:
    return length_delimited(1, name.encode("utf-8", "surrogateescape")) if name else b""


def _encode_sequence(name: str, values: list[Value]) -> bytes:
    parts = [_encode_name(name), b"\x10", varint(_TENSOR_KIND)]
    for value in values:
        if not isinstance(value, Tensor):
            raise TypeError("a sequence holds tensors")
        parts.append(length_delimited(3, _encode_tensor("", value)))
    return b"".join(parts)


def _encode_optional(name: str, value: Value) -> bytes:
    head = _encode_name(name)
    if value is None:
        return head + b"\x10\x00"
    if isinstance(value, Tensor):
        return head + b"\x10\x01" + length_delimited(3, _encode_tensor("", value))
    return head + b"\x10\x03" + length_delimited(5, _encode_sequence("", value))


def decode_value(
    data: bytes | memoryview, kind: ValueType | None = None, folder: Path | None = None
) -> Value:
    """The value in a file of the given type (None: a tensor).

    Sizes are compared with what the bytes hold before memory is asked for. ``folder`` is where a tensor may
    keep its data in another file; None refuses that.

    Raises:
        WireError: the bytes are no such message, or its shape and its data do not agree.
    """
    name = kind.kind if kind else "tensor"
    if name == "sequence":
        return _decode_sequence(memoryview(data), folder)
    if name == "optional":
        return _decode_optional(memoryview(data), folder)
    if name in {"map", "sparse_tensor"}:
        raise WireError(f"{name} values are not supported")
    return _decode_tensor(memoryview(data), folder)


def _decode_sequence(message: memoryview, folder: Path | None) -> list[Value]:
    values: list[Value] = []
    for number, value in fields(message):
        if number == 2 and as_int(value) not in {0, _TENSOR_KIND}:
            raise WireError("a sequence of something else than tensors is not supported")
        if number == 3:
            values.append(_decode_tensor(as_bytes(value), folder))
    return values


def _decode_optional(message: memoryview, folder: Path | None) -> Value:
    for number, value in fields(message):
        if number == 2 and as_int(value) not in {0, _TENSOR_KIND, _SEQUENCE_KIND}:
            raise WireError("an optional of something else than a tensor or a sequence is not supported")
        if number == 3:
            return _decode_tensor(as_bytes(value), folder)
        if number == 5:
            return _decode_sequence(as_bytes(value), folder)
    return None


def _decode_tensor(message: memoryview, folder: Path | None) -> Tensor:
    parts: dict[int, list[int | memoryview]] = {}
    for number, value in fields(message):
        parts.setdefault(number, []).append(value)
    code = as_int(parts[2][-1]) if 2 in parts else 0
    element_type = _NAMES.get(code)
    if element_type is None:
        raise WireError(f"element type {code} is none of ONNX's")
    shape = tuple(dim for value in parts.get(1, []) for dim in packed(value))
    if any(dim < 0 for dim in shape):
        raise WireError(f"shape {list(shape)} has a negative dim")
    if element_type == "string":
        strings = [as_text(value) for value in parts.get(6, [])]
        _check_size(element_type, shape, len(strings), math.prod(shape))
        return Tensor(element_type, shape, json.dumps(strings).encode())
    if 14 in parts and as_int(parts[14][-1]) == _EXTERNAL:
        entries = dict(_entry(as_bytes(value)) for value in parts.get(13, []))
        return Tensor(element_type, shape, _read_external(entries, element_type, shape, folder))
    data = as_bytes(parts[9][-1]) if 9 in parts else _typed_data(element_type, parts)
    _check_size(element_type, shape, len(data), _bytes_needed(element_type, shape))
    return Tensor(element_type, shape, bytes(data))


def _typed_data(element_type: str, parts: dict[int, list[int | memoryview]]) -> bytes:
    """The bytes that raw_data would hold, from float_data, int32_data, ... (one of them is used)."""
    return b"".join(
        convert(value, element_type) for number, convert in _TYPED.items() for value in parts.get(number, [])
    )


def _bytes_needed(element_type: str, shape: tuple[int, ...]) -> int:
    return byte_size(element_type, shape) or 0


def _check_size(element_type: str, shape: tuple[int, ...], found: int, needed: int) -> None:
    if found != needed:
        unit = "strings" if element_type == "string" else "bytes"
        sizes = "x".join(map(str, shape)) or "scalar"
        raise WireError(f"a tensor {element_type}[{sizes}] needs {needed} {unit} but the file holds {found}")


def _varints(packed: memoryview) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Decode packed varints all at once: each byte's 7 bits are shifted by its place within its number."""
    data = np.frombuffer(packed, np.uint8)
    if not len(data):
        return np.zeros(0, np.uint64)
    ends = np.flatnonzero(data < 0x80)
    if not len(ends) or ends[-1] != len(data) - 1:
        raise WireError("cut off within a number")
    starts = np.concatenate(([0], ends[:-1] + 1))
    if int((ends - starts).max()) > 9:
        raise WireError("a number of more than 10 bytes")
    place = np.arange(len(data)) - np.repeat(starts, ends - starts + 1)
    bits = (data & 0x7F).astype(np.uint64) << (7 * place).astype(np.uint64)
    total: np.ndarray[tuple[int], np.dtype[np.uint64]] = np.bitwise_or.reduceat(bits, starts)
    return total


def _fixed(value: int | memoryview, _: str) -> bytes:
    return bytes(as_bytes(value))


def _numbers(value: int | memoryview, element_type: str) -> bytes:
    """int32_data, int64_data, uint64_data: each number's low bytes (a packed byte for types under 8 bits)."""
    numbers = np.array([value], np.uint64) if isinstance(value, int) else _varints(value)
    width = max((byte_size(element_type, (8,)) or 8) // 8, 1)
    return numbers.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :width].tobytes()


_TYPED: dict[int, Callable[[int | memoryview, str], bytes]] = {
    4: _fixed,  # float_data
    5: _numbers,  # int32_data
    7: _numbers,  # int64_data
    10: _fixed,  # double_data
    11: _numbers,  # uint64_data
}


def _entry(message: memoryview) -> tuple[str, str]:
    key = text = ""
    for number, value in fields(message):
        if number == 1:
            key = as_text(value)
        elif number == 2:
            text = as_text(value)
    return key, text


def _read_external(
    entries: dict[str, str], element_type: str, shape: tuple[int, ...], folder: Path | None
) -> bytes:
    location = entries.get("location", "")
    if folder is None:
        raise WireError(f"its data is in another file ({location!r})")
    home = folder.resolve()
    path = (home / location).resolve()
    if not location or not path.is_relative_to(home):
        raise WireError(f"its data is in {location!r}, outside the folder of the case")
    if not path.is_file():
        raise WireError(f"its data should be in {location!r}, which is no file")
    try:
        offset, length = int(entries.get("offset", "0")), int(entries.get("length", "-1"))
    except ValueError:
        raise WireError("its offset or length into another file is no number") from None
    needed, size = _bytes_needed(element_type, shape), path.stat().st_size
    held = size - offset if length < 0 else length
    _check_size(element_type, shape, held, needed)
    if offset < 0 or offset + needed > size:
        raise WireError(f"its data lies outside {location!r}, which has {size} bytes")
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(needed)
