"""A numerics contract: what a computation may do and still be legal, as far as the specification leaves it open.

Some things are legal whatever a contract says, and every bound admits them: sums in any order, with or without fused
multiply-adds; constants folded into one another; each operation rounded to its declared type, or the excess of a wider
one kept from node to node (and so double rounding).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from abstract.dtypes import dtype

if TYPE_CHECKING:
    from collections.abc import Mapping

    from abstract.dtypes import DType

__all__ = ["PERMISSIVE", "TF32_UNIT", "Contract"]

TF32_UNIT = 2.0**-11
"""What rounding to TF32 loses of an operand, relatively: 10 explicit mantissa bits, to nearest."""


@dataclass(frozen=True, slots=True)
class Contract:
    """What a target may do with numbers. The default is what a careful CPU implementation of any kind may do.

    Attributes:
        flush_subnormals: subnormal operands may be read as zero, and so may 16-bit results (with ``half_steps``).
            Subnormal results of wider types are granted to every target: each flushes the tail of some exponential.
        excess_half_precision: an explicit cast to float16 or bfloat16 may be left out together with its rounding. (That
            values of these types are held in float32 between nodes needs no grant: every bound admits it.)
        half_accumulator: sums of 16-bit floats may be accumulated in that type; else in float32, rounded once.
        half_steps: functions of 16-bit floats may be composed of steps rounded to that type; else of float32 steps.
        tf32: both operands of a float32 contraction may be rounded to TF32, its accumulator may truncate.
        winograd: the largest tile of outputs (along one axis) by which convolutions may be computed; 0: directly.
        narrow_double: double may be held and computed in float32.
        narrow_int64: int64 and uint64 may be held in int32.
        float_as: the narrower type in which float32 and double may be held; empty for none.
    """

    flush_subnormals: bool = True
    excess_half_precision: bool = True
    half_accumulator: bool = True
    half_steps: bool = True
    tf32: bool = False
    winograd: int = 0
    narrow_double: bool = False
    narrow_int64: bool = False
    float_as: str = ""

    def admits(self, other: Contract) -> bool:
        """Whether all that the other one allows is allowed here too, so that no bound is smaller there than here."""
        mine, theirs = asdict(self), asdict(other)
        return mine["float_as"] == theirs["float_as"] and all(
            theirs[name] <= mine[name] for name in mine if name != "float_as"
        )

    @property
    def held(self) -> Mapping[DType, DType]:
        """The types that may be held in narrower ones. Raises KeyError where ONNX has no type ``float_as``."""
        return _held(self)

    def accumulator(self, own: DType) -> DType:
        """The type of which a sum's partial sums have the precision and the range, for terms of a type."""
        return _FLOAT if own.bits <= 16 and own.is_float and not self.half_accumulator else own

    def step(self, own: DType) -> DType:
        """The type to which a step inside of an operator may be rounded, for operands of a type."""
        return _FLOAT if own.bits <= 16 and own.is_float and not self.half_steps else own


_FLOAT, _DOUBLE = dtype("float"), dtype("double")


@cache
def _held(contract: Contract) -> Mapping[DType, DType]:
    held = {}
    if contract.float_as:
        held[_FLOAT] = held[_DOUBLE] = dtype(contract.float_as)
    elif contract.narrow_double:
        held[_DOUBLE] = _FLOAT
    if contract.narrow_int64:
        held[dtype("int64")] = held[dtype("uint64")] = dtype("int32")
    return MappingProxyType(held)


PERMISSIVE = Contract()
"""For a target of which nothing is known."""
