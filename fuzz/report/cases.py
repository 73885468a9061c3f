"""The table of all cases, and what each row opens to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fuzz.judge.verdict import Word
from fuzz.report.families import FAMILIES
from fuzz.report.findings import picture
from fuzz.report.markup import chip, text, tone

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fuzz.judge.verdict import Verdict
    from fuzz.report.content import Page

__all__ = ["cases_section", "details"]

_PICTURES = 5_000_000  # characters of pictures that a page may hold
_SEARCHED = 2_000  # characters of a row that the search sees


def cases_section(page: Page) -> str:
    """The tools, the table, and the legend of the pictures' colours."""
    by_case = page.by_case
    rows = "".join(_row(page, index, case, by_case.get(case, ())) for index, case in enumerate(page.cases))
    targets = _options("all targets", sorted({verdict.target for verdict in page.verdicts}))
    words = {verdict.verdict for verdict in page.verdicts}
    verdicts = _options("all verdicts", [word.value for word in Word if word.value in words])
    families = "".join(f'<span><i class="{name}"></i>{name}</span>' for name in (*FAMILIES, "other"))
    return (
        '<h2 id="cases">Cases</h2><div class="tools">'
        '<input id="search" type="search" placeholder="Case, operator, message" aria-label="Search">'
        f'<select id="target" aria-label="Target">{targets}</select>'
        f'<select id="verdict" aria-label="Verdict">{verdicts}</select>'
        '<select id="order" aria-label="Order"><option value="worst">worst first</option>'
        '<option value="id">by name</option><option value="nodes">largest first</option></select>'
        '<output id="shown"></output></div>'
        '<div class="card"><table class="cases"><thead><tr><th>case</th><th>nodes</th><th>operators</th>'
        f"<th>verdicts</th></tr></thead><tbody>{rows}</tbody></table></div>"
        f'<p class="legend">{families}</p>'
    )


def _options(every: str, names: Iterable[str]) -> str:
    return f'<option value="">{every}</option>' + "".join(
        f'<option value="{text(name)}">{text(name)}</option>' for name in names
    )


def _severity(word: str) -> int:
    order = ("good-word", "dull-word", "warn-word", "bad-word")
    return order.index(tone(word))


def _row(page: Page, index: int, case: str, verdicts: Sequence[Verdict]) -> str:
    drawing = page.drawings.get(case)
    operators = drawing.operators if drawing else ()
    listed = ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in operators[:6])
    if len(operators) > 6:
        listed += f", +{len(operators) - 6}"
    searched = " ".join((case, *(name for name, _ in operators), *(v.message for v in verdicts))).lower()
    worst = max((_severity(verdict.verdict) for verdict in verdicts), default=0)
    nodes = drawing.nodes if drawing else 0
    pairs = json.dumps([(verdict.target, verdict.verdict) for verdict in verdicts], separators=(",", ":"))
    return (
        f'<tr data-index="{index}" data-case="{text(case)}" data-nodes="{nodes}" data-severity="{worst}" '
        f'data-text="{text(searched[:_SEARCHED])}" data-verdicts="{text(pairs)}">'
        f'<td><button type="button" class="open" aria-expanded="false">{text(case)}</button></td>'
        f'<td class="count">{nodes}</td><td class="operators">{text(listed)}</td>'
        f'<td><div class="verdicts">{_chips(verdicts)}</div></td></tr>'
    )


def _chips(verdicts: Sequence[Verdict]) -> str:
    """What is ok on all targets needs one chip; what is not names its target."""
    fine = [verdict for verdict in verdicts if verdict.verdict == Word.OK]
    rest = [verdict for verdict in verdicts if verdict.verdict != Word.OK]
    summary = f"ok ×{len(fine)}" if len(fine) > 1 else "ok"
    return (f'<span class="chip good-word">{summary}</span>' if fine else "") + "".join(
        chip(verdict.verdict, f"{verdict.target}: ") for verdict in rest
    )


def details(page: Page) -> dict[int, str]:
    """What a row opens to, by the case's index; pictures of findings first where not all have room."""
    by_case = page.by_case
    found = {finding.case for finding in page.findings}
    room = _PICTURES
    opened: dict[int, str] = {}
    for index, case in sorted(enumerate(page.cases), key=lambda item: (item[1] not in found, item[0])):
        drawing = page.drawings.get(case)
        graph = picture(drawing) if drawing else ""
        room -= len(graph)
        if room < 0:
            graph = '<p class="muted">Left out to keep the page small: make a page of fewer cases.</p>'
        lines = "".join(_line(verdict) for verdict in by_case.get(case, ()))
        opened[index] = f'<ul class="list">{lines}</ul>{graph}'
    return dict(sorted(opened.items()))


def _line(verdict: Verdict) -> str:
    facts = [] if verdict.verdict == Word.OK else [verdict.output or "", verdict.message[:300]]
    if verdict.bound_ratio is not None:
        facts.insert(0, f"error {verdict.bound_ratio:.3g}× the bound")
    said = " · ".join(fact for fact in facts if fact)
    return (
        f'<li>{chip(verdict.verdict)} <span class="mono">{text(verdict.target)}</span> '
        f'<span class="muted">{text(said)}</span></li>'
    )
