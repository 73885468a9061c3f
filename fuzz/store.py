"""The store of a root: which cases ran on which targets, what came of it, and what was judged.

One SQLite file, `root/fuzz.sqlite`, in write-ahead mode; one process writes at a time, any number read. What is known
of a case on a target at a version is replaced when the case is executed again.
"""

from __future__ import annotations

import json
import zlib
from itertools import groupby
from typing import TYPE_CHECKING, Any, Self

from backends.frame import build_values, describe_values
from backends.protocol import ELSEWHERE, UNTRANSFORMED, Outcome, Stage
from fuzz.database import connect, row_id, storable, storage_errors, transaction
from fuzz.errors import RootError
from fuzz.execute.execution import Execution

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from types import TracebackType

    from backends.tensor import Value
    from fuzz.judge.verdict import Verdict

__all__ = ["STORE_NAME", "Store", "storable", "storage_errors"]

STORE_NAME = "fuzz.sqlite"
_VERSION = "2"
_COMPRESS_FROM = 256  # bytes; below this the saving does not pay for the time

_BESIDE = (UNTRANSFORMED, ELSEWHERE)  # kept at negative positions, -1 and -2 for the first output, -3 and -4, ...

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE target (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    UNIQUE (name, version)
);
CREATE TABLE "case" (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE execution (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    case_id INTEGER NOT NULL REFERENCES "case" (id),
    target_id INTEGER NOT NULL REFERENCES target (id),
    digest TEXT NOT NULL,
    outcome TEXT NOT NULL,
    stage TEXT,
    message TEXT NOT NULL,
    stderr TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    wall_seconds REAL NOT NULL,
    cpu_seconds REAL NOT NULL,
    data_sets INTEGER NOT NULL,
    UNIQUE (case_id, target_id)
);
CREATE TABLE output (
    execution_id INTEGER NOT NULL REFERENCES execution (id) ON DELETE CASCADE,
    data_set INTEGER NOT NULL,
    position INTEGER NOT NULL,
    form TEXT NOT NULL,
    size INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (execution_id, data_set, position)
) WITHOUT ROWID;
CREATE TABLE verdict (
    id INTEGER PRIMARY KEY,
    case_id INTEGER NOT NULL REFERENCES "case" (id),
    target TEXT NOT NULL,
    data_set INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    output TEXT,
    bound_ratio REAL,
    place TEXT,
    expected TEXT,
    actual TEXT,
    bound REAL,
    node TEXT,
    message TEXT NOT NULL,
    oracle TEXT NOT NULL
);
CREATE INDEX verdict_of_case ON verdict (case_id, target);
CREATE INDEX execution_of_target ON execution (target_id);
"""
_INSERT_EXECUTION = "INSERT INTO execution VALUES (NULL,?,?,?,?,?,?,?,?,?,?,?)"
_INSERT_VERDICT = "INSERT INTO verdict VALUES (NULL,?,?,?,?,?,?,?,?,?,?,?,?,?)"
_EXECUTIONS = """
SELECT execution.id, "case".name, target.name, version, outcome, stage, message, stderr, attempts, wall_seconds,
    cpu_seconds, data_sets
FROM execution JOIN "case" ON "case".id = case_id JOIN target ON target.id = target_id
WHERE "case".name = ? ORDER BY target.name, execution.id
"""
# Of a target's executions on a case the newest, whatever version of the backend made the older ones.
_NEWEST_EXECUTIONS = _EXECUTIONS.replace(
    "ORDER BY",
    """AND execution.id = (
    SELECT max(other.id) FROM execution AS other JOIN target AS same ON same.id = other.target_id
    WHERE other.case_id = execution.case_id AND same.name = target.name
) ORDER BY""",
)
_COUNTS = """
SELECT name, outcome, count(*) FROM (
    SELECT target.name AS name, outcome, max(execution.id)
    FROM execution JOIN target ON target.id = target_id GROUP BY case_id, target.name
) GROUP BY name, outcome ORDER BY name, outcome
"""


class Store:
    """An open store. Use it in one thread; as a context manager it closes itself."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        """Use `Store.open`."""
        self._connection = connection
        self._path = path

    @classmethod
    def open(cls, root: Path, *, create: bool = False) -> Store:
        """Open the store of a root, with `create` making it where there is none.

        Raises:
            RootError: there is no store, and none is to be made.
            StorageError: it cannot be read or written, or another version of this program made it.
        """
        path = root / STORE_NAME
        if not create and not path.is_file():
            raise RootError(f"nothing has been executed in {root}: run `fuzz exec --root {root} --backend TARGET`")
        return cls(connect(path, _TABLES, _VERSION), path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it; the write-ahead log goes into the file."""
        self._connection.close()

    # --- executions -------------------------------------------------------------------------------------------------

    def record_executions(self, executions: Sequence[Execution], digests: Sequence[str]) -> None:
        """Write executions, all or none; `digests` are those of their cases.

        What was known of the same case on the same target and version goes, and so do the verdicts on it.
        Raises `StorageError`, for one on a full disk.
        """
        with transaction(self._connection, self._path):
            for execution, digest in zip(executions, digests, strict=True):
                self._record(execution, digest)

    def _record(self, execution: Execution, digest: str) -> None:
        case = self._case_id(execution.case)
        target = row_id(self._connection, "target", name=execution.target, version=execution.version)
        run = self._connection.execute
        run("DELETE FROM execution WHERE case_id = ? AND target_id = ?", (case, target))
        run("DELETE FROM verdict WHERE case_id = ? AND target = ?", (case, execution.target))
        row = (
            case, target, digest, execution.outcome.value, execution.stage and execution.stage.value,
            storable(execution.message), storable(execution.stderr), execution.attempts,
            execution.wall_seconds, execution.cpu_seconds, len(execution.outputs),
        )  # fmt: skip
        identifier = run(_INSERT_EXECUTION, row).lastrowid
        self._connection.executemany(
            "INSERT INTO output VALUES (?,?,?,?,?,?)",
            [
                (identifier, data_set, position, *_pack(value))
                for data_set, outputs in enumerate(execution.outputs)
                for position, value in enumerate(outputs)
            ]
            + [
                (identifier, data_set, -1 - _BESIDE.index(kind) - len(_BESIDE) * position, *_pack(value))
                for (kind, data_set, position), value in execution.beside.items()
            ],
        )

    def executions(self, case: str, *, all_versions: bool = False) -> list[Execution]:
        """What came of a case, with outputs: the newest execution of each target, ordered by target.

        `all_versions` adds those that other versions of a backend made.
        """
        rows = self._rows(_EXECUTIONS if all_versions else _NEWEST_EXECUTIONS, (case,))
        return [
            Execution(
                name, target, version, Outcome(outcome), Stage(stage) if stage else None, message, stderr, attempts,
                wall, cpu, self._outputs(identifier, data_sets), self._beside(identifier),
            )
            for identifier, name, target, version, outcome, stage, message, stderr, attempts, wall, cpu, data_sets
            in rows
        ]  # fmt: skip

    def _outputs(self, execution: int, data_sets: int) -> tuple[tuple[Value, ...], ...]:
        rows = self._rows(
            "SELECT data_set, form, size, data FROM output WHERE execution_id = ? AND position >= 0"
            " ORDER BY data_set, position",
            (execution,),
        )
        outputs: list[tuple[Value, ...]] = [()] * data_sets
        for data_set, group in groupby(rows, key=lambda row: row[0]):
            outputs[data_set] = tuple(_unpack(form, size, data) for _, form, size, data in group)
        return tuple(outputs)

    def _beside(self, execution: int) -> dict[tuple[str, int, int], Value]:
        rows = self._rows(
            "SELECT data_set, position, form, size, data FROM output WHERE execution_id = ? AND position < 0",
            (execution,),
        )
        return {
            (_BESIDE[(-1 - at) % len(_BESIDE)], data_set, (-1 - at) // len(_BESIDE)): _unpack(form, size, data)
            for data_set, at, form, size, data in rows
        }

    def executed(self, target: str, version: str) -> dict[tuple[str, str], Outcome]:
        """What has been executed on a target at a version: outcomes by (case, digest of the case)."""
        rows = self._rows(
            'SELECT "case".name, digest, outcome FROM execution JOIN "case" ON "case".id = case_id'
            " JOIN target ON target.id = target_id WHERE target.name = ? AND version = ?",
            (target, version),
        )
        return {(case, digest): Outcome(outcome) for case, digest, outcome in rows}

    def targets(self) -> list[tuple[str, str]]:
        """Every (target, version) on which something was executed, sorted."""
        return self._rows("SELECT DISTINCT name, version FROM target ORDER BY name, version")

    def cases(self) -> list[str]:
        """The ids of all cases that were executed on some target, sorted."""
        rows = self._rows('SELECT name FROM "case" WHERE id IN (SELECT case_id FROM execution) ORDER BY name')
        return [name for (name,) in rows]

    def outcome_counts(self) -> dict[str, dict[Outcome, int]]:
        """How often each outcome came on each target, counting each case's newest execution."""
        counts: dict[str, dict[Outcome, int]] = {}
        for target, outcome, count in self._rows(_COUNTS):
            counts.setdefault(target, {})[Outcome(outcome)] = count
        return counts

    # --- verdicts ---------------------------------------------------------------------------------------------------

    def record_verdicts(self, verdicts: Iterable[Verdict]) -> None:
        """Write verdicts, all or none; an oracle's old ones on the same (case, target) go. Raises `StorageError`."""
        with transaction(self._connection, self._path):
            cleared: set[tuple[str, str, str]] = set()
            for verdict in verdicts:
                case = self._case_id(verdict.case)
                about = (verdict.case, verdict.target, verdict.oracle)
                if about not in cleared:
                    cleared.add(about)
                    self._connection.execute(
                        "DELETE FROM verdict WHERE case_id = ? AND target = ? AND oracle = ?", (case, *about[1:])
                    )
                row = (
                    case, verdict.target, verdict.data_set, str(verdict.verdict), verdict.output,
                    verdict.bound_ratio, None if verdict.index is None else json.dumps(verdict.index),
                    json.dumps(verdict.expected), json.dumps(verdict.actual), verdict.bound, verdict.node,
                    storable(verdict.message), verdict.oracle,
                )  # fmt: skip
                self._connection.execute(_INSERT_VERDICT, row)

    def verdicts(self, case: str | None = None) -> list[Verdict]:
        """All verdicts, or those on one case, ordered by case and as they were recorded."""
        from fuzz.judge.verdict import Verdict

        rows = self._rows(
            'SELECT "case".name, target, data_set, verdict, output, bound_ratio, place, expected, actual, bound, node,'
            ' message, oracle FROM verdict JOIN "case" ON "case".id = case_id WHERE ? IS NULL OR "case".name = ?'
            ' ORDER BY "case".name, verdict.id',
            (case, case),
        )
        return [
            Verdict(
                case=name, target=target, data_set=data_set, verdict=verdict, output=output,
                bound_ratio=ratio, index=None if place is None else tuple(json.loads(place)),
                expected=json.loads(expected), actual=json.loads(actual), bound=bound, node=node,
                message=message, oracle=oracle,
            )
            for name, target, data_set, verdict, output, ratio, place, expected, actual, bound, node, message, oracle
            in rows
        ]  # fmt: skip

    def verdict_counts(self) -> dict[str, dict[str, int]]:
        """How many (case, data set, output) have each verdict, by target."""
        counts: dict[str, dict[str, int]] = {}
        for target, verdict, count in self._rows(
            "SELECT target, verdict, count(*) FROM verdict GROUP BY target, verdict ORDER BY target, verdict"
        ):
            counts.setdefault(target, {})[verdict] = count
        return counts

    # --- inside -----------------------------------------------------------------------------------------------------

    def _case_id(self, name: str) -> int:
        return row_id(self._connection, '"case"', name=storable(name))

    def _rows(self, query: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        with storage_errors(self._path):
            return self._connection.execute(query, parameters).fetchall()


def _pack(value: Value) -> tuple[str, int, bytes]:
    """A value as (form, length of its data, data), compressed where that pays."""
    parts: list[bytes] = []
    form = json.dumps(describe_values([value], parts)[0], separators=(",", ":"))
    data = b"".join(parts)
    if len(data) >= _COMPRESS_FROM:
        compressed = zlib.compress(data, 1)
        if len(compressed) < 0.9 * len(data):
            return form, len(data), compressed
    return form, len(data), data


def _unpack(form: str, size: int, data: bytes) -> Value:
    # Compressed data is always shorter, so the length tells the two apart.
    content = data if len(data) == size else zlib.decompress(data)
    return build_values([json.loads(form)], memoryview(content))[0]
