"""The page of a root: one HTML file without a network, with the verdicts and a picture of each graph.

Names and messages come from models and backends of strangers. Every text is escaped where it is put into
markup, and the page's own policy lets no script run but the one whose hash it names.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fuzz.case import find_cases
from fuzz.file import write_text
from fuzz.judge.verdict import FINDINGS, Word
from fuzz.report.cases import cases_section, details
from fuzz.report.content import Page
from fuzz.report.document import ARROW, document
from fuzz.report.drawings import draw_models
from fuzz.report.findings import findings_section
from fuzz.report.markup import json_in_script, text
from fuzz.report.summary import header, tiles, verdict_table
from fuzz.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence
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
    write_text(path, render(page), "give another --html")


def render(page: Page) -> str:
    """The HTML of a page; the same page gives the same bytes."""
    body = (
        _header(page),
        "<main>",
        _tiles(page),
        _matrix(page),
        findings_section(page),
        cases_section(page),
        "</main><footer>",
        _FOOT,
        ARROW,
        "</footer>",
        f'<script type="application/json" id="drawings">{json_in_script(details(page))}</script>',
    )
    return document(page.title, body, ("page.css",), "page.js")


_FOOT = (
    "An output is wrong where it is further from the fp64 reference than an error bound allows, which is "
    "computed for the case, element by element."
)

def _header(page: Page) -> str:
    versions = ", ".join(dict.fromkeys(text(f"{name} ({version})") for name, version in page.targets))
    return header(page.title, versions or "nothing executed")


def _tiles(page: Page) -> str:
    found = len(page.findings)
    judged = len(page.verdicts)
    ok = sum(verdict.verdict == Word.OK for verdict in page.verdicts)
    return tiles(
        (
            ("", f"{len(page.cases):,}", "cases"),
            ("", f"{judged:,}", "executions judged"),
            ("", f"{100 * ok / judged:.1f}%" if judged else "–", "ok"),
            ("bad" if found else "good", f"{found:,}", "finding" if found == 1 else "findings"),
        )
    )


def _matrix(page: Page) -> str:
    counts: dict[str, dict[str, int]] = {}
    for verdict in page.verdicts:
        row = counts.setdefault(verdict.target, {})
        row[verdict.verdict] = row.get(verdict.verdict, 0) + 1
    versions = dict(page.targets)
    rows = [(name, versions.get(name, ""), row) for name, row in sorted(counts.items())]
    return f"<h2>Verdicts</h2>{verdict_table(rows)}"
