"""Decisions of a mutant, made of the one that the generator's choices know: an integer in a range."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzz.generate.choices import Choices

__all__ = ["coin", "pick", "shuffled"]

T = TypeVar("T")


def pick(choices: Choices, options: Sequence[T]) -> T:
    """One of the options, which are not none."""
    return options[choices.integer(0, len(options) - 1)]


def coin(choices: Choices, percent: int) -> bool:
    """True in so many of a hundred draws."""
    return choices.integer(0, 99) < percent


def shuffled(choices: Choices, items: Sequence[T]) -> list[T]:
    """The items in another order: each remaining one as likely as any (Fisher and Yates)."""
    rest = list(items)
    for last in range(len(rest) - 1, 0, -1):
        other = choices.integer(0, last)
        rest[last], rest[other] = rest[other], rest[last]
    return rest
