"""What one version of a backend does with the tests, as it was measured: the repository's tables.

One file a backend, ``backends/conformance/NAME.json``, written by ``fuzz doctor --all --out``:

    {"backend", "target", "version", "onnx", "suite": "all" | "quick", "tests", "seconds", "counts": {RESULT: how many},
     "failures": {TEST: {"result", "message"}},    what is the backend's own fault: wrong, rejected, crash, ...
     "others": {RESULT: [TEST, ...]},              what neither fails nor passes
     "explanations": {LINE: [TEST, ...]}}          what a person found out about failures

All that a run measures is written anew each time. An explanation stays as long as its tests fail in the same way.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import backends
from fuzz.doctor.examination import FAILING, Result
from fuzz.errors import StorageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fuzz.doctor.examination import Examined

__all__ = ["FOLDER", "Failure", "Table", "load_table", "load_tables", "table_of", "write_table"]

FOLDER = Path(backends.__file__).parent / "conformance"


@dataclass(frozen=True, slots=True)
class Failure:
    """A test that a backend fails: how, and in whose words."""

    result: Result
    message: str


@dataclass(frozen=True, slots=True)
class Table:
    """One backend at one version, on the tests of one release of onnx. ``explanations``: tests by line.

    ``target`` is what was measured: the backend as it comes, or with an option where that takes too long. ``suite`` is
    "all" tests, or the "quick" ones where all have not been run.
    """

    backend: str
    target: str
    version: str
    onnx: str
    suite: str
    tests: int
    seconds: float
    counts: Mapping[Result, int]
    failures: Mapping[str, Failure] = field(default_factory=dict)
    others: Mapping[Result, tuple[str, ...]] = field(default_factory=dict)
    explanations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def results(self) -> dict[str, Result]:
        """The result of every test that does not pass."""
        others = {name: result for result, names in self.others.items() for name in names}
        return {**others, **{name: failure.result for name, failure in self.failures.items()}}

    def lines(self) -> dict[str, str]:
        """The explanation of each test that has one."""
        return {name: line for line, names in self.explanations.items() for name in names}

    def explained_by(self, before: Table) -> Table:
        """The same with the explanations of an older table that still hold: the test fails in the same way."""
        kept = {
            line: tuple(name for name in names if self._still(before, name))
            for line, names in before.explanations.items()
        }
        return replace(self, explanations={line: names for line, names in kept.items() if names})

    def _still(self, before: Table, name: str) -> bool:
        now, then = self.failures.get(name), before.failures.get(name)
        return now is not None and (then is None or then.result is now.result)

    def to_json(self) -> str:
        """The file's text: a line a test or explanation, keys sorted."""
        head = {
            "backend": self.backend, "target": self.target, "version": self.version, "onnx": self.onnx,
            "suite": self.suite, "tests": self.tests, "seconds": round(self.seconds, 1),
            "counts": {r.value: n for r, n in self.counts.items() if n},
        }  # fmt: skip
        failures = {n: {"result": f.result.value, "message": f.message} for n, f in sorted(self.failures.items())}
        others = {result.value: sorted(names) for result, names in self.others.items() if names}
        explanations = {line: sorted(names) for line, names in sorted(self.explanations.items())}
        parts = [f'"{name}": {_rows(rows)}' for name, rows in
                 (("failures", failures), ("others", others), ("explanations", explanations))]  # fmt: skip
        return json.dumps(head, ensure_ascii=False)[:-1] + ",\n " + ",\n ".join(parts) + "}\n"


def _rows(rows: Mapping[str, Any]) -> str:
    if not rows:
        return "{}"
    dump = [f"  {json.dumps(key, ensure_ascii=False)}: {json.dumps(rows[key], ensure_ascii=False)}" for key in rows]
    return "{\n" + ",\n".join(dump) + "\n }"


def table_of(examined: Examined, onnx: str, suite: str = "all") -> Table:
    """What was measured as a table without explanations."""
    own = {test.name: Failure(test.result, test.message) for test in examined.of(*FAILING)}
    others: dict[Result, tuple[str, ...]] = {
        result: tuple(test.name for test in found)
        for result in Result
        if result not in FAILING and result is not Result.PASSED and (found := examined.of(result))
    }
    target = examined.target
    return Table(
        target.backend, target.canonical, target.version, onnx, suite, len(examined.tests),
        examined.seconds, examined.counts, own, others,
    )  # fmt: skip


def load_table(backend: str, folder: Path = FOLDER) -> Table | None:
    """The table of a backend, None where there is none. Raises `StorageError` for a file that is no table."""
    path = folder / f"{backend}.json"
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Table(
            data["backend"], data["target"], data["version"], data["onnx"], data["suite"], data["tests"],
            data["seconds"],
            {result: data["counts"].get(result.value, 0) for result in Result},
            {name: Failure(Result(f["result"]), f["message"]) for name, f in data["failures"].items()},
            {Result(result): tuple(names) for result, names in data["others"].items()},
            {line: tuple(names) for line, names in data["explanations"].items()},
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise StorageError(f"{path} is no table of `fuzz doctor`: {problem!r}") from None


def load_tables(folder: Path = FOLDER) -> list[Table]:
    """All tables of a folder, by name."""
    names = sorted(path.stem for path in folder.glob("*.json")) if folder.is_dir() else []
    return [table for name in names if (table := load_table(name, folder)) is not None]


def write_table(table: Table, folder: Path) -> Path:
    """Write a table with the explanations of the one that it replaces, where they still hold.

    Raises `UsageError` where one of all tests would be replaced by one of the quick ones.
    """
    path = folder / f"{table.backend}.json"
    before = load_table(table.backend, folder)
    if before is not None and (before.suite, table.suite) == ("all", "quick"):
        raise UsageError(f"{path} is of all tests: run with --all, or give another --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text((table if before is None else table.explained_by(before)).to_json(), encoding="utf-8")
    except OSError as problem:
        raise StorageError(f"cannot write {path}: {problem.strerror}") from None
    return path
