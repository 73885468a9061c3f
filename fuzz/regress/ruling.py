"""What a verdict means to the gate, given what was expected."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fuzz.judge.verdict import FINDINGS, Verdict, Word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzz.regress.expectations import Entry

__all__ = ["RED", "Result", "State", "fails", "rule"]


class State(enum.StrEnum):
    """The closed set of what a case on a target may be to the gate."""

    PASSED = "passed"
    EXPECTED = "expected"  # it fails, as an entry says
    SILENT = "silent"  # neither a pass nor a failure: unsupported, undecidable, suspect, ...
    FAILED = "failed"  # it fails, and no entry says so
    UNEXPECTED = "unexpected"  # it passes, where an entry says that it fails
    ERROR = "error"  # it could not be run or judged


RED = frozenset({State.FAILED, State.UNEXPECTED})
"""What makes exit status 1."""


@dataclass(frozen=True, slots=True)
class Result:
    """A case on a target: what came of it, and what the gate makes of that.

    ``entry`` is the one that expected it, or that expected otherwise; ``seconds`` what the target took.
    """

    target: str
    version: str
    verdict: Verdict
    state: State
    entry: Entry | None = None
    seconds: float = 0.0

    @property
    def case(self) -> str:
        """The case's id."""
        return self.verdict.case


def fails(word: str, *, require: bool) -> bool:
    """Whether a verdict is a failure; ``require`` counts what is unsupported as well."""
    return Word(word) in FINDINGS or (require and word == Word.UNSUPPORTED)


def rule(word: str, entries: Sequence[Entry], *, require: bool = False) -> tuple[State, Entry | None]:
    """What a verdict is to the gate, and the entry that decided.

    ``entries`` are those that speak of the case on this target at its version. An entry that names a verdict expects
    that one alone; one that names none expects any failure. What is unsupported is silent unless it is required, or
    expected by name. A pass is unexpected where a strict entry expects a failure; silence is never.
    """
    if word == Word.ERROR:
        return State.ERROR, None
    failing = fails(word, require=require)
    for entry in entries:
        if entry.verdict == word or (failing and not entry.verdict):
            return State.EXPECTED, entry
    if failing:
        return State.FAILED, entries[0] if entries else None
    strict = next((entry for entry in entries if entry.strict), None)
    if word == Word.OK and strict is not None:
        return State.UNEXPECTED, strict
    if word == Word.OK:
        return State.PASSED, None
    return State.SILENT, entries[0] if entries else None
