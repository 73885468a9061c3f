"""What a value is before it is computed: an element type and a shape of (symbolic) sizes, or a container of such."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from abstract.dims import Dim

if TYPE_CHECKING:
    from abstract.dtypes import DType

__all__ = ["Container", "ContainerType", "Parts", "Shape", "Sizes", "TensorType"]

Shape = tuple[Dim, ...]
Sizes: TypeAlias = tuple[Dim | None, ...]
"""A shape as a rule gives it: None is an axis whose size the values decide (NonZero, Unique)."""


class Container(enum.Enum):
    """What holds tensors without being one."""

    SEQUENCE = "sequence"
    OPTIONAL = "optional"
    OPTIONAL_SEQUENCE = "optional sequence"


@dataclass(frozen=True, slots=True)
class Parts:
    """What a shape rule gives for a container: which kind it is, and the shape of each tensor in it.

    An optional has one part or none; an optional sequence without a value has ``present`` False.
    """

    container: Container
    shapes: tuple[Shape, ...]
    present: bool = True


@dataclass(frozen=True, slots=True)
class TensorType:
    """An element type and one dimension an axis; rank 0 is the empty tuple."""

    dtype: DType
    shape: Shape

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __repr__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True, slots=True)
class ContainerType(TensorType):
    """A sequence or an optional of tensors of one element type; ``shape`` is empty and means nothing."""

    parts: Parts

    def __repr__(self) -> str:
        return f"{self.parts.container.value} of {len(self.parts.shapes)} {self.dtype}"
