"""Many models, some at a time: lanes take jobs, this thread tells what comes of them and writes the store."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

from corpus.cache import sweep
from fuzz.apart import Apart
from fuzz.collection.lane import Lane, Result
from fuzz.errors import StorageError
from fuzz.execute.scratch import clear_abandoned
from fuzz.execute.worker import Interrupted
from fuzz.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fuzz.collection.plan import Job, Plan

__all__ = ["run_models"]

_CALLS = 64  # models after which the processes that judge are replaced
_WAIT = 0.2  # seconds


def run_models(
    jobs: Sequence[Job], plan: Plan, hear: Callable[[Result], None],
    tell: Callable[[Job, str, dict[str, Any]], None] = lambda _job, _name, _state: None,
) -> bool:  # fmt: skip
    """Do all jobs; whether they were done, and not interrupted. What is finished is kept either way.

    ``hear`` is told of each job, in this thread, in the order in which they are finished; ``tell`` of each build as it
    is done, by its job, its name and its state, in the thread that did it.

    Raises:
        TargetError: a worker does not start.
        StorageError: the cache cannot be written.
        UsageError: a script cannot be read.
    """
    try:
        plan.cache.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise StorageError(f"cannot make {plan.cache}: {problem.strerror}; give another folder with -d") from None
    clear_abandoned()
    sweep(plan.cache)
    stop = threading.Event()
    finished: queue.Queue[Result | Exception | None] = queue.Queue()
    waiting = _Waiting(jobs)
    count = max(1, min(plan.jobs, len(jobs)))
    with Apart(count, calls=_CALLS) as judges, Store.open(plan.cache, create=True) as kept:
        lanes = [
            threading.Thread(
                target=_drive, args=(Lane(plan, judges, stop, tell), waiting, stop, finished), name=f"lane-{index}"
            )
            for index in range(count)
        ]
        try:
            for lane in lanes:
                lane.start()
            for result in _results(finished, count):
                _record(kept, result)
                hear(result)
        except KeyboardInterrupt:
            return False
        finally:
            stop.set()
            _close(lanes, finished, kept)
    return True


class _Waiting:
    """The jobs that nobody has begun."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = iter(jobs)
        self._lock = threading.Lock()

    def take(self) -> Job | None:
        with self._lock:
            return next(self._jobs, None)


def _drive(
    lane: Lane, waiting: _Waiting, stop: threading.Event, finished: queue.Queue[Result | Exception | None]
) -> None:
    try:
        while not stop.is_set() and (job := waiting.take()) is not None:
            finished.put(lane.finish(job))
    except Interrupted:
        pass
    except OSError as problem:
        finished.put(StorageError(f"cannot write to the cache: {problem.strerror or problem}"))
    except Exception as problem:  # noqa: BLE001 - it is raised again in the thread that called `run_models`
        finished.put(problem)
    finally:
        lane.close()
        finished.put(None)


def _results(finished: queue.Queue[Result | Exception | None], lanes: int) -> Iterator[Result]:
    while lanes:
        try:
            item = finished.get(timeout=_WAIT)
        except queue.Empty:
            continue
        if isinstance(item, Exception):
            raise item
        if item is None:
            lanes -= 1
        else:
            yield item


def _record(kept: Store, result: Result) -> None:
    if result.executions:
        kept.record_executions([e for e, _ in result.executions], [identity for _, identity in result.executions])
        kept.record_verdicts(result.verdicts)


def _close(
    lanes: Sequence[threading.Thread], finished: queue.Queue[Result | Exception | None], kept: Store
) -> None:
    """Wait for the lanes, which have been told to stop, and write down what they had finished."""
    late: list[Result] = []
    while any(lane.is_alive() for lane in lanes) or not finished.empty():
        try:
            item = finished.get(timeout=_WAIT / 10)
        except (queue.Empty, KeyboardInterrupt):  # a second Ctrl-C would only lose what is finished
            continue
        if isinstance(item, Result):
            late.append(item)
    for result in late:
        _record(kept, result)
