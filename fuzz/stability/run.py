"""The whole of ``fuzz stable``: every case of a root on every target, in several lanes, verdicts into the store."""

from __future__ import annotations

import os
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fuzz.apart import Apart
from fuzz.execute.scratch import clear_abandoned
from fuzz.execute.worker import Interrupted, Limits
from fuzz.judge.verdict import FINDINGS, Verdict, Word
from fuzz.stability.crew import Crew
from fuzz.stability.study import study

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fuzz.case import Case
    from fuzz.execute.target import Target
    from fuzz.stability.way import Way
    from fuzz.store import Store

__all__ = ["Stability", "examine"]


@dataclass(frozen=True, slots=True)
class Stability:
    """What a run brought: all verdicts, ordered by case and target, and whether it was stopped before its end."""

    verdicts: tuple[Verdict, ...]
    interrupted: bool

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """How many cases have each verdict, by target and way."""
        result: dict[str, dict[str, int]] = {}
        for verdict in self.verdicts:
            row = result.setdefault(f"{verdict.target} {verdict.oracle}", {word.value: 0 for word in Word})
            row[verdict.verdict] += 1
        return result

    @property
    def findings(self) -> tuple[Verdict, ...]:
        """The verdicts that make exit status 1."""
        return tuple(verdict for verdict in self.verdicts if Word(verdict.verdict) in FINDINGS)


def examine(  # noqa: PLR0913 - each is a choice of the user's
    cases: Sequence[Case], targets: Sequence[Target], ways: Sequence[Way], *, store: Store, timeout: float = 60.0,
    memory: int = 4096, jobs: int | None = None, progress: Callable[[int], None] = lambda _cases: None,
) -> Stability:  # fmt: skip
    """Run each case on each target in every way.

    Args:
        cases: what to run; the neighbour of a case is the one after it.
        targets: where.
        ways: rows of `WAYS`.
        store: where verdicts go, those of a case on a target as soon as they are known; only this thread writes.
        timeout: seconds that a case may take in one way.
        memory: MiB of resident memory that one worker may use.
        jobs: lanes, each with workers of its own for the target that it is at; by default one a core.
        progress: told of each case that is done, in this thread.

    Raises:
        TargetError: a worker cannot be started at all.
        StorageError: the store cannot be written.
    """
    clear_abandoned()
    stop = threading.Event()
    done: queue.Queue[list[Verdict] | Exception | None] = queue.Queue()
    count = min(jobs or len(os.sched_getaffinity(0)), len(cases) * len(targets))
    tasks = _Tasks(cases, targets)
    limits = Limits(timeout, memory << 20)
    verdicts: list[Verdict] = []
    interrupted = False
    with Apart(count) as apart:
        apart.call(int)  # a process that is forked beside a thread may find a lock held by it: before the lanes
        lanes = [
            threading.Thread(target=_Lane(tasks, ways, limits, apart, stop, done).drive, name=f"lane-{index}")
            for index in range(count)
        ]
        try:
            for lane in lanes:
                lane.start()
            for found in _finished(done, count):
                store.record_verdicts(found)
                verdicts.extend(found)
                progress(1)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            stop.set()
            for lane in lanes:
                _join(lane)
            for found in _left(done):
                store.record_verdicts(found)
                verdicts.extend(found)
    verdicts.sort(key=lambda verdict: (verdict.case, verdict.target))
    return Stability(tuple(verdicts), interrupted)


def _join(lane: threading.Thread) -> None:
    """Wait for a lane that has been told to stop; a second Ctrl-C would only lose what is finished."""
    while lane.is_alive():
        try:
            lane.join()
        except KeyboardInterrupt:
            continue


def _finished(done: queue.Queue[list[Verdict] | Exception | None], open_lanes: int) -> Iterator[list[Verdict]]:
    """What the lanes finish until all of them have ended; raises what one of them raised."""
    while open_lanes:
        item = done.get()
        if isinstance(item, Exception):
            raise item
        if item is None:
            open_lanes -= 1
        else:
            yield item


def _left(done: queue.Queue[list[Verdict] | Exception | None]) -> Iterator[list[Verdict]]:
    """What was finished before the run was stopped, and not taken in yet."""
    while not done.empty():
        item = done.get()
        if isinstance(item, list):
            yield item


class _Tasks:
    """Hands out (target, case, neighbour), target by target."""

    def __init__(self, cases: Sequence[Case], targets: Sequence[Target]) -> None:
        pairs = len(cases) > 1
        self._rest = iter([
            (target, case, cases[(index + 1) % len(cases)] if pairs else None)
            for target in targets
            for index, case in enumerate(cases)
        ])
        self._lock = threading.Lock()

    def take(self) -> tuple[Target, Case, Case | None] | None:
        """The next one."""
        with self._lock:
            return next(self._rest, None)


class _Lane:
    """One thread with the workers of one target at a time."""

    def __init__(
        self, tasks: _Tasks, ways: Sequence[Way], limits: Limits, apart: Apart, stop: threading.Event,
        done: queue.Queue[list[Verdict] | Exception | None],
    ) -> None:  # fmt: skip
        self._tasks = tasks
        self._ways = ways
        self._limits = limits
        self._apart = apart
        self._stop = stop
        self._done = done
        self._crew: Crew | None = None

    def drive(self) -> None:
        """Work until nothing is left, or until stopped."""
        try:
            while not self._stop.is_set() and (task := self._tasks.take()) is not None:
                target, case, other = task
                self._done.put(study(case, other, self._ways, self._at(target), self._apart))
        except Interrupted:
            pass
        except Exception as problem:  # noqa: BLE001 - it is raised again in the thread that called `examine`
            self._done.put(problem)
        finally:
            if self._crew is not None:
                self._crew.close()
            self._done.put(None)

    def _at(self, target: Target) -> Crew:
        if self._crew is None or self._crew.target != target:
            if self._crew is not None:
                self._crew.close()
            self._crew = Crew(target, self._limits, self._stop)
        return self._crew
