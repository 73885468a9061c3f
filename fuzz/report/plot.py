"""Curves over time, as inline SVG that stretches with its box; words and numbers lie over it at their own size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fuzz.report.markup import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Curve", "duration", "growth", "plot"]

_WIDTH, _HEIGHT = 1000, 300  # of the drawing, which is stretched
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400)  # seconds
_MOST_TICKS = 5
_MOST_POINTS = 400


@dataclass(frozen=True, slots=True)
class Curve:
    """A name, and (seconds, count) pairs of which both grow."""

    name: str
    points: Sequence[tuple[float, int]]


def growth(moments: Iterable[float]) -> list[tuple[float, int]]:
    """How many of these moments lie before each of them."""
    return [(moment, index + 1) for index, moment in enumerate(sorted(moments))]


def duration(seconds: float) -> str:
    """`42 s`, `3 min 5 s`, `12 min`, `2 h 5 min`, `3 d 4 h`: the largest unit; the next, too, below 10."""
    whole = round(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    first = next((at for at, (count, _) in enumerate(parts) if count), len(parts) - 1)
    shown = 1 if parts[first][0] >= 10 else 2
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + shown] if count) or "0 s"


def plot(title: str, curves: Sequence[Curve], end: float, note: str = "") -> str:
    """A figure of step curves from 0 to ``end`` seconds; what it shows is told in words as well."""
    end = max(end, 1e-9)
    top = _nice(max((curve.points[-1][1] for curve in curves if curve.points), default=1))
    lines = "".join(_line(curve, number, end, top) for number, curve in enumerate(curves))
    ticks = "".join(
        f'<span class="x" style="left:{100 * at / end:.2f}%">{duration(at) if at else "0"}</span>' for at in _times(end)
    ) + "".join(
        f'<span class="y" style="bottom:{100 * value / top:.2f}%">{value:,}</span>' for value in (0, top // 2, top)
    )
    grid = "".join(f'<path class="grid" d="M0 {_HEIGHT * part:g}H{_WIDTH}"/>' for part in (0, 0.5, 1))
    last = [curve.points[-1][1] if curve.points else 0 for curve in curves]
    legend = "".join(
        f'<li><i class="line-{number}"></i>{text(curve.name)} <b>{count:,}</b></li>'
        for number, (curve, count) in enumerate(zip(curves, last, strict=True))
    )
    told = ", ".join(f"{curve.name} {count:,}" for curve, count in zip(curves, last, strict=True))
    return (
        f'<figure class="card plot"><figcaption><b>{text(title)}</b> <span class="muted">{text(note)}</span>'
        "</figcaption>"
        f'<div class="frame" role="img" aria-label="{text(f"{title} after {duration(end)}: {told}")}">'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" aria-hidden="true">{grid}{lines}</svg>'
        f'{ticks}</div><ul class="key">{legend}</ul></figure>'
    )


def _line(curve: Curve, number: int, end: float, top: int) -> str:
    """Steps: a count holds until the next one."""
    points = curve.points
    if len(points) > _MOST_POINTS:
        points = [points[len(points) * at // _MOST_POINTS] for at in range(_MOST_POINTS)] + [points[-1]]
    path, height = ["M0", _n(_HEIGHT)], float(_HEIGHT)
    for seconds, count in points:
        x, height = _WIDTH * min(seconds / end, 1.0), _HEIGHT * (1 - count / top)
        path.append(f"H{_n(x)}V{_n(height)}")
    return f'<path class="line-{number}" d="{" ".join(path[:2])}{"".join(path[2:])}H{_WIDTH}"/>'


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _nice(count: int) -> int:
    """The next of 2, 4, 6, 8, 10, 12, 16, 20, 24, 30, 40, ... that is no less: all are even."""
    if count <= 10:
        return max(2, count + count % 2)
    scale: int = 10 ** (math.floor(math.log10(count)) - 1)
    return next(factor * scale for factor in (10, 12, 16, 20, 24, 30, 40, 50, 60, 80, 100) if factor * scale >= count)


def _times(end: float) -> list[float]:
    step = next((s for s in _STEPS if end / s <= _MOST_TICKS), 86400 * math.ceil(end / 86400 / _MOST_TICKS))
    return [0.0] if end < 1 else [float(step * at) for at in range(int(end // step) + 1)]
