"""The commit that broke it: as ``git bisect`` looks for it, with a build that fails as a commit to be skipped."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fuzz.bisect.answer import Answer, State, skipped
from fuzz.bisect.builds import Builds, Repository
from fuzz.bisect.inquiry import Inquiry, subject_of
from fuzz.errors import TargetError, UsageError
from fuzz.execute.target import parse_target
from fuzz.file import write_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fuzz.bisect.inquiry import Subject
    from fuzz.execute.attempt import Limits
    from fuzz.triage.finding import Finding
    from fuzz.triage.signature import Signature

__all__ = ["COMMITS", "Culprit", "Wish", "bisect_commits"]

COMMITS = "bisect-commits.json"
_SHORT = 12


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked: of which finding, how commits are built, between which of them, and whether anew."""

    finding: Finding
    limits: Limits
    build: str
    repo: Path
    good: str | None
    bad: str | None
    again: bool


@dataclass(slots=True)
class Culprit:
    """What came of it: the answers by commit, in the order in which they came.

    ``candidates`` are the commits that may have brought it: one, or more where some cannot be told; empty where the
    commit that should be bad is not. ``since_ever`` says that no commit is good.
    """

    finding: str
    target: str
    answers: dict[str, Answer] = field(default_factory=dict)
    candidates: tuple[str, ...] = ()
    subject: str = ""
    since_ever: bool = False
    trouble: str = ""

    @property
    def said(self) -> str:
        """In a sentence."""
        if self.trouble:
            return f"{self.finding}: {self.trouble}"
        first = self.candidates[0][:_SHORT]
        if self.since_ever:
            return f"{self.finding}: bad in every commit that can be told, from {first} ({self.subject})"
        if len(self.candidates) == 1:
            return f"{self.finding}: since {first} ({self.subject})"
        listed = ", ".join(each[:_SHORT] for each in self.candidates)
        return f"{self.finding}: since one of {listed}; those between cannot be told"

    def to_json(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        one = self.candidates[0] if len(self.candidates) == 1 and not self.since_ever else None
        return {
            "finding": self.finding, "target": self.target, "said": self.said, "first_bad": one,
            "candidates": list(self.candidates),
            "commits": [{"commit": commit, **answer.to_json()} for commit, answer in self.answers.items()],
        }  # fmt: skip


class _Asker:
    """Builds commits and asks them; what was answered stands beside the finding."""

    def __init__(self, wish: Wish, builds: Builds, inquiry: Inquiry, tell: Callable[[str], None]) -> None:
        self._wish, self._builds, self._inquiry, self._tell = wish, builds, inquiry, tell
        self._signature: Signature | None = wish.finding.signature
        self._path = wish.finding.folder / COMMITS
        self._heading = {
            "case": wish.finding.case.digest, "target": wish.finding.target, "build": wish.build,
            "repo": str(wish.repo.resolve()),
        }  # fmt: skip
        self._kept = {} if wish.again else self._read()
        self.answers: dict[str, Answer] = {}

    def state(self, commit: str) -> State:
        """Whether a commit has it. Raises TargetError where the target is none, StorageError, Interrupted."""
        if commit not in self.answers:
            answer = self._kept.get(commit) or self._ask(commit)
            self.answers[commit] = self._kept[commit] = answer
            kept = {key: each.to_json() for key, each in self._kept.items()}
            write_json(self._path, {**self._heading, "commits": kept})
            said = f" ({answer.said})" if answer.said else ""
            self._tell(f"{commit[:_SHORT]}: {answer.state.value}{said}")
        return self.answers[commit].state

    def _ask(self, commit: str) -> Answer:
        text = self._wish.finding.target
        self._tell(f"{commit[:_SHORT]}: building")
        if self._wish.again:
            self._builds.forget(commit)
        problem = self._builds.build(commit, in_tree="{tree}" in text)
        if problem:
            return skipped(problem)
        filled = text.replace("{tree}", str(self._builds.tree)).replace("{out}", str(self._builds.out(commit)))
        try:
            target = parse_target(filled)
        except TargetError as reason:
            return skipped(str(reason).replace(str(self._builds.out(commit)), "{out}"))
        subject = self._subject(commit, filled)
        if subject is None:
            return Answer(State.GOOD)
        return next(answer for _, answer in self._inquiry.ask(target, [subject]))

    def _subject(self, commit: str, text: str) -> Subject | None:
        """How it fails is what is written, else what the first commit shows, which is to be bad."""
        if self._signature is None:
            seen = self._inquiry.observe(self._wish.finding.case, parse_target(text))
            if not seen.finding:
                self._tell(f"{commit[:_SHORT]}: {seen.problem or seen.signature}")
                return None
            self._signature = seen.signature
        return subject_of(self._wish.finding, self._signature)

    def _read(self) -> dict[str, Answer]:
        try:
            content = json.loads(self._path.read_text("utf-8"))
            same = all(content.get(key) == value for key, value in self._heading.items())
            return {key: Answer.from_json(row) for key, row in content["commits"].items()} if same else {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}


def bisect_commits(wish: Wish, tell: Callable[[str], None]) -> Culprit:
    """Find the commit between ``good`` and ``bad`` that brought a finding.

    Raises:
        UsageError: no repository, no such commit, a target that names no build, a good commit that is not right.
        TargetError, StorageError: as `fuzz.bisect.run.bisect`.
    """
    if "{tree}" not in wish.finding.target and "{out}" not in wish.finding.target:
        raise UsageError(
            "the target must name what is built: --backend 'NAME:python={out}/venv/bin/python', or {tree}"
        )
    repository = Repository(wish.repo)
    bad = repository.commit(wish.bad or "HEAD")
    good = repository.commit(wish.good) if wish.good is not None else None
    if good is not None and not repository.contains(bad, good):
        raise UsageError(f"{wish.good} is not behind {wish.bad or 'HEAD'}: --good names an older commit than --bad")
    found = Culprit(wish.finding.name, wish.finding.target)
    with Builds(repository, wish.build) as builds, Inquiry(wish.limits) as inquiry:
        asker = _Asker(wish, builds, inquiry, tell)
        found.answers = asker.answers
        if asker.state(bad) is not State.BAD:
            state = asker.answers[bad].state.value
            found.trouble = f"{bad[:_SHORT]} is {state}, not bad: give --bad a commit that fails"
            return found
        if good is not None and asker.state(good) is not State.GOOD:
            raise UsageError(f"{wish.good} is {asker.answers[good].state.value}, not good: give an older --good")
        bad, goods = _good_behind(repository, asker, bad) if good is None else (bad, [good])
        found.since_ever = not goods
        found.candidates = _narrow(repository, asker, bad, goods) if goods else (bad,)
    found.subject = repository.git("show", "--no-patch", "--format=%s", found.candidates[0])
    return found


def _good_behind(repository: Repository, asker: _Asker, bad: str) -> tuple[str, list[str]]:
    """The nearest good commit at doubling distance, and the last bad one before it; none where none is good."""
    line = repository.ancestors(bad)
    at, step = 0, 1
    while at < len(line) - 1:
        at = min(at + step, len(line) - 1)
        step *= 2
        match asker.state(line[at]):
            case State.GOOD:
                return bad, [line[at]]
            case State.BAD:
                bad = line[at]
    return bad, []


def _narrow(repository: Repository, asker: _Asker, bad: str, goods: list[str]) -> tuple[str, ...]:
    """The commits that may have brought it, oldest first: one, unless those that cannot be told hide it."""
    while True:
        left = repository.middle_first(bad, goods)
        unknown = [c for c in left if c not in asker.answers]
        if not unknown:
            order = repository.git("rev-list", "--topo-order", "--reverse", bad, *(f"^{g}" for g in goods)).split()
            return tuple(order)
        match asker.state(unknown[0]):
            case State.BAD:
                bad = unknown[0]
            case State.GOOD:
                goods = [*goods, unknown[0]]
