"""What is asked of a candidate: the verdict on a target, or a command of the user's."""

from __future__ import annotations

import queue
import signal
import subprocess
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from backends.frame import Frame as Message
from backends.frame import FrameError, encode
from backends.protocol import Outcome
from backends.tensor import same
from fuzz.case import misfit
from fuzz.errors import UsageError
from fuzz.execute.attempt import Attempt
from fuzz.execute.group import end_group
from fuzz.execute.run import beside_of
from fuzz.execute.start import ready_worker, start_worker
from fuzz.execute.worker import Interrupted, Worker, WorkerError
from fuzz.judge.verdict import Word
from fuzz.signature import signature as ports_of
from fuzz.triage.assessment import assess, invalid
from fuzz.triage.candidate import names_in
from fuzz.triage.observation import Observation
from fuzz.triage.output import write_candidate
from fuzz.triage.signature import Signature, signature_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backends.tensor import Value
    from fuzz.execute.nursery import Nursery
    from fuzz.execute.target import Target
    from fuzz.execute.worker import Limits
    from fuzz.triage.candidate import Candidate

__all__ = ["INTERESTING", "Apart", "CommandPredicate", "Predicate", "VerdictPredicate", "refused_by_checker"]

# How often the data sets are run again, forth and back, and how often after that if nothing differed: with one set,
# what differs in one of four runs is missed once in ten thousand candidates.
_ROUNDS = (4, 12)

_AHEAD = 1  # workers of a thread that are started before they are needed

T = TypeVar("T")

INTERESTING = Signature("interesting")
"""What a command that exits with 0 says of a candidate."""


class Apart(Protocol):
    """Calls a function in a process that parses models; None where that died of it, or the function failed."""

    def __call__(self, function: Callable[..., T], /, *arguments: Any) -> T | None:
        """Call it."""


class Predicate(Protocol):
    """Examines candidates, from several threads at a time."""

    heading: dict[str, Any]
    """Names what is asked: answers to other questions are not taken for answers to this one."""
    target: str
    """The canonical text of the target, empty where there is none."""

    def examine(self, candidate: Candidate, apart: Apart) -> Observation:
        """What becomes of a candidate. Raises TargetError, Interrupted."""

    def run(self, model: bytes, sets: Sequence[Sequence[Value]]) -> Attempt | None:
        """One attempt at a model, not judged; None where there is no target."""

    def renew(self) -> None:
        """Whatever is examined next is examined in a new process."""

    def hasten(self, seconds: float | None) -> None:
        """Allow a candidate so many seconds from now on, at most what was allowed at first; None: as much as that."""

    def stop(self) -> None:
        """End what runs: nothing more is examined."""


def refused_by_checker(candidate: Candidate, apart: Apart) -> Observation | None:
    """What is said of a model that ONNX's checker refuses, or that takes other inputs: it was not tried."""
    problem = apart(invalid, candidate.model)
    if problem == "":
        problem = _unfit(candidate)
    if problem == "":
        return None
    told = problem or "the checker died of it"
    return Observation(Signature(Word.ERROR, message="invalid"), fit=False, problem=told)


def _unfit(candidate: Candidate) -> str:
    """What is wrong with an input for its declared type; empty where all fit."""
    types = {port.name: port.type for port in ports_of(candidate.model).inputs}
    pairs = ((types[name], value) for feed in candidate.feeds for name, value in feed.items() if name in types)
    return next(filter(None, (misfit(wanted, value) for wanted, value in pairs)), "")


