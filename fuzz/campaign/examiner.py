"""One seed after another: generated, executed on every target, judged; what fails is asked again, and made small."""

from __future__ import annotations

import time
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING, Self

from backends.protocol import Outcome
from fuzz.campaign.exhibit import show
from fuzz.campaign.subject import ready
from fuzz.campaign.trial import Answer, Trial
from fuzz.errors import FuzzError
from fuzz.execute.execution import Execution
from fuzz.execute.run import beside_of
from fuzz.execute.start import start_worker
from fuzz.generate.support import joint_support
from fuzz.judge.judge import judge
from fuzz.judge.verdict import FINDINGS, Verdict, Word
from fuzz.reach import drawn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from fuzz.campaign.campaign import Campaign
    from fuzz.campaign.subject import Subject
    from fuzz.campaign.trial import Sighting
    from fuzz.execute.attempt import Attempt
    from fuzz.execute.target import Target
    from fuzz.execute.worker import Worker

__all__ = ["Examiner"]

_REPEATED = frozenset({Outcome.CRASH, Outcome.TIMEOUT, Outcome.OOM})
_CALM = frozenset({Word.OK, Word.UNSUPPORTED})
_TOLD = 400  # characters of a message that a row keeps


class Examiner:
    """Holds one worker a target. A context manager, for the thread that made it.

    ``parts`` is the folder in which cases that show a finding are put down, for the driver to take.
    """

    def __init__(self, campaign: Campaign, parts: Path) -> None:
        self._campaign, self._parts = campaign, parts
        self._supports = joint_support(campaign.settings.targets)
        self._workers: dict[Target, Worker] = {}
        self._stop = Event()  # never set: SIGTERM raises KeyboardInterrupt, which closes everything on its way

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for target in tuple(self._workers):
            self._drop(target)

    def examine(self, seed: int) -> Trial:
        """All that comes of a seed. Raises TargetError where no worker starts, StorageError."""
        start = time.process_time()
        try:
            with ready(seed, self._campaign.settings, self._supports) as subject:
                return self._tried(subject, time.process_time() - start)
        except FuzzError:
            raise
        except Exception as error:  # noqa: BLE001 - one seed must not end a night's run; its row says what happened
            return Trial(seed, problem=f"{type(error).__name__}: {error}".split("\n", 1)[0][:_TOLD])

    def _tried(self, subject: Subject, generate_seconds: float) -> Trial:
        targets = self._campaign.targets
        asked = [self._ask(target, subject) for target in targets]
        start = time.process_time()
        verdicts = self._judged(subject, targets, asked)
        for at in range(len(targets)):
            if verdicts[at].verdict in FINDINGS and asked[at][1] == 1:
                verdicts[at] = self._confirmed(subject, at, asked, verdicts[at])
        judge_seconds = time.process_time() - start
        answers = tuple(map(_answer, targets, asked, verdicts))
        sightings = [
            self._shown(subject, target, attempt, verdict)
            for target, (attempt, _), verdict in zip(targets, asked, verdicts, strict=True)
            if verdict.verdict in FINDINGS
        ]
        return Trial(
            subject.seed, subject.made.nodes, generate_seconds, judge_seconds, answers, tuple(sightings),
            pairs=drawn(subject.made.graph),
        )  # fmt: skip

    def _judged(
        self, subject: Subject, targets: Sequence[Target], asked: Sequence[tuple[Attempt, int]]
    ) -> list[Verdict]:
        executions = [_execution(subject, *pair) for pair in zip(targets, asked, strict=True)]
        return judge(subject.name, subject.made.model, "", subject.samples, executions)

    def _confirmed(
        self, subject: Subject, at: int, asked: list[tuple[Attempt, int]], verdict: Verdict
    ) -> Verdict:
        """The verdict on a target in a fresh worker; where it is another one, what ran before it mattered."""
        target = self._campaign.targets[at]
        self._drop(target)
        asked[at] = self._ready(target).execute(subject.request), 2
        again = self._judged(subject, self._campaign.targets, asked)[at]
        if again.verdict == verdict.verdict:
            return again
        told = f"{verdict.verdict} at first, {again.verdict} in a fresh worker: {verdict.message}"
        return replace(again, verdict=Word.FLAKY.value, message=told)

    def _shown(self, subject: Subject, target: Target, attempt: Attempt, verdict: Verdict) -> Sighting:
        return show(self._campaign, subject, target, attempt, verdict, self._parts)

    # --- execution ----------------------------------------------------------------------------------------------------

    def _ask(self, target: Target, subject: Subject) -> tuple[Attempt, int]:
        """An attempt and how many there were: what ends a worker counts if it happens again in a fresh one."""
        first = self._ready(target).execute(subject.request)
        if first.outcome not in _REPEATED:
            return first, 1
        self._drop(target)
        second = self._ready(target).execute(subject.request, expect=first.outcome)
        if second.outcome == first.outcome:
            return second, 2
        told = f"flaky: {first.outcome.value} at first ({first.message}); {second.message}".removesuffix("; ")
        return replace(second, message=told), 2

    def _ready(self, target: Target) -> Worker:
        worker = self._workers.get(target)
        if worker is not None and (not worker.alive or worker.bloated):
            self._drop(target)
        if target not in self._workers:
            self._workers[target] = start_worker(target, self._campaign.limits, self._stop)
        return self._workers[target]

    def _drop(self, target: Target) -> None:
        if (worker := self._workers.pop(target, None)) is not None:
            worker.close()


def _execution(subject: Subject, target: Target, asked: tuple[Attempt, int]) -> Execution:
    attempt, attempts = asked
    return Execution(
        case=subject.name, target=target.canonical, version=target.version, outcome=attempt.outcome,
        stage=attempt.stage, message=attempt.message, stderr=attempt.stderr, attempts=attempts,
        wall_seconds=attempt.wall_seconds, cpu_seconds=attempt.cpu_seconds, outputs=attempt.outputs,
        beside=beside_of(attempt),
    )  # fmt: skip


def _answer(target: Target, asked: tuple[Attempt, int], verdict: Verdict) -> Answer:
    attempt, attempts = asked
    said = "" if verdict.verdict in _CALM else (verdict.message or attempt.message).strip().split("\n", 1)[0]
    return Answer(
        target.canonical, target.version, attempt.outcome.value, verdict.verdict, said[:_TOLD], attempts,
        attempt.cpu_seconds,
    )  # fmt: skip
