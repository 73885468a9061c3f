"""The smallest set of switches that makes a failure go away: a search over a question, which knows nothing of targets.

The question is asked of sets of switches that are off. Its answer is True (the failure is gone), False (it is there as
before) or None (something else is the matter then: a compiler without a pass that it cannot do without).

One culprit of n is found by bisection over the beginnings of the list: the shortest one that makes it go away ends with
a switch that is needed. Where that switch alone does not do, the rest is searched again with it off (the dichotomic
search of Hemery, Lecoutre, Sais and Boussemart, "Extracting MUCs from constraint networks", ECAI 2006): k culprits
take about k * (log2(n) + 1) questions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Ask", "footing", "narrowed", "smallest"]

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Ask(Protocol[T_contra]):
    """What is known of sets of switches that are off, in their order; they may be asked side by side."""

    def __call__(self, sets: Sequence[frozenset[T_contra]], /) -> list[bool | None]:
        """An answer for each set; the same set always gets the same one."""


def smallest(items: Sequence[T], ask: Ask[T]) -> frozenset[T] | None:
    """A set of which the failure goes away, and of no set with one fewer; None where none was found.

    Where turning off more never brings the failure back and every answer is True or False, one is found if there is
    one, and it is minimal. Else what is found was asked, and so was each set with one fewer.
    """
    ground = footing(items, ask)
    return None if ground is None else narrowed(ground, ask)


def footing(items: Sequence[T], ask: Ask[T]) -> Sequence[T] | None:
    """Items that together make it go away: all of them, else a part of the list that can be turned off.

    Parts of which nothing can be told are halved until single items are left; those of which it is there as before
    are asked together at the end, since it may take two of them.
    """
    parts: list[Sequence[T]] = [items] if items else []
    harmless: list[T] = []
    while parts:
        answers = ask([frozenset(part) for part in parts])
        for part, answer in zip(parts, answers, strict=True):
            if answer:
                return part
            if answer is False:
                if len(part) == len(items):
                    return None
                harmless.extend(part)
        unclear = [part for part, answer in zip(parts, answers, strict=True) if answer is None and len(part) > 1]
        parts = [half for part in unclear for half in (part[: len(part) // 2], part[len(part) // 2 :])]
    kept = set(harmless)
    ordered = [item for item in items if item in kept]
    return ordered if ordered and ask([frozenset(ordered)])[0] else None


def narrowed(items: Sequence[T], ask: Ask[T]) -> frozenset[T]:
    """The smallest set among items that together make it go away."""
    found: frozenset[T] = frozenset()
    rest = list(items)
    while rest and (not found or ask([found])[0] is not True):
        count = _fewest(rest, found, ask)
        found |= {rest[count - 1]}
        rest = rest[: count - 1]
    return _without_idle(found, [item for item in items if item in found], ask)


def _fewest(rest: Sequence[T], found: frozenset[T], ask: Ask[T]) -> int:
    """How many of the first items it takes beside those found, of which the failure is there still.

    All of them make it go away. What nothing can be told of counts as not gone.
    """
    low, high = 0, len(rest)
    while high - low > 1:
        middle = (low + high) // 2
        if ask([found | frozenset(rest[:middle])])[0]:
            high = middle
        else:
            low = middle
    return high


def _without_idle(found: frozenset[T], order: Sequence[T], ask: Ask[T]) -> frozenset[T]:
    """The set without what it does not need, so that each set with one fewer has been asked."""
    while len(found) > 1:
        fewer = [found - {item} for item in order if item in found]
        kept = next((one for one, answer in zip(fewer, ask(fewer), strict=True) if answer), None)
        if kept is None:
            return found
        found = kept
    return found
