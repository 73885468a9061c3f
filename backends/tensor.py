"""A tensor as it travels between processes and lies in the store: a type's name, a shape, raw bytes.

Nothing here needs onnx, and numpy and ml_dtypes are imported only when an array is asked for: an old environment
must be able to pass on a type that its own numpy or onnx has never heard of.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


class TensorError(ValueError):
    """A tensor's bytes do not fit its type and shape, or this environment has no array type for it."""


# element type -> (bits an element, numpy's or ml_dtypes' name of it). Names are ONNX's, in lower case.
_NATIVE: Mapping[str, tuple[int, str]] = MappingProxyType({
    "float": (32, "float32"), "double": (64, "float64"), "float16": (16, "float16"),
    "int8": (8, "int8"), "int16": (16, "int16"), "int32": (32, "int32"), "int64": (64, "int64"),
    "uint8": (8, "uint8"), "uint16": (16, "uint16"), "uint32": (32, "uint32"), "uint64": (64, "uint64"),
    "bool": (8, "bool"), "complex64": (64, "complex64"), "complex128": (128, "complex128"),
})  # fmt: skip
_EXTENDED: Mapping[str, tuple[int, str]] = MappingProxyType({
    "bfloat16": (16, "bfloat16"),
    "float8e4m3fn": (8, "float8_e4m3fn"), "float8e4m3fnuz": (8, "float8_e4m3fnuz"),
    "float8e5m2": (8, "float8_e5m2"), "float8e5m2fnuz": (8, "float8_e5m2fnuz"),
    "float8e8m0": (8, "float8_e8m0fnu"), "float4e2m1": (4, "float4_e2m1fn"),
    "float6e2m3": (6, "float6_e2m3fn"), "float6e3m2": (6, "float6_e3m2fn"),
    "int4": (4, "int4"), "uint4": (4, "uint4"), "int2": (2, "int2"), "uint2": (2, "uint2"),
})  # fmt: skip
EXTENDED = frozenset(_EXTENDED)
"""The element types that numpy lacks and ml_dtypes has."""

_BITS: Mapping[str, int] = MappingProxyType(
    {name: bits for table in (_NATIVE, _EXTENDED) for name, (bits, _) in table.items()}
)
_ELEMENT_TYPE_OF: Mapping[str, str] = MappingProxyType(
    {array_name: name for table in (_NATIVE, _EXTENDED) for name, (_, array_name) in table.items()}
)

