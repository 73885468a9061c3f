"""How far a graph is from all that is known: what the generator makes that real models do not have.

The distance of two models is 1 less the weighted Jaccard similarity of their connections (the sum of the smaller
counts over the sum of the larger, Ruzicka): 0 for the same counts, 1 where they share none. That to what is known is
the least.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corpus.architecture.collection import Sample
    from corpus.architecture.features import Features

__all__ = ["Distance", "Known", "distance"]


@dataclass(frozen=True, slots=True)
class Distance:
    """The least distance, 0 to 1; the model that is so near; the connections that no known model has."""

    value: float
    nearest: str
    new: tuple[str, ...]


class Known:
    """Models that are known, by their connections: the cost of a distance grows with what a model shares with them."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        """Of one model at least. Raises ValueError where there is none."""
        if not samples:
            raise ValueError("no model is known to be near to")
        self._names = [one.name for one in samples]
        self._totals = [sum(one.features.connections.values()) for one in samples]
        self._having: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, one in enumerate(samples):
            for text, count in one.features.connections.items():
                self._having[text].append((number, count))

    def distance(self, features: Features) -> Distance:
        """The distance of a model to the nearest of these; of several that are as near the first by name."""
        own = features.connections
        shared: dict[int, int] = defaultdict(int)
        for text, count in own.items():
            for number, other in self._having.get(text, ()):
                shared[number] += min(count, other)
        total = sum(own.values())
        # Those that share nothing are all as far, but for models without connections, of which two are alike.
        apart_from = ((_apart(both, total + self._totals[at] - both), self._names[at]) for at, both in shared.items())
        none = ((_apart(0, total + size), name) for size, name in zip(self._totals, self._names, strict=True))
        value, nearest = min(apart_from, default=None) or min(none)
        return Distance(value, nearest, tuple(sorted(text for text in own if text not in self._having)))


def _apart(both: int, larger: int) -> float:
    """The distance of two models by the sums of their smaller and of their larger counts."""
    return 1 - both / larger if larger else 0.0


def distance(features: Features, known: Sequence[Sample]) -> Distance:
    """The distance of a model to the nearest of those that are known. Raises ValueError where none is."""
    return Known(known).distance(features)
