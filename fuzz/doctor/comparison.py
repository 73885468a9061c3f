"""What a run says that the repository's table does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fuzz.doctor.examination import FAILING, Result

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from fuzz.doctor.examination import Examined, Tested
    from fuzz.doctor.table import Table

__all__ = ["Change", "Comparison", "compare"]


@dataclass(frozen=True, slots=True)
class Change:
    """A test whose result is not the table's."""

    test: Tested
    before: Result

    @property
    def failing(self) -> bool:
        """Whether it fails now, and did not, or in another way."""
        return self.test.result in FAILING

    @property
    def passing(self) -> bool:
        """Whether it passes now and did not."""
        return self.test.result is Result.PASSED


@dataclass(frozen=True, slots=True)
class Comparison:
    """One target against the table of its backend.

    Attributes:
        note: why there is nothing to compare with, or that the table is of another version; empty where all fits.
        failing: tests that fail now, and did not or in another way.
        passing: tests that pass now and did not.
        changed: tests that neither fail nor pass now, and were something else.
        lines: the backend's own failures, each with the line that explains it.
    """

    note: str
    failing: tuple[Change, ...] = ()
    passing: tuple[Change, ...] = ()
    changed: tuple[Change, ...] = ()
    lines: tuple[tuple[Tested, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The keys of ``fuzz doctor --json``."""

        def plain(changes: Sequence[Change]) -> list[dict[str, str]]:
            return [
                {"test": c.test.name, "before": c.before.value, "now": c.test.result.value, "message": c.test.message}
                for c in changes
            ]

        return {
            "note": self.note,
            "newly_failing": plain(self.failing), "newly_passing": plain(self.passing), "changed": plain(self.changed),
            "failures": [{"test": t.name, "result": t.result.value, "line": line} for t, line in self.lines],
        }  # fmt: skip


def compare(examined: Examined, table: Table | None, onnx: str, quick: Container[str] = ()) -> Comparison:
    """Compare the tests that were run with a backend's table.

    ``onnx`` is the release whose tests they are; ``quick`` the tests that a table of the quick ones knows.
    """
    failures = examined.of(*FAILING)
    if table is None:
        note = f"the repository has no table of {examined.target.backend}: nothing to compare with"
        return Comparison(note, lines=tuple((test, test.message) for test in failures))
    lines = table.lines()
    explained = tuple((test, _line(test, table, lines)) for test in failures)
    if table.onnx != onnx:
        note = f"the repository's table has the tests of onnx {table.onnx}, these are of {onnx}: not compared"
        return Comparison(note, lines=explained)
    known, target = table.results(), examined.target
    notes = [f"version {table.version}"] if table.version != target.version else []
    notes += ["the quick tests alone"] if table.suite == "quick" else []
    notes += [table.target] if table.target != target.canonical else []
    note = f"the repository's table is of {', '.join(notes)}" if notes else ""
    changes = [
        Change(test, before)
        for test in examined.tests
        if (table.suite == "all" or test.name in quick)
        and (before := known.get(test.name, Result.PASSED)) is not test.result and test.result is not Result.ERROR
    ]
    return Comparison(
        note,
        tuple(change for change in changes if change.failing),
        tuple(change for change in changes if change.passing),
        tuple(change for change in changes if not (change.failing or change.passing)),
        explained,
    )


def _line(test: Tested, table: Table, lines: dict[str, str]) -> str:
    """What a person found out about a failure, where it is still the same one; else what was measured."""
    known = table.failures.get(test.name)
    return lines.get(test.name, test.message) if known is not None and known.result is test.result else test.message
