"""What a root's store of campaigns tells afterwards, or meanwhile, while a run is writing to it."""

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
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Covered", "Found", "History", "read_history"]

_STEPS = 400  # points of a curve over time

_FOUND = """
SELECT finding.id, finding.target, finding.signature, finding.pattern, finding.nodes, finding.seed, first_seen,
    (SELECT count(*) FROM sighting WHERE finding_id = finding.id), coalesce(alike, 0),
    (SELECT min(offset + finished_seconds) FROM sighting AS s
        JOIN failure AS f ON f.campaign_id = s.campaign_id AND f.seed = s.seed AND f.target = s.target
        JOIN beginning ON beginning.campaign_id = s.campaign_id WHERE finding_id = finding.id)
FROM finding LEFT JOIN (SELECT finding_id, count(*) AS alike FROM assumed GROUP BY 1) ON finding_id = finding.id
ORDER BY finding.id
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
FROM (SELECT id, max(
        coalesce((SELECT max(finished_seconds) FROM "case" WHERE campaign_id = campaign.id), 0.0),
        coalesce((SELECT max(finished_seconds) FROM failure WHERE campaign_id = campaign.id), 0.0)
    ) AS ran FROM campaign)
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A finding's row: in how many reduced cases it was seen, and after how many seconds of running first.

    So many more were ``assumed``: they fail as cases of this finding do, and were not reduced.
    """

    id: str
    target: str
    signature: str
    pattern: str
    nodes: int
    seed: int
    first_seen: str
    reduced: int
    assumed: int
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
    version; ``done`` the number of cases finished by a time, both growing. ``waiting`` failing answers are not reduced
    yet; what could not be done with which seed is in ``problems``.
    """

    terms: tuple[dict[str, Any], ...]
    cases: int
    seconds: float
    counts: dict[tuple[str, str], dict[str, int]]
    found: tuple[Found, ...]
    covered: tuple[Covered, ...]
    done: tuple[tuple[float, int], ...]
    waiting: int
    problems: tuple[str, ...]


def read_history(root: Path) -> History | None:
    """The history of a root; None where no campaign ran in it. Raises StorageError."""
    path = root / LEDGER_NAME
    if not path.is_file():
        return None
    with storage_errors(path), closing(_open(path)) as connection:
        row = connection.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
        if row is None or row[0] != LEDGER_VERSION:
            raise StorageError(f"{path} was made by another version of fuzz: report on it with that one")
        connection.execute("BEGIN")  # one state of the store for all that is read
        connection.execute(_BEGINNING)
        return _read(connection)


def _open(path: Path) -> sqlite3.Connection:
    """A connection that reads; in a folder that cannot be written to, where it has no place for locks, without them."""
    uri = path.absolute().as_uri()
    connection = sqlite3.connect(f"{uri}?mode=rw", uri=True, timeout=30.0)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        if not error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
            raise
        return sqlite3.connect(f"{uri}?mode=ro&immutable=1", uri=True)
    return connection


def _read(connection: sqlite3.Connection) -> History:
    run = connection.execute
    known = run("SELECT name, version FROM target ORDER BY name, version").fetchall()
    counts: dict[tuple[str, str], dict[str, int]] = {(name, version): {} for name, version in known}
    for name, version, verdict, count in run(
        "SELECT name, version, verdict, count(*) FROM answer JOIN target ON target.id = target_id"
        " GROUP BY target_id, verdict ORDER BY name, version, verdict"
    ):
        counts[name, version][verdict] = count
    done = _done(connection)
    found = tuple(Found(*row) for row in run(_FOUND))
    ends = [seconds for seconds, _ in done[-1:]] + [one.seconds for one in found if one.seconds is not None]
    return History(
        terms=tuple(json.loads(terms) for (terms,) in run("SELECT terms FROM campaign ORDER BY id")),
        cases=run('SELECT count(*) FROM "case"').fetchone()[0],
        seconds=max(ends, default=0.0),
        counts=counts,
        found=found,
        covered=tuple(Covered(*row) for row in run(_COVERED)),
        done=done,
        waiting=run("SELECT count(*) FROM failure WHERE state IN ('open', 'due')").fetchone()[0],
        problems=tuple(_problems(connection)),
    )


def _problems(connection: sqlite3.Connection) -> Iterator[str]:
    """What our own code failed at: seeds, and reductions that came to nothing."""
    run = connection.execute
    for seed, problem in run('SELECT seed, problem FROM "case" WHERE problem <> ? ORDER BY campaign_id, seed', ("",)):
        yield f"seed {seed}: {problem}"
    lost = "SELECT seed, target, told FROM failure WHERE state = 'lost' ORDER BY campaign_id, seed, target"
    for seed, target, problem in run(lost):
        yield f"seed {seed} failed on {target}, and shows nothing: {problem}"


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