class VerdictPredicate:
    """The verdict of the judge on what a target does: ``jobs`` workers, started when they are needed.

    Once a candidate has ended its worker, the next worker is started before it is needed, while this one is at work.
    ``unstable`` asks whether the answer differs from run to run, before it asks whether it is right. ``judged`` is the
    target whose contract the answers are held to, where that is another one. Workers come from the ``nursery`` where
    there is one; it belongs to one thread, and so does then what asks this.
    """

    def __init__(
        self, target: Target, limits: Limits, jobs: int = 1, *, unstable: bool = False, judged: str = "",
        nursery: Nursery | None = None,
    ) -> None:  # fmt: skip
        self.target = judged or target.canonical
        self._unstable = unstable
        self.heading: dict[str, Any] = {
            "target": target.canonical, "version": target.version, "seconds": limits.seconds,
            "memory": limits.resident_bytes, "unstable": unstable,
        }  # fmt: skip
        self._target, self._full, self._jobs = target, limits, jobs
        self._limits = limits
        self._stop = threading.Event()
        self._idle: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        self._spares = _Spares(target, self._stop, nursery)
        for _ in range(jobs):
            self._idle.put(None)

    def examine(
        self, candidate: Candidate, apart: Apart, options: Mapping[str, str] | None = None
    ) -> Observation:
        """Run and judge a candidate that the checker accepts, with these options on top of the target's."""
        refused = refused_by_checker(candidate, apart)
        if refused is not None:
            return refused
        attempt = self.run(candidate.model, candidate.values(), options)
        if self._unstable and attempt.outcome is Outcome.OK and not self._repeats(candidate, attempt, options):
            return Observation(Signature(Word.NONDETERMINISTIC))
        found = apart(assess, candidate, self.target, attempt, beside_of(attempt))
        if found is None:
            return Observation(Signature(Word.ERROR), fit=False, problem="judging it failed")
        names = names_in(candidate.proto()) if attempt.outcome is not Outcome.OK else ()
        signature = signature_of(found.verdict, attempt, names)
        return Observation(signature, found.defined, found.problem, found.verdict, attempt.message)

    def _repeats(self, candidate: Candidate, attempt: Attempt, options: Mapping[str, str] | None) -> bool:
        """Whether the same outputs come again, with the data sets in other orders."""
        sets, due = candidate.values(), list(attempt.outputs)
        return all(self._as_before(candidate.model, sets, due, rounds, options) for rounds in _ROUNDS)

    def _as_before(
        self, model: bytes, sets: Sequence[Sequence[Value]], due: Sequence[Any], rounds: int,
        options: Mapping[str, str] | None,
    ) -> bool:  # fmt: skip
        again = self.run(model, [*sets, *reversed(sets)] * rounds, options)
        wanted = [*due, *reversed(due)] * rounds
        return again.outcome is Outcome.OK and all(
            same(list(got), list(want)) for got, want in zip(again.outputs, wanted, strict=True)
        )

    def run(
        self, model: bytes, sets: Sequence[Sequence[Value]], options: Mapping[str, str] | None = None
    ) -> Attempt:
        """One attempt in whichever worker is free, with these options on top of the target's."""
        fields: dict[str, Any] = {"folder": None, **({"options": dict(options)} if options else {})}
        try:
            request = encode(Message("execute", fields, [list(inputs) for inputs in sets], model))
        except FrameError as problem:
            return Attempt(Outcome.ERROR, None, str(problem), "", 0.0, 0.0, ())
        worker = self._idle.get()
        try:
            if worker is not None and (not worker.alive or worker.bloated):
                worker.close()
                worker = None
            if worker is None:
                worker = self._spares.take(self._limits)
            attempt = worker.execute(request)
            if not worker.alive:
                self._spares.add(self._limits)
            return attempt
        finally:
            self._idle.put(worker)

    def renew(self) -> None:
        """End all workers."""
        held = [self._idle.get() for _ in range(self._jobs)]
        for worker in held:
            if worker is not None:
                worker.close()
            self._idle.put(None)
        self._spares.close()

    def hasten(self, seconds: float | None) -> None:
        """Workers have other limits from now on."""
        self._limits = self._full if seconds is None else replace(self._full, seconds=min(seconds, self._full.seconds))
        self.renew()

    def stop(self) -> None:
        """End all workers, those at work too."""
        self._stop.set()
        self.renew()


