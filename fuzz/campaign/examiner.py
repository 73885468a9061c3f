"""One seed after another: generated, executed on every target, judged, and asked again if it fails; or made small."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from threading import Event
from typing import TYPE_CHECKING, Any, Self

from backends.frame import Frame, encode
from backends.protocol import Outcome, Stage
from backends.tensor import Tensor
from fuzz.campaign.exhibit import Room, cpu_now, show
from fuzz.campaign.gate import worse
from fuzz.campaign.rough import rough_key
from fuzz.campaign.subject import ready
from fuzz.campaign.task import Examine
from fuzz.campaign.trial import Answer, Exhibit, Failure, Trial, rough_digest
from fuzz.errors import FuzzError, TargetError
from fuzz.execute.attempt import Attempt
from fuzz.execute.execution import Execution
from fuzz.execute.nursery import Nursery
from fuzz.execute.run import beside_of
from fuzz.execute.start import start_worker
from fuzz.execute.worker import Interrupted
from fuzz.generate.support import joint_support
from fuzz.judge.judge import judge
from fuzz.judge.verdict import FINDINGS, Verdict, Word
from fuzz.novelty.features import features_of
from fuzz.novelty.state import Origin, Shown
from fuzz.reach import drawn
from fuzz.triage.candidate import names_in
from fuzz.triage.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from abstract.graph import Graph
    from fuzz.campaign.campaign import Campaign
    from fuzz.campaign.subject import Subject
    from fuzz.campaign.task import Reduce, Task
    from fuzz.execute.target import Target
    from fuzz.execute.worker import Worker
    from fuzz.generate.settings import Settings

__all__ = ["Examiner"]

_REPEATED = frozenset({Outcome.CRASH, Outcome.TIMEOUT, Outcome.OOM})
_CALM = frozenset({Word.OK, Word.UNSUPPORTED})
_TOLD = 400  # characters of a message that a row keeps
_REVEAL = tuple(encode(Frame("reveal")))


@dataclass(frozen=True, slots=True)
class _Draft:
    """A case that is ready, the CPU seconds that it took; the answers so far, with how many attempts there were."""

    task: Examine
    subject: Subject
    seconds: float
    answers: dict[Target, tuple[Attempt, int]] = field(default_factory=dict)


class Examiner:
    """Holds one worker a target, and a process that parses models. A context manager, for the thread that made it.

    ``parts`` is the folder in which cases that show a finding are put down, for the driver to take.
    """

    def __init__(self, campaign: Campaign, parts: Path) -> None:
        self._campaign = campaign
        self._supports = joint_support(campaign.settings.targets)
        self._workers: dict[Target, Worker] = {}
        # A reduction would have to start a process that parses models five times, at half a second each.
        self._room = Room(parts, Sandbox(), Nursery())
        self._began: set[Target] = set()
        self._stop = Event()  # never set: SIGTERM raises KeyboardInterrupt, which closes everything on its way

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._room.sandbox, self._room.nursery:
            for target in tuple(self._workers):
                self._drop(target)

    def do(self, task: Task) -> Trial | Exhibit:
        """All that comes of a task. Raises TargetError where no worker starts, StorageError."""
        return self.examine(task) if isinstance(task, Examine) else self.reduce(task)

    def do_all(self, tasks: Sequence[Task]) -> Iterator[Trial | Exhibit]:
        """All that comes of tasks, in their order; cases go to each target together. Raises as ``do``."""
        examined = self._examine([task for task in tasks if isinstance(task, Examine)])
        for task in tasks:
            yield next(examined) if isinstance(task, Examine) else self.reduce(task)

    def examine(self, task: Examine) -> Trial:
        """Generate, execute, judge. Raises as ``do``."""
        (trial,) = self._examine((task,))
        return trial

    def _examine(self, tasks: Sequence[Examine]) -> Iterator[Trial]:
        with ExitStack() as held:
            drafts = [self._draft(task, held) for task in tasks]
            self._ask_together([draft for draft in drafts if isinstance(draft, _Draft)])
            for draft in drafts:
                yield draft if isinstance(draft, Trial) else self._tried(draft)

    def _tried(self, draft: _Draft) -> Trial:
        try:
            return self._judge(draft)
        except FuzzError:
            raise
        except Exception as error:  # noqa: BLE001 - one seed must not end a night's run; its row says what happened
            return Trial(draft.task.seed, problem=_line(error))

    def _draft(self, task: Examine, held: ExitStack) -> _Draft | Trial:
        start = time.process_time()
        try:
            rests = task.rests if task.origin is None else task.origin.rests
            made = ready(task.seed, self._settings(rests), self._supports, task.origin)
            return _Draft(task, held.enter_context(made), time.process_time() - start)
        except FuzzError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            return Trial(task.seed, problem=_line(error))

    def reduce(self, task: Reduce) -> Exhibit:
        """Make a failing case small. Raises as ``do``."""
        told = json.loads(task.failure.told)
        target = next(t for t in self._campaign.targets if t.canonical == task.failure.target)
        repeated = told.get("repeated", True)
        if not repeated:
            self._drop(target)  # first of all: what this worker has used for other cases is not counted here
        start = self._spent()
        try:
            rests, bred = tuple(told["rests"]), told.get("bred")
            origin = None if bred is None else Origin(bred["parent"], task.seed, tuple(bred["choices"]), rests)
            with ready(task.seed, self._settings(rests), self._supports, origin) as subject:
                answer = _remembered(told)
                problem = "" if repeated else self._refuted(subject, target, answer[1])
                if problem:
                    return Exhibit(task.seed, target.canonical, problem=problem, cpu_seconds=self._spent() - start)
                sightings = show(self._campaign, subject, target, answer, task, self._room)
        except FuzzError:
            raise
        except Exception as error:  # noqa: BLE001 - as above; its row says why there is nothing to show
            return Exhibit(task.seed, task.failure.target, problem=_line(error))
        return Exhibit(task.seed, task.failure.target, sightings, cpu_seconds=self._spent() - start)

    def _spent(self) -> float:
        return cpu_now() + self._room.nursery.spent

    def _settings(self, rests: tuple[str, ...]) -> Settings:
        settings = self._campaign.settings
        return settings if settings.rests == rests else replace(settings, rests=rests)

    def _asked(self, task: Examine) -> tuple[Target, ...]:
        return tuple(t for t in self._campaign.targets if task.asked is None or t.canonical in task.asked)

    def _judge(self, draft: _Draft) -> Trial:
        task, subject, targets = draft.task, draft.subject, self._asked(draft.task)
        features: dict[str, frozenset[str]] = {}
        asked = [
            draft.answers.get(target) or self._ask(draft, target, features if task.shows else None)
            for target in targets
        ]
        start = time.process_time()
        verdicts = self._judged(subject, targets, asked)
        taken: dict[Target, Failure] = {}
        for at, target in enumerate(targets):
            if verdicts[at].verdict not in FINDINGS or asked[at][1] > 1:
                continue
            likely = self._failure(subject, target, asked[at], verdicts[at]) if task.familiar else None
            if likely is not None and rough_digest(likely.rough) in task.familiar.split():
                taken[target] = likely
            else:
                verdicts[at] = self._confirmed(subject, targets, at, asked, verdicts[at])
        told = {t: (v, attempt) for t, v, (attempt, _) in zip(targets, verdicts, asked, strict=True)}
        failures = tuple(
            taken.get(target) or self._failure(subject, target, asked[at], verdicts[at])
            for at, target in enumerate(targets) if self._counts(subject, target, told)
        )  # fmt: skip
        judge_seconds = time.process_time() - start
        ran = any(attempt.outcome is Outcome.OK for attempt, _ in asked)
        return Trial(
            subject.seed, subject.made.nodes, draft.seconds, judge_seconds,
            tuple(map(_answer, targets, asked, verdicts)), failures, pairs=drawn(subject.made.graph),
            links=_links(subject.made.graph) if ran else frozenset(),
            shown=None if not features else Shown(
                subject.seed, features, tuple(subject.record["choices"]), tuple(subject.record["settings"]["rests"])
            ),
        )  # fmt: skip

    def _counts(self, subject: Subject, target: Target, told: Mapping[Target, tuple[Verdict, Attempt]]) -> bool:
        """Whether an answer is a finding."""
        baseline = self._campaign.baseline
        if baseline is None or told[target][0].verdict not in FINDINGS:
            return told[target][0].verdict in FINDINGS
        names = names_in(subject.candidate().proto())
        return target != baseline and worse(told.get(baseline), told[target], names)

    def _failure(self, subject: Subject, target: Target, asked: tuple[Attempt, int], verdict: Verdict) -> Failure:
        attempt, attempts = asked

        def run(model: bytes) -> Attempt:
            return self._ready(target).execute(subject.asking(model))

        key, site = rough_key(target.canonical, subject.made.model, subject.samples, verdict, attempt, run)
        told = {
            "rests": subject.record["settings"]["rests"], "verdict": asdict(verdict), "outcome": attempt.outcome.value,
            "stage": attempt.stage and attempt.stage.value, "message": attempt.message, "stderr": attempt.stderr,
            "repeated": attempts > 1,
        }  # fmt: skip
        if subject.origin is not None:
            told["bred"] = {"parent": subject.origin.parent, "choices": subject.record["choices"]}
        return Failure(target.canonical, key, site, json.dumps(told, sort_keys=True))

    def _judged(
        self, subject: Subject, targets: Sequence[Target], asked: Sequence[tuple[Attempt, int]]
    ) -> list[Verdict]:
        executions = [_execution(subject, *pair) for pair in zip(targets, asked, strict=True)]
        return judge(subject.name, subject.made.model, "", subject.samples, executions)

    def _confirmed(
        self, subject: Subject, targets: Sequence[Target], at: int, asked: list[tuple[Attempt, int]], verdict: Verdict
    ) -> Verdict:
        """The verdict on a target in a fresh worker; where it is another one, what ran before it mattered."""
        target = targets[at]
        self._drop(target)
        asked[at] = self._ready(target).execute(subject.request), 2
        again = self._judged(subject, targets, asked)[at]
        if again.verdict == verdict.verdict:
            return again
        return replace(again, verdict=Word.FLAKY.value, message=_differing(verdict, again))

    def _refuted(self, subject: Subject, target: Target, verdict: Verdict) -> str:
        """What a fresh worker says instead of a verdict that was taken from one that was not; empty where it agrees.

        The one that was there must be gone.
        """
        (again,) = self._judged(subject, (target,), [(self._ready(target).execute(subject.request), 2)])
        return "" if again.verdict == verdict.verdict else _differing(verdict, again)

    # --- execution ----------------------------------------------------------------------------------------------------

    def _ask_together(self, drafts: Sequence[_Draft]) -> None:
        """Put down what targets answer to cases that go to them together. What is missing then is asked one by one."""
        for target in self._campaign.targets:
            waiting = [draft for draft in drafts if not draft.task.shows and target in self._asked(draft.task)]
            try:
                while len(waiting) > 1:
                    found = self._ready(target).execute_several([draft.subject.request for draft in waiting])
                    self._began.add(target)
                    for draft, attempt in zip(waiting, found, strict=False):
                        draft.answers[target] = self._repeated(draft, target, attempt)
                    waiting = waiting[len(found) :]
            except Interrupted:
                raise
            except Exception:  # noqa: BLE001, S112 - the case whose fault it is shows when they are asked one by one
                continue

    def _ask(
        self, draft: _Draft, target: Target, features: dict[str, frozenset[str]] | None = None
    ) -> tuple[Attempt, int]:
        """An attempt and how many there were: what ends a worker counts if it happens again in a fresh one.

        Where there is a place for ``features`` the target is asked what it made of the case.
        """
        subject = draft.subject
        try:
            first = None if features is None else self._shown(target, subject, features)
            first = first or self._ready(target).execute(subject.request)
        except TargetError as error:
            if target not in self._began:
                raise
            # It did start once: a night's run does not end because one target's environment has gone.
            return Attempt(Outcome.ERROR, None, str(error), "", 0.0, 0.0, ()), 1
        self._began.add(target)
        return self._repeated(draft, target, first)

    def _repeated(self, draft: _Draft, target: Target, first: Attempt) -> tuple[Attempt, int]:
        """An attempt; of one that ended its worker, what a fresh one does by itself.

        A crash that fails as familiar ones did is repeated without a debugger, which takes as much as 200 cases.
        """
        if first.outcome not in _REPEATED:
            return first, 1
        self._drop(target)
        known = first.outcome is Outcome.CRASH and self._is_familiar(draft, target, first)
        expect = Outcome.OK if known else first.outcome
        second = self._ready(target).execute(draft.subject.request, expect=expect)
        if second.outcome == first.outcome:
            return second, 2
        told = f"flaky: {first.outcome.value} at first ({first.message}); {second.message}".removesuffix("; ")
        return replace(second, message=told), 2

    def _is_familiar(self, draft: _Draft, target: Target, attempt: Attempt) -> bool:
        """Whether an answer by itself is taken for one of those of which all that were reduced came to something."""
        if not draft.task.familiar:
            return False
        asked = attempt, 1
        (verdict,) = self._judged(draft.subject, (target,), [asked])
        likely = self._failure(draft.subject, target, asked, verdict)
        return rough_digest(likely.rough) in draft.task.familiar.split()

    def _shown(self, target: Target, subject: Subject, features: dict[str, frozenset[str]]) -> Attempt | None:
        """An attempt; where it is well, what the target then showed goes into ``features``.

        None where a worker came to its end: what goes wrong while a target shows something is no verdict on the case,
        which is asked about anew, without that.
        """
        attempt = self._ready(target).execute(subject.keeping)
        if attempt.outcome in _REPEATED:
            return None
        if attempt.outcome is not Outcome.OK:
            return attempt
        shown = self._workers[target].execute(_REVEAL)
        if shown.outcome is not Outcome.OK:
            self._drop(target)
            return None
        files = {str(report.fields["file"]): _content(report) for report in shown.reports}
        features[target.canonical] = features_of(files)
        return replace(attempt, cpu_seconds=attempt.cpu_seconds + shown.cpu_seconds)

    def _ready(self, target: Target) -> Worker:
        worker = self._workers.get(target)
        if worker is not None and (not worker.alive or worker.bloated):
            self._drop(target)
        if target not in self._workers:
            self._workers[target] = start_worker(target, self._campaign.limits, self._stop, self._room.nursery)
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


def _content(report: Frame) -> bytes:
    (content,) = report.values
    return bytes(content.data) if isinstance(content, Tensor) else b""


def _remembered(told: dict[str, Any]) -> tuple[Attempt, Verdict]:
    """The failing answer as a process told it that is busy with other seeds by now; its outputs are gone."""
    index = told["verdict"]["index"]
    verdict = Verdict(**{**told["verdict"], "index": None if index is None else tuple(index)})
    stage = Stage(told["stage"]) if told["stage"] else None
    return Attempt(Outcome(told["outcome"]), stage, told["message"], told["stderr"], 0.0, 0.0, ()), verdict


def _links(graph: Graph) -> frozenset[str]:
    """Which operators feed which in the main graph."""
    makers = {value: node.operator for node in graph.nodes for value in node.outputs}
    return frozenset(f"{makers[v]}>{node.operator}" for node in graph.nodes for v in node.inputs if v in makers)


def _differing(verdict: Verdict, again: Verdict) -> str:
    return f"{verdict.verdict} at first, {again.verdict} in a fresh worker: {verdict.message}"


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".split("\n", 1)[0][:_TOLD]


def _answer(target: Target, asked: tuple[Attempt, int], verdict: Verdict) -> Answer:
    attempt, attempts = asked
    said = "" if verdict.verdict in _CALM else (verdict.message or attempt.message).strip().split("\n", 1)[0]
    return Answer(
        target.canonical, target.version, attempt.outcome.value, verdict.verdict, said[:_TOLD], attempts,
        attempt.cpu_seconds,
    )  # fmt: skip
