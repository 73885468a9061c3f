"""The expectations that would make a run of the gate green."""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fuzz.judge.verdict import Word
from fuzz.judge.words import finding_lines
from fuzz.regress.expectations import Entry
from fuzz.regress.ruling import RED, Result, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzz.execute.target import Target
    from fuzz.regress.expectations import Expectations
    from fuzz.regress.gate import Account

__all__ = ["Change", "change_for", "entry_for", "narrowed"]

_LONGEST = 160  # characters of a reason that is taken from a message


@dataclass(frozen=True, slots=True)
class Change:
    """Entries to take out and to put in; ``left`` are those that only people can mend."""

    removed: tuple[Entry, ...]
    added: tuple[Entry, ...]
    left: tuple[Entry, ...]


def entry_for(result: Result) -> Entry:
    """The entry that expects a failure, with what is known of it. Its place is empty: it stands nowhere yet."""
    target, versions = narrowed(result.target)
    verdict = result.verdict
    said = " ".join(" ".join(finding_lines(verdict)).split())[:_LONGEST].rstrip()
    if verdict.verdict == Word.TIMEOUT:
        said = ""  # how long it took this time
    reason = said or f"{verdict.verdict} on {f'{result.target} {result.version}'.rstrip()}"
    return Entry("", 0, glob.escape(result.case), target, versions, verdict.verdict, reason=reason)


def narrowed(target: str) -> tuple[str, str]:
    """A target's text as an entry has it: without its version, and that as a range of its own."""
    name, version, rest = re.fullmatch(r"([\w.-]+?)(?:==([^:@]+))?([:@].*)?", target, re.DOTALL).groups("")  # type: ignore[union-attr]
    return name + rest, version and f"=={version}"


def change_for(account: Account, expectations: Expectations, targets: Sequence[Target]) -> Change:
    """What to write after a look at a run: each new failure gets an entry; an entry without any use goes.

    An entry is of no use where its glob covers no case, or where no case that it speaks of does as it says. Where some
    still do and others pass, its glob is to be narrowed by hand: it is ``left``. An entry for what fails otherwise than
    before keeps the link of the one that it replaces.
    """
    spoken = _spoken(account, expectations, targets)
    dead = [entry for entry, results in spoken.items() if results and all(r.state in RED for r in results)]
    mixed = [
        entry for entry in expectations.entries
        if entry not in dead and any(r.state is State.UNEXPECTED and r.entry == entry for r in spoken[entry])
    ]  # fmt: skip
    added = [
        replace(entry_for(result), link=result.entry.link if result.entry else "")
        for result in account.results if result.state is State.FAILED
    ]  # fmt: skip
    return Change((*account.stale, *dead), tuple(added), tuple(mixed))


def _spoken(
    account: Account, expectations: Expectations, targets: Sequence[Target]
) -> dict[Entry, list[Result]]:
    """By entry the results of the cases and targets that it speaks of."""
    known = {target.canonical: target for target in targets}
    found: dict[Entry, list[Result]] = {entry: [] for entry in expectations.entries}
    for result in account.results:
        for entry in expectations.of(result.case, known[result.target]):
            found[entry].append(result)
    return found
