"""Matching many cards: what was matched by the same rules is not matched again, and what was done is never lost.

<folder>/matches.jsonl     a line a card: matches with their evidence, what was weighed and left, remarks
<folder>/problems.jsonl    what could not be read, or in part only, and why
<folder>/tasks.json        the dataset → task map
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from corpus.cards.matching import ENOUGH, VERSION, match
from corpus.cards.reading import CardsError, Problem, json_lines
from corpus.file import write_json, write_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from corpus.cards.card import Card
    from corpus.cards.catalogue import Catalogue

__all__ = ["MATCHES", "PROBLEMS", "TASKS", "Summary", "match_all", "matched_rows"]

MATCHES, PROBLEMS, TASKS = "matches.jsonl", "problems.jsonl", "tasks.json"
_FRESH = ".matches-part.jsonl"
"""Lines of a run that has not come to its end."""


@dataclass(slots=True)
class Summary:
    """What came of a run."""

    cards: int = 0
    before: int = 0
    """Cards that an earlier run had matched by the same rules."""
    matched: int = 0
    """Cards with a match."""
    matches: int = 0
    datasets: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    problems: int = 0

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "cards": self.cards, "before": self.before, "matched": self.matched, "matches": self.matches,
            "datasets": dict(sorted(self.datasets.items())), "unknown": dict(sorted(self.unknown.items())),
            "problems": self.problems,
        }  # fmt: skip

    def count(self, row: dict[str, Any]) -> None:
        """Count a card."""
        self.cards += 1
        self.matched += bool(row["matches"])
        self.matches += len(row["matches"])
        self.datasets.update(one["dataset"] for one in row["matches"])
        self.unknown.update(row["unknown"])


def match_all(
    found: Iterable[Card | Problem], catalogue: Catalogue, folder: Path, *, least: float = ENOUGH,
    progress: Callable[[int], None] = lambda _: None,
) -> Summary:  # fmt: skip
    """Match all cards and write the three files; a run that was ended goes on with what it had. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    known = _known(folder)
    rules = _rules(catalogue, least)
    summary, keys = Summary(), []
    problems = [asdict(one) for one in catalogue.problems]
    with (folder / _FRESH).open("a", encoding="utf-8") as fresh:
        # A line that a kill has cut in two is not gone on with.
        fresh.write("\n")
        for one in found:
            progress(1)
            if isinstance(one, Problem):
                problems.append(asdict(one))
                continue
            key = _key(one, rules)
            row = known.get(key)
            if row is None:
                row = {**match(one, catalogue, least).to_json(), "layout": one.layout, "path": one.path, "key": key}
                known[key] = row
                fresh.write(json.dumps(row, sort_keys=True) + "\n")
                fresh.flush()
            else:
                summary.before += 1
            summary.count(row)
            problems += [{"path": one.path, "text": text} for text in one.remarks]
            keys.append(key)
    summary.problems = len(problems)
    write_lines(folder / MATCHES, (known[key] for key in keys))
    write_lines(folder / PROBLEMS, problems)
    write_json(folder / TASKS, catalogue.tasks_of_datasets())
    (folder / _FRESH).unlink()
    return summary


def matched_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines that `match_all` wrote.

    Raises:
        CardsError: there are none, or the file is not one of them.
    """
    path = folder / MATCHES
    if not path.is_file():
        raise CardsError(f"{folder} holds no {MATCHES}: run `fuzz corpus match CARDS --out {folder}` first")
    for number, row in json_lines(path):
        if isinstance(row, Problem) or not _is_row(row):
            raise CardsError(f"{path} is broken in line {number}: run `fuzz corpus match` again")
        yield row


def _known(folder: Path) -> dict[str, dict[str, Any]]:
    known = {}
    for name in (MATCHES, _FRESH):
        if (folder / name).is_file():
            for _, row in json_lines(folder / name):
                if not isinstance(row, Problem) and _is_row(row):
                    known[row["key"]] = row
    return known


def _is_row(row: dict[str, Any]) -> bool:
    lists = all(isinstance(row.get(name), list) for name in ("matches", "rejected", "unknown", "tasks"))
    return lists and isinstance(row.get("key"), str) and isinstance(row.get("model"), str)


def _rules(catalogue: Catalogue, least: float) -> str:
    total = hashlib.sha256(json.dumps([VERSION, least]).encode())
    for dataset in catalogue.datasets.values():
        names = (dataset.slug, dataset.name, dataset.full_name, dataset.spellings, dataset.hub, dataset.part_of)
        total.update(repr(names).encode("utf-8", "surrogatepass"))
    return total.hexdigest()


def _key(card: Card, rules: str) -> str:
    return hashlib.sha256(f"{rules}{card!r}".encode("utf-8", "surrogatepass")).hexdigest()[:24]
