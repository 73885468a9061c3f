"""Decisions of a case that was kept, made into those of another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from fuzz.generate.choices import Seeded
from fuzz.mutate.draw import pick

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fuzz.generate.choices import Choices

__all__ = ["Continued", "mutated"]

T = TypeVar("T")

_SMALL = 40  # decisions are mostly of so few alternatives
_RUN = 24  # decisions: about one attempt to place a node
_WAYS = ("changed", "changed", "deleted", "duplicated", "cut", "cut", "crossed")


class Continued:
    """Decisions from a list, brought into their ranges, and from a seed where the list is at its end."""

    def __init__(self, numbers: Sequence[int], seed: int) -> None:
        self._numbers = numbers
        self._rest = Seeded(seed)
        self.record: list[int] = []

    def integer(self, low: int, high: int) -> int:
        """The next integer of the list, clamped to [low, high]; one that the seed gives past its end."""
        at = len(self.record)
        number = min(max(self._numbers[at], low), high) if at < len(self._numbers) else self._rest.integer(low, high)
        self.record.append(number)
        return number

    def repeat(self, step: Callable[[], int | None]) -> None:
        """Call ``step`` until it says None."""
        while step() is not None:
            pass

    def together(self, decide: Callable[[], T]) -> T:
        """What a function makes of decisions."""
        return decide()


def mutated(numbers: Sequence[int], other: Sequence[int], choices: Choices) -> list[int]:
    """Some of the decisions ``numbers``, changed; ``other`` are those of the case that it may be crossed with.

    One decision is changed, a run of them left out or made twice, the rest cut off, or put in place from ``other``.
    """
    made = list(numbers)
    start = choices.integer(0, max(len(made) - 1, 0))
    match pick(choices, _WAYS):
        case "changed":
            made[start : start + 1] = [choices.integer(0, max(2 * abs(made[start]), _SMALL))] if made else []
        case "cut":
            del made[start:]
        case "crossed":
            made[start:] = other[choices.integer(0, max(len(other) - 1, 0)) :]
        case way:
            run = made[start : start + choices.integer(1, _RUN)]
            made[start : start + len(run)] = [] if way == "deleted" else run * 2
    return made
