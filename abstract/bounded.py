"""A value of the reference with what is known of its error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from abstract.dtypes import DType
    from abstract.operator import Array, Bound

__all__ = ["Bounded", "Content", "tensors"]

Content: TypeAlias = "Array | list[Any] | None"


@dataclass(frozen=True, slots=True)
class Bounded:
    """A tensor in its carrier type (or a list: a sequence; None: an absent optional), its bound, its element type.

    ``shaped`` is False where not even the shape is sure: it hangs on values that err. The bound is inf there.
    ``parts`` are the bounds of a sequence's elements, where they are known; its own bound is 0.0 or inf.
    """

    value: Content
    bound: Bound
    dtype: DType | None
    shaped: bool = True
    parts: tuple[Bound, ...] | None = None


def tensors(content: Content) -> list[Array]:
    """What a value holds: the parts of a sequence, a tensor itself, nothing where an optional is empty."""
    return content if isinstance(content, list) else [] if content is None else [content]
