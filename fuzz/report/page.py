"""The page of a root: one HTML file without a network, with the verdicts and a picture of each graph.

Names and messages come from models and backends of strangers. Every text is escaped where it is put into
markup, and the page's own policy lets no script run but the one whose hash it names.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from fuzz.case import find_cases
from fuzz.errors import StorageError
from fuzz.judge.verdict import FINDINGS, Word
from fuzz.report.drawings import draw_models
from fuzz.report.families import FAMILIES
from fuzz.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from fuzz.judge.verdict import Verdict
    from fuzz.report.drawings import Drawing

__all__ = ["Page", "render", "write_page"]

_PICTURES = 6_000_000  # characters of pictures that a page may hold
_FINDINGS = 100  # findings that are written out; the table has them all
_OPEN = 10  # findings whose picture is open from the start
_WARNED = frozenset({Word.SUSPECT, Word.DISPUTE, Word.FLAKY, Word.ERROR})
_LONGEST_MESSAGE = 2_000


@dataclass(frozen=True, slots=True)
class Page:
    """All that the page says: verdicts by case, drawings by case, what ran."""

    title: str
    targets: tuple[tuple[str, str], ...]
    cases: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    drawings: Mapping[str, Drawing]

    @property
    def findings(self) -> list[Verdict]:
        """What makes `fuzz diff` exit with 1."""
        return [verdict for verdict in self.verdicts if verdict.verdict in FINDINGS]


def write_page(path: Path, root: Path, verdicts: Sequence[Verdict]) -> None:
    """Write the page of a root whose cases were judged.

    Raises:
        RootError: no root, nothing executed.
        StorageError: the file cannot be written.
    """
    cases = find_cases(root)
    with Store.open(root) as store:
        targets = tuple(store.targets())
    marked: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.verdict in FINDINGS and (place := verdict.node or verdict.output):
            marked.setdefault(verdict.case, []).append(place)
    jobs = len(os.sched_getaffinity(0))
    drawings = draw_models({case.id: case.model_path for case in cases}, marked, jobs)
    page = Page(str(root), targets, tuple(case.id for case in cases), tuple(verdicts), drawings)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(render(page), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageError(f"cannot write {path}: {error.strerror}; give another --html") from None


def render(page: Page) -> str:
    """The HTML of a page; the same page gives the same bytes."""
    folder = files("fuzz.report")
    style, script = (folder.joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"
    details = _details(page)
    return "".join(
        (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            f"<title>dnnfuzz: {_text(page.title)}</title><style>{style}</style></head><body>",
            _header(page),
            "<main>",
            _tiles(page),
            _matrix(page),
            _findings(page),
            _cases(page),
            "</main><footer>",
            _FOOT,
            _ARROW,
            "</footer>",
            f'<script type="application/json" id="drawings">{_json(details)}</script>',
            f"<script>{script}</script></body></html>\n",
        )
    )


_FOOT = (
    "An output is wrong where it is further from the fp64 reference than an error bound allows, which is "
    "computed for the case, element by element."
)
_ARROW = (
    '<svg class="sprite" aria-hidden="true"><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" '
    'markerWidth="6" markerHeight="6" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></svg>'
)


def _text(text: object) -> str:
    """Escaped for markup and attributes; characters that HTML does not allow become their escapes."""
    shown = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in str(text))
    return escape(shown)


def _json(value: object) -> str:
    """JSON that may stand in a script element: no `<` that could end it."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _tone(word: str) -> str:
    if word == Word.OK:
        return "good-word"
    if word in FINDINGS:
        return "bad-word"
    return "warn-word" if word in _WARNED else "dull-word"


# --- top ------------------------------------------------------------------------------------------


def _header(page: Page) -> str:
    versions = ", ".join(dict.fromkeys(_text(f"{name} ({version})") for name, version in page.targets))
    return (
        f'<header><div><p class="brand">dnnfuzz</p><h1>{_text(page.title)}</h1>'
        f"<p>{versions or 'nothing executed'}</p></div></header>"
    )


