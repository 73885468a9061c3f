"""What `diff` and `check` print for a person: the table of verdicts, and the findings one by one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from fuzz.judge.words import finding_lines, printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console
    from rich.table import Table

    from abstract.hazards.detection import Arising
    from fuzz.judge.hazards import ModelHazards
    from fuzz.judge.verdict import Verdict

__all__ = ["console", "hazard_json", "print_findings", "print_hazards", "printable", "verdict_json", "verdict_table"]

_SHOWN = 20
_PLAIN_WIDTH = 140  # where no terminal says how wide it is
_STYLES = {"ok": "green", "suspect": "yellow", "dispute": "yellow", "flaky": "yellow", "unsupported": "dim",
           "undecidable": "dim"}  # fmt: skip


def console() -> Console:
    """Standard output, wide where it is a file or a pipe."""
    from rich.console import Console

    plain = Console()
    return plain if plain.is_terminal else Console(width=_PLAIN_WIDTH)


def verdict_table(counts: Mapping[str, Mapping[str, int]]) -> Table:
    """Targets by verdicts; a verdict that nobody has gets no column, but for ok and wrong."""
    from rich.table import Table

    every = next(iter(counts.values()), {})
    words = [word for word in every if word in {"ok", "wrong"} or any(row[word] for row in counts.values())]
    table = Table("target", box=None, pad_edge=False, header_style="bold")
    for word in words:
        table.add_column(word, justify="right")
    for target, row in counts.items():
        table.add_row(printable(target), *(_cell(word, row[word]) for word in words))
    return table


def _cell(word: str, count: int) -> str:
    style = _STYLES.get(word, "bold red") if count else "dim"
    return f"[{style}]{count:,}[/]" if count else f"[{style}]·[/]"


def print_findings(to: Console, findings: Sequence[Verdict], *, remedy: str) -> None:
    """The first findings, each in two or three lines; ``remedy`` says where the others can be seen."""
    for finding in findings[:_SHOWN]:
        style = _STYLES.get(finding.verdict, "bold red")
        by = "" if finding.oracle == "reference" else f" ({finding.oracle})"
        to.print(f"{finding.case} on {finding.target}: {finding.verdict}{by}", style=style, markup=False)
        for line in finding_lines(finding) if finding.verdict != "ok" else ():
            to.print(f"    {line}", markup=False, highlight=False, soft_wrap=True)
    if len(findings) > _SHOWN:
        to.print(f"... and {len(findings) - _SHOWN:,} more: {remedy}", markup=False)


def print_hazards(to: Console, hazards: ModelHazards, *, remedy: str) -> None:
    """The first hazards of a model, a line each, and why the reference could not go on, if it could not."""
    for number, arising in hazards.arisings[:_SHOWN]:
        line = f"hazard: {arising}, data set {number}"
        to.print(printable(line)[:300], markup=False, highlight=False, soft_wrap=True)
    if len(hazards.arisings) > _SHOWN:
        to.print(f"... and {len(hazards.arisings) - _SHOWN:,} more hazards: {remedy}", markup=False)
    if hazards.problem:
        to.print(printable(hazards.problem), markup=False, highlight=False, soft_wrap=True)


def hazard_json(number: int, arising: Arising) -> dict[str, Any]:
    """A hazard that arose on a data set as `--json` gives it."""
    from dataclasses import asdict

    return {"data_set": number, **asdict(arising)}


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict as `--json` gives it; JSON has no infinity and no NaN, so these become strings."""
    from dataclasses import asdict

    return {key: _finite(value) for key, value in asdict(verdict).items()}


def _finite(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
