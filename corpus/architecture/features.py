"""Features of an architecture, as counts of n-grams: 2-grams of connected layers, 1-grams of layers with parameters.

These are the features of DARA (ECE695-GenModel's README): a classifier reads the first two kinds; the third,
connections with the dimensions of what passes, is there beside them. Counts of n-grams become vectors of a fixed length
by a `Vocabulary`: what a model lacks is zero (padding), what the vocabulary lacks is counted in one last place.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from corpus.architecture.layers import Architecture

__all__ = ["KINDS", "Features", "Vocabulary", "features"]

KINDS = ("connections", "parameters", "dimensions")
"""The kinds of n-grams; the first two are what is learnt from."""


@dataclass(frozen=True, slots=True)
class Features:
    """How often each n-gram occurs: ``Conv2d -> BatchNorm2d``, ``Conv2d kernel=[3, 3]``, a connection with a shape."""

    connections: Mapping[str, int]
    parameters: Mapping[str, int]
    dimensions: Mapping[str, int]

    def counts(self) -> dict[str, int]:
        """The counts of what is learnt from, in one; the texts of the kinds differ."""
        return {**self.connections, **self.parameters}

    def to_json(self) -> dict[str, Any]:
        """As plain data, sorted."""
        return {kind: dict(sorted(getattr(self, kind).items())) for kind in KINDS}


def features(architecture: Architecture) -> Features:
    """The n-grams of an architecture. A layer counts once alone, and once with each of its parameters."""
    layers = architecture.layers
    connections, dimensions, parameters = Counter[str](), Counter[str](), Counter[str]()
    for one in architecture.connections:
        source, target = layers[one.source], layers[one.target]
        pair = f"{source.kind} -> {target.kind}"
        connections[pair] += 1
        if source.shape_out is not None:
            dimensions[f"{pair} [{', '.join(map(str, source.shape_out))}]"] += 1
    for layer in layers:
        parameters[layer.kind] += 1
        for name, text in layer.parameters:
            parameters[f"{layer.kind} {name}={text}"] += 1
    return Features(connections, parameters, dimensions)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Which n-gram stands in which place of a vector of ``length``.

    The known ones come first, sorted; then zeros, where the length is more than they need; the last place counts those
    that are not known.
    """

    texts: tuple[str, ...]
    length: int

    @staticmethod
    def of(counts: Iterable[Mapping[str, int]], *, least: int = 1, length: int | None = None) -> Vocabulary:
        """The n-grams of some models.

        Args:
            counts: of each model.
            least: in how many of them an n-gram must occur.
            length: of the vectors; by default as many as are needed.

        Raises:
            ValueError: there are more n-grams than places.
        """
        models = Counter(text for one in counts for text in one)
        texts = tuple(sorted(text for text, count in models.items() if count >= least))
        needed = len(texts) + 1
        if length is not None and length < needed:
            raise ValueError(f"{needed:,} places are needed, and a vector has {length:,}")
        return Vocabulary(texts, length or needed)

    def row(self, counts: Mapping[str, int], places: Mapping[str, int]) -> Iterator[tuple[int, int]]:
        """The places that are not zero, in order, and their counts; ``places`` is `places()`."""
        known = sorted((places[text], count) for text, count in counts.items() if text in places)
        yield from known
        unknown = sum(count for text, count in counts.items() if text not in places)
        if unknown:
            yield self.length - 1, unknown

    def places(self) -> dict[str, int]:
        """The place of each n-gram."""
        return {text: place for place, text in enumerate(self.texts)}

    def name(self, place: int) -> str:
        """The n-gram in a place."""
        if place < len(self.texts):
            return self.texts[place]
        return "(unknown)" if place == self.length - 1 else "(padding)"

    def matrix(self, counts: Sequence[Mapping[str, int]]) -> NDArray[np.float32]:
        """The vectors of models, float32 [models, length]."""
        import numpy as np

        places = self.places()
        result = np.zeros((len(counts), self.length), dtype=np.float32)
        for place, one in enumerate(counts):
            for column, count in self.row(one, places):
                result[place, column] = count
        return result
