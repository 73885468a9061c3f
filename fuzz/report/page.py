"""The page of a root: one HTML file without a network, with the verdicts and a picture of each graph.

Names and messages come from models and backends of strangers. Every text is escaped where it is put into
markup, and the page's own policy lets no script run but the one whose hash it names.
"""

from __future__ import annotations

import base64
import hashlib
import os
from importlib.resources import files
from typing import TYPE_CHECKING

from fuzz.case import find_cases
from fuzz.errors import StorageError
from fuzz.judge.verdict import FINDINGS, Word
from fuzz.report.cases import cases_section, details
from fuzz.report.content import Page
from fuzz.report.drawings import draw_models
from fuzz.report.findings import findings_section
from fuzz.report.markup import json_in_script, text, tone
from fuzz.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from fuzz.judge.verdict import Verdict

__all__ = ["render", "write_page"]


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
    return "".join(
        (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            f"<title>dnnfuzz: {text(page.title)}</title><style>{style}</style></head><body>",
            _header(page),
            "<main>",
            _tiles(page),
            _matrix(page),
            findings_section(page),
            cases_section(page),
            "</main><footer>",
            _FOOT,
            _ARROW,
            "</footer>",
            f'<script type="application/json" id="drawings">{json_in_script(details(page))}</script>',
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


def _header(page: Page) -> str:
    versions = ", ".join(dict.fromkeys(text(f"{name} ({version})") for name, version in page.targets))
    return (
        f'<header><div><p class="brand">dnnfuzz</p><h1>{text(page.title)}</h1>'
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
        f'<div class="card tile {shade}"><b>{number}</b><span>{what}</span></div>'
        for shade, number, what in tiles
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
        f"<tr><th>{text(name)}<small>{text(versions.get(name, ''))}</small></th><td>{_bar(row)}</td>"
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
        f'<i class="{tone(word)}" style="flex:{row[word]}" title="{word}: {row[word]}"></i>'
        for word in Word
        if word in row
    )
    return f'<div class="bar">{parts}</div>'


def _count(target: str, word: str, count: int) -> str:
    shade = tone(word) if count else "none"
    return (
        f'<button type="button" class="{shade}" data-target="{text(target)}" data-verdict="{word}">'
        f"{count:,}</button>"
    )
