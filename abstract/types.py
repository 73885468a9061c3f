"""What a tensor is before it has values: an element type and a shape of (symbolic) dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from abstract.dims import Dim

if TYPE_CHECKING:
    from abstract.dtypes import DType

__all__ = ["Shape", "TensorType"]

Shape = tuple[Dim, ...]


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
