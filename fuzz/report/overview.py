"""The page of `fuzz report`: findings first, then targets, time, coverage, and what cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.judge.verdict import FINDINGS
from fuzz.report.coverage import coverage_section, plots_section
from fuzz.report.discoveries import details_of, discoveries_section
from fuzz.report.document import ARROW, document
from fuzz.report.families import FAMILIES
from fuzz.report.markup import text
from fuzz.report.plot import duration
from fuzz.report.summary import header, tiles, verdict_table

if TYPE_CHECKING:
    from fuzz.report.account import Account

__all__ = ["overview"]

_FOOT = (
    "An output is wrong where it is further from the fp64 reference than an error bound allows, which is computed for "
    "the case, element by element. Findings of a campaign are reduced, and alike ones are counted as one."
)
_PROBLEMS = 200  # that are written out


def overview(account: Account) -> str:
    """The HTML of a report; the same account gives the same bytes."""
    versions = ", ".join(dict.fromkeys(text(f"{row.name} {row.version}".strip()) for row in account.targets))
    families = "".join(f'<span><i class="{name}"></i>{name}</span>' for name in (*FAMILIES, "other"))
    body = (
        header(account.title, versions or "no target"),
        "<main>",
        _tiles(account),
        discoveries_section(account),
        f'<p class="legend">{families}</p>' if account.discoveries else "",
        _targets(account),
        plots_section(account),
        coverage_section(account),
        _problems(account),
        "</main><footer>",
        _FOOT,
        ARROW,
        "</footer>",
        details_of(account),
    )
    return document(account.title, body, ("page.css", "report.css"), "report.js")


def _tiles(account: Account) -> str:
    found = len(account.discoveries)
    judged = sum(sum(row.verdicts.values()) for row in account.targets)
    ok = sum(row.verdicts.get("ok", 0) for row in account.targets)
    items = [
        ("bad" if found else "good", f"{found:,}", "finding" if found == 1 else "findings"),
        ("", f"{account.cases:,}", "cases"),
        ("", f"{100 * ok / judged:.1f}%" if judged else "–", "of answers ok"),
        ("", f"{len(account.cells):,}", "operator × type"),
        ("", f"{len(account.targets):,}", "target" if len(account.targets) == 1 else "targets"),
    ]
    if account.campaigns and account.judged:
        items.append(("", f"{account.judged:,}", "of the cases by fuzz exec"))
    if account.seconds is not None:
        items.append(("", duration(account.seconds), "of running"))
    return tiles(items)


def _targets(account: Account) -> str:
    if not account.targets:
        return ""
    rows = [(row.name, row.version, row.verdicts) for row in account.targets]
    return f'<h2 id="targets">Targets</h2>{verdict_table(rows, FINDINGS)}'


def _problems(account: Account) -> str:
    if not account.problems:
        return ""
    items = "".join(f"<li>{text(problem)}</li>" for problem in account.problems[:_PROBLEMS])
    more = len(account.problems) - _PROBLEMS
    rest = f'<li class="muted">and {more:,} more</li>' if more > 0 else ""
    return f'<h2 id="problems">What could not be done</h2><ul class="card problems">{items}{rest}</ul>'
