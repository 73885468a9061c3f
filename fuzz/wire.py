"""The protocol-buffer wire format: what it takes for the ONNX messages that the driver touches.

The driver never hands a foreign file to a native parser (a worker does that), and `fuzz exec` need not import
onnx. Source of the format: the Protocol Buffers documentation, "Encoding".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Field", "WireError", "as_bytes", "as_int", "as_text", "fields", "length_delimited", "packed",
"varint"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_WIDTHS = {_FIXED64: 8, _FIXED32: 4}

Field = tuple[int, "int | memoryview"]


class WireError(ValueError):
    """The bytes are no protocol-buffer message, or not the one that was expected."""


def _read_varint(buffer: memoryview, position: int) -> tuple[int, int]:
    result = shift = 0
    while shift < 70:
        try:
            byte = buffer[position]
        except IndexError:
            raise WireError("cut off within a number") from None
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFF_FFFF_FFFF_FFFF, position
        shift += 7
    raise WireError("a number of more than 10 bytes")


def fields(buffer: bytes | memoryview) -> Iterator[Field]:
    """Yield (field number, value) in the order of the bytes; a value is an unsigned int or a view.

    Raises:
        WireError: the bytes end within a field, or use a wire type that ONNX has no use for (groups).
    """
    view = memoryview(buffer)
    position, end = 0, len(view)
    while position < end:
        # Nearly every key and size is a number of one byte: a call for each would double the time.
        key = view[position]
        if key < 0x80:
            position += 1
        else:
            key, position = _read_varint(view, position)
        kind = key & 7
        if kind == _VARINT:
            value, position = _read_varint(view, position)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            if position < end and view[position] < 0x80:
                size = view[position]
                position += 1
            else:
                size, position = _read_varint(view, position)
        elif kind in _FIXED_WIDTHS:
            size = _FIXED_WIDTHS[kind]
        else:
            raise WireError(f"wire type {kind}")
        if size > end - position:
            raise WireError("cut off within a field")
        yield key >> 3, view[position : position + size]
        position += size


def as_int(value: int | memoryview) -> int:
    """The value of an int32 or int64 field (two's complement, 64 bits)."""
    if not isinstance(value, int):
        raise WireError("bytes where a number belongs")
    return value - (1 << 64) if value >> 63 else value


def as_bytes(value: int | memoryview) -> memoryview:
    """The value of a bytes, string or message field."""
    if isinstance(value, int):
        raise WireError("a number where bytes belong")
    return value


def as_text(value: int | memoryview) -> str:
    """The value of a string field; bytes that are no UTF-8 survive as lone surrogates."""
    return bytes(as_bytes(value)).decode("utf-8", "surrogateescape")


def packed(value: int | memoryview) -> Iterator[int]:
    """The values of a repeated int64 field, of one entry: a single number, or many packed together."""
    if isinstance(value, int):
        yield as_int(value)
        return
    position = 0
    while position < len(value):
        number, position = _read_varint(value, position)
        yield as_int(number)


def varint(value: int) -> bytes:
    """The varint encoding of a number >= 0."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def length_delimited(number: int, payload: bytes) -> bytes:
    """A bytes, string or message field."""
    return varint(number << 3 | _BYTES) + varint(len(payload)) + payload
