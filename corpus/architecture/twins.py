"""Classes whose models have the same graphs, which no feature of structure can tell apart.

Two models are twins where they have the same n-grams, however often each. Two classes are the same to everybody who
only sees graphs where enough of the models of each have a twin in the other; what is the same as the same is one group.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["SHARE", "Pair", "grouped", "pairs", "twins"]

SHARE = 0.5
"""How many of the models of each class must have a twin in the other: of as many nobody could say which they are."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two classes, and which share of the models of each has a twin in the other."""

    first: str
    second: str
    of_first: float
    of_second: float

    @property
    def same(self) -> bool:
        """Whether they are one group."""
        return min(self.of_first, self.of_second) >= SHARE

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"first": self.first, "second": self.second, "of_first": round(self.of_first, 3),
                "of_second": round(self.of_second, 3), "same": self.same}  # fmt: skip


def pairs(counts: Sequence[Mapping[str, int]], labels: Sequence[str]) -> list[Pair]:
    """The pairs of classes with any twins, sorted."""
    holders: dict[frozenset[str], set[str]] = {}
    keys = [frozenset(one) for one in counts]
    for key, label in zip(keys, labels, strict=True):
        holders.setdefault(key, set()).add(label)
    sizes: dict[str, int] = {}
    shared: dict[tuple[str, str], int] = {}
    for key, label in zip(keys, labels, strict=True):
        sizes[label] = sizes.get(label, 0) + 1
        for other in holders[key] - {label}:
            shared[label, other] = shared.get((label, other), 0) + 1
    return [
        Pair(one, other, shared[one, other] / sizes[one], shared[other, one] / sizes[other])
        for one, other in sorted(shared) if one < other
    ]  # fmt: skip


def grouped(found: Sequence[Pair], labels: Sequence[str]) -> dict[str, str]:
    """The group of each class: the names of all that are the same, sorted, joined by ``|``."""
    group = {label: {label} for label in labels}
    for pair in found:
        if pair.same and group[pair.first] is not group[pair.second]:
            joined = group[pair.first] | group[pair.second]
            group.update(dict.fromkeys(joined, joined))
    return {label: "|".join(sorted(members)) for label, members in sorted(group.items())}


def twins(counts: Sequence[Mapping[str, int]], labels: Sequence[str], own: Mapping[str, int]) -> dict[str, int]:
    """How many models have exactly the n-grams of one, by their labels."""
    wanted = frozenset(own)
    return dict(sorted(Counter(
        label for one, label in zip(counts, labels, strict=True) if len(one) == len(wanted) and wanted == frozenset(one)
    ).items()))  # fmt: skip
