"""What a campaign's store tells: counts, findings, and what the next epochs are decided by."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from fuzz.campaign.trial import Failure
from fuzz.database import storage_errors

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Failed", "Finding", "Readings", "Seen"]

_FINDINGS = """
SELECT finding.id, finding.target, finding.seed, signature, pattern, nodes, first_seen, count(*) AS count, sum(guess)
FROM finding JOIN (
    SELECT finding_id, 0 AS guess FROM sighting WHERE campaign_id = ?1
    UNION ALL SELECT finding_id, 1 FROM assumed WHERE campaign_id = ?1
) ON finding_id = finding.id GROUP BY finding.id ORDER BY count DESC, finding.id
"""
_FAILED = """
SELECT f.seed, f.target, rough.name, f.site, f.state, f.told FROM failure AS f JOIN rough ON rough.id = f.rough_id
WHERE campaign_id = ? AND f.seed >= ? ORDER BY f.seed, f.target
"""
_SEEN = """
SELECT s.finding_id, f.rough_id, f.seed, f.target, f.site, s.sites, finding.signature, f.state, s.aside
FROM failure AS f JOIN sighting AS s ON s.campaign_id = f.campaign_id AND s.seed = f.seed AND s.target = f.target
JOIN finding ON finding.id = s.finding_id
WHERE f.campaign_id = ? AND f.seed < ? ORDER BY f.seed, f.target, s.finding_id
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """A distinct failure: where it was seen first of all seeds, and how often in the campaign that is asked about.

    Of the ``count`` cases ``assumed`` were not reduced: they fail as cases of this finding do.
    """

    id: str
    target: str
    seed: int
    signature: str
    pattern: str
    nodes: int
    first_seen: str
    count: int
    assumed: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """A failing answer with what was decided of it (``state``, see `fuzz.campaign.tables`)."""

    seed: int
    failure: Failure
    state: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A finding that a reduced answer showed; ``aside``: not what the answer itself was."""

    finding: str
    rough: int
    seed: int
    target: str
    site: str
    sites: str
    signature: str
    state: str
    aside: bool


class Readings:
    """Reads what one campaign has written."""

    def __init__(self, connection: sqlite3.Connection, path: Path, campaign: int, targets: Mapping[str, int]) -> None:
        self._connection, self._path = connection, path
        self._campaign, self._targets = campaign, targets

    def seeds(self) -> list[int]:
        """The seeds that were examined, in order."""
        return [seed for (seed,) in self._rows('SELECT seed FROM "case" WHERE campaign_id = ? ORDER BY seed')]

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

    def changes(self, before: str, after: str) -> list[tuple[str, str, int]]:
        """How many cases have which verdict on one target and which on another, where these are not the same."""
        query = (
            "SELECT a.verdict, b.verdict, count(*) FROM answer AS a JOIN answer AS b"
            " ON b.campaign_id = a.campaign_id AND b.seed = a.seed AND b.target_id = ?3"
            " WHERE a.campaign_id = ?1 AND a.target_id = ?2 AND a.verdict <> b.verdict GROUP BY 1, 2 ORDER BY 1, 2"
        )
        return self._rows(query, self._targets[before], self._targets[after])

    def findings(self) -> list[Finding]:
        """What was found, the most frequent first."""
        return [Finding(*row) for row in self._rows(_FINDINGS)]

    def links(self) -> dict[str, int]:
        """Which operators fed which, as ``Producer>Consumer``, in models that a target ran; the lowest seed of each."""
        return dict(self._rows("SELECT name, seed FROM link WHERE campaign_id = ?"))

    def operators(self) -> set[str]:
        """The operators of the cases that targets were asked about."""
        query = "SELECT DISTINCT operator FROM coverage JOIN pair ON pair.id = pair_id WHERE campaign_id = ?"
        return {name for (name,) in self._rows(query)}

    def to_json(self) -> dict[str, Any]:
        """What ``fuzz run --json`` prints of the store."""
        return {
            "cases": self.cases(),
            "targets": self.counts(),
            "findings": [asdict(finding) for finding in self.findings()],
            "problems": [{"seed": seed, "problem": problem} for seed, problem in self.problems()],
            "operators": len(self.operators()),
            "links": len(self.links()),
        }

    # --- what decisions are made by -----------------------------------------------------------------------------------

    def failed(self, first: int = 0) -> list[Failed]:
        """The failing answers of seeds from one on, in order of seed and target."""
        return [
            Failed(seed, Failure(target, rough, site, told), state)
            for seed, target, rough, site, state, told in self._rows(_FAILED, first)
        ]

    def seen(self, end: int) -> list[Seen]:
        """What the reduced answers of seeds below ``end`` have shown, in order."""
        return [Seen(*row) for row in self._rows(_SEEN, end)]

    def familiar(self, end: int) -> list[str]:
        """The rough keys of which answers of seeds below ``end`` were reduced, and none of these came to nothing."""
        query = (
            "SELECT name FROM failure JOIN rough ON rough.id = rough_id WHERE campaign_id = ? AND seed < ?"
            " GROUP BY name HAVING sum(state = 'shown') > 0 AND sum(state = 'lost') = 0 ORDER BY name"
        )
        return [name for (name,) in self._rows(query, end)]

    def taken_for_granted(self, end: int) -> list[tuple[int, str, int]]:
        """How many answers of seeds below ``end`` were not reduced: the id of their rough key, their site, how many."""
        query = (
            "SELECT rough_id, site, count(*) FROM failure WHERE campaign_id = ? AND seed < ? AND state = 'assumed'"
            " GROUP BY 1, 2 ORDER BY 1, 2"
        )
        return self._rows(query, end)

    def outcomes(self, target: str, end: int, count: int) -> list[str]:
        """The latest outcomes of a target on seeds below ``end``, the newest first; unsupported ones are left out."""
        query = (
            "SELECT outcome FROM answer WHERE campaign_id = ? AND target_id = ? AND seed < ?"
            " AND outcome <> 'unsupported' ORDER BY seed DESC LIMIT ?"
        )
        return [outcome for (outcome,) in self._rows(query, self._targets[target], end, count)]

    def seconds(self, end: int) -> dict[str, float]:
        """CPU seconds that each target has taken on seeds below ``end``, reductions of its failures included."""
        query = (
            "SELECT name, sum(cpu) FROM ("
            " SELECT target.name, answer.cpu_seconds AS cpu FROM answer JOIN target ON target.id = target_id"
            " WHERE campaign_id = ?1 AND seed < ?2"
            " UNION ALL SELECT target, cpu_seconds FROM failure WHERE campaign_id = ?1 AND seed < ?2"
            ") GROUP BY name"
        )
        return dict(self._rows(query, end))

    def shown(self, first: int, end: int | None = None) -> list[tuple[int, str]]:
        """What compilers showed of the seeds from ``first`` to ``end``, which is not among them, as it was told."""
        query = "SELECT seed, told FROM shown WHERE campaign_id = ? AND seed >= ? AND seed < ? ORDER BY seed"
        return self._rows(query, first, 2**62 if end is None else end)

    def terms(self, epoch: int) -> str | None:
        """What an epoch was begun with, as ``begin`` was given it; None where it was not begun."""
        rows = self._rows("SELECT terms FROM epoch WHERE campaign_id = ? AND number = ?", epoch)
        return rows[0][0] if rows else None

    # --- inside -------------------------------------------------------------------------------------------------------

    def _rows(self, query: str, *parameters: object) -> list[Any]:
        with storage_errors(self._path):
            return self._connection.execute(query, (self._campaign, *parameters)).fetchall()
