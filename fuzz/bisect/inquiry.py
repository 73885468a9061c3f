"""Versions asked about findings: one worker of a version serves many, and what ends it is asked again in a new one."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from fuzz.bisect.answer import Answer, State, answer_of, skipped
from fuzz.bisect.header import plain
from fuzz.errors import TargetError, UsageError
from fuzz.judge.verdict import Word
from fuzz.triage.laboratory import Laboratory
from fuzz.triage.predicate import VerdictPredicate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from fuzz.execute.attempt import Limits
    from fuzz.execute.target import Target
    from fuzz.triage.candidate import Candidate
    from fuzz.triage.finding import Finding
    from fuzz.triage.observation import Observation
    from fuzz.triage.signature import Signature

__all__ = ["Inquiry", "Subject", "subject_of"]

_ENDS = frozenset({Word.CRASH, Word.TIMEOUT, Word.OOM})


@dataclass(frozen=True, slots=True)
class Subject:
    """A finding that versions are asked about.

    ``signature`` is how it fails where it was found, ``first`` what was seen there now (`Inquiry.confirm`). ``plain``
    is the same case under the oldest header that it can have, if that fails alike there.
    """

    finding: Finding
    signature: Signature
    plain: Candidate | None = None
    first: Observation | None = None

    @property
    def unstable(self) -> bool:
        """Whether it fails by answering otherwise from run to run."""
        return self.signature.word == Word.NONDETERMINISTIC


def subject_of(finding: Finding, signature: Signature) -> Subject:
    """What versions are asked about. Raises UsageError for a finding that is none of answers but of times."""
    if signature.word == Word.SLOW:
        raise UsageError(f"{finding.name} is slow: `fuzz perf --baseline` compares the times of two versions")
    return Subject(finding, signature)


class Inquiry:
    """Asks versions. A context manager; from several threads at a time, each about another version."""

    def __init__(self, limits: Limits, jobs: int = 1) -> None:
        self._limits, self._jobs = limits, jobs
        self._lock = threading.Lock()
        self._laboratory: Laboratory | None = None
        self._running: set[VerdictPredicate] = set()
        self._stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._laboratory is not None:
            self._laboratory.__exit__(kind, value, trace)

    def stop(self) -> None:
        """End all workers: whoever waits for one gets Interrupted."""
        with self._lock:
            self._stopped = True
            running = tuple(self._running)
        for predicate in running:
            predicate.stop()

    def observe(self, case: Candidate, target: Target, *, unstable: bool = False) -> Observation:
        """What a case does on a target, in a fresh worker. Raises TargetError, Interrupted."""
        with _Version(self, target, unstable=unstable) as version:
            return version.examine(case)

    def confirm(self, target: Target, subjects: Sequence[Subject]) -> Iterator[tuple[Subject, Answer]]:
        """The answers of the version that findings were made on, and each with what is to be known for the others.

        Raises Interrupted.
        """
        for version, asked in self._versions(target, subjects):
            for subject in asked:
                yield version.confirm(subject)

    def ask(self, target: Target, subjects: Sequence[Subject]) -> Iterator[tuple[Subject, Answer]]:
        """What a version does with each of several findings. Raises Interrupted."""
        for version, asked in self._versions(target, subjects):
            for subject in asked:
                yield subject, version.answer(subject)

    def _versions(self, target: Target, subjects: Sequence[Subject]) -> Iterator[tuple[_Version, list[Subject]]]:
        for unstable in (False, True):
            asked = [subject for subject in subjects if subject.unstable == unstable]
            if asked:
                with _Version(self, target, unstable=unstable) as version:
                    yield version, asked

    # --- of one version ---------------------------------------------------------------------------------------------

    def enter(self, predicate: VerdictPredicate) -> Laboratory:
        """Where answers are judged: one place for all versions, set up when the first is asked."""
        with self._lock:
            self._running.add(predicate)
            if self._laboratory is None:
                self._laboratory = Laboratory(predicate, jobs=self._jobs)
                self._laboratory.__enter__()
            stopped = self._stopped
        if stopped:
            predicate.stop()
        return self._laboratory

    def leave(self, predicate: VerdictPredicate) -> None:
        """A version is done with."""
        predicate.stop()
        with self._lock:
            self._running.discard(predicate)

    @property
    def limits(self) -> Limits:
        """Of one run."""
        return self._limits


class _Version:
    """A version with its worker."""

    def __init__(self, inquiry: Inquiry, target: Target, *, unstable: bool) -> None:
        self._inquiry = inquiry
        self._predicate = VerdictPredicate(target, inquiry.limits, unstable=unstable)

    def __enter__(self) -> Self:
        self._laboratory = self._inquiry.enter(self._predicate)
        return self

    def __exit__(self, *_: object) -> None:
        self._inquiry.leave(self._predicate)

    def examine(self, case: Candidate) -> Observation:
        """What becomes of a case in the worker that is there."""
        return self._predicate.examine(case, self._laboratory.apart)

    def answer(self, subject: Subject) -> Answer:
        """The answer about the case as it is, or in its plain form where it is not read as it is."""
        first, _ = self._told(subject, subject.finding.case)
        if subject.plain is None or first.state in (State.BAD, State.GOOD):
            return first
        second, _ = self._told(subject, subject.plain)
        if second.state in (State.BAD, State.GOOD):
            return replace(second, plain=True)
        # Of two answers that settle nothing a failure tells more, and of two refusals that of the plainer header.
        return first if first.state is State.OTHER else second

    def confirm(self, subject: Subject) -> tuple[Subject, Answer]:
        """The answer where the finding was made, and all that is to be known of it for the other versions."""
        answer, seen = self._told(subject, subject.finding.case)
        if answer.state is not State.BAD or seen is None:
            return subject, answer
        subject = replace(subject, first=seen)
        model = plain(subject.finding.case.model)
        if model is not None:
            case = replace(subject.finding.case, model=model)
            alike, _ = self._told(subject, case)
            subject = replace(subject, plain=case) if alike.state is State.BAD else subject
        return subject, answer

    def _told(self, subject: Subject, case: Candidate) -> tuple[Answer, Observation | None]:
        """One answer. What ends a worker, or is no answer to what was asked, counts if it comes again in a new one."""
        try:
            seen = self.examine(case)
            answer = answer_of(seen, subject.signature, subject.first)
            if seen.signature.word in _ENDS or answer.state is State.OTHER:
                self._predicate.renew()
                again = self.examine(case)
                if answer_of(again, subject.signature, subject.first).state is not answer.state:
                    return skipped(f"first {seen.signature}, in a new process {again.signature}"), None
        except TargetError as problem:
            return replace(skipped(f"no worker starts: {problem}"), passing=True), None
        return answer, seen