class _Spares:
    """Workers that were started ahead, each in the thread that lost one: it is that one's to use.

    The kernel ends a worker with the thread that started it.
    """

    def __init__(self, target: Target, stop: threading.Event, nursery: Nursery | None) -> None:
        self._target, self._stop, self._nursery = target, stop, nursery
        self._ready: dict[int, list[Worker]] = {}
        self._lock = threading.Lock()

    def take(self, limits: Limits) -> Worker:
        """A worker that is ready. Raises Interrupted, TargetError."""
        with self._lock:
            own = self._ready.get(threading.get_ident(), [])
            spare = own.pop(0) if own else None
        if spare is None:
            return start_worker(self._target, limits, self._stop, self._nursery)
        self.add(limits)
        return ready_worker(spare, self._target, limits, self._stop)

    def add(self, limits: Limits) -> None:
        """Start one more, unless this thread has one; a worker that cannot be started is not needed yet."""
        with self._lock:
            own = self._ready.setdefault(threading.get_ident(), [])
        make = Worker if self._nursery is None else self._nursery.worker
        while len(own) < _AHEAD:
            try:
                own.append(make(self._target, limits, self._stop, wait=False))
            except WorkerError:
                return

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            held = [worker for own in self._ready.values() for worker in own]
            self._ready.clear()
        for worker in held:
            worker.close()


class CommandPredicate:
    """A command of the user's, which exits with 0 for a candidate that is interesting.

    It is called with the model's path and that of its test_data_set_0, in place of ``{model}`` and ``{inputs}`` or
    else behind its own arguments, in an empty folder. One that takes longer than ``seconds`` is ended, and not
    interesting.
    """

    target = ""

    def __init__(self, command: Sequence[str], seconds: float) -> None:
        self.heading: dict[str, Any] = {"command": list(command), "seconds": seconds}
        self._command, self._seconds = tuple(command), seconds
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stop = threading.Event()

    def examine(self, candidate: Candidate, apart: Apart) -> Observation:
        """Ask the command about a candidate that the checker accepts. Raises Interrupted: it was ended by ``stop``."""
        refused = refused_by_checker(candidate, apart)
        if refused is not None:
            return refused
        with tempfile.TemporaryDirectory(prefix="fuzz-reduce-") as folder:
            place = Path(folder)
            write_candidate(place / "case", candidate)
            (place / "here").mkdir()
            status = self._call(place)
        if self._stop.is_set():  # what it was ended with is no answer
            raise Interrupted
        word = INTERESTING if status == 0 else Signature("dull")
        return Observation(word, said=f"exit status {status}")

    def _call(self, place: Path) -> int:
        paths = {"{model}": str(place / "case/model.onnx"), "{inputs}": str(place / "case/test_data_set_0")}
        arguments = [_filled(word, paths) for word in self._command]
        if arguments == list(self._command):
            arguments += paths.values()
        try:
            process = subprocess.Popen(
                arguments, cwd=place / "here", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            told = f"{self._command[0]} cannot be started: {error.strerror}; it is called in a folder of its own"
            raise UsageError(f"{told}, so give whole paths") from None
        self._running.add(process)
        try:
            return process.wait(self._seconds)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL
        finally:
            end_group(process)
            self._running.discard(process)

    def run(self, model: bytes, sets: Sequence[Sequence[Value]]) -> None:
        """There is no target."""

    def renew(self) -> None:
        """Each call is a new process as it is."""

    def hasten(self, seconds: float | None) -> None:
        """A command takes as long as it takes."""

    def stop(self) -> None:
        """End the commands that run."""
        self._stop.set()
        for process in tuple(self._running):
            end_group(process)


def _filled(word: str, paths: dict[str, str]) -> str:
    for name, path in paths.items():
        word = word.replace(name, path)
    return word