def _tiles(page: Page) -> str:
    found = len(page.findings)
    judged = len(page.verdicts)
    ok = sum(verdict.verdict == Word.OK for verdict in page.verdicts)
    tiles = (
        ("", f"{len(page.cases):,}", "cases"),
        ("", f"{judged:,}", "executions judged"),
        ("", f"{100 * ok / judged:.1f}%" if judged else "–", "ok"),
        ("bad" if found else "good", f"{found:,}", "finding" if found == 1 else "findings"),
    )
    body = "".join(
        f'<div class="card tile {tone}"><b>{number}</b><span>{what}</span></div>'
        for tone, number, what in tiles
    )
    return f'<section class="tiles" aria-label="Summary">{body}</section>'


def _matrix(page: Page) -> str:
    counts: dict[str, dict[str, int]] = {}
    for verdict in page.verdicts:
        row = counts.setdefault(verdict.target, {})
        row[verdict.verdict] = row.get(verdict.verdict, 0) + 1
    seen = {Word.OK.value, Word.WRONG.value}.union(*counts.values())
    words = [word.value for word in Word if word.value in seen]
    versions = dict(page.targets)
    head = "".join(f'<th class="count">{word}</th>' for word in words)
    body = "".join(
        f"<tr><th>{_text(name)}<small>{_text(versions.get(name, ''))}</small></th><td>{_bar(row)}</td>"
        + "".join(f"<td>{_count(name, word, row.get(word, 0))}</td>" for word in words)
        + "</tr>"
        for name, row in sorted(counts.items())
    )
    return (
        '<h2>Verdicts</h2><div class="card scroll"><table class="matrix">'
        f"<thead><tr><th>target</th><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _bar(row: Mapping[str, int]) -> str:
    parts = "".join(
        f'<i class="{_tone(word)}" style="flex:{row[word]}" title="{word}: {row[word]}"></i>'
        for word in Word
        if word in row
    )
    return f'<div class="bar">{parts}</div>'


def _count(target: str, word: str, count: int) -> str:
    tone = _tone(word) if count else "none"
    return (
        f'<button type="button" class="{tone}" data-target="{_text(target)}" data-verdict="{word}">'
        f"{count:,}</button>"
    )


# --- findings -------------------------------------------------------------------------------------


def _findings(page: Page) -> str:
    findings = page.findings
    if not findings:
        return ""
    body = "".join(_finding(page, finding, index) for index, finding in enumerate(findings[:_FINDINGS]))
    rest = len(findings) - _FINDINGS
    more = f'<p class="muted">{rest:,} more are in the table below.</p>' if rest > 0 else ""
    return f"<h2>Findings</h2>{body}{more}"


def _finding(page: Page, finding: Verdict, index: int) -> str:
    drawing = page.drawings.get(finding.case)
    picture = ""
    if drawing and (drawing.svg or drawing.problem):
        opened = " open" if index < _OPEN else ""
        picture = f"<details{opened}><summary>Graph</summary>{_picture(drawing)}</details>"
    return (
        f'<article class="card finding"><header><h3>{_text(finding.case)}</h3>'
        f'<span class="mono">{_text(finding.target)}</span>{_chip(finding.verdict)}</header>'
        f"{_facts(finding)}{_message(finding)}{picture}</article>"
    )


def _facts(verdict: Verdict) -> str:
    place = "" if verdict.index is None else str(list(verdict.index))
    ratio = verdict.bound_ratio
    facts = (
        ("output", None if verdict.output is None else f"{verdict.output}{place}", ""),
        ("data set", verdict.data_set if verdict.output is not None else None, ""),
        ("got", _number(verdict.actual), "bad"),
        ("expected", _number(verdict.expected), ""),
        ("error bound", None if verdict.bound is None else f"± {verdict.bound:.3g}", ""),
        ("error / bound", None if ratio is None else f"{ratio:,.3g}×", "bad"),
        ("first differs at", verdict.node, ""),
    )
    rows = "".join(
        f'<div><dt>{name}</dt><dd class="{tone}">{_text(value)}</dd></div>'
        for name, value, tone in facts
        if value is not None
    )
    return f'<dl class="facts">{rows}</dl>' if rows else ""


def _number(value: float | str | None) -> str | None:
    return f"{value:.9g}" if isinstance(value, float) else value if value is None else str(value)


def _message(verdict: Verdict) -> str:
    text = verdict.message
    if not text:
        return ""
    return f"<pre>{_text(text[:_LONGEST_MESSAGE])}{' …' if len(text) > _LONGEST_MESSAGE else ''}</pre>"


def _chip(word: str, prefix: str = "") -> str:
    return f'<span class="chip {_tone(word)}">{_text(prefix)}{_text(word)}</span>'


# --- cases ----------------------------------------------------------------------------------------


def _cases(page: Page) -> str:
    by_case: dict[str, list[Verdict]] = {}
    for verdict in page.verdicts:
        by_case.setdefault(verdict.case, []).append(verdict)
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
        f'<option value="{_text(name)}">{_text(name)}</option>' for name in names
    )


