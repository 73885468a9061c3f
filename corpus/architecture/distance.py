"""How far a graph is from all that is known: what the generator makes that real models do not have.

The distance of two models is 1 less the weighted Jaccard similarity of their connections (the sum of the smaller
counts over the sum of the larger, Ruzicka): 0 for the same counts, 1 where they share none. That to what is known is
the least.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from corpus.architecture.collection import Sample
    from corpus.architecture.features import Features

__all__ = ["Distance", "apart", "distance"]


@dataclass(frozen=True, slots=True)
class Distance:
    """The least distance, 0 to 1; the model that is so near; the connections that no known model has."""

    value: float
    nearest: str
    new: tuple[str, ...]


def apart(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """The distance of two models by counts, 0 to 1; of two without connections 0."""
    both = sum(min(count, other[text]) for text, count in one.items() if text in other)
    larger = sum(one.values()) + sum(other.values()) - both
    return 1 - both / larger if larger else 0.0


def distance(features: Features, known: Sequence[Sample]) -> Distance:
    """The distance of a model to the nearest of those that are known. Raises ValueError where none is."""
    if not known:
        raise ValueError("no model is known to be near to")
    own = features.connections
    value, nearest = min((apart(own, one.features.connections), one.name) for one in known)
    seen = {text for one in known for text in one.features.connections}
    return Distance(value, nearest, tuple(sorted(set(own) - seen)))
