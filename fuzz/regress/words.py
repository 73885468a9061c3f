"""What is said of a result, wherever it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.judge.words import finding_lines, printable
from fuzz.regress.ruling import State

if TYPE_CHECKING:
    from fuzz.regress.expectations import Entry
    from fuzz.regress.ruling import Result

__all__ = ["pass_line", "result_lines"]


def result_lines(result: Result) -> list[str]:
    """A head, ``CASE on TARGET: ...``, and below it what is known: values, the message, what to do."""
    head, rest = f"{result.case} on {f'{result.target} {result.version}'.rstrip()}", finding_lines(result.verdict)
    word, entry = result.verdict.verdict, result.entry
    if result.state is State.UNEXPECTED and entry is not None:
        return [printable(f"{head}: passes, and is expected to fail"), printable(pass_line(entry))]
    if result.state is State.EXPECTED and entry is not None:
        return [printable(f"{head}: {word}, as expected: {entry.said}"), *rest]
    if result.state is State.FAILED and entry is not None:
        rest = [*rest, printable(f"{entry.place} expects another failure: {entry.verdict}, {entry.said}")]
    return [printable(f"{head}: {word}"), *rest]


def pass_line(entry: Entry) -> str:
    """Which entry to delete, and what it says."""
    return f"{entry.place}: delete this entry, or narrow its case or versions: {entry.said}"
