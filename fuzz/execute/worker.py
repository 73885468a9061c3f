"""A worker as its driver sees it: a process that may hang, crash, print garbage or eat all memory.

One socket carries the frames; the worker's standard output and standard error go to a file in memory. The process
has a session of its own, so that Ctrl-C in the terminal reaches the driver alone, and a temporary folder of its own,
which goes with it. The kernel kills it when the *thread* that started it ends, so a worker belongs to one thread.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from typing import TYPE_CHECKING, Self

from backends.frame import Frame, FrameError, encode, exact_reader, read_frame
from backends.progress import Progress
from backends.protocol import Outcome, Stage
from fuzz.errors import TargetError
from fuzz.execute.attempt import Attempt, Heard, Limits
from fuzz.execute.child import spawn
from fuzz.execute.environment import hold
from fuzz.execute.native import HEADING, Debugger, stack_of
from fuzz.execute.printed import Printed
from fuzz.execute.process import cpu_seconds, resident_bytes
from fuzz.execute.scratch import Scratch
from fuzz.execute.several import asking, told
from fuzz.execute.watch import Ended, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from threading import Event
    from types import TracebackType

    from fuzz.execute.child import Child
    from fuzz.execute.target import Target

__all__ = ["Attempt", "Interrupted", "Limits", "Worker", "WorkerError"]

_TICK = 0.02  # seconds between two looks at a busy worker
_START_SECONDS = 180.0  # to import the backend, on a machine that is busy
_FAREWELL = 1.0  # seconds that an idle worker has to end by itself


class WorkerError(Exception):
    """The worker did not start: its backend cannot be imported there."""


class Interrupted(Exception):
    """The run is being stopped; what is in flight is dropped."""


class Worker:
    """One process that executes cases on one target, one at a time. Use it in the thread that made it."""

    may_breed = False
    """Whether it is asked to fork others in place of serving cases, if it can: then it ``breeds``."""

    def __init__(
        self, target: Target, limits: Limits, stop: Event, *, wait: bool = True,
        fork: Callable[[tuple[int, int, int]], Child] | None = None,
    ) -> None:  # fmt: skip
        """Start the process and wait until it has imported its backend; without ``wait``, `await_ready` does that.

        ``fork`` makes a process that has, given the descriptors of its channel, of the stage and of what it prints.

        Raises:
            WorkerError: it did not start; the text says why.
            Interrupted: `stop` was set meanwhile.
        """
        self._limits = limits
        self._stop = stop
        self._held = _hold(target)
        self._scratch = Scratch.make()
        self._printed = Printed()
        self._progress, self._stage_descriptor = _shared_memory()
        self._socket, other = socket.socketpair()
        self._socket.settimeout(0.0)
        self._poll = select.poll()
        self._read = exact_reader(self._receive_some)
        self._debugger: Debugger | None = None
        self._idle = False
        self._number: int | None = None  # which of several cases was in hand at the last look
        try:
            with other:
                passed = other.fileno(), self._stage_descriptor
                printed, place = self._printed.descriptor, self._scratch.path
                self._process = fork((*passed, printed)) if fork else spawn(target, passed, printed, place)
        except OSError as problem:
            self._release()
            raise WorkerError(f"{target.python} cannot be started: {problem}") from problem
        except WorkerError:
            self._release()
            raise
        self._use = Watch(self._process.pid, limits)
        try:
            self._begin(_START_SECONDS)
            self._ask_for(target)
            if wait:
                self.await_ready()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask_for(self, target: Target) -> None:
        self._target = target
        fields = {
            "module": target.entry.module,
            "distributions": target.entry.distributions,
            "options": {**dict(target.options), "device": target.device},
            "home": dict(target.environment).get("HOME", self._scratch.path),
            "folder": self._scratch.path,
            "breeds": self.may_breed,
        }
        with contextlib.suppress(Ended):  # await_ready hears of it as well
            self._send(encode(Frame("start", fields)))

    def await_ready(self) -> None:
        """Wait until the worker has imported its backend. Raises WorkerError, Interrupted."""
        target = self._target
        self._use.rewind(_START_SECONDS)
        try:
            answer = self._receive()
        except Ended as end:
            tail = self._printed.tail()
            raise WorkerError(f"the worker of {target.canonical} did not start: {end.message} {tail}") from None
        if answer.operation != "ready":
            raise WorkerError(f"the worker of {target.canonical} did not start: {answer.fields.get('message')}")
        self.version = str(answer.fields.get("version") or "")
        if target.home is not None and self.version != target.version:
            raise WorkerError(
                f"the environment of {target.canonical} has {self.version} in place of {target.version}: "
                f"fuzz backends remove {target.backend}=={target.version}, and run the same command again"
            )
        self._idle = True
        self.breeds = bool(answer.fields.get("breeds"))
        self.start_cpu_seconds = cpu_seconds((self._process.pid,))

    @property
    def alive(self) -> bool:
        """Whether it can take another case."""
        return self._process.returncode is None

    @property
    def bloated(self) -> bool:
        """Whether an idle worker holds so much memory that the next case would not have its share."""
        return resident_bytes((self._process.pid,)) > self._limits.resident_bytes // 2

    def execute(self, request: Sequence[bytes], *, expect: Outcome = Outcome.OK) -> Attempt:
        """Do what an encoded request asks for: `execute` a case, or another operation of `backends.service`.

        Whatever the worker does, the answer is an `Attempt`; after a crash, a time-out or an excess of memory the
        worker is dead. Where a crash or a time-out is expected, the native stack is kept. Raises `Interrupted`.
        """
        self._idle = False
        self._expected = expect
        if expect is Outcome.CRASH:
            self._debugger = Debugger.attach(self._process.pid)
        self._begin(self._limits.seconds)
        heard = Heard()
        try:
            self._send(request)
            while True:
                frame = self._receive()
                match frame.operation:
                    case "done":
                        heard.hear(frame)
                        return self._finished(frame, heard)
                    case "outputs":
                        heard.hear(frame)
                    case "report":
                        heard.reports.append(frame)
                    case "lap":
                        self._use.rewind(self._limits.seconds)
                    case unknown:
                        raise Ended(Outcome.CRASH, f"the worker sent an unknown message {unknown!r}")  # noqa: TRY301
        except (KeyError, TypeError, ValueError) as problem:
            # A frame without its fields is as good as a crash: the worker is not to be trusted from here on.
            return self._finish_dead(Ended(Outcome.CRASH, f"the worker garbled a message: {problem}"), heard)
        except Ended as end:
            return self._finish_dead(end, heard)

    def execute_several(self, requests: Sequence[Sequence[bytes]]) -> list[Attempt]:
        """Execute cases in one message, each within the limits: attempts at the first of them, one at the least.

        The last one is at the case that ended the worker, if one did; the others are to be sent to the next worker, and
        so are those that were too much for one message or one answer. Raises `Interrupted`.
        """
        message, count = asking(requests)
        if count == 1:
            return [self.execute(message)]
        self._idle, self._expected, self._number = False, Outcome.OK, 0
        self._progress.rewind()
        self._progress.begin(0, 0)
        self._begin(self._limits.seconds)
        end = None
        try:
            self._send(message)
            if (answer := self._receive()).operation != "served":
                end = Ended(Outcome.CRASH, f"the worker sent an unknown message {answer.operation!r}")
        except Ended as problem:
            end = problem
        number, self._number = self._number, None
        return self._attempts(end, number)

    def _attempts(self, end: Ended | None, looked_at: int) -> list[Attempt]:
        """What came of several cases; ``looked_at`` was in hand when the worker was found to use too much."""
        if end is not None:
            self._kill()  # nothing is answered from here on
        done, rest = told(self._progress.answers())
        place = self._progress.place()
        try:
            attempts = [self._finished(frame, heard) for heard, frame in done]
        except (KeyError, TypeError, ValueError) as problem:
            attempts, end = [], Ended(Outcome.CRASH, f"the worker garbled a message: {problem}")
        if end is None and not attempts:
            end = Ended(Outcome.CRASH, "the worker garbled a message")
        if end is None:
            self._idle = True
            return attempts
        self._idle = False
        if not attempts or len(attempts) == (looked_at if end.exceeded else place.number):
            attempts.append(self._finish_dead(end, rest, place.printed))
        else:  # it had done with the one and not begun another: nobody's fault
            self.close()
        return attempts

    def _finish_dead(self, end: Ended, heard: Heard, printed: int = 0) -> Attempt:
        stage = self._progress.stage()
        wall, cpu = self._use.elapsed, self._use.cpu_used()
        stack = self._stack(end.outcome)
        if stack and self._debugger is not None and self._debugger.overflowed():
            end = Ended(end.outcome, f"{end.message}: its stack overflowed")
        self._kill()
        words = self._printed.tail(printed)
        self.close()
        words = f"{words}\n{HEADING}\n{stack}".strip() if stack else words
        if stage is Stage.PLAIN:
            message = f"the plain runtime fails where the tool has no part in it: {end.message}"
            end = Ended(Outcome.UNSUPPORTED, message)
        return Attempt(end.outcome, stage, end.message, words, wall, cpu, tuple(heard.outputs), tuple(heard.reports))

    def _stack(self, outcome: Outcome) -> str:
        if self._debugger is not None:
            return self._debugger.stack()
        if outcome is Outcome.TIMEOUT and self._expected is Outcome.TIMEOUT:
            return stack_of(self._process.pid)
        return ""

    def _finished(self, frame: Frame, heard: Heard) -> Attempt:
        self._idle = True
        fields = frame.fields
        outcome = Outcome(fields["outcome"])
        return Attempt(
            outcome=outcome,
            stage=Stage(fields["stage"]),
            message=str(fields["message"]),
            stderr="" if outcome is Outcome.OK else self._printed.tail(*fields["printed"]),
            wall_seconds=float(fields["wall_seconds"]),
            cpu_seconds=float(fields["cpu_seconds"]),
            outputs=tuple(heard.outputs),
            reports=tuple(heard.reports),
        )

    # --- the channel, watched ---------------------------------------------------------------------------------------

    def _begin(self, seconds: float) -> None:
        self._use.rewind(seconds)
        self._watched = time.monotonic()
        self._progress.enter(Stage.IMPORT)
        self._printed.clear()

    def _send(self, parts: Sequence[bytes]) -> None:
        for part in parts:
            rest = memoryview(part)
            while rest:
                try:
                    rest = rest[self._socket.send(rest) :]
                except BlockingIOError:
                    self._wait(select.POLLOUT)
                except ConnectionError:
                    raise self._death() from None

    def _receive(self) -> Frame:
        try:
            return read_frame(self._read)
        except EOFError:
            raise self._death() from None
        except FrameError as problem:
            if self._exits_within(0.5):
                end = self._death()
                raise Ended(end.outcome, f"{end.message} ({problem})") from None
            raise Ended(Outcome.CRASH, f"the worker garbled a message: {problem}") from None

    def _receive_some(self, length: int) -> bytes:
        while True:
            self._wait(select.POLLIN)
            try:
                return self._socket.recv(length)
            except BlockingIOError:
                continue
            except ConnectionError:
                return b""

    def _wait(self, event: int) -> None:
        """Sleep until the channel is ready or the next look at the worker is due."""
        self._poll.register(self._socket, event)
        ready = self._poll.poll(_TICK * 1000)
        now = time.monotonic()
        if now - self._watched >= _TICK or not ready:
            self._watched = now
            self._look(now)
        if not ready and self._process.exited():
            raise self._death()

    def _look(self, now: float) -> None:
        if self._stop.is_set():
            raise Interrupted
        if self._number is not None and (place := self._progress.place()).number != self._number:
            self._number = place.number
            self._use.rewind(self._limits.seconds, place.since)
        self._printed.trim()
        late = self._use.look(now)
        if late >= 0 and not (self._debugger is not None and self._debugger.walks()):
            self._use.judge_delay(now)

    # --- the end ----------------------------------------------------------------------------------------------------

    def _exits_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not self._process.exited():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        return True

    def _death(self) -> Ended:
        """The outcome of a worker whose channel has closed or whose process is over."""
        if not self._exits_within(2.0):
            return Ended(Outcome.CRASH, "the worker closed its channel and lived on")
        self._kill()
        status = self._process.returncode or 0
        if status >= 0:
            return Ended(Outcome.CRASH, f"the worker exited with status {status} without an answer")
        name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
        if name == "SIGKILL" and self._use.resident > self._limits.resident_bytes // 2:
            return Ended(Outcome.OOM, f"killed at {self._use.resident >> 20} MiB: the machine is out of memory")
        return Ended(Outcome.CRASH, f"the worker died of {name}")

    def _kill(self) -> None:
        if self._process.returncode is None:
            self._process.end()

    def close(self) -> None:
        """End the process and its children; give back the descriptors and the temporary folder."""
        if self._idle:
            # It ends by itself when its channel closes, and may put its own things away.
            self._socket.close()
            self._exits_within(_FAREWELL)
        self._kill()
        self._release()

    def _release(self) -> None:
        if self._printed.descriptor < 0:
            return
        self._printed.close()
        os.close(self._stage_descriptor)
        if self._debugger is not None:
            self._debugger.close()
        self._socket.close()
        self._scratch.remove()
        if self._held is not None:
            os.close(self._held)


def _hold(target: Target) -> int | None:
    """Keep the target's environment, where it is one of ours, from being removed."""
    try:
        return None if target.home is None else hold(target.home)
    except TargetError as problem:
        raise WorkerError(str(problem)) from None


def _shared_memory() -> tuple[Progress, int]:
    descriptor = os.memfd_create("worker-progress")
    progress = Progress(descriptor)
    progress.rewind()
    return progress, descriptor