# The numbers of `TensorProto.DataType`; kept here so that a worker's onnx need not know the newest ones.
ONNX_NUMBERS: Mapping[str, int] = MappingProxyType({
    "float": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "string": 8, "bool": 9,
    "float16": 10, "double": 11, "uint32": 12, "uint64": 13, "complex64": 14, "complex128": 15, "bfloat16": 16,
    "float8e4m3fn": 17, "float8e4m3fnuz": 18, "float8e5m2": 19, "float8e5m2fnuz": 20, "uint4": 21, "int4": 22,
    "float4e2m1": 23, "float8e8m0": 24, "uint2": 25, "int2": 26, "float6e2m3": 27, "float6e3m2": 28,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of any element type that ONNX has.

    `element_type` is ONNX's name in lower case, `shape` the sizes, `data` the elements row-major and little-endian;
    types narrower than a byte are packed from the lowest bit on, as in ONNX's `raw_data`; strings are one JSON list.
    """

    element_type: str
    shape: tuple[int, ...]
    data: bytes


Value = Tensor | list["Value"] | None
"""A tensor, a sequence of values, or an optional that is absent."""


def byte_size(element_type: str, shape: tuple[int, ...]) -> int | None:
    """Bytes that `data` of this type and shape has; None for strings, whose length is free.

    Raises `TensorError` for a type that ONNX does not have or a negative size.
    """
    if min(shape, default=0) < 0:
        raise TensorError(f"a negative size in shape {list(shape)}")
    if element_type == "string":
        return None
    if element_type not in _BITS:
        raise TensorError(f"unknown element type {element_type!r}")
    return (math.prod(shape) * _BITS[element_type] + 7) // 8


def check(tensor: Tensor) -> None:
    """Raise `TensorError` where the bytes are not as many as type and shape say."""
    expected = byte_size(tensor.element_type, tensor.shape)
    if expected is not None and expected != len(tensor.data):
        raise TensorError(
            f"a {tensor.element_type} tensor of shape {list(tensor.shape)} has {expected} bytes, not {len(tensor.data)}"
        )


def _dtype(element_type: str) -> np.dtype[Any]:
    import numpy as np

    if element_type in _NATIVE:
        return np.dtype(_NATIVE[element_type][1])
    if element_type not in _EXTENDED:
        raise TensorError(f"unknown element type {element_type!r}")
    try:
        import ml_dtypes

        kind: np.dtype[Any] = np.dtype(getattr(ml_dtypes, _EXTENDED[element_type][1]))
    except (ImportError, AttributeError) as problem:
        raise TensorError(f"no array type for {element_type} in this environment ({problem})") from problem
    return kind


def to_numpy(tensor: Tensor) -> Array:
    """The array of a tensor (a fresh one, writable); strings become an object array of `str`.

    Raises `TensorError` where the bytes do not fit or this environment has no such array type.
    """
    import numpy as np

    check(tensor)
    if tensor.element_type == "string":
        return _strings(tensor)
    dtype = _dtype(tensor.element_type)
    bits = _BITS[tensor.element_type]
    if bits >= 8:
        return np.frombuffer(tensor.data, dtype=dtype).reshape(tensor.shape).copy()
    count = math.prod(tensor.shape)
    stream = np.unpackbits(np.frombuffer(tensor.data, dtype=np.uint8), bitorder="little")[: count * bits]
    codes = np.packbits(stream.reshape(count, bits), axis=1, bitorder="little")
    return codes.reshape(tensor.shape).view(dtype)


def _strings(tensor: Tensor) -> Array:
    import numpy as np

    texts = json.loads(tensor.data)
    if not isinstance(texts, list) or len(texts) != math.prod(tensor.shape):
        raise TensorError(f"a string tensor of shape {list(tensor.shape)} does not hold that many strings")
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array.reshape(tensor.shape)


@lru_cache(maxsize=64)
def _element_type(dtype: np.dtype[Any]) -> str | None:
    # numpy puts a dtype's name together each time that it is asked for.
    return _ELEMENT_TYPE_OF.get(dtype.name)


def from_numpy(array: Array) -> Tensor:
    """The tensor of an array; object and `str` arrays become strings.

    Raises `TensorError` for an array type that ONNX does not have.
    """
    import numpy as np

    kind, shape = array.dtype, array.shape
    if kind.kind in "OUS":
        texts = [_text(item) for item in array.reshape(-1).tolist()]
        return Tensor("string", shape, json.dumps(texts).encode("ascii"))
    element_type = _element_type(kind)
    if element_type is None:
        raise TensorError(f"ONNX has no element type for arrays of {kind}")
    bits = _BITS[element_type]
    if bits >= 8:
        ordered = array.astype(kind.newbyteorder("<")) if kind.byteorder == ">" else array
        return Tensor(element_type, shape, ordered.tobytes())
    codes = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    stream = np.unpackbits(codes.reshape(-1, 1), axis=1, bitorder="little")[:, :bits]
    return Tensor(element_type, shape, np.packbits(stream.reshape(-1), bitorder="little").tobytes())


def same(one: Value, other: Value) -> bool:
    """Whether two values have the same types, shapes and bytes; one NaN is as good as another."""
    if one == other:
        return True
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return False
    if (one.element_type, one.shape) != (other.element_type, other.shape) or "string" in one.element_type:
        return False
    import numpy as np

    mine, theirs = to_numpy(one), to_numpy(other)
    width = mine.dtype.itemsize
    # What is not equal to itself is NaN; all else must have the same bytes, the sign of a zero too.
    bits = [array.reshape(-1).view(np.uint8).reshape(-1, width) for array in (mine, theirs)]
    equal = (bits[0] == bits[1]).all(axis=1)
    unordered = [(array != array).reshape(-1) for array in (mine, theirs)]  # noqa: PLR0124 - that is NaN
    return bool((equal | (unordered[0] & unordered[1])).all())


def _text(item: object) -> str:
    # Bytes that are no UTF-8 survive as lone surrogates, which JSON writes as escapes.
    return item.decode("utf-8", "surrogateescape") if isinstance(item, bytes) else str(item)
