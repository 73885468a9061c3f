"""Which operators met which targets, on which element types, and what came of it: counts, not a list of cases.

A night's cases have millions of nodes between them, but only some thousands of pairs of operator and type: what is
written grows with the pairs, the targets and the verdicts, whatever the number of cases.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from fuzz.database import row_id

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from fuzz.campaign.trial import Trial
    from fuzz.reach import Pair

__all__ = ["COVERAGE_TABLES", "Coverage"]

COVERAGE_TABLES = """
CREATE TABLE pair (
    id INTEGER PRIMARY KEY,
    operator TEXT NOT NULL,
    type TEXT NOT NULL,
    UNIQUE (operator, type)
);
CREATE TABLE coverage (
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    target_id INTEGER NOT NULL REFERENCES target (id),
    pair_id INTEGER NOT NULL REFERENCES pair (id),
    verdict TEXT NOT NULL,
    cases INTEGER NOT NULL,
    first_seconds REAL NOT NULL,
    PRIMARY KEY (campaign_id, target_id, pair_id, verdict)
) WITHOUT ROWID
"""
"""``cases`` is how many cases hold the pair and had the verdict, ``first_seconds`` when the first of them was done, in
seconds of ``case.finished_seconds``. The type is empty where an operator has none."""

_COUNT = (
    "INSERT INTO coverage VALUES (?,?,?,?,?,?) ON CONFLICT (campaign_id, target_id, pair_id, verdict)"
    " DO UPDATE SET cases = cases + excluded.cases"
)


class Coverage:
    """Counts what trials cover until it is written; the ids of pairs are looked up once."""

    def __init__(self, campaign: int, targets: Mapping[str, int]) -> None:
        self._campaign, self._targets = campaign, targets
        self._pairs: dict[Pair, int] = {}

    def write(self, connection: sqlite3.Connection, trials: list[Trial], now: float) -> None:
        """Add what these trials cover, each of them new to the store. Within a transaction of the caller's."""
        found = Counter(
            (answer.target, pair, answer.verdict)
            for trial in trials for answer in trial.answers for pair in trial.pairs
        )  # fmt: skip
        rows = [
            (self._campaign, self._targets[target], self._pair(connection, pair), verdict, cases, now)
            for (target, pair, verdict), cases in found.items()
        ]
        connection.executemany(_COUNT, rows)

    def forget(self) -> None:
        """Look the ids up again: a transaction that made some of them was not kept."""
        self._pairs.clear()

    def _pair(self, connection: sqlite3.Connection, pair: Pair) -> int:
        if pair not in self._pairs:
            self._pairs[pair] = row_id(connection, "pair", operator=pair[0], type=pair[1])
        return self._pairs[pair]
