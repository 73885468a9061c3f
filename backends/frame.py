"""Messages between the driver and a worker: length-prefixed frames, no pickles.

A frame is a fixed prefix (magic, length of the header, length of the body), a header in JSON (operation, plain
fields, the form of each value), and the body: the bytes of the blob and of the tensors, one after the other. Sizes
are checked against the limit before memory is asked for, and memory grows only as bytes arrive.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backends.tensor import ONNX_NUMBERS, Tensor, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_PREFIX = struct.Struct("<4sIQ")
_MAGIC = b"dnf1"
_HEADER_LIMIT = 16 << 20
_DEPTH_LIMIT = 16
_to_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_from_json = json.JSONDecoder().raw_decode
_QUOTED = {name: f'"{name}"' for name in ONNX_NUMBERS}

BODY_LIMIT = 2 << 30
"""Most bytes of blob and tensors that one frame may carry."""


class FrameError(ValueError):
    """What arrived is no frame: cut short, garbage, or larger than the limit."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: an operation, plain fields, values, and one opaque blob (the model)."""

    operation: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    values: Sequence[Value] = ()
    blob: bytes = b""


def encode(frame: Frame) -> list[bytes]:
    """The frame as byte strings to send one after the other. Raises `FrameError` if it is over the limit."""
    return written(frame.operation, _to_json(dict(frame.fields)), frame.values, frame.blob)


def written(operation: str, fields: str, values: Sequence[Value], blob: bytes = b"") -> list[bytes]:
    """As `encode`, of fields that are JSON already, in ASCII.

    The header is put together from few pieces of text: where a backend has just run, all code that is not in the
    processor's caches any more takes five times as long, and JSON's is much.
    """
    parts: list[bytes] = [blob] if blob else []
    forms = _forms(values, parts)
    header = f"[{_to_json(operation)},{fields},{len(blob)},{forms}]".encode("ascii")
    length = sum(map(len, parts))
    if len(header) > _HEADER_LIMIT or length > BODY_LIMIT:
        raise FrameError(f"a message of {length} bytes is over the limit of {BODY_LIMIT}")
    start = _PREFIX.pack(_MAGIC, len(header), length) + header
    if length < 1 << 16:
        return [b"".join((start, *parts))]
    return [start, *parts]


def _forms(values: Sequence[Value], parts: list[bytes]) -> str:
    """What `describe_values` gives, as text. Raises TypeError for a shape that is none."""
    forms = []
    for value in values:
        if value is None:
            forms.append("null")
        elif isinstance(value, Tensor):
            kind = _QUOTED.get(value.element_type) or _to_json(value.element_type)
            forms.append(f"[{kind},[{','.join(map(int.__repr__, value.shape))}],{len(value.data)}]")
            parts.append(value.data)
        else:
            forms.append(f'{{"sequence":{_forms(value, parts)}}}')
    return f"[{','.join(forms)}]"


def describe_values(values: Sequence[Value], parts: list[bytes]) -> list[Any]:
    """The JSON form of values: `[type, shape, length]`, a `{"sequence": ...}`, or null; appends the data to `parts`."""
    forms: list[Any] = []
    for value in values:
        if value is None:
            forms.append(None)
        elif isinstance(value, Tensor):
            forms.append([value.element_type, value.shape, len(value.data)])
            parts.append(value.data)
        else:
            forms.append({"sequence": describe_values(value, parts)})
    return forms


def build_values(forms: Any, body: memoryview) -> list[Value]:
    """The values that `describe_values` described, from their concatenated data. Raises `FrameError`."""
    rest = _Body(body)
    values = _build(forms, rest, 0)
    if rest.position != len(body):
        raise FrameError("a message carries more bytes than its header describes")
    return values


class _Body:
    """Hands out consecutive pieces of a frame's body."""

    __slots__ = ("body", "position")

    def __init__(self, body: memoryview) -> None:
        self.body = body
        self.position = 0

    def take(self, length: int) -> bytes:
        start, self.position = self.position, self.position + length
        if self.position > len(self.body):
            raise FrameError("a message's header describes more bytes than it carries")
        return self.body[start : self.position].tobytes()


def _build(forms: Any, rest: _Body, depth: int) -> list[Value]:
    if not isinstance(forms, list) or depth > _DEPTH_LIMIT:
        raise FrameError("a message's header does not describe values")
    return [None if form is None else _value(form, rest, depth) for form in forms]


