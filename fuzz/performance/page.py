"""The page of a measurement: one HTML file without scripts and network, a plot for each case that matters."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from fuzz.file import write_text
from fuzz.judge.verdict import FINDINGS, Word
from fuzz.performance.figure import distributions, growth_curve, overview, rows
from fuzz.performance.measurement import ORACLES
from fuzz.report.markup import chip, text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fuzz.performance.measurement import Measurement

__all__ = ["render", "write_page"]

_MOST = 100  # measurements with a plot
_ROWS = 400  # cases in the plot of all
_STYLE = """
.plot { margin-top: 10px; overflow-x: auto; } .plot svg { max-width: 100%; height: auto; display: block; }
.measured { padding: 16px 18px; margin-bottom: 14px; } .measured.bad { border-left: 4px solid var(--bad); }
.measured h3 { margin: 0 0 6px; } .measured p { margin: 4px 0 0; }
"""
_FOOT = (
    "Own time of a call: wall time less what its threads waited for a processor. Each dot is a sample, each box the "
    "quartiles; of all runs, each dot is a ratio of medians, each bar the quartiles of a side. Slow is 1.5 times and a "
    "millisecond (or what was asked for) at p < 0.001 by a one-sided Mann-Whitney test, twice, in two pairs of "
    "processes."
)


def write_page(path: Path, found: Sequence[Measurement], candidate: str, baseline: str) -> None:
    """Write the page. Raises StorageError where the file cannot be written, UsageError where matplotlib is missing."""
    write_text(path, render(found, candidate, baseline), "give another --html")


def render(found: Sequence[Measurement], candidate: str, baseline: str) -> str:
    """The HTML; the same measurements give the same bytes."""
    style = files("fuzz.report").joinpath("page.css").read_text("utf-8") + _STYLE
    drawn = sorted((m for m in found if m.comparisons or len(m.points) > 1), key=_weight)
    cards = "".join(_card(m, candidate, baseline) for m in drawn[:_MOST])
    rest = len(drawn) - _MOST
    more = f'<p class="muted">{rest:,} more, further from the thresholds, have no plot here.</p>' if rest > 0 else ""
    return "".join(
        (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>dnnfuzz: {text(candidate)}</title><style>{style}</style></head><body>",
            f'<header><div><p class="brand">dnnfuzz perf</p><h1>{text(candidate)}</h1>',
            f"<p>against {text(baseline)}</p></div></header><main>",
            _tiles(found),
            _table(found),
            _overview(found),
            f"<h2>Distributions</h2>{cards or '<p>Nothing took long enough to be compared.</p>'}{more}",
            f"</main><footer>{_FOOT}</footer></body></html>\n",
        )
    )


def _weight(measurement: Measurement) -> tuple[int, float, str]:
    """Findings first, then what is nearest to being one."""
    rank = 0 if measurement.word in FINDINGS else 1 if measurement.word is Word.FLAKY else 2
    ratio = max((comparison.ratio for comparison in measurement.comparisons), default=0.0)
    return rank, -ratio, measurement.case


def _tiles(found: Sequence[Measurement]) -> str:
    slow = sum(m.word in FINDINGS for m in found)
    tiles = (
        ("", len({m.case for m in found}), "cases"),
        ("", len(found), "measurements"),
        ("", sum(m.word is Word.UNDECIDABLE for m in found), "too small or not to be timed"),
        ("bad" if slow else "good", slow, "slow"),
    )
    body = "".join(f'<div class="card tile {tone}"><b>{n:,}</b><span>{what}</span></div>' for tone, n, what in tiles)
    return f'<section class="tiles" aria-label="Summary">{body}</section>'


def _table(found: Sequence[Measurement]) -> str:
    words = [w for w in Word if w in {Word.OK, Word.SLOW} or any(m.word is w for m in found)]
    head = "".join(f'<th class="count">{word}</th>' for word in words)
    body = "".join(
        f"<tr><th>{oracle}</th>"
        + "".join(f"<td>{sum(m.kind == kind and m.word is word for m in found) or '·'}</td>" for word in words)
        + "</tr>"
        for kind, oracle in ORACLES.items()
        if any(m.kind == kind for m in found)
    )
    return (
        '<h2>Verdicts</h2><div class="card scroll"><table class="matrix">'
        f"<thead><tr><th>oracle</th>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _overview(found: Sequence[Measurement]) -> str:
    """One plot of all cases whose runs were compared; with one case its own says as much."""
    ran = [m for m in found if m.kind == "run" and m.comparisons]
    if len(ran) < 2:
        return ""
    slow = sum(m.word in FINDINGS for m in ran)
    told = f"{len(ran):,} cases, {slow:,} of them slow; the slowest first."
    more = f" The first {_ROWS:,} are shown." if len(ran) > _ROWS else ""
    shown = sorted(ran, key=lambda m: (-m.comparisons[-1].ratio, m.case))[:_ROWS]
    return (
        f'<h2>All runs</h2><div class="card measured"><p>{told}{more}</p>'
        f'<div class="plot">{overview(shown, "overview")}</div></div>'
    )


def _card(measurement: Measurement, candidate: str, baseline: str) -> str:
    salt = f"{measurement.case} {measurement.kind}"
    plots = []
    if measurement.comparisons:
        plots.append(distributions(rows(measurement, candidate, baseline), salt))
    if len(measurement.points) > 1:
        plots.append(growth_curve(measurement, f"{salt} curve"))
    bad = " bad" if measurement.word in FINDINGS else ""
    scale = f" at {measurement.scale:,} times its dims" if measurement.scale > 1 else ""
    message = f"<p>{text(measurement.message)}</p>" if measurement.message else ""
    return (
        f'<article class="card measured{bad}"><h3>{text(measurement.case)}</h3>'
        f"<p>{chip(measurement.word)} {ORACLES[measurement.kind]}{scale}</p>{message}"
        + "".join(f'<div class="plot">{plot}</div>' for plot in plots)
        + "</article>"
    )
