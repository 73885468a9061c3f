"""`fuzz report`: what came of a root, for people and for CI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fuzz.cli.options import FilePath, echo, jobs_option, json_option, print_json, root_option

if TYPE_CHECKING:
    from fuzz.report.account import Account, Discovery

__all__ = ["command"]

_SHOWN = 20  # findings that are written out on a terminal


_FILE = FilePath(path_type=Path, dir_okay=False)


@click.command()
@root_option
@click.option("--html", type=_FILE, metavar="FILE", help="Where the page goes.  [default: report.html in the root]")
@click.option("--markdown", type=_FILE, metavar="FILE",
              help="Write the findings as Markdown too, for an issue or a summary of CI.")  # fmt: skip
@click.option("--junit", type=_FILE, metavar="FILE",
              help="Write JUnit XML too: a suite a target, a test case a finding.")  # fmt: skip
@jobs_option
@json_option
def command(
    root: Path, html: Path | None, markdown: Path | None, junit: Path | None, jobs: int | None, as_json: bool
) -> int:
    """Write a page of what was found, how, and what was reached.

    One HTML file that needs no network: findings first, each with its graph and its numbers (what came, what was due,
    the error bound, the element); verdicts by target and version; findings and coverage over time; operator × type ×
    target, and what was never reached. It filters and sorts. Of a campaign (`fuzz run`), also while it runs, of a
    root of `gen`, `exec` and `diff`, or of both in one root.

    A finding that cannot be read is named on the page and stops nothing.

    \b
    fuzz report
    fuzz report --root night --html night.html --junit night.xml --markdown night.md

    Exit codes: 0 no findings, 1 findings, 2 misuse.

    --json prints {root, page, cases, judged, seconds, targets: [{target, version, verdicts: {VERDICT: n}}],
    findings: [{id, target, version, verdict, title, summary, signature, count, assumed, seed, nodes, nodes_before,
    seconds, first_seen, operators, output, data_set, index, actual, expected, bound, bound_ratio, node, message,
    folder, problems, switches, blame, same_as}], coverage: {reached, wanted, missing: [[operator, type]],
    targets: {TARGET: {ok, found, refused, open}}}, problems}; judged is how many of the cases `fuzz exec` ran.
    """
    from fuzz.cli.progress import progress_bar
    from fuzz.file import write_text
    from fuzz.report.junit import junit as as_junit
    from fuzz.report.markdown import markdown as as_markdown
    from fuzz.report.overview import overview
    from fuzz.report.sources import read_account

    with progress_bar("reading", None) as progress:
        account = read_account(root, jobs or len(os.sched_getaffinity(0)), progress)
    page = html or root / "report.html"
    write_text(page, overview(account), "give another --html")
    if markdown is not None:
        write_text(markdown, as_markdown(account), "give another --markdown")
    if junit is not None:
        write_text(junit, as_junit(account), "give another --junit")
    if as_json:
        print_json(_to_json(account, root, page))
    else:
        _print(account)
        echo(f"page: {page}")
    return 1 if account.discoveries else 0


def _print(account: Account) -> None:
    from fuzz.cli.tables import console, printable, verdict_table
    from fuzz.judge.verdict import Word

    out = console()
    if account.targets:
        out.print(
            verdict_table({
                f"{row.name} {row.version}".strip(): {word.value: row.verdicts.get(word, 0) for word in Word}
                for row in account.targets
            })
        )  # fmt: skip
    for found in account.discoveries[:_SHOWN]:
        out.print(
            f"{found.word} on {printable(found.target)}, {found.count:,} x: {printable(found.title)}",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
    if len(account.discoveries) > _SHOWN:
        out.print(f"and {len(account.discoveries) - _SHOWN:,} more: see the page, or --json", highlight=False)
    for problem in account.problems[:_SHOWN]:
        echo(f"not done: {printable(problem)}")
    reached = f"{len(account.cells):,} pairs of operator and type"
    of_them = f" ({account.judged:,} by `fuzz exec`)" if account.campaigns and account.judged else ""
    out.print(f"{account.cases:,} cases{of_them}, {len(account.discoveries):,} findings, {reached}", highlight=False)


def _to_json(account: Account, root: Path, page: Path) -> dict[str, Any]:
    states = ("ok", "found", "refused", "open")
    targets = {
        name: {s: sum(row[name].state == s for row in account.cells.values() if name in row) for s in states}
        for name in account.target_names
    }
    return {
        "root": str(root), "page": str(page), "cases": account.cases, "judged": account.judged,
        "seconds": account.seconds,
        "targets": [
            {"target": row.name, "version": row.version, "verdicts": dict(row.verdicts)} for row in account.targets
        ],
        "findings": [_finding_json(found) for found in account.discoveries],
        "coverage": {
            "reached": len(account.cells), "wanted": None if account.wanted is None else len(account.wanted),
            "missing": [list(pair) for pair in account.missing], "targets": targets,
        },
        "problems": list(account.problems),
    }  # fmt: skip


def _finding_json(found: Discovery) -> dict[str, Any]:
    from fuzz.cli.tables import verdict_json

    numbers = ("output", "data_set", "index", "actual", "expected", "bound", "bound_ratio", "node")
    told = verdict_json(found.verdict) if found.verdict else dict.fromkeys(numbers)
    return {
        "id": found.id, "target": found.target, "version": found.version, "verdict": found.word, "title": found.title,
        "summary": found.papers.summary, "signature": found.signature, "count": found.count,
        "assumed": found.assumed, "seed": found.seed, "nodes": found.drawing.nodes or None,
        "nodes_before": found.nodes_before, "seconds": found.seconds, "first_seen": found.first_seen,
        "operators": found.operators, **{key: told[key] for key in numbers}, "message": found.message,
        "folder": found.folder, "problems": list(found.problems),
        "switches": list(found.blamed.switches), "blame": found.blamed.told, "same_as": found.same_as or None,
    }  # fmt: skip
