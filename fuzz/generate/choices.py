"""Every random decision of the generator goes through one object and is recorded there.

All other draws are made of one: an integer in a range. So the same generator runs from a seed, from a recorded list
(to replay or mutate), or from Hypothesis, and gives the same model wherever it gets the same integers.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["STOP", "Choices", "Replayed", "Seeded"]

T = TypeVar("T")

STOP = -(2**63)
"""In a record: here whoever decided left off repeating. As an integer it is the least of any range."""


class Choices(Protocol):
    """A source of decisions. ``record`` holds every integer that was given out."""

    record: list[int]

    def integer(self, low: int, high: int) -> int:
        """An integer in [low, high], both included."""

    def repeat(self, step: Callable[[], int | None]) -> None:
        """Call ``step``, which says how much there is now, until it says None: no more is wanted.

        Whoever decides may leave off before that.
        """

    def together(self, decide: Callable[[], T]) -> T:
        """What a function makes of decisions that may be replaced by simpler ones as a whole."""


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

    def repeat(self, step: Callable[[], int | None]) -> None:
        """Call ``step`` until it says None."""
        while step() is not None:
            pass

    def together(self, decide: Callable[[], T]) -> T:
        """What a function makes of decisions."""
        return decide()


class Replayed:
    """Decisions from a recorded list; what is out of range is brought inside, and past the end the least is taken."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = numbers
        self._next = 0
        self.record: list[int] = []

    def integer(self, low: int, high: int) -> int:
        """The next recorded integer, clamped to [low, high]."""
        number = self._numbers[self._next] if self._next < len(self._numbers) else low
        self._next += 1
        number = min(max(number, low), high)
        self.record.append(number)
        return number

    def repeat(self, step: Callable[[], int | None]) -> None:
        """Call ``step`` until it says None, or the record says that it was left off."""
        while step() is not None:
            if self._next < len(self._numbers) and self._numbers[self._next] == STOP:
                self._next += 1
                self.record.append(STOP)
                return

    def together(self, decide: Callable[[], T]) -> T:
        """What a function makes of decisions."""
        return decide()
