"""All cases on all targets, held against what is expected."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fuzz.apart import Apart
from fuzz.errors import TargetError
from fuzz.execute.worker import Interrupted
from fuzz.judge.verdict import Word
from fuzz.regress.examiner import Examiner
from fuzz.regress.ruling import RED, Result, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fuzz.case import Case
    from fuzz.execute.attempt import Limits
    from fuzz.execute.target import Target
    from fuzz.regress.expectations import Entry, Expectations

__all__ = ["Account", "run_gate"]

"""Bytes of address space of a process that judges."""

_HEARTBEAT = 0.2  # seconds; how soon Ctrl-C is heard

Pair = tuple["Target", "Case"]


@dataclass(frozen=True, slots=True)
class Account:
    """What the gate found.

    Attributes:
        cases: how many cases the folder has.
        results: a result for each case on each target that could be asked, by target in the order given, then case.
        missing: the targets that cannot run here, and why.
        stale: entries whose glob covers no case of the folder.
        passed_by: entries whose targets were run at versions outside of their range alone.
        interrupted: whether it was stopped; ``results`` has what was finished.
    """

    cases: int
    results: tuple[Result, ...]
    missing: Mapping[str, str]
    stale: tuple[Entry, ...] = ()
    passed_by: tuple[Entry, ...] = ()
    interrupted: bool = False

    @property
    def red(self) -> tuple[Result, ...]:
        """New failures and unexpected passes."""
        return tuple(result for result in self.results if result.state in RED)

    @property
    def errors(self) -> tuple[Result, ...]:
        """What could not be run or judged."""
        return tuple(result for result in self.results if result.state is State.ERROR)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """How many cases have each verdict, by target; every word of the set is there."""
        counts: dict[str, dict[str, int]] = {}
        for result in self.results:
            row = counts.setdefault(result.target, {word.value: 0 for word in Word})
            row[result.verdict.verdict] += 1
        return counts

    @property
    def exit_code(self) -> int:
        """0: all as expected. 1: something is not. 2: something could not be run or judged, whatever the rest did."""
        if self.errors or self.missing:
            return 2
        return 1 if self.red or self.stale else 0


def run_gate(
    cases: Sequence[Case], targets: Sequence[Target], expectations: Expectations, limits: Limits, *, jobs: int,
    missing: Mapping[str, str] | None = None, progress: Callable[[int], None] = lambda _pairs: None,
) -> Account:  # fmt: skip
    """Ask each target about each case.

    ``missing`` are targets that are known not to run here. One whose worker does not start is added to them, and not
    asked further. Ctrl-C ends it with what was finished.
    """
    gone = dict(missing or {})
    lanes = _Lanes([(target, case) for target in targets for case in cases], gone)
    interrupted = False
    with Apart(jobs) as apart:
        apart.call(int)  # a process that is forked beside a thread may find a lock held by it: before the lanes
        examiners = [Examiner(expectations, limits, apart, lanes.stop) for _ in range(min(jobs, len(lanes.pairs)))]
        try:
            lanes.begin(examiners)
            lanes.follow(progress)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            lanes.end()
    # A target that breaks off is told as missing; what it had answered before stays, in the order of the pairs.
    results = tuple(lanes.results[at] for at in sorted(lanes.results))
    order = [target.canonical for target in targets]
    return Account(
        len(cases), results, {name: gone[name] for name in sorted(gone, key=lambda n: (n in order, n))},
        _stale(cases, expectations), _passed_by(targets, expectations), interrupted,
    )  # fmt: skip


def _stale(cases: Sequence[Case], expectations: Expectations) -> tuple[Entry, ...]:
    return tuple(e for e in expectations.entries if not any(e.covers(case.id) for case in cases))


def _passed_by(targets: Sequence[Target], expectations: Expectations) -> tuple[Entry, ...]:
    """Entries of which some target is named, and none is of a version in the range."""
    found = []
    for entry in expectations.entries:
        named = [target for target in targets if entry.names(target)]
        if named and not any(entry.reaches(target.version) for target in named):
            found.append(entry)
    return tuple(found)


class _Lanes:
    """Threads that take pairs in turn, each with an examiner of its own."""

    def __init__(self, pairs: Sequence[Pair], gone: dict[str, str]) -> None:
        self.pairs = pairs
        self.stop = threading.Event()
        self.results: dict[int, Result] = {}
        self._gone = gone
        self._at = iter(range(len(pairs)))
        self._lock = threading.Lock()
        self._told: queue.Queue[Exception | int | None] = queue.Queue()
        self._threads: list[threading.Thread] = []

    def begin(self, examiners: Sequence[Examiner]) -> None:
        """Start a thread for each examiner."""
        for number, examiner in enumerate(examiners):
            thread = threading.Thread(target=self._drive, args=(examiner,), name=f"gate-{number}")
            self._threads.append(thread)
            thread.start()

    def follow(self, progress: Callable[[int], None]) -> None:
        """Tell of each pair that is done, until all threads have ended; raise what one of them raised."""
        left = len(self._threads)
        while left:
            try:
                told = self._told.get(timeout=_HEARTBEAT)
            except queue.Empty:
                continue
            if isinstance(told, Exception):
                raise told
            if told is None:
                left -= 1
            else:
                progress(told)

    def end(self) -> None:
        """Have the threads stop, and wait for them."""
        self.stop.set()
        for thread in self._threads:
            while thread.is_alive():
                try:
                    thread.join()
                except KeyboardInterrupt:  # a second Ctrl-C would only lose what is finished
                    continue

    def _drive(self, examiner: Examiner) -> None:
        try:
            with examiner:
                while (at := self._next()) is not None:
                    self._one(examiner, at)
                    self._told.put(1)
        except Interrupted:
            pass
        except Exception as problem:  # noqa: BLE001 - it is raised again in the thread that follows
            self._told.put(problem)
        finally:
            self._told.put(None)

    def _next(self) -> int | None:
        with self._lock:
            return None if self.stop.is_set() else next(self._at, None)

    def _one(self, examiner: Examiner, at: int) -> None:
        target, case = self.pairs[at]
        if target.canonical in self._gone:
            return
        examiner.keep_only(target)
        try:
            self.results[at] = examiner.examine(case, target)
        except TargetError as problem:
            self._gone[target.canonical] = str(problem)
