"""What one version did with a finding, in four words."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from math import isclose
from typing import TYPE_CHECKING, Any

from fuzz.judge.verdict import FINDINGS, Word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fuzz.judge.verdict import Verdict
    from fuzz.triage.observation import Observation
    from fuzz.triage.signature import Signature

__all__ = ["Answer", "State", "alike", "answer_of", "skipped"]

_ALIKE, _END, _ALIKE_AT_END = 0.7, 8, 0.6
"""How many of the words of two refusals must be the same for them to be one, since releases reword what they say; and
how many of the last ones, where the matter stands behind names of functions that refuse for many reasons."""
_NEAR = 1e-2
"""How near two wrong numbers are that one mistake gives, relative to them: sums are rounded in other orders."""
_HEAD, _TAIL = 60, 120  # characters of what was said: compilers begin with a place and end with the matter
_FOLDERS = re.compile(r"(?:/[\w.+@~-]+)+/")
_WORDS = re.compile(r"[A-Za-z_]+")


class State(enum.StrEnum):
    """Bad: it fails there as it did where it was found. Good: it is right. Other: it fails in another way."""

    BAD = "bad"
    GOOD = "good"
    SKIP = "skip"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a version did.

    ``said`` says why it was skipped, or how else it fails. ``plain`` says that it was asked with the header of the
    model as old as its operators permit (`fuzz.bisect.header`), since it did not read the model as it is. ``passing``
    is a reason that may be gone the next time, such as an index that cannot be reached.
    """

    state: State
    said: str = ""
    plain: bool = False
    passing: bool = False

    def to_json(self) -> dict[str, Any]:
        """As ``bisect.json`` has it."""
        flags = {name: True for name in ("plain", "passing") if getattr(self, name)}
        return {"word": self.state.value, "said": self.said, **flags}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Answer:
        """What ``to_json`` gave. Raises KeyError, ValueError."""
        flags = {name: bool(fields.get(name, False)) for name in ("plain", "passing")}
        return cls(State(fields["word"]), str(fields.get("said", "")), **flags)


def skipped(why: str) -> Answer:
    """A version that cannot be asked."""
    return Answer(State.SKIP, _short(why))


def _short(text: str) -> str:
    """In one line, without the folders of files."""
    line = _FOLDERS.sub("", " ".join(text.split()))
    return line if len(line) <= _HEAD + _TAIL else f"{line[:_HEAD]} ... {line[-_TAIL:]}"


def answer_of(seen: Observation, wanted: Signature, first: Observation | None = None) -> Answer:
    """Where what was seen stands, of a finding that fails as ``wanted``; ``first`` is what was seen where it was found.

    What the target lacks, what our own harness could not do and what the reference cannot tell is skipped.
    """
    signature = seen.signature
    word = signature.word
    if not seen.fit:
        return skipped(seen.problem or _told(seen))
    if word == Word.OK:
        return Answer(State.GOOD)
    if word not in FINDINGS:
        return skipped(_told(seen))
    same = _kind(signature) == _kind(wanted) if first is None else alike(seen, first)
    return Answer(State.BAD) if same else Answer(State.OTHER, _told(seen))


def _told(seen: Observation) -> str:
    signature, verdict = seen.signature, seen.verdict
    stage = f" at {signature.stage}" if signature.stage else ""
    symptom = f" ({signature.symptom})" if signature.symptom else ""
    said = seen.said or (verdict.message if verdict is not None else "")
    if verdict is not None and verdict.actual is not None:
        said = f"{verdict.actual} where {verdict.expected} is due"
    return _short(f"{signature.word}{stage}{symptom}: {said}".removesuffix(": "))


def _kind(signature: Signature) -> tuple[str, str, str]:
    return signature.word, signature.stage, signature.symptom


def alike(one: Observation, other: Observation) -> bool:
    """Whether what was seen on two versions is one bug.

    The word must be the same; of a wrong answer what is wrong of it, and the wrong number itself: the inputs are the
    same, so the same mistake gives the same; of a crash the stage, the signal and, where both have frames, one of them;
    of a refusal the stage and most words of what was said.
    """
    first, second = one.signature, other.signature
    if _kind(first) != _kind(second):
        return False
    if first.word == Word.WRONG:
        return _same_mistake(one.verdict, other.verdict)
    if first.word == Word.CRASH:
        frames = not first.frames or not second.frames or bool(set(first.frames) & set(second.frames))
        return first.message == second.message and frames
    return first.message == second.message or _read_alike(one.said, other.said)


def _same_mistake(one: Verdict | None, other: Verdict | None) -> bool:
    if one is None or other is None:
        return False
    if (one.data_set, one.output, one.index) != (other.data_set, other.output, other.index):
        return False
    if isinstance(one.actual, float) and isinstance(other.actual, float):
        return isclose(one.actual, other.actual, rel_tol=_NEAR, abs_tol=4 * (other.bound or 0.0))
    return one.actual == other.actual and (one.actual is not None or one.message == other.message)


def _read_alike(one: str, other: str) -> bool:
    first, second = (_WORDS.findall(_FOLDERS.sub("", text)) for text in (one, other))
    ends = _common(first[-_END:], second[-_END:])
    return _common(first, second) >= _ALIKE and ends >= _ALIKE_AT_END


def _common(one: list[str], other: list[str]) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()
