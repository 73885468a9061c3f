"""The store of campaigns: `root/campaign.sqlite`, a row a case, and the folders of findings beside it.

Write-ahead log, one writer: the driver. A case and its answers are written together or not at all, a finding's folder
before its row; so whatever a kill leaves is whole, and what has no row is run again.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from fuzz.campaign.coverage import COVERAGE_TABLES, Coverage
from fuzz.campaign.shelf import FINDINGS_FOLDER, clear, lock_findings, replace_folder
from fuzz.campaign.trial import finding_id
from fuzz.database import connect, row_id, storable, storage_errors, transaction
from fuzz.errors import StorageError

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path
    from types import TracebackType

    from fuzz.campaign.campaign import Campaign
    from fuzz.campaign.trial import Sighting, Trial

__all__ = ["LEDGER_NAME", "LEDGER_VERSION", "Finding", "Ledger"]

LEDGER_NAME = "campaign.sqlite"
LEDGER_VERSION = "2"
_BATCH, _BATCH_SECONDS = 256, 0.5  # cases written at once, and at the latest after this time

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE campaign (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, terms TEXT NOT NULL);
CREATE TABLE target (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    UNIQUE (name, version)
);
CREATE TABLE "case" (
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    seed INTEGER NOT NULL,
    nodes INTEGER NOT NULL,
    generate_seconds REAL NOT NULL,
    judge_seconds REAL NOT NULL,
    finished_seconds REAL NOT NULL,
    problem TEXT NOT NULL,
    PRIMARY KEY (campaign_id, seed)
) WITHOUT ROWID;
CREATE TABLE answer (
    campaign_id INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    target_id INTEGER NOT NULL REFERENCES target (id),
    outcome TEXT NOT NULL,
    verdict TEXT NOT NULL,
    message TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    cpu_seconds REAL NOT NULL,
    PRIMARY KEY (campaign_id, seed, target_id),
    FOREIGN KEY (campaign_id, seed) REFERENCES "case" (campaign_id, seed)
) WITHOUT ROWID;
CREATE TABLE finding (
    id TEXT PRIMARY KEY,
    identity TEXT NOT NULL UNIQUE,
    signature TEXT NOT NULL,
    pattern TEXT NOT NULL,
    nodes INTEGER NOT NULL,
    target TEXT NOT NULL,
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    seed INTEGER NOT NULL,
    first_seen TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE sighting (
    finding_id TEXT NOT NULL REFERENCES finding (id),
    campaign_id INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    target TEXT NOT NULL,
    PRIMARY KEY (finding_id, campaign_id, seed, target)
) WITHOUT ROWID;
"""
_FINDINGS = """
SELECT finding.id, target, seed, signature, pattern, nodes, first_seen, count
FROM finding JOIN (
    SELECT finding_id, count(*) AS count FROM sighting WHERE campaign_id = ? GROUP BY finding_id
) ON finding_id = finding.id ORDER BY count DESC, finding.id
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """A distinct failure: where it was seen first of all seeds, and how often in the campaign that is asked about."""

    id: str
    target: str
    seed: int
    signature: str
    pattern: str
    nodes: int
    first_seen: str
    count: int


class Ledger:
    """An open store, for one campaign. Use it in one thread; as a context manager it closes itself."""

    def __init__(self, connection: sqlite3.Connection, root: Path, campaign: Campaign, lock: int) -> None:
        """Use `Ledger.open`."""
        self._connection, self._root, self._lock = connection, root, lock
        self._batch: list[Trial] = []
        self._written_at = time.monotonic()
        self._campaign = row_id(connection, "campaign", digest=campaign.digest, terms=json.dumps(campaign.to_json()))
        self._targets = {t.canonical: row_id(connection, "target", name=t.canonical, version=t.version)
                         for t in campaign.targets}  # fmt: skip
        self._coverage = Coverage(self._campaign, self._targets)
        # The clock of a campaign runs while it runs: it goes on where the run before left it.
        before = self._rows('SELECT coalesce(max(finished_seconds), 0) FROM "case" WHERE campaign_id = ?')[0][0]
        self._began = self._written_at - before

    @classmethod
    def open(cls, root: Path, campaign: Campaign) -> Ledger:
        """Open the store of a root, or make it, and clear what a killed run left.

        Raises StorageError: the root cannot be written, or another run works in it.
        """
        lock = lock_findings(root / FINDINGS_FOLDER)
        path = root / LEDGER_NAME
        try:
            clear(root)
            connection = connect(path, _TABLES + COVERAGE_TABLES, LEDGER_VERSION)
            try:
                with storage_errors(path):
                    return cls(connection, root, campaign, lock)
            except BaseException:
                connection.close()
                raise
        except BaseException:
            os.close(lock)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None or not issubclass(kind, StorageError):
                self.flush()
        finally:
            self._connection.close()
            clear(self._root)
            os.close(self._lock)

    # --- writing ------------------------------------------------------------------------------------------------------

    def take(self, trial: Trial) -> None:
        """Keep what came of a seed; at once where something was found. Raises StorageError."""
        self._batch.append(trial)
        if trial.sightings or len(self._batch) >= _BATCH or time.monotonic() - self._written_at > _BATCH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is not written yet. Raises StorageError."""
        if self._batch:
            now = time.monotonic() - self._began
            try:
                with transaction(self._connection, self._root / LEDGER_NAME):
                    new = [trial for trial in self._batch if self._record(trial, now)]
                    self._coverage.write(self._connection, new, now)
            except BaseException:
                self._coverage.forget()
                raise
            self._batch = []
        self._written_at = time.monotonic()

    def _record(self, trial: Trial, now: float) -> bool:
        """Write one seed's rows; whether it had none."""
        key = (self._campaign, trial.seed)
        row = (*key, trial.nodes, trial.generate_seconds, trial.judge_seconds, now, storable(trial.problem))
        # Nothing happens where the row is there: a flush that Ctrl-C ended may come again.
        cursor = self._connection.execute('INSERT INTO "case" VALUES (?,?,?,?,?,?,?) ON CONFLICT DO NOTHING', row)
        self._connection.executemany(
            "INSERT INTO answer VALUES (?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
            [
                (*key, self._targets[a.target], a.outcome, a.verdict, storable(a.message), a.attempts, a.cpu_seconds)
                for a in trial.answers
            ],
        )
        for sighting in trial.sightings:
            self._sight(trial.seed, sighting)
        return cursor.rowcount > 0

    def _sight(self, seed: int, sighting: Sighting) -> None:
        """Put the case in place if no lower seed shows the same: so it does not hang on which came first."""
        name = finding_id(sighting.identity)
        query = "SELECT seed, target FROM finding WHERE id = ?"
        known = self._connection.execute(query, (name,)).fetchone()
        told = [storable(t) for t in (sighting.identity, sighting.signature, sighting.pattern)]
        row = (name, *told, sighting.nodes, sighting.target, self._campaign, seed)
        if known is None or (seed, sighting.target) <= known:
            replace_folder(sighting.folder, self._root / FINDINGS_FOLDER / name)
            first = datetime.now(UTC).isoformat(timespec="seconds")
            self._connection.execute(
                "INSERT INTO finding VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET"
                " target = excluded.target, campaign_id = excluded.campaign_id, seed = excluded.seed",
                (*row, first),
            )
        shutil.rmtree(sighting.folder, ignore_errors=True)
        self._connection.execute(
            "INSERT INTO sighting VALUES (?,?,?,?) ON CONFLICT DO NOTHING",
            (name, self._campaign, seed, sighting.target),
        )

    # --- reading ------------------------------------------------------------------------------------------------------

    def has(self, seed: int) -> bool:
        """Whether a seed was examined, and written."""
        query = 'SELECT 1 FROM "case" WHERE campaign_id = ? AND seed = ?'
        return bool(self._rows(query, seed))

    def cases(self) -> int:
        """How many seeds were examined."""
        return int(self._rows('SELECT count(*) FROM "case" WHERE campaign_id = ?')[0][0])

    def problems(self) -> list[tuple[int, str]]:
        """Seeds on which our own code failed, and how."""
        return self._rows('SELECT seed, problem FROM "case" WHERE campaign_id = ? AND problem <> ? ORDER BY seed', "")

    def counts(self, column: str = "verdict") -> dict[str, dict[str, int]]:
        """How many cases have each verdict (or ``outcome``), by target."""
        names = {number: name for name, number in self._targets.items()}
        counts: dict[str, dict[str, int]] = {name: {} for name in self._targets}
        query = f"SELECT target_id, {column}, count(*) FROM answer WHERE campaign_id = ? GROUP BY 1, 2 ORDER BY 1, 2"  # noqa: S608 - a column's name
        for target, word, count in self._rows(query):
            counts[names[target]][word] = count
        return counts

    def findings(self) -> list[Finding]:
        """What was found, the most frequent first."""
        return [Finding(*row) for row in self._rows(_FINDINGS)]

    def to_json(self) -> dict[str, Any]:
        """What ``fuzz run --json`` prints of the store."""
        return {
            "cases": self.cases(),
            "targets": self.counts(),
            "findings": [asdict(finding) for finding in self.findings()],
            "problems": [{"seed": seed, "problem": problem} for seed, problem in self.problems()],
        }

    # --- inside -------------------------------------------------------------------------------------------------------

    def _rows(self, query: str, *parameters: object) -> list[Any]:
        with storage_errors(self._root / LEDGER_NAME):
            return self._connection.execute(query, (self._campaign, *parameters)).fetchall()
