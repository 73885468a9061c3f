"""Execute cases on targets, all targets side by side, and put what comes of it into the store."""

from __future__ import annotations

import os
import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from backends.frame import BODY_LIMIT, Frame, FrameError, encode
from backends.protocol import Outcome
from fuzz.case import digest, read_inputs
from fuzz.errors import CaseError
from fuzz.execute.execution import Execution
from fuzz.execute.scratch import clear_abandoned
from fuzz.execute.start import start_worker
from fuzz.execute.worker import Attempt, Interrupted, Limits, Worker
from fuzz.signature import read_signature

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backends.tensor import Value
    from fuzz.case import Case
    from fuzz.execute.target import Target
    from fuzz.store import Store

__all__ = ["Request", "Summary", "beside_of", "execute", "request_of"]

_BATCH = 256  # executions written at once
_BATCH_SECONDS = 0.5  # and at the latest after this time
_REPEATED = frozenset({Outcome.CRASH, Outcome.TIMEOUT, Outcome.OOM})
_KEPT = 64 * 2**20  # bytes of requests kept ready, for targets that go through the cases at about the same pace


@dataclass(frozen=True, slots=True)
class Summary:
    """What a call to `execute` did.

    Attributes:
        outcomes: by target, how many of the cases have each outcome, those executed earlier included.
        executed: how many (case, target) pairs were executed now.
        skipped: how many were in the store already.
        interrupted: whether it was stopped; what was finished is in the store.
    """

    outcomes: Mapping[str, Mapping[Outcome, int]]
    executed: int
    skipped: int
    interrupted: bool


class Request(NamedTuple):
    """A case ready to send to a worker: the encoded message, or why there is none."""

    parts: Sequence[bytes]
    problem: str

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(map(len, self.parts))


class _Finished(NamedTuple):
    target: Target
    digest: str
    execution: Execution | None
    outcome: Outcome


