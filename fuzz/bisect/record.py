"""``bisect.json`` beside a finding: what each version answered, so that nothing is asked twice; and what that tells."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from fuzz.bisect.answer import Answer, State
from fuzz.bisect.releases import in_order
from fuzz.bisect.search import spans
from fuzz.execute.variant import varied
from fuzz.file import write_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from fuzz.bisect.search import Span
    from fuzz.triage.finding import Finding

__all__ = ["BISECT", "Record", "sentence", "told_in"]

BISECT = "bisect.json"


class Record:
    """The answers of one finding's versions. ``releases`` are all that there are; empty where nobody could tell."""

    def __init__(self, finding: Finding, releases: Iterable[str] = (), *, anew: bool = False) -> None:
        self.finding = finding
        self.target = varied(finding.target, version="")
        self._path = finding.folder / BISECT
        self._heading = {"case": finding.case.digest, "target": self.target}
        self._lock = threading.Lock()
        kept = {} if anew else _read(self._path)
        if any(kept.get(key) != value for key, value in self._heading.items()):
            kept = {}
        self.answers: dict[str, Answer] = _answers(kept.get("versions"))
        before = kept.get("releases")
        self.releases = in_order([*(before if isinstance(before, list) else ()), *releases])

    def known(self, version: str) -> Answer | None:
        """What a version answered; None where it is to be asked, also since nothing but its environment was missing."""
        answer = self.answers.get(version)
        return None if answer is None or answer.passing else answer

    def note(self, version: str, answer: Answer) -> None:
        """Keep an answer, on disk too. Raises StorageError."""
        with self._lock:
            self.answers[version] = answer
            write_json(self._path, {
                **self._heading, "releases": self.releases, "said": self.said,
                "versions": {version: self.answers[version].to_json() for version in in_order(self.answers)},
            })  # fmt: skip

    @property
    def order(self) -> list[str]:
        """All versions that are known of, oldest first."""
        return in_order([*self.releases, *self.answers])

    @property
    def states(self) -> dict[str, State]:
        """What is known of each."""
        return {version: answer.state for version, answer in self.answers.items()}

    @property
    def said(self) -> str:
        """The whole history in words."""
        return sentence(self.order, self.states, whole=bool(self.releases)) if self.answers else ""

    def to_json(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {
            "finding": self.finding.name, "target": self.target, "said": self.said,
            "spans": [_span(self.order, span) for span in spans(self.order, self.states)],
            "versions": [
                {"version": version, **self.answers[version].to_json()}
                for version in self.order if version in self.answers
            ],
        }  # fmt: skip


def _span(order: Sequence[str], span: Span) -> dict[str, str | None]:
    return {
        "first_bad": order[span.first], "last_bad": order[span.last],
        "good_before": None if span.before is None else order[span.before],
        "fixed": None if span.after is None else order[span.after],
    }  # fmt: skip


def sentence(order: Sequence[str], states: Mapping[str, State], *, whole: bool = True) -> str:
    """Since when something fails and until when, and how sure that is: ``since 1.18.0, fixed in 1.32.0``.

    ``whole`` says that ``order`` has all versions that there are, so that what stands side by side there came one
    after the other.
    """
    found = spans(order, states)
    if not found:
        return "in no version that was asked" if State.GOOD in states.values() else "no version can be asked"
    return "; again ".join(_since(order, states, span, whole) + _until(order, span, whole) for span in found)


def _since(order: Sequence[str], states: Mapping[str, State], span: Span, whole: bool) -> str:
    first = order[span.first]
    if span.before is not None:
        near = whole and span.before == span.first - 1
        return f"since {first}" if near else f"since {first} at the latest ({order[span.before]} is right)"
    if span.first == 0:
        return f"since {first}, the oldest there is" if whole else f"since {first} or before"
    return f"since {first}, the oldest that tells" if order[span.first - 1] in states else f"since {first} or before"


def _until(order: Sequence[str], span: Span, whole: bool) -> str:
    if span.after is None:
        return ""
    fixed = order[span.after]
    near = whole and span.after == span.last + 1
    return f", fixed in {fixed}" if near else f", fixed in {fixed} at the latest ({order[span.last]} has it)"


def told_in(folder: Path, digest: str = "", target: str = "") -> str:
    """What ``bisect.json`` in a finding's folder says in words; empty where there is none that can be read.

    With a case's digest and the text of a target it is also empty where that was said of others.
    """
    content = _read(folder / BISECT)
    said = content.get("said")
    other = digest and (content.get("case"), content.get("target")) != (digest, varied(target, version=""))
    return said if isinstance(said, str) and not other else ""


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _answers(rows: Any) -> dict[str, Answer]:
    found = {}
    for version, row in rows.items() if isinstance(rows, dict) else ():
        try:
            found[version] = Answer.from_json(row)
        except (KeyError, TypeError, ValueError):
            continue
    return found
