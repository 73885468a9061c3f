"""Random decisions of a sampler: the same on any machine and with any version of Python."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Draws", "shuffled"]

T = TypeVar("T")
_BYTES = 32


class Draws:
    """A stream of numbers that its name alone decides: SHA-256 of the name and a counter."""

    def __init__(self, name: str) -> None:
        self._name, self._count = name, 0

    def below(self, limit: int) -> int:
        """A number from 0 to ``limit`` - 1, all alike probable (to 1 in 2^200 for the limits in use)."""
        self._count += 1
        digest = sha256(f"{self._name}/{self._count}".encode()).digest()
        return int.from_bytes(digest[:_BYTES], "big") % limit

    def pick(self, values: Sequence[T]) -> T:
        """One of the values."""
        return values[self.below(len(values))]

    def between(self, least: int, most: int) -> int:
        """A whole number, both ends included."""
        return least + self.below(most - least + 1)

    def order(self, values: Sequence[T]) -> list[T]:
        """All of the values in a random order (Fisher and Yates)."""
        result = list(values)
        for last in range(len(result) - 1, 0, -1):
            other = self.below(last + 1)
            result[last], result[other] = result[other], result[last]
        return result


def shuffled(name: str, size: int) -> list[int]:
    """All numbers below ``size``, in an order that the name decides."""
    return sorted(range(size), key=lambda number: sha256(f"{name}/{number}".encode()).digest())
