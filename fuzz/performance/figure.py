"""Distributions of times as SVG, drawn by matplotlib without a display and without a network."""

from __future__ import annotations

import io
import re
from contextlib import contextmanager
from statistics import median, quantiles
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from abstract.cost import growth
from fuzz.errors import UsageError
from fuzz.judge.verdict import FINDINGS
from fuzz.performance.growth import FACTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from matplotlib.axes import Axes

    from fuzz.performance.measurement import Measurement

__all__ = ["distributions", "growth_curve", "overview", "require_matplotlib", "rows"]

_INK = "#010203"  # stands for the page's own colour of text, light or dark
_CANDIDATE, _BASELINE = "#c4281c", "#3f6fd9"
_WIDTH = 7.6  # inches
_SETTINGS: Any = MappingProxyType({
    "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9, "figure.facecolor": "none",
    "axes.facecolor": "none", "axes.spines.top": False, "axes.spines.right": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK),
})  # fmt: skip

Row = tuple[str, tuple[float, ...], str]
"""Whose times, the times in seconds, and the colour."""


def require_matplotlib() -> None:
    """Refuse a page that could not be drawn, before anything is measured. Raises UsageError."""
    try:
        import matplotlib.figure  # noqa: F401 - only whether it is there
    except ImportError:
        raise UsageError("--html needs matplotlib: pip install 'dnnfuzz[perf]'") from None


def rows(measurement: Measurement, candidate: str, baseline: str) -> list[Row]:
    """The samples of a measurement, those of the fresh processes last."""
    against = {
        "run": baseline,
        "compile": f"allowed: {FACTOR:g} times its parts" if measurement.of_parts else baseline,
        "growth": f"allowed: {FACTOR:g} times the count",
    }[measurement.kind]
    found: list[Row] = []
    for comparison, when in zip(measurement.comparisons, ("", ", fresh"), strict=False):
        found += [
            (f"{candidate}{when}", comparison.candidate, _CANDIDATE),
            (f"{against}{when}", comparison.baseline, _BASELINE),
        ]
    return found


def distributions(of: Sequence[Row], salt: str) -> str:
    """A strip of all samples and a box of their quartiles for each row, over one axis of milliseconds."""
    with _drawing(0.55 + 0.36 * len(of), salt) as (axes, svg):
        for height, (_, seconds, colour) in enumerate(of):
            _strip_and_box(axes, height, [1e3 * t for t in seconds], colour)
        axes.set_yticks(range(len(of)), [_short(name) for name, _, _ in of])
        axes.set_ylim(len(of) - 0.45, -0.55)
        axes.set_xlim(left=0)
        axes.set_xlabel("ms a call")
        return svg()


def _strip_and_box(axes: Axes, height: int, times: Sequence[float], colour: str) -> None:
    # Samples in the order in which they were taken, from the lower edge of the row to the upper.
    spread = [height + 0.24 * (2 * (n + 1) / (len(times) + 1) - 1) for n in range(len(times))]
    axes.plot(times, spread, "o", markersize=3.2, color=colour, alpha=0.55, markeredgewidth=0)
    axes.boxplot(
        [times], positions=[height], orientation="horizontal", widths=0.62, showfliers=False, manage_ticks=False,
        boxprops={"color": colour}, whiskerprops={"color": colour}, capprops={"color": colour},
        medianprops={"color": colour, "linewidth": 2},
    )  # fmt: skip


def overview(found: Sequence[Measurement], salt: str) -> str:
    """A row for each case, the slowest first: how many times as long the candidate takes as the baseline's median.

    A dot is the ratio of medians, a bar the candidate's quartiles, the pale one behind it the baseline's. What is a
    finding has the candidate's colour. Of a case that was measured twice the fresh processes count.
    """
    ordered = sorted(found, key=lambda m: (-m.comparisons[-1].ratio, m.case))
    with _drawing(0.6 + 0.17 * len(ordered), salt) as (axes, svg):
        for height, measurement in enumerate(ordered):
            last = measurement.comparisons[-1]
            base = median(last.baseline) or 1e-12
            colour = _CANDIDATE if measurement.word in FINDINGS else _INK
            axes.plot(_spread(last.baseline, base), [height] * 2, color=_BASELINE, alpha=0.3, linewidth=6)
            axes.plot(_spread(last.candidate, base), [height] * 2, color=colour, linewidth=1.5)
            axes.plot([last.ratio], [height], "o", markersize=4, color=colour, markeredgewidth=0)
        axes.axvline(1, color=_BASELINE, linewidth=1)
        axes.set_xscale("log")
        axes.set_yticks(range(len(ordered)), [_short(m.case) for m in ordered], fontsize=7)
        axes.set_ylim(len(ordered) - 0.4, -0.6)
        axes.set_xlabel("times as long as the baseline (slower to the right)")
        return svg()


def _spread(times: Sequence[float], base: float) -> tuple[float, float]:
    """The quartiles, in units of the baseline's median."""
    low, _, high = quantiles(times, n=4, method="inclusive") if len(times) > 1 else (times[0],) * 3
    return low / base, high / base


def growth_curve(measurement: Measurement, salt: str) -> str:
    """Time over the growth that the count of operations and bytes allows, both from the smallest size on."""
    points = measurement.points
    count = [growth(points[0].costs, point.costs) for point in points]
    times = [1e3 * point.seconds for point in points]
    # Through the largest size: a curve that lies far below it has grown faster than it may.
    honest = [times[-1] * c / count[-1] for c in count]
    with _drawing(2.6, salt) as (axes, svg):
        axes.loglog(count, times, "o-", color=_CANDIDATE, markersize=4, label="measured")
        axes.loglog(count, honest, "--", color=_BASELINE, linewidth=1, label="as the count")
        for at, time, point in zip(count, times, points, strict=True):
            axes.annotate(f"×{point.scale}", (at, time), (0, 6), textcoords="offset points", ha="center", fontsize=7)
        axes.set_xlabel("growth that the count allows")
        axes.set_ylabel("ms a call")
        axes.legend(frameon=False, loc="lower right")
        return svg()


@contextmanager
def _drawing(height: float, salt: str) -> Iterator[tuple[Axes, Callable[[], str]]]:
    """Axes to draw on, and what makes them an SVG element.

    The same drawing and salt give the same bytes; other salts give other ids, so that many fit on one page.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({**_SETTINGS, "svg.hashsalt": salt}):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")

        def svg() -> str:
            drawn = io.StringIO()
            figure.savefig(drawn, format="svg", metadata={"Date": None})
            text = drawn.getvalue()
            text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
            return text.replace(_INK, "currentColor")

        yield figure.add_subplot(), svg


def _short(name: str, length: int = 44) -> str:
    """A name that fits beside the plot; matplotlib would read $ as the start of a formula."""
    text = name if len(name) <= length else f"{name[: length // 2]}…{name[-length // 2 + 1 :]}"
    return text.replace("$", r"\$")
