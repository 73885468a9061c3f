"""The findings, written out: a card a case, with what each target did and the picture of the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from fuzz.judge.verdict import FINDINGS
from fuzz.report.markup import chip, number, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzz.judge.verdict import Verdict
    from fuzz.report.content import Page
    from fuzz.report.drawings import Drawing

__all__ = ["findings_section", "picture"]

_CARDS = 100  # cases with findings that are written out; the table has them all
_OPEN = 10  # cards whose picture is open from the start
_LONGEST_MESSAGE = 2_000


def findings_section(page: Page) -> str:
    """The section, empty where nothing was found."""
    found = {
        case: [verdict for verdict in verdicts if verdict.verdict in FINDINGS]
        for case, verdicts in page.by_case.items()
        if any(verdict.verdict in FINDINGS for verdict in verdicts)
    }
    if not found:
        return ""
    shown = list(found.items())[:_CARDS]
    cards = [_card(page, case, verdicts, index) for index, (case, verdicts) in enumerate(shown)]
    rest = len(found) - _CARDS
    more = f'<p class="muted">{rest:,} more cases are in the table below.</p>' if rest > 0 else ""
    return f"<h2>Findings</h2>{''.join(cards)}{more}"


def _card(page: Page, case: str, verdicts: Sequence[Verdict], index: int) -> str:
    drawing = page.drawings.get(case)
    graph = ""
    if drawing:
        opened = " open" if index < _OPEN else ""
        graph = f"<details{opened}><summary>Graph</summary>{picture(drawing)}</details>"
    body = "".join(
        f'<section><p class="who">{chip(verdict.verdict)} <b class="mono">{text(verdict.target)}</b></p>'
        f"{_facts(verdict)}{_message(verdict)}</section>"
        for verdict in verdicts
    )
    heading = f'<h3><a href="#{text(quote(case))}">{text(case)}</a></h3>'
    return f'<article class="card finding">{heading}{body}{graph}</article>'


def _facts(verdict: Verdict) -> str:
    place = "" if verdict.index is None else str(list(verdict.index))
    ratio = verdict.bound_ratio
    facts = (
        ("output", None if verdict.output is None else f"{verdict.output}{place}", ""),
        ("data set", verdict.data_set if verdict.output is not None else None, ""),
        ("got", number(verdict.actual), "bad"),
        ("expected", number(verdict.expected), ""),
        ("error bound", None if verdict.bound is None else f"± {verdict.bound:.3g}", ""),
        ("error / bound", None if ratio is None else f"{ratio:,.3g}×", "bad"),
        ("first differs at", verdict.node, ""),
    )
    rows = "".join(
        f'<div><dt>{name}</dt><dd class="{shade}">{text(value)}</dd></div>'
        for name, value, shade in facts
        if value is not None
    )
    return f'<dl class="facts">{rows}</dl>' if rows else ""


def _message(verdict: Verdict) -> str:
    message = verdict.message
    if not message:
        return ""
    return f"<pre>{text(message[:_LONGEST_MESSAGE])}{' …' if len(message) > _LONGEST_MESSAGE else ''}</pre>"


def picture(drawing: Drawing) -> str:
    """The picture in its frame, or why there is none."""
    if not drawing.svg:
        return f'<p class="muted">{text(drawing.problem)}</p>'
    return f'<div class="picture">{drawing.svg}</div>'
