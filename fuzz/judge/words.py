"""A verdict in words, for people: in the terminal, in JUnit XML, in pytest's reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fuzz.judge.verdict import Verdict

__all__ = ["finding_lines", "printable"]


def printable(text: str) -> str:
    """Names come from models of strangers: control characters must not reach the terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def finding_lines(finding: Verdict) -> list[str]:
    """Got, expected, the bound, the node, the message: a line each of what is known."""
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
