"""An order in which each place comes behind all that lead to it."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["forwards"]


def forwards(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """The places below ``count``, the first of each pair before the second, else as they are.

    What stands in a circle of pairs, or behind one, is left out.
    """
    waiting = [0] * count
    after: dict[int, list[int]] = {}
    for source, target in pairs:
        waiting[target] += 1
        after.setdefault(source, []).append(target)
    ready = [place for place in range(count) if not waiting[place]]
    heapify(ready)
    order = []
    while ready:
        place = heappop(ready)
        order.append(place)
        for target in after.get(place, ()):
            waiting[target] -= 1
            if not waiting[target]:
                heappush(ready, target)
    return order
