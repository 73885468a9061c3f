"""What `diff` and `check` print for a person: the table of verdicts, and the findings one by one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

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


def printable(text: str) -> str:
    """Names come from models of strangers: control characters must not reach the terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


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
        for line in _lines(finding) if finding.verdict != "ok" else ():
            to.print(f"    {line}", markup=False, highlight=False, soft_wrap=True)
    if len(findings) > _SHOWN:
        to.print(f"... and {len(findings) - _SHOWN:,} more: {remedy}", markup=False)


def _lines(finding: Verdict) -> list[str]:
    lines = []
    if finding.output is not None:
        place = "" if finding.index is None else str(list(finding.index))
        line = f"output {finding.output}{place} of data set {finding.data_set}"
        if finding.expected is not None or finding.actual is not None:
            line += f": {_number(finding.actual)}, expected {_number(finding.expected)}"
        if finding.bound is not None:
            line += f" ± {finding.bound:.2g}"
        if finding.bound_ratio is not None:
            line += f" ({_ratio(finding.bound_ratio)} the bound)"
        lines.append(line)
    if finding.node:
        lines.append(f"first differs at node {finding.node}")
    if finding.message:
        lines.append(finding.message)
    return [printable(line)[:300] for line in lines]


def _number(value: float | str | None) -> str:
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def _ratio(ratio: float) -> str:
    return f"{ratio:,.0f} times" if 10 <= ratio < 1e9 else f"{ratio:.3g} times"


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
