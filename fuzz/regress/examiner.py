"""One case after another on its target, judged at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Self

from backends.protocol import Outcome
from fuzz.apart import Died
from fuzz.execute.execution import Execution
from fuzz.execute.run import Request, beside_of, request_of
from fuzz.execute.start import start_worker
from fuzz.judge.judge import Oracle
from fuzz.judge.run import judge_executions
from fuzz.judge.verdict import Verdict, Word
from fuzz.regress.ruling import Result, State, fails, rule

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Event
    from types import TracebackType

    from fuzz.apart import Apart
    from fuzz.case import Case
    from fuzz.execute.attempt import Attempt, Limits
    from fuzz.execute.target import Target
    from fuzz.execute.worker import Worker
    from fuzz.regress.expectations import Expectations

__all__ = ["Examiner", "prepared"]

# Each target by itself: what is expected of it must not hang on which others are asked beside it.
_ORACLE = Oracle(apart=True)
_ALIVE = frozenset({Outcome.OK, Outcome.UNSUPPORTED, Outcome.REJECTED, Outcome.ERROR})


def prepared(case: Case) -> Request:
    """A case ready to send. A folder without data is a problem too: it would be compiled, and nothing compared."""
    if not case.data_sets:
        return Request((), f"{case.folder} has no test_data_set_0: are files left out, or kept elsewhere?")
    return request_of(case)


class Examiner:
    """Holds a worker a target, and has what they answer judged in processes apart. A context manager, for one thread.

    Whatever fails and was not expected to is asked again in a fresh worker: what then does otherwise is ``flaky``.
    """

    def __init__(self, expectations: Expectations, limits: Limits, apart: Apart, stop: Event) -> None:
        self._expectations, self._limits, self._apart, self._stop = expectations, limits, apart, stop
        self._workers: dict[Target, Worker] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for target in tuple(self._workers):
            self.drop(target)

    def examine(self, case: Case, target: Target) -> Result:
        """What becomes of a case on a target, and what that means. Raises TargetError, Interrupted."""
        parts, problem = prepared(case)
        if problem:
            return self._told(target, Verdict(case.id, target.canonical, 0, Word.ERROR.value, message=problem), 0.0)
        first = self._ask(target, parts)
        found = self._told(target, self._judged(case, target, first), first.wall_seconds)
        if found.state is not State.FAILED or not fails(found.verdict.verdict, require=False):
            return found  # what is unsupported stays so
        self.drop(target)
        second = self._ask(target, parts, expect=first.outcome)
        verdict = self._judged(case, target, second)
        if verdict.verdict != found.verdict.verdict:
            message = f"{found.verdict.verdict} at first, in a fresh worker {verdict.verdict}: {found.verdict.message}"
            verdict = replace(verdict, verdict=Word.FLAKY.value, message=message.rstrip(": "))
        return self._told(target, verdict, second.wall_seconds)

    def _told(self, target: Target, verdict: Verdict, seconds: float) -> Result:
        entries = self._expectations.of(verdict.case, target)
        state, entry = rule(verdict.verdict, entries, require=self._expectations.require)
        return Result(target.canonical, target.version, verdict, state, entry, seconds)

    def _judged(self, case: Case, target: Target, attempt: Attempt) -> Verdict:
        execution = Execution(
            case=case.id, target=target.canonical, version=target.version, outcome=attempt.outcome,
            stage=attempt.stage, message=attempt.message, stderr=attempt.stderr, attempts=1,
            wall_seconds=attempt.wall_seconds, cpu_seconds=attempt.cpu_seconds, outputs=attempt.outputs,
            beside=beside_of(attempt),
        )  # fmt: skip
        try:
            return self._apart.call(judge_executions, case, [execution], _ORACLE)[0]
        except Died:
            message = "judging this case ended the process that did it"
            return Verdict(case.id, target.canonical, 0, Word.ERROR.value, message=message)

    # --- workers ----------------------------------------------------------------------------------------------------

    def ready(self, target: Target) -> Worker:
        """The target's worker, a new one where it died or holds on to too much memory. Raises as ``examine``."""
        worker = self._workers.get(target)
        if worker is not None and (not worker.alive or worker.bloated):
            self.drop(target)
        if target not in self._workers:
            self._workers[target] = start_worker(target, self._limits, self._stop)
        return self._workers[target]

    def keep_only(self, target: Target) -> None:
        """End the workers of all other targets."""
        for other in tuple(self._workers):
            if other != target:
                self.drop(other)

    def drop(self, target: Target) -> None:
        """End a target's worker, if there is one."""
        worker = self._workers.pop(target, None)
        if worker is not None:
            worker.close()

    def _ask(self, target: Target, parts: Sequence[bytes], expect: Outcome = Outcome.OK) -> Attempt:
        attempt = self.ready(target).execute(parts, expect=expect)
        if attempt.outcome not in _ALIVE:
            self.drop(target)
        return attempt
