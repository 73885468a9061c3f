"""The store of campaigns: `root/campaign.sqlite`, a row a case, and the folders of findings beside it.

Write-ahead log, one writer: the driver. A case and its answers are written together or not at all, a finding's folder
before its row; so whatever a kill leaves is whole, and what has no row is run again.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self, TypeAlias

from fuzz.campaign.coverage import COVERAGE_TABLES, Coverage
from fuzz.campaign.novelty import text_of
from fuzz.campaign.readings import Finding, Readings
from fuzz.campaign.shelf import FINDINGS_FOLDER, clear, lock_findings, replace_folder, sync
from fuzz.campaign.tables import LEDGER_VERSION, TABLES
from fuzz.campaign.trial import Exhibit, Trial, finding_id
from fuzz.database import connect, row_id, storable, storage_errors, transaction
from fuzz.errors import StorageError

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path
    from types import TracebackType

    from fuzz.campaign.campaign import Campaign
    from fuzz.campaign.trial import Sighting

__all__ = ["LEDGER_NAME", "LEDGER_VERSION", "Finding", "Ledger"]

LEDGER_NAME = "campaign.sqlite"
_BATCH, _BATCH_SECONDS = 256, 0.5  # things written at once, and at the latest after this time

_Decision: TypeAlias = tuple[int, str, bool]
"""Seed and target of a failing answer, and whether it is to be reduced."""


class Ledger(Readings):
    """An open store, for one campaign. Use it in one thread; as a context manager it closes itself."""

    def __init__(self, connection: sqlite3.Connection, root: Path, campaign: Campaign, lock: int) -> None:
        """Use `Ledger.open`."""
        number = row_id(connection, "campaign", digest=campaign.digest, terms=json.dumps(campaign.to_json()))
        targets = {t.canonical: row_id(connection, "target", name=t.canonical, version=t.version)
                   for t in campaign.targets}  # fmt: skip
        super().__init__(connection, root / LEDGER_NAME, number, targets)
        self._root, self._lock = root, lock
        self._batch: list[Trial | Exhibit | _Decision] = []
        self._written_at = time.monotonic()
        self._links = self.links()
        self._coverage = Coverage(number, targets)
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
            connection = connect(path, TABLES + COVERAGE_TABLES, LEDGER_VERSION)
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

    def take(self, result: Trial | Exhibit) -> None:
        """Keep what came of a seed, or of a reduction: that at once. Raises StorageError."""
        self._batch.append(result)
        full = len(self._batch) >= _BATCH or time.monotonic() - self._written_at > _BATCH_SECONDS
        if full or isinstance(result, Exhibit):
            self.flush()

    def decide(self, seed: int, target: str, *, due: bool) -> None:
        """Keep whether a failing answer is to be reduced, or taken for one of those that fail alike."""
        self._batch.append((seed, target, due))

    def begin(self, epoch: int, seed: int, terms: str) -> None:
        """Keep what an epoch is begun with, from its first seed on. Raises StorageError."""
        with transaction(self._connection, self._path):
            row = (self._campaign, epoch, seed, terms)
            self._connection.execute("INSERT INTO epoch VALUES (?,?,?,?) ON CONFLICT DO NOTHING", row)

    def flush(self) -> None:
        """Write what is not written yet. Raises StorageError."""
        if self._batch:
            now = time.monotonic() - self._began
            try:
                with transaction(self._connection, self._path):
                    new = [item for item in self._batch if self._write(item, now)]
                    self._coverage.write(self._connection, [item for item in new if isinstance(item, Trial)], now)
            except BaseException:
                self._coverage.forget()
                self._links = {}
                raise
            self._batch = []
        self._written_at = time.monotonic()

    def _write(self, item: Trial | Exhibit | _Decision, now: float) -> bool:
        """Write one thing; whether it was not there."""
        if isinstance(item, Trial):
            return self._record(item, now)
        if isinstance(item, Exhibit):
            self._show(item, now)
        else:
            self._mark(*item)
        return True

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
        self._connection.executemany(
            "INSERT INTO failure VALUES (?,?,?,?,?,'open',?,0,0) ON CONFLICT DO NOTHING",
            [
                (*key, f.target, row_id(self._connection, "rough", name=storable(f.rough)), f.site, storable(f.told))
                for f in trial.failures
            ],
        )
        self._link(trial)
        if trial.shown is not None:
            told = (*key, storable(text_of(trial.shown)))
            self._connection.execute("INSERT INTO shown VALUES (?,?,?) ON CONFLICT DO NOTHING", told)
        return cursor.rowcount > 0

    def _link(self, trial: Trial) -> None:
        new = [name for name in trial.links if self._links.get(name, trial.seed + 1) > trial.seed]
        self._connection.executemany(
            "INSERT INTO link VALUES (?,?,?) ON CONFLICT DO UPDATE SET seed = min(seed, excluded.seed)",
            [(self._campaign, name, trial.seed) for name in sorted(new)],
        )
        self._links.update(dict.fromkeys(new, trial.seed))

    def _mark(self, seed: int, target: str, due: bool) -> None:
        key = (self._campaign, seed, target)
        # Nobody asks for what was told of an answer that is not reduced.
        change = "state = 'due'" if due else "state = 'assumed', told = ''"
        where = "WHERE campaign_id = ? AND seed = ? AND target = ? AND state = 'open'"
        self._connection.execute(f"UPDATE failure SET {change} {where}", key)  # noqa: S608 - one of two texts of ours

    def _show(self, exhibit: Exhibit, now: float) -> None:
        for sighting in exhibit.sightings:
            self._sight(exhibit.seed, exhibit.target, sighting)
        row = ("shown" if exhibit.sightings else "lost", storable(exhibit.problem), exhibit.cpu_seconds, now)
        self._connection.execute(
            "UPDATE failure SET state = ?, told = ?, cpu_seconds = ?, finished_seconds = ?"
            " WHERE campaign_id = ? AND seed = ? AND target = ?",
            (*row, self._campaign, exhibit.seed, exhibit.target),
        )

    def _sight(self, seed: int, target: str, sighting: Sighting) -> None:
        """Put the case in place if no lower seed shows the same: so it does not hang on which came first."""
        name = finding_id(sighting.identity)
        query = "SELECT seed, target FROM finding WHERE id = ?"
        known = self._connection.execute(query, (name,)).fetchone()
        told = [storable(t) for t in (sighting.identity, sighting.signature, sighting.pattern)]
        row = (name, *told, sighting.nodes, sighting.target, self._campaign, seed)
        if known is None or (seed, sighting.target) <= known:
            if sighting.folder.is_dir():
                sync(sighting.folder)
            replace_folder(sighting.folder, self._root / FINDINGS_FOLDER / name)
            first = datetime.now(UTC).isoformat(timespec="seconds")
            self._connection.execute(
                "INSERT INTO finding VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET"
                " signature = excluded.signature, pattern = excluded.pattern, nodes = excluded.nodes,"
                " target = excluded.target, campaign_id = excluded.campaign_id, seed = excluded.seed",
                (*row, first),
            )
        shutil.rmtree(sighting.folder, ignore_errors=True)
        self._connection.execute(
            "INSERT INTO sighting VALUES (?,?,?,?,?,?) ON CONFLICT DO NOTHING",
            (name, self._campaign, seed, target, sighting.sites, sighting.aside),
        )
