"""Distributions in a line of text each, for the terminal."""

from __future__ import annotations

from statistics import quantiles
from typing import TYPE_CHECKING

from fuzz.performance.measurement import milliseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzz.performance.measurement import Measurement

__all__ = ["box_line", "summary"]

_WIDTH = 40  # characters of a box


def summary(measurement: Measurement) -> list[str]:
    """Two lines, candidate over baseline, on one scale from 0; empty where nothing was compared."""
    if not measurement.comparisons:
        return []
    comparison = measurement.comparisons[0]
    most = max(*comparison.candidate, *comparison.baseline)
    names = ("candidate", "allowed" if measurement.kind == "growth" or measurement.of_parts else "baseline")
    return [
        f"{name:<9} {box_line(side, most)} {milliseconds(_quartiles(side)[1])}"
        for name, side in zip(names, (comparison.candidate, comparison.baseline), strict=True)
    ]


def box_line(times: Sequence[float], most: float) -> str:
    """A box plot: whiskers from the least to the greatest, a box over the quartiles, a bar at the median."""
    low, median, high = (_column(t, most) for t in _quartiles(times))
    line = [" "] * _WIDTH
    for start, end, mark in ((_column(min(times), most), _column(max(times), most), "─"), (low, high, "█")):
        line[start : end + 1] = mark * (end + 1 - start)
    line[median] = "┃"
    return "".join(line)


def _quartiles(times: Sequence[float]) -> tuple[float, float, float]:
    if len(times) < 2:
        return times[0], times[0], times[0]
    low, median, high = quantiles(times, n=4, method="inclusive")
    return low, median, high


def _column(seconds: float, most: float) -> int:
    return min(int(seconds / most * (_WIDTH - 1) + 0.5), _WIDTH - 1) if most > 0 else 0
