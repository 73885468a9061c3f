"""Which windows are kept where not all can be: those that bring what the others have not, then those of most models.

What a window brings are its *traits*: an operator with the element types of its operands, an operator with the class of
one attribute, an operator behind another at a position, two such links in a row, a value that several operators read.
Each kept window makes its traits worth less, half, a third, so that the next one is another.
"""

from __future__ import annotations

from collections import Counter
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from fuzz.seeds.canonical import attributes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fuzz.seeds.net import Place

__all__ = ["broadest", "traits"]


def traits(places: Sequence[Place]) -> frozenset[str]:
    """What a window has that another may lack."""
    return frozenset(_traits(places))


def _traits(places: Sequence[Place]) -> Iterator[str]:
    maker = {edge.name: (i, at) for i, place in enumerate(places) for at, edge in enumerate(place.outputs) if edge.name}
    before: dict[int, list[int]] = {i: [] for i in range(len(places))}
    readers: dict[str, set[str]] = {}
    for i, place in enumerate(places):
        types = ",".join("-" if edge is None else edge.dtype.name for edge in place.inputs)
        yield f"type {place.operator} {types}"
        for name, value in attributes(place):
            yield f"attribute {place.operator} {name} {value}"
        for at, edge in enumerate(place.inputs):
            if edge is not None and edge.name in maker:
                source, out = maker[edge.name]
                before[i].append(source)
                readers.setdefault(edge.name, set()).add(place.operator)
                yield f"link {places[source].operator} {out} {at} {place.operator}"
    for i, sources in before.items():
        for source in sources:
            for first in before[source]:
                yield f"path {places[first].operator} {places[source].operator} {places[i].operator}"
    for name, names in readers.items():
        if len(names) > 1:
            yield f"shared {places[maker[name][0]].operator} {' '.join(sorted(names))}"


def broadest(known: Mapping[str, frozenset[str]]) -> Iterator[str]:
    """The names of windows with these traits: at each step the one whose traits those before it showed least.

    The worth of a window only falls, so that one is taken when it is still first after it was counted anew.
    """
    shown: Counter[str] = Counter()

    def worth(name: str) -> float:
        return sum(1.0 / (1 + shown[trait]) ** 2 for trait in sorted(known[name]))

    queue = [(-worth(name), name) for name in sorted(known)]
    heapify(queue)
    while queue:
        _, name = heappop(queue)
        now = -worth(name)
        if queue and now > queue[0][0]:
            heappush(queue, (now, name))
            continue
        shown.update(known[name])
        yield name