def _severity(word: str) -> int:
    order = ("good-word", "dull-word", "warn-word", "bad-word")
    return order.index(_tone(word))


def _row(page: Page, index: int, case: str, verdicts: Sequence[Verdict]) -> str:
    drawing = page.drawings.get(case)
    operators = drawing.operators if drawing else ()
    listed = ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in operators[:6])
    if len(operators) > 6:
        listed += f", +{len(operators) - 6}"
    text = " ".join((case, *(name for name, _ in operators), *(v.message for v in verdicts))).lower()
    worst = max((_severity(verdict.verdict) for verdict in verdicts), default=0)
    nodes = drawing.nodes if drawing else 0
    pairs = json.dumps([(verdict.target, verdict.verdict) for verdict in verdicts], separators=(",", ":"))
    return (
        f'<tr data-index="{index}" data-nodes="{nodes}" data-severity="{worst}" '
        f'data-text="{_text(text[:_LONGEST_MESSAGE])}" data-verdicts="{_text(pairs)}">'
        f'<td><button type="button" class="open" aria-expanded="false">{_text(case)}</button></td>'
        f'<td class="count">{nodes}</td><td class="operators">{_text(listed)}</td>'
        f'<td><div class="verdicts">{_chips(verdicts)}</div></td></tr>'
    )


def _chips(verdicts: Sequence[Verdict]) -> str:
    """What is ok on all targets needs one chip; what is not names its target."""
    fine = [verdict for verdict in verdicts if verdict.verdict == Word.OK]
    rest = [verdict for verdict in verdicts if verdict.verdict != Word.OK]
    summary = f"ok ×{len(fine)}" if len(fine) > 1 else "ok"
    return (f'<span class="chip good-word">{summary}</span>' if fine else "") + "".join(
        _chip(verdict.verdict, f"{verdict.target}: ") for verdict in rest
    )


def _details(page: Page) -> dict[int, str]:
    """What a row opens to, by the case's index; pictures of findings first where not all have room."""
    by_case: dict[str, list[Verdict]] = {}
    for verdict in page.verdicts:
        by_case.setdefault(verdict.case, []).append(verdict)
    found = {finding.case for finding in page.findings}
    room = _PICTURES
    details: dict[int, str] = {}
    for index, case in sorted(enumerate(page.cases), key=lambda item: (item[1] not in found, item[0])):
        drawing = page.drawings.get(case)
        picture = _picture(drawing) if drawing else ""
        room -= len(picture)
        if room < 0:
            picture = '<p class="muted">Left out to keep the page small: make a page of fewer cases.</p>'
        lines = "".join(_line(verdict) for verdict in by_case.get(case, ()))
        details[index] = f'<ul class="list">{lines}</ul>{picture}'
    return dict(sorted(details.items()))


def _line(verdict: Verdict) -> str:
    facts = [] if verdict.verdict == Word.OK else [verdict.output or "", verdict.message[:300]]
    if verdict.bound_ratio is not None:
        facts.insert(0, f"error {verdict.bound_ratio:.3g}× the bound")
    said = " · ".join(fact for fact in facts if fact)
    return (
        f'<li>{_chip(verdict.verdict)} <span class="mono">{_text(verdict.target)}</span> '
        f'<span class="muted">{_text(said)}</span></li>'
    )


def _picture(drawing: Drawing) -> str:
    if not drawing.svg:
        return f'<p class="muted">{_text(drawing.problem)}</p>'
    return f'<div class="picture">{drawing.svg}</div>'
