"""The element-type table: one row an ONNX element type, and all that is derived from it.

Sources: onnx.proto3 ``TensorProto.DataType`` (codes), IEEE 754-2019 (binary16/32/64), the bfloat16 and OCP FP8/FP4
definitions as quoted in ONNX's ``float8`` documentation page.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

__all__ = ["BY_CODE", "BY_NAME", "DTYPES", "DType", "Kind", "dtype"]


class Kind(enum.StrEnum):
    """The families that operator rules distinguish."""

    FLOAT = "float"
    SIGNED = "signed"
    UNSIGNED = "unsigned"
    BOOL = "bool"
    STRING = "string"
    COMPLEX = "complex"


@dataclass(frozen=True, eq=False)
class DType:
    """One element type.

    ``bits`` is the width of one element, ``precision`` the number of significand bits of a floating-point type (the
    hidden one included; 0 elsewhere), ``maximum`` and ``minimum`` the largest and smallest finite values, and
    ``smallest_normal`` the smallest positive normal number (0.0 for types without exponents).
    """

    name: str
    code: int
    kind: Kind
    bits: int
    precision: int = 0
    maximum: float | int = 0
    minimum: float | int = 0
    smallest_normal: float = 0.0
    extension: bool = False

    def __repr__(self) -> str:
        return self.name

    @cached_property
    def is_float(self) -> bool:
        """Whether values carry rounding (and so an error bound)."""
        return self.kind is Kind.FLOAT

    @cached_property
    def is_integer(self) -> bool:
        """Signed or unsigned; bool is not an integer in ONNX's type constraints."""
        return self.kind in (Kind.SIGNED, Kind.UNSIGNED)

    @cached_property
    def is_ordered(self) -> bool:
        """Whether its values are numbers of which one is the least; the two of bool need no range."""
        return self.is_float or self.is_integer

    @cached_property
    def unit(self) -> float:
        """The unit roundoff u = 2**-precision: half the distance from 1 to the next number."""
        return 2.0**-self.precision if self.precision else 0.0

    @cached_property
    def numpy(self) -> np.dtype[Any]:
        """The storage type; types that numpy lacks come from ml_dtypes, imported on first use."""
        if self.name == "string":
            return np.dtype(object)
        if not self.extension:
            return np.dtype({"float": "float32", "double": "float64"}.get(self.name, self.name))
        import ml_dtypes

        storage: np.dtype[Any] = np.dtype(getattr(ml_dtypes, _EXTENSION_NAMES[self.name]))
        return storage

    @cached_property
    def carrier(self) -> np.dtype[Any]:
        """The type in which the reference holds values of this type.

        float64 for every float (nothing is rounded), int64 for every integer but uint64 (which has no wider type).
        """
        if self.is_float:
            return np.dtype(np.float64)
        if self.is_integer:
            return np.dtype(np.uint64 if self.name == "uint64" else np.int64)
        return np.dtype(np.complex128) if self.kind is Kind.COMPLEX else self.numpy


_EXTENSION_NAMES = {
    "bfloat16": "bfloat16",
    "float8e4m3fn": "float8_e4m3fn",
    "float8e4m3fnuz": "float8_e4m3fnuz",
    "float8e5m2": "float8_e5m2",
    "float8e5m2fnuz": "float8_e5m2fnuz",
    "float8e8m0": "float8_e8m0fnu",
    "float4e2m1": "float4_e2m1fn",
    "float6e2m3": "float6_e2m3fn",
    "float6e3m2": "float6_e3m2fn",
    "int4": "int4",
    "uint4": "uint4",
    "int2": "int2",
    "uint2": "uint2",
}


def _float(name: str, code: int, bits: int, precision: int, maximum: float, exponent: int) -> DType:
    extension = name in _EXTENSION_NAMES
    # E8M0 has neither a sign nor a zero: its least value is its smallest normal number.
    minimum = 2.0**exponent if name == "float8e8m0" else -maximum
    return DType(name, code, Kind.FLOAT, bits, precision, maximum, minimum, 2.0**exponent, extension)


def _integer(name: str, code: int, bits: int) -> DType:
    signed = name.startswith("int")
    maximum = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    minimum = -(2 ** (bits - 1)) if signed else 0
    kind = Kind.SIGNED if signed else Kind.UNSIGNED
    return DType(name, code, kind, bits, 0, maximum, minimum, 0.0, name in _EXTENSION_NAMES)


# name, TensorProto.DataType, bits, significand bits, largest finite, exponent of the smallest normal
DTYPES: tuple[DType, ...] = (
    _float("float", 1, 32, 24, float(np.finfo(np.float32).max), -126),
    _float("double", 11, 64, 53, float(np.finfo(np.float64).max), -1022),
    _float("float16", 10, 16, 11, 65504.0, -14),
    _float("bfloat16", 16, 16, 8, 255.0 * 2.0**120, -126),
    _float("float8e4m3fn", 17, 8, 4, 448.0, -6),
    _float("float8e4m3fnuz", 18, 8, 4, 240.0, -7),
    _float("float8e5m2", 19, 8, 3, 57344.0, -14),
    _float("float8e5m2fnuz", 20, 8, 3, 57344.0, -15),
    _float("float8e8m0", 24, 8, 1, 2.0**127, -127),
    _float("float4e2m1", 23, 4, 2, 6.0, 0),
    _float("float6e2m3", 27, 6, 4, 7.5, 0),
    _float("float6e3m2", 28, 6, 3, 28.0, -2),
    _integer("int8", 3, 8),
    _integer("int16", 5, 16),
    _integer("int32", 6, 32),
    _integer("int64", 7, 64),
    _integer("uint8", 2, 8),
    _integer("uint16", 4, 16),
    _integer("uint32", 12, 32),
    _integer("uint64", 13, 64),
    _integer("int4", 22, 4),
    _integer("uint4", 21, 4),
    _integer("int2", 26, 2),
    _integer("uint2", 25, 2),
    DType("bool", 9, Kind.BOOL, 8, 0, 1, 0),
    DType("string", 8, Kind.STRING, 0),
    DType("complex64", 14, Kind.COMPLEX, 64, 24),
    DType("complex128", 15, Kind.COMPLEX, 128, 53),
)

BY_NAME: dict[str, DType] = {row.name: row for row in DTYPES}
BY_CODE: dict[int, DType] = {row.code: row for row in DTYPES}


def dtype(name: str) -> DType:
    """The row of an element type by its ONNX name; KeyError where ONNX has no such type."""
    return BY_NAME[name]