def _value(form: Any, rest: _Body, depth: int) -> Value:
    # Plain tests: a `match` of the same patterns takes three times as long, and this runs for each tensor.
    if type(form) is list and len(form) == 3:
        element_type, shape, length = form
        if type(element_type) is str and type(shape) is list and type(length) is int and length >= 0:
            for size in shape:
                if type(size) is not int or size < 0:
                    raise FrameError("a tensor's shape in a message is no list of sizes")
            return Tensor(element_type, tuple(shape), rest.take(length))
    if type(form) is dict and form.keys() == {"sequence"}:
        return _build(form["sequence"], rest, depth + 1)
    raise FrameError("a message's header does not describe values")


def read_frame(read: Callable[[int], bytes | bytearray], limit: int = BODY_LIMIT) -> Frame:
    """Read one frame; `read(n)` returns exactly n bytes or raises.

    Raises `FrameError` for garbage and for sizes over the limit; whatever `read` raises passes through.
    """
    header_length, body_length = _lengths(_PREFIX.unpack(read(_PREFIX.size)), limit)
    header = read(header_length)
    return _frame(header, memoryview(read(body_length)))


def frames_in(content: bytes) -> Iterator[Frame]:
    """The frames that lie one behind the other. Raises `FrameError` where one is garbage or cut short."""
    whole, at = memoryview(content), 0
    while at < len(content):
        if len(content) - at < _PREFIX.size:
            raise FrameError("a message is cut short")
        header_length, body_length = _lengths(_PREFIX.unpack_from(content, at), BODY_LIMIT)
        body = at + _PREFIX.size + header_length
        end = body + body_length
        if end > len(content):
            raise FrameError("a message is cut short")
        yield _frame(content[at + _PREFIX.size : body], whole[body:end])
        at = end


def _lengths(prefix: tuple[bytes, int, int], limit: int) -> tuple[int, int]:
    """How long header and body are."""
    magic, header_length, body_length = prefix
    if magic != _MAGIC:
        raise FrameError(f"garbage where a message should begin: {magic!r}")
    if header_length > _HEADER_LIMIT or body_length > limit:
        raise FrameError(f"a message of {body_length} bytes is over the limit of {limit}")
    return header_length, body_length


def _frame(content: bytes | bytearray, body: memoryview) -> Frame:
    try:
        text = content.decode("ascii")
        header, end = _from_json(text)
    except (ValueError, RecursionError) as problem:
        raise FrameError(f"a message's header is no JSON: {problem}") from problem
    if end != len(text) or not _is_header(header) or not 0 <= header[2] <= len(body):
        raise FrameError("a message's header has another form than expected")
    operation, fields, blob_length, forms = header
    return Frame(operation, fields, build_values(forms, body[blob_length:]), body[:blob_length].tobytes())


def _is_header(header: Any) -> bool:
    return type(header) is list and [*map(type, header)] == _HEADER


_HEADER = [str, dict, int, list]  # operation, fields, length of the blob, forms of the values


def exact_reader(receive: Callable[[int], bytes]) -> Callable[[int], bytes | bytearray]:
    """Turn `receive(at most n)` into `read(exactly n)`. What comes beyond n is kept for the next read.

    The result raises `EOFError` where the stream ends between two reads, `FrameError` where it ends inside one.
    """
    kept, at = b"", 0

    def read(length: int) -> bytes | bytearray:
        nonlocal kept, at
        start, at = at, at + length
        if at <= len(kept):
            return kept[start:at]
        begun, kept, at = kept[start:], b"", 0
        if not begun and length <= _CHUNK:
            begun = receive(_CHUNK)
            if len(begun) >= length:
                kept, at = begun, length
                return begun[:length]
        return rest(bytearray(begun), length)

    def rest(whole: bytearray, length: int) -> bytearray:
        while len(whole) < length:
            piece = receive(min(length - len(whole), _LARGEST_CHUNK))
            if not piece:
                if whole:
                    raise FrameError(f"the channel closed after {len(whole)} of {length} bytes")
                raise EOFError("the other side has closed the channel")
            whole += piece
        return whole

    return read


_CHUNK, _LARGEST_CHUNK = 1 << 16, 1 << 20
"""Bytes that are asked for at once where a message begins, so that small ones come whole, and of a large one."""
