"""What the fuzzer does with one case on one target, oracle after oracle, until one of them speaks."""

from __future__ import annotations

import resource
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self

from backends.protocol import Outcome
from fuzz.case import find_cases, open_root, write_case
from fuzz.generate.run import case_id
from fuzz.judge.verdict import FINDINGS, REFERENCE, Word
from fuzz.performance.measurement import ORACLES, Plan
from fuzz.performance.run import measure
from fuzz.selftest.station import REPEATED, Station, request, varied

if TYPE_CHECKING:
    from types import TracebackType

    from fuzz.execute.target import Target
    from fuzz.execute.worker import Attempt, Limits
    from fuzz.selftest.subject import Subject

__all__ = ["Examined", "Examiner"]

# One case of so many, and which: not all oracles look at the same one. To time a case costs as much as 150 others.
_THREADS = (20, 5)
_TIMED = (100, 10)
_SOAKED = (200, 3)
_SOAK_RUNS = 500


@dataclass(frozen=True, slots=True)
class Examined:
    """What came of a case: the word and the oracle that said it, the first attempt, and the CPU seconds all took."""

    word: Word
    oracle: str
    attempt: Attempt
    seconds: float


class Examiner:
    """One target under all oracles. Use it in the thread that made it."""

    def __init__(self, target: Target, limits: Limits) -> None:
        self.target = target
        self._limits = limits
        self._station = Station(target, limits)
        several = target.entry.option("threads") is not None and dict(target.options).get("threads") is None
        self._threaded = Station(varied(target, "threads", "2"), limits) if several else None
        self._unoptimised = _unoptimised(target)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self._station)
        if self._threaded is not None:
            self._stack.enter_context(self._threaded)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def examine(self, subject: Subject, number: int) -> Examined:
        """Run and judge a case. ``number`` is how many came before it: some oracles look at one of many alone."""
        start = self._spent()
        attempt, again = self._station.confirmed(subject.message)
        word, oracle = Word(subject.verdict(attempt, self.target.canonical).verdict), REFERENCE
        if not again:
            word = Word.FLAKY
        elif attempt.outcome is Outcome.OK and not self._repeats(subject, attempt, fresh=word in FINDINGS):
            word, oracle = Word.NONDETERMINISTIC, "session"
        elif attempt.outcome is Outcome.OK and word not in FINDINGS:
            word, oracle = self._further(subject, number, word)
        return Examined(word, oracle, attempt, self._spent() - start)

    def _spent(self) -> float:
        return time.process_time() + self._station.spent + (0.0 if self._threaded is None else self._threaded.spent)

    def _repeats(self, subject: Subject, attempt: Attempt, *, fresh: bool) -> bool:
        """Whether the same outputs come again: with the data sets twice and in turn, and in a fresh worker.

        A fresh worker is asked where the answer was wrong, so that what only depends on earlier models is told apart.
        """
        sets = subject.values()
        second = self._station.execute(request(subject.model, [*sets, *reversed(sets)]))
        due = [*attempt.outputs, *reversed(attempt.outputs)]
        if second.outcome is not Outcome.OK or list(second.outputs) != due:
            return False
        if not fresh:
            return True
        self._station.renew()
        third = self._station.execute(subject.message)
        return third.outcome is Outcome.OK and third.outputs == attempt.outputs

    def _further(self, subject: Subject, number: int, word: Word) -> tuple[Word, str]:
        """The oracles that look at few cases; the first finding counts."""
        oracles = (
            (_THREADS, "threads", self._on_threads), (_SOAKED, "soak", self._soaked),
            (_TIMED, "performance", self._timed),
        )  # fmt: skip
        for (every, offset), name, oracle in oracles:
            found = oracle(subject) if number % every == offset else None
            if found is not None:
                return found, name
        return word, REFERENCE

    def _on_threads(self, subject: Subject) -> Word | None:
        """Other threads may sum in another order, but not leave the bound."""
        if self._threaded is None:
            return None
        attempt, again = self._threaded.confirmed(subject.message)
        word = Word(subject.verdict(attempt, self._threaded.target.canonical).verdict)
        return Word.NONDETERMINISTIC if again and word in FINDINGS else None

    def _soaked(self, subject: Subject) -> Word | None:
        """Many runs of one compiled model: a leak ends at the worker's limit, as it does in a server."""
        found, again = self._station.confirmed(request(subject.model, subject.values()[:1] * _SOAK_RUNS))
        return Word(found.outcome.value) if found.outcome in REPEATED and again else None

    def _timed(self, subject: Subject) -> Word | None:
        """Slower than unoptimised, slower to compile than its parts, or growing too fast."""
        if self._unoptimised is None:
            return None
        plan = Plan(self.target, self._unoptimised, limits=self._limits)
        before = _of_children()
        with TemporaryDirectory(prefix="fuzz-selftest-") as folder:
            root = Path(folder)
            open_root(root)
            write_case(root, case_id(subject.seed), subject.model, subject.data_sets, subject.record)
            # One oracle after the other: what the first finds slow, the next need not measure.
            slow = any(
                measurement.word is Word.SLOW
                for kind in ORACLES
                for found in measure(find_cases(root), replace(plan, kinds=(kind,)))
                for measurement in found
            )
        self._station.spent += _of_children() - before
        return Word.SLOW if slow else None


def _unoptimised(target: Target) -> Target | None:
    """The target with the first of its switches off that it has and that is not set."""
    given = dict(target.options)
    knob = next((k for k in target.entry.knobs if k.values and k.option not in given), None)
    return None if knob is None else varied(target, knob.option, knob.values[0])


def _of_children() -> float:
    """CPU seconds of child processes that have ended: all that measure one case have when it is measured."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
