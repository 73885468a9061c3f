"""What a root's store of campaigns tells afterwards, or meanwhile: read only, while a run may be writing to it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fuzz.campaign.ledger import LEDGER_NAME, LEDGER_VERSION
from fuzz.database import storage_errors
from fuzz.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Covered", "Found", "History", "read_history"]

_STEPS = 400  # points of a curve over time

_FOUND = """
SELECT finding.id, finding.target, finding.signature, finding.pattern, finding.nodes, finding.seed, first_seen,
    (SELECT count(*) FROM sighting WHERE finding_id = finding.id),
    (SELECT min(offset + finished_seconds) FROM sighting
        JOIN "case" ON "case".campaign_id = sighting.campaign_id AND "case".seed = sighting.seed
        JOIN beginning ON beginning.campaign_id = sighting.campaign_id WHERE finding_id = finding.id)
FROM finding ORDER BY finding.id
"""
_COVERED = """
SELECT operator, type, target.name, version, verdict, sum(cases), min(offset + first_seconds)
FROM coverage JOIN pair ON pair.id = pair_id JOIN target ON target.id = target_id
    JOIN beginning ON beginning.campaign_id = coverage.campaign_id
GROUP BY operator, type, target_id, verdict ORDER BY operator, type, target.name, version, verdict
"""
# Campaigns of one root run one after the other: each begins where those made before it have come to.
_BEGINNING = """
CREATE TEMP TABLE beginning AS
SELECT id AS campaign_id, coalesce(sum(ran) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0.0)
    AS offset
FROM (SELECT id, coalesce((SELECT max(finished_seconds) FROM "case" WHERE campaign_id = campaign.id), 0.0) AS ran
    FROM campaign)
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A finding's row: how many cases showed it, and after how many seconds of running the first of them was done."""

    id: str
    target: str
    signature: str
    pattern: str
    nodes: int
    seed: int
    first_seen: str
    count: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Covered:
    """How many cases with an operator on a type had a verdict on a target, and when the first of them was done."""

    operator: str
    type: str
    target: str
    version: str
    verdict: str
    cases: int
    seconds: float


@dataclass(frozen=True, slots=True)
class History:
    """All campaigns of a root. Seconds are those in which they ran, one after the other in the order of their making.

    ``terms`` is what each was asked for (``Campaign.to_json``). ``counts`` has the cases of each verdict by target and
    version; ``done`` the number of cases finished by a time, both growing.
    """

    terms: tuple[dict[str, Any], ...]
    cases: int
    seconds: float
    cpu_seconds: float
    counts: dict[tuple[str, str], dict[str, int]]
    found: tuple[Found, ...]
    covered: tuple[Covered, ...]
    done: tuple[tuple[float, int], ...]
    problems: tuple[tuple[int, str], ...]


def read_history(root: Path) -> History | None:
    """The history of a root; None where no campaign ran in it. Raises StorageError."""
    path = root / LEDGER_NAME
    if not path.is_file():
        return None
    with storage_errors(path), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        row = connection.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
        if row is None or row[0] != LEDGER_VERSION:
            raise StorageError(f"{path} was made by another version of fuzz: report on it with that one")
        connection.execute("BEGIN")  # one state of the store for all that is read
        connection.execute(_BEGINNING)
        return _read(connection)


def _read(connection: sqlite3.Connection) -> History:
    run = connection.execute
    cases, cpu = run('SELECT count(*), coalesce(sum(generate_seconds + judge_seconds), 0) FROM "case"').fetchone()
    on_targets = run("SELECT coalesce(sum(cpu_seconds), 0) FROM answer").fetchone()[0]
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for name, version, verdict, count in run(
        "SELECT name, version, verdict, count(*) FROM answer JOIN target ON target.id = target_id"
        " GROUP BY target_id, verdict ORDER BY name, version, verdict"
    ):
        counts.setdefault((name, version), {})[verdict] = count
    done = _done(connection)
    problems = run('SELECT seed, problem FROM "case" WHERE problem <> ? ORDER BY campaign_id, seed', ("",)).fetchall()
    return History(
        terms=tuple(json.loads(terms) for (terms,) in run("SELECT terms FROM campaign ORDER BY id")),
        cases=cases,
        seconds=done[-1][0] if done else 0.0,
        cpu_seconds=cpu + on_targets,
        counts=counts,
        found=tuple(Found(*row) for row in run(_FOUND)),
        covered=tuple(Covered(*row) for row in run(_COVERED)),
        done=done,
        problems=tuple(problems),
    )


def _done(connection: sqlite3.Connection) -> tuple[tuple[float, int], ...]:
    """How many cases were finished by when, in at most some hundred steps."""
    clock = 'FROM "case" JOIN beginning USING (campaign_id)'
    longest = connection.execute(f"SELECT max(offset + finished_seconds) {clock}").fetchone()[0]
    if longest is None:
        return ()
    query = f"""SELECT max(offset + finished_seconds), count(*) {clock}
        GROUP BY cast(? * (offset + finished_seconds) / ? AS INTEGER) ORDER BY 1"""
    total, points = 0, []
    for seconds, count in connection.execute(query, (_STEPS, longest or 1.0)):
        total += count
        points.append((float(seconds), total))
    return tuple(points)
