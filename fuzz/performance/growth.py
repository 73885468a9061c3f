"""Does the time grow faster over size than the count of operations and bytes?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import log
from typing import TYPE_CHECKING

from abstract.cost import Cost, growth

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FACTOR", "Excess", "Point", "worst_excess"]

FACTOR = 4.0
"""By how much the time must grow beyond the count.

Over 400 generated models on two real backends an honest kernel exceeded it by 2.6 at most: it leaves a cache, memory
that was kept is asked of the system anew. Quadratic work over the 16 times and more that a ladder spans exceeds a
linear count by 16 and more. 4 lies between the two; docs/notes/performance.md has the figures.
"""

FEWEST = 4
"""Sizes below which nothing is said."""


@dataclass(frozen=True, slots=True)
class Point:
    """One size: the multiple of the case's dims, its nodes' costs, seconds a call (the median)."""

    scale: int
    costs: tuple[Cost, ...]
    seconds: float

    @property
    def operations(self) -> int:
        """Of all nodes."""
        return sum(cost.operations for cost in self.costs)

    @property
    def bytes(self) -> int:
        """Of all nodes."""
        return sum(cost.bytes for cost in self.costs)


@dataclass(frozen=True, slots=True)
class Excess:
    """From which point to which the time grew most beyond the count: ``grown`` times against ``predicted`` times.

    ``exponent`` is that of time ~ count**exponent, by least squares over all points.
    """

    start: Point
    end: Point
    grown: float
    predicted: float
    exponent: float

    @property
    def factor(self) -> float:
        """How many times faster than the count."""
        return self.grown / self.predicted

    @property
    def beyond(self) -> float:
        """Seconds at the larger size that the count does not explain."""
        return self.end.seconds - self.start.seconds * self.predicted


def worst_excess(points: Sequence[Point]) -> Excess | None:
    """The two sizes between which the time outgrows the count most; None for fewer sizes than a fit needs."""
    if len(points) < FEWEST:
        return None
    exponent = _exponent(points)
    found = [
        Excess(a, b, b.seconds / max(a.seconds, 1e-9), growth(a.costs, b.costs), exponent)
        for a, b in combinations(points, 2)
    ]
    return max(found, key=lambda excess: excess.factor)


def _exponent(points: Sequence[Point]) -> float:
    """The slope of log(time) over log(the growth that the count allows), by least squares."""
    x = [log(growth(points[0].costs, point.costs)) for point in points]
    y = [log(max(point.seconds, 1e-9)) for point in points]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    spread = sum((a - mean_x) ** 2 for a in x)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread if spread else 0.0
