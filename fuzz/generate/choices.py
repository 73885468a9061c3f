"""Every random decision of the generator goes through one object and is recorded there.

All other draws are made of one: an integer in a range. So the same generator runs from a seed, from a recorded list
(to replay or mutate), or from Hypothesis, and gives the same model wherever it gets the same integers.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Choices", "Replayed", "Seeded"]

T = TypeVar("T")


class Choices(Protocol):
    """A source of decisions. ``record`` holds every integer that was given out."""

    record: list[int]

    def integer(self, low: int, high: int) -> int:
        """An integer in [low, high], both included."""


class Seeded:
    """Decisions from a seed. ``getrandbits`` of Python's generator is the same on every version and machine."""

    def __init__(self, seed: int) -> None:
        self._bits = Random(seed).getrandbits  # noqa: S311 - reproducible, not secret
        self.record: list[int] = []

    def integer(self, low: int, high: int) -> int:
        """An integer in [low, high]."""
        # 48 bits against ranges of at most 32: the bias of the multiplication stays below 2**-16.
        number = low + (self._bits(48) * (high - low + 1) >> 48)
        self.record.append(number)
        return number


class Replayed:
    """Decisions from a recorded list; what is out of range is brought inside, and past the end the least is taken."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = iter(numbers)
        self.record: list[int] = []

    def integer(self, low: int, high: int) -> int:
        """The next recorded integer, clamped to [low, high]."""
        number = min(max(next(self._numbers, low), low), high)
        self.record.append(number)
        return number
