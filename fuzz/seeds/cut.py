"""Which sets of nodes of a graph are windows: connected, convex, of so many nodes, met in surroundings not seen yet.

Around each node sets are grown in three ways: towards what it reads, towards what reads it, and both in turn. A node
whose surroundings look as those of another did gives the same windows: they are counted, not cut again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fuzz.seeds.canonical import digest, label

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fuzz.seeds.net import Net

__all__ = ["Wiring", "cuts"]

_RADIUS = 4  # how far the surroundings go that tell one node from another
_SPAN = 64  # nodes from the first to the last of a window: what is looked at to keep it convex
_WAYS = 3


@dataclass(slots=True)
class Wiring:
    """Which node of a graph makes a value, which read it, and what a node looks like with its surroundings."""

    net: Net
    maker: dict[str, int] = field(default_factory=dict)
    readers: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for i, place in enumerate(self.net.places):
            for edge in place.outputs:
                if edge.name:
                    self.maker[edge.name] = i
            for name in dict.fromkeys(edge.name for edge in place.inputs if edge is not None):
                self.readers.setdefault(name, []).append(i)

    def before(self, i: int) -> list[int]:
        """The nodes that make what one reads."""
        named = (edge.name for edge in self.net.places[i].inputs if edge is not None)
        return list(dict.fromkeys(self.maker[name] for name in named if name in self.maker))

    def behind(self, i: int) -> list[int]:
        """The nodes that read what one makes."""
        made = (edge.name for edge in self.net.places[i].outputs)
        return list(dict.fromkeys(reader for name in made for reader in self.readers.get(name, ())))

    def surroundings(self) -> list[str]:
        """Of each node what it looks like up to some steps around it."""
        labels = [label(place) for place in self.net.places]
        around = [(self.before(i), self.behind(i)) for i in range(len(labels))]
        for _ in range(_RADIUS):
            labels = [
                digest((own, *(labels[j] for j in before), "|", *sorted(labels[j] for j in behind)))
                for own, (before, behind) in zip(labels, around, strict=True)
            ]
        return labels

    def is_convex(self, members: frozenset[int]) -> bool:
        """Whether no path leaves the members and enters them again; False where they lie too far apart to look."""
        first, last = min(members), max(members)
        if last - first > _SPAN:
            return False
        outside: set[int] = set()
        for i in range(first, last + 1):
            before = self.before(i)
            if i in members:
                if not outside.isdisjoint(before):
                    return False
            elif any(j in members or j in outside for j in before):
                outside.add(i)
        return True


def cuts(wiring: Wiring, start: int, least: int, most: int) -> Iterator[frozenset[int]]:
    """The windows around a node, of ``least`` to ``most`` nodes, each once."""
    found: dict[frozenset[int], None] = {}
    for way in range(_WAYS):
        members = frozenset((start,))
        while len(members) < most:
            grown = _grown(wiring, members, start, way)
            if grown is None:
                break
            members = grown
            if len(members) >= least:
                found[members] = None
    yield from found


def _grown(wiring: Wiring, members: frozenset[int], start: int, way: int) -> frozenset[int] | None:
    """The members with one node more, the nearest to the first that keeps them convex."""
    towards = way if way < _WAYS - 1 else len(members) % (_WAYS - 1)
    for side in (towards, 1 - towards):
        step = wiring.behind if side else wiring.before
        near = {j for i in members for j in step(i)} - members
        for j in sorted(near, key=lambda j: (abs(j - start), j)):
            more = members | {j}
            if wiring.is_convex(more):
                return more
    return None