def execute(  # noqa: PLR0913 - each is a choice of the user's
    cases: Sequence[Case],
    targets: Sequence[Target],
    *,
    store: Store,
    timeout: float = 60.0,
    memory: int = 4096,
    total_memory: int | None = None,
    jobs: int | None = None,
    force: bool = False,
    stacks: bool = True,
    progress: Callable[[Target, Outcome], None] = lambda _target, _outcome: None,
) -> Summary:
    """Execute each case on each target, unless the store has the same case on the same version already.

    Args:
        cases: what to execute, in this order.
        targets: where; each has its own worker processes.
        store: where executions go, in batches; only this thread writes.
        timeout: seconds that one case may take on one target, all its data sets together.
        memory: MiB of resident memory that one worker may use.
        total_memory: MiB that all workers together may use: so many of them run side by side as it has room for.
        jobs: worker processes at a time; by default one a core, and at least one a target.
        force: execute also what is in the store.
        stacks: keep the native stacks of crashes and time-outs that repeat, where gdb is installed.
        progress: told of each case that is done or skipped, in this thread.

    Raises:
        TargetError: a worker cannot be started at all.
        StorageError: the store cannot be written.
    """
    clear_abandoned()
    stop = threading.Event()
    finished: queue.Queue[_Finished | Exception | None] = queue.Queue(maxsize=4 * _BATCH)
    limits = Limits(timeout, memory << 20)
    known = {target: {} if force else store.executed(target.canonical, target.version) for target in targets}
    schedule = _Schedule(cases, targets)
    library = _Library()
    count = min(jobs or max(len(os.sched_getaffinity(0)), len(targets)), len(cases) * len(targets))
    if total_memory is not None:
        count = min(count, max(total_memory // memory, 1))
    lanes = [
        threading.Thread(
            target=_Lane(schedule, known, library, limits, stop, finished, stacks=stacks).drive, name=f"lane-{index}"
        )
        for index in range(count)
    ]
    writer = _Writer(store, targets, progress)
    interrupted = False
    try:
        for lane in lanes:
            lane.start()
        writer.drain(finished, open_lanes=count)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        stop.set()
        writer.close(finished, lanes)
    return writer.summary(interrupted=interrupted)


class _Schedule:
    """Hands out (target, case) pairs: each lane stays with one target until its cases are all taken."""

    def __init__(self, cases: Sequence[Case], targets: Sequence[Target]) -> None:
        self._cases = cases
        self._next = dict.fromkeys(targets, 0)
        self._lanes = dict.fromkeys(targets, 0)
        self._lock = threading.Lock()

    def take_target(self) -> Target | None:
        """The target with the most cases left for each lane that works on it."""
        with self._lock:
            left = {target: len(self._cases) - done for target, done in self._next.items()}
            target = max(left, key=lambda target: left[target] / (self._lanes[target] + 1))
            if not left[target]:
                return None
            self._lanes[target] += 1
            return target

    def take_case(self, target: Target) -> Case | None:
        """The next case of a target; None gives up the lane's place there."""
        with self._lock:
            index = self._next[target]
            if index >= len(self._cases):
                self._lanes[target] -= 1
                return None
            self._next[target] = index + 1
            return self._cases[index]


class _Lane:
    """One thread with at most one worker process at a time."""

    def __init__(
        self,
        schedule: _Schedule,
        known: Mapping[Target, Mapping[tuple[str, str], Outcome]],
        library: _Library,
        limits: Limits,
        stop: threading.Event,
        finished: queue.Queue[_Finished | Exception | None],
        *,
        stacks: bool,
    ) -> None:
        self._stacks = stacks
        self._schedule = schedule
        self._known = known
        self._library = library
        self._limits = limits
        self._stop = stop
        self._finished = finished
        self._worker: Worker | None = None

    def drive(self) -> None:
        """Work until nothing is left, or until stopped."""
        try:
            while (target := self._schedule.take_target()) is not None:
                self._serve(target)
        except Interrupted:
            pass
        except Exception as problem:  # noqa: BLE001 - it is raised again in the thread that called `execute`
            self._put(problem)
        finally:
            self._put(None)

    def _put(self, item: _Finished | Exception | None) -> None:
        """Hand an item to the writer; it keeps emptying the queue until every lane has ended."""
        self._finished.put(item)

    def _serve(self, target: Target) -> None:
        try:
            while (case := self._schedule.take_case(target)) is not None:
                if self._stop.is_set():
                    raise Interrupted
                self._put(self._finish(target, case))
        finally:
            self._drop()

    def _finish(self, target: Target, case: Case) -> _Finished:
        try:
            identity = self._library.digest(case)
        except OSError as problem:
            raise CaseError(f"cannot read {case.folder}: {problem.strerror}") from None
        before = self._known[target].get((case.id, identity))
        if before is not None:
            return _Finished(target, identity, None, before)
        attempt, attempts = self._attempt(target, self._library.request(case))
        execution = Execution(
            case=case.id, target=target.canonical, version=target.version, outcome=attempt.outcome,
            stage=attempt.stage, message=attempt.message, stderr=attempt.stderr, attempts=attempts,
            wall_seconds=attempt.wall_seconds, cpu_seconds=attempt.cpu_seconds, outputs=attempt.outputs,
            beside=beside_of(attempt),
        )  # fmt: skip
        return _Finished(target, identity, execution, attempt.outcome)

    def _attempt(self, target: Target, request: Request) -> tuple[Attempt, int]:
        if request.problem:
            return Attempt(Outcome.ERROR, None, request.problem, "", 0.0, 0.0, ()), 1
        first = self._ready(target).execute(request.parts)
        if first.outcome not in _REPEATED:
            return first, 1
        # It counts only if it happens again where nothing came before it.
        self._drop()
        second = self._ready(target).execute(request.parts, expect=first.outcome if self._stacks else Outcome.OK)
        if second.outcome == first.outcome:
            return second, 2
        note = f"flaky: {first.outcome.value} at first ({first.message})"
        message = f"{note}; {second.message}" if second.message else note
        stderr = second.stderr or first.stderr
        return (
            Attempt(
                second.outcome, second.stage, message, stderr, second.wall_seconds, second.cpu_seconds, second.outputs
            ),
            2,
        )

    def _ready(self, target: Target) -> Worker:
        """The lane's worker, a new one where it died or holds on to too much memory."""
        if self._worker is not None and (not self._worker.alive or self._worker.bloated):
            self._drop()
        if self._worker is None:
            self._worker = start_worker(target, self._limits, self._stop)
        return self._worker

    def _drop(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None


def beside_of(attempt: Attempt) -> dict[tuple[str, int, int], Value]:
    """What was computed beside the outputs of a model that a tool has rewritten."""
    return {
        (str(frame.fields["beside"]), int(frame.fields["data_set"]), int(position)): value
        for frame in attempt.reports
        if "beside" in frame.fields
        for position, value in zip(frame.fields["positions"], frame.values, strict=True)
    }


class _Writer:
    """Counts what comes in and writes it in batches."""

    def __init__(self, store: Store, targets: Sequence[Target], progress: Callable[[Target, Outcome], None]) -> None:
        self._store = store
        self._progress = progress
        self._counts = {target.canonical: dict.fromkeys(Outcome, 0) for target in targets}
        self._batch: list[_Finished] = []
        self._written_at = time.monotonic()
        self._executed = self._skipped = 0

    def drain(self, finished: queue.Queue[_Finished | Exception | None], open_lanes: int) -> None:
        """Take in what the lanes finish until all of them have ended; raise what one of them raised."""
        while open_lanes:
            try:
                item = finished.get(timeout=_BATCH_SECONDS)
            except queue.Empty:
                self._flush()
                continue
            if isinstance(item, Exception):
                raise item
            if item is None:
                open_lanes -= 1
            else:
                self._take(item)

    def _take(self, item: _Finished) -> None:
        self._counts[item.target.canonical][item.outcome] += 1
        if item.execution is None:
            self._skipped += 1
        else:
            self._executed += 1
            self._batch.append(item)
            if len(self._batch) >= _BATCH or time.monotonic() - self._written_at > _BATCH_SECONDS:
                self._flush()
        self._progress(item.target, item.outcome)

    def _flush(self) -> None:
        if self._batch:
            executions = [item.execution for item in self._batch if item.execution is not None]
            self._store.record_executions(executions, [item.digest for item in self._batch])
            # Forgotten only now: a Ctrl-C while they are being written leaves them for the last flush.
            self._batch = []
        self._written_at = time.monotonic()

    def close(self, finished: queue.Queue[_Finished | Exception | None], lanes: Sequence[threading.Thread]) -> None:
        """Wait for the lanes, which have been told to stop, and write what they had finished.

        Nothing is written before all of them have ended: a full disk must not keep one waiting for room in the queue.
        """
        late: list[_Finished] = []
        while any(lane.is_alive() for lane in lanes) or not finished.empty():
            try:
                item = finished.get(timeout=0.01)
            except (queue.Empty, KeyboardInterrupt):  # a second Ctrl-C would only lose what is finished
                continue
            if isinstance(item, _Finished):
                late.append(item)
        for item in late:
            self._take(item)
        self._flush()

    def summary(self, *, interrupted: bool) -> Summary:
        """What was done."""
        return Summary(self._counts, self._executed, self._skipped, interrupted)


class _Library:
    """Reads each case once for all targets that come to it at about the same time."""

    def __init__(self) -> None:
        # The lock keeps two lanes at the same case from both reading it.
        self._lock = threading.Lock()
        self._digests: dict[str, str] = {}
        self._requests: dict[str, Request] = {}  # the oldest first
        self._size = 0

    def digest(self, case: Case) -> str:
        """The digest of a case's files."""
        with self._lock:
            if case.id not in self._digests:
                self._digests[case.id] = digest(case)
            return self._digests[case.id]

    def request(self, case: Case) -> Request:
        """The message that asks a worker to execute the case."""
        with self._lock:
            if case.id not in self._requests:
                self._requests[case.id] = request_of(case)
                self._size += self._requests[case.id].size
            request = self._requests[case.id]
            while self._size > _KEPT:
                self._size -= self._requests.pop(next(iter(self._requests))).size
            return request


def _read_model(case: Case) -> bytes:
    if case.model_path.stat().st_size > BODY_LIMIT:
        raise CaseError(f"{case.model_path} is larger than 2 GiB, which no protocol buffer is")
    return case.model_path.read_bytes()


def request_of(case: Case) -> Request:
    """Read and encode a case; a fault of its files is told, not raised."""
    try:
        ports = read_signature(case.model_path)
        values = [list(read_inputs(case, data_set, ports)) for data_set in case.data_sets]
        folder = {"folder": str(case.folder.resolve())}
        return Request(encode(Frame("execute", folder, values, _read_model(case))), "")
    except (CaseError, FrameError, OSError) as problem:
        return Request((), f"the case cannot be read: {problem}")
