"""What a day came to: a page and a file for machines, in the folder `days` of a root."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fuzz.campaign.trial import Trial
from fuzz.file import read_json, write_json, write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from fuzz.campaign.readings import Finding
    from fuzz.campaign.trial import Exhibit

__all__ = ["FOLDER", "Day", "Diary"]

FOLDER = "days"
_TOLD = ("target", "signature", "pattern")


@dataclass(slots=True)
class Day:
    """Cases, verdicts by target, findings that were new (as ``Finding`` in words) and what else there was to tell."""

    date: str
    cases: int = 0
    verdicts: dict[str, Counter[str]] = field(default_factory=dict)
    findings: dict[str, dict[str, str]] = field(default_factory=dict)
    news: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As the file has it."""
        verdicts = {target: dict(sorted(row.items())) for target, row in sorted(self.verdicts.items())}
        return {
            "date": self.date, "cases": self.cases, "verdicts": verdicts, "findings": self.findings, "news": self.news,
        }  # fmt: skip

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Day:
        """What ``to_json`` gave. Raises KeyError, TypeError, ValueError for anything else."""
        verdicts = {str(target): Counter({str(w): int(n) for w, n in row.items()}) for target, row in
                    said["verdicts"].items()}  # fmt: skip
        return cls(str(said["date"]), int(said["cases"]), verdicts, dict(said["findings"]), list(said["news"]))

    def markdown(self) -> str:
        """The page."""
        words = sorted({word for row in self.verdicts.values() for word in row})
        lines = [f"# {self.date}", "", f"{self.cases:,} cases, {len(self.findings):,} new findings.", ""]
        if self.findings:
            lines += ["| finding | target | what | model |", "|---|---|---|---|"]
            lines += [
                f"| [{name}](../findings/{name}/) | {' | '.join(_cell(said[key]) for key in _TOLD)} |"
                for name, said in sorted(self.findings.items())
            ]
            lines.append("")
        if self.verdicts:
            lines += [f"| target | {' | '.join(words)} |", f"|---|{'---:|' * len(words)}"]
            lines += [
                f"| {_cell(target)} | {' | '.join(f'{row[word]:,}' for word in words)} |"
                for target, row in sorted(self.verdicts.items())
            ]
            lines.append("")
        lines += [*(f"- {_cell(text)}" for text in self.news), *([""] if self.news else [])]
        return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


class Diary:
    """Counts what comes of a service's turns, day by day; ``today`` gives the date as ``YYYY-MM-DD``."""

    def __init__(self, root: Path, today: Callable[[], str]) -> None:
        self._folder, self._today = root / FOLDER, today
        self._day = self._read(today())

    def take(self, results: Sequence[Trial | Exhibit]) -> None:
        """Count what came of some tasks. Raises StorageError where the day is over and cannot be written."""
        self._turn_page()
        for trial in results:
            if isinstance(trial, Trial):
                self._day.cases += 1
                for answer in trial.answers:
                    self._day.verdicts.setdefault(answer.target, Counter())[answer.verdict] += 1

    def find(self, findings: Iterable[Finding]) -> None:
        """Note findings that are new, each once."""
        self._turn_page()
        for one in findings:
            self._day.findings.setdefault(one.id, {key: getattr(one, key) for key in _TOLD})

    def note(self, text: str) -> None:
        """Note something else."""
        self._turn_page()
        self._day.news.append(text)

    def write(self) -> None:
        """Write the day as far as it has come. Raises StorageError."""
        mend = "give another --root"
        write_text(self._folder / f"{self._day.date}.md", self._day.markdown(), mend, folder=True)
        write_json(self._folder / f"{self._day.date}.json", self._day.to_json(), mend)

    def _turn_page(self) -> None:
        date = self._today()
        if date != self._day.date:
            self.write()
            self._day = self._read(date)

    def _read(self, date: str) -> Day:
        return read_json(self._folder / f"{date}.json", Day.from_json, "the day begins") or Day(date)
