"""What a run over models comes to: a line for each model, and the counts of all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fuzz.collection.examination import FRONT_END
from fuzz.judge.verdict import FINDINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fuzz.collection.lane import Result

__all__ = ["Summary", "line_of", "word_of"]

_LINE = 160
_GRAVEST_FIRST = (
    "crash", "timeout", "oom", "rejected", "wrong", "dispute", "suspect", "unsupported", "error", "undecidable",
)  # fmt: skip
_FINDINGS = frozenset(word.value for word in FINDINGS)


def word_of(state: Mapping[str, Any]) -> str:
    """One word for a build: where it failed, or the gravest answer of all sides."""
    status = str(state.get("status", "unknown"))
    if status != "successful":
        return status
    words = {str(target["verdict"]) for target in state.get("targets", {}).values()}
    words |= {str(answer["word"]) for answer in state.get("answers", {}).values()}
    for word in _GRAVEST_FIRST:
        if word in words:
            return word
    return "ok" if words else "built"


def line_of(name: str, state: Mapping[str, Any]) -> str:
    """What became of a build, in a line."""
    word = word_of(state)
    seconds = state.get("seconds", {})
    facts = [f"{state['class']} {_count(int(state['parameters']))}"] if "class" in state else []
    facts += [f"{part} {seconds[part]:.1f} s" for part in ("export", "translate") if part in seconds]
    if state.get("status") in {"failed", "killed"}:
        facts.append(f"{state.get('stage')}: {state.get('error')}")
    for target, row in state.get("targets", {}).items():
        by = f" ({row['decided']})" if row.get("decided") in {"bound", "sampled"} else ""
        text = f"{target} {row['verdict']}{by}"
        if "latency" in row:
            low, mid, high = (_time(row["latency"][key]) for key in ("lower_quartile", "median", "upper_quartile"))
            text += f" {mid} ({low} to {high})"
        facts.append(text)
    if state.get("side"):
        place = f" at {state['node']}" if state.get("node") else ""
        facts.append(f"{state['side']}{place}: {state.get('message')}")
    text = f"{word:<12} {name}  {', '.join(facts)}"
    return text if len(text) <= _LINE else f"{text[: _LINE - 3]}..."


@dataclass(slots=True)
class Summary:
    """Counts over the jobs of a run.

    ``models`` is how many builds there are, ``exported`` those that became ONNX, ``failed`` those that did not, by
    stage. ``words`` counts builds by their gravest answer, ``targets`` verdicts by target, ``sides`` who is at fault
    where answers differ, ``decided`` by what eager PyTorch's answers were judged: a bound, drawn rounding, nothing.
    """

    jobs: int = 0
    kept: int = 0
    models: int = 0
    exported: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    words: dict[str, int] = field(default_factory=dict)
    targets: dict[str, dict[str, int]] = field(default_factory=dict)
    sides: dict[str, int] = field(default_factory=dict)
    decided: dict[str, int] = field(default_factory=dict)
    revived: int = 0
    random: int = 0
    seconds: float = 0.0

    def add(self, result: Result) -> None:
        """Count a job."""
        self.jobs += 1
        self.kept += result.kept
        for state in result.states.values():
            self.count(state)

    def count(self, state: Mapping[str, Any]) -> None:
        """Count a build."""
        self.models += 1
        _one(self.words, word_of(state))
        if state.get("status") in {"failed", "killed"}:
            _one(self.failed, str(state.get("stage")))
        self.exported += state.get("status") == "successful"
        self.revived += bool(state.get("revived"))
        self.random += bool(state.get("random"))
        eager = state.get("answers", {}).get("eager")
        if eager is not None:
            _one(self.decided, eager["decided"] or "undecided")
        if state.get("side"):
            _one(self.sides, str(state["side"]))
        for target, row in state.get("targets", {}).items():
            _one(self.targets.setdefault(target, {}), row["verdict"])

    @property
    def findings(self) -> int:
        """How many answers of targets are findings, and how many models differ once exported."""
        answers = sum(count for row in self.targets.values() for word, count in row.items() if word in _FINDINGS)
        return answers + sum(self.sides.get(side, 0) for side in FRONT_END)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "jobs": self.jobs, "kept": self.kept, "models": self.models, "exported": self.exported,
            "failed": self.failed, "words": self.words, "targets": self.targets, "sides": self.sides,
            "decided": self.decided, "revived": self.revived, "random": self.random,
            "seconds": round(self.seconds, 1), "findings": self.findings,
        }  # fmt: skip

    def lines(self) -> list[str]:
        """For a person."""
        models, entries = _several(self.models, "model"), _several(self.jobs, "entry", "entries")
        told = [f"{models} of {entries}, {self.exported:,} exported ({self.seconds:.0f} s)"]
        if self.kept:
            told[0] += f"; {self.kept:,} done before"
        if self.failed:
            told.append(f"not built: {_listed(self.failed)}")
        told.extend(f"{target}: {_listed(row)}" for target, row in self.targets.items())
        if self.sides:
            told.append(f"at fault: {_listed(self.sides)}")
        if self.decided:
            told.append(f"judged by: {_listed(self.decided)}")
        extras = {"made alive": self.revived, "with random outputs": self.random}
        if any(extras.values()):
            told.append(", ".join(f"{count:,} {name}" for name, count in extras.items() if count))
        return told


def _listed(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {word}" for word, count in ordered)


def _several(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _one(counts: dict[str, int], word: str) -> None:
    counts[word] = counts.get(word, 0) + 1


def _count(number: int) -> str:
    for size, letter in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.1f}{letter}"
    return str(number)


def _time(seconds: float) -> str:
    for size, unit in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= size:
            return f"{seconds / size:.2f} {unit}"
    return f"{seconds * 1e6:.0f} us"
