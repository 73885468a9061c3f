"""Where fresh workers come from in milliseconds: of each backend a process that has imported it and forks them.

A fork has seen no case, as a process that was just started; but it costs some milliseconds in place of the 0.2 to 5
seconds of CPU time that an interpreter and a backend take to start. A backend that has threads once it is imported
(OpenVINO) is started anew each time.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
from typing import TYPE_CHECKING, Self, TypeAlias

from backends.breeding import FORK, FORKED, REAP, REAPED, REQUEST
from fuzz.execute.child import Forked
from fuzz.execute.worker import Worker, WorkerError

if TYPE_CHECKING:
    from pathlib import Path
    from threading import Event
    from types import TracebackType

    from fuzz.execute.attempt import Limits
    from fuzz.execute.child import Child
    from fuzz.execute.target import Target

__all__ = ["Nursery"]

_HOST = "cpu"
_PATIENCE = 60.0  # seconds that a fork may take on a busy machine
_KILLED = -signal.SIGKILL

_Kind: TypeAlias = "tuple[str, Path | None, str, tuple[tuple[str, str], ...]]"


class Nursery:
    """Makes workers. A context manager, for the thread that made it: that one's end ends all of them."""

    def __init__(self) -> None:
        self._mothers: dict[_Kind, _Mother | None] = {}
        self._spent = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for mother in self._mothers.values():
            if mother is not None:
                self._spent += mother.spent
                mother.close()
        self._mothers.clear()

    @property
    def spent(self) -> float:
        """CPU seconds of forked workers that have ended: the kernel does not count them as this process's children."""
        return self._spent + sum(mother.spent for mother in self._mothers.values() if mother is not None)

    def worker(self, target: Target, limits: Limits, stop: Event, *, wait: bool = True) -> Worker:
        """A fresh worker; without ``wait`` it may not be ready. Raises WorkerError, Interrupted."""
        if target.device != _HOST:  # what a device's driver has set up belongs to one process
            return Worker(target, limits, stop, wait=wait)
        kind = _kind(target)
        mother = self._mothers.get(kind)
        if mother is not None and not mother.alive:
            self._spent += mother.spent
            mother.close()
            del self._mothers[kind]
        if kind not in self._mothers:
            made = _Mother(target, limits, stop)
            self._mothers[kind] = made if made.breeds else None
            if not made.breeds:
                return made  # it is as good a worker as any
        mother = self._mothers[kind]
        return Worker(target, limits, stop, wait=wait, fork=None if mother is None else mother.fork)


def _kind(target: Target) -> _Kind:
    """What targets have in common whose workers one process forks: all but the options that a worker is told of."""
    return target.python, target.home, target.entry.module, tuple(sorted(target.variables().items()))


class _Mother(Worker):
    """A worker that forks others, unless it cannot: then it works."""

    may_breed = True
    spent = 0.0

    @property
    def alive(self) -> bool:
        """Whether it can fork."""
        return super().alive and not self._process.exited()

    def fork(self, descriptors: tuple[int, int, int]) -> Child:
        """Another worker, with these: its channel, the stage, what is printed. Raises WorkerError."""
        try:
            self._socket.settimeout(_PATIENCE)
            socket.send_fds(self._socket, [REQUEST.pack(FORK, 0)], descriptors)
            (pid,) = FORKED.unpack(self._socket.recv(FORKED.size, socket.MSG_WAITALL))
            return Forked(pid, self._reap)
        except (OSError, struct.error) as problem:
            self._kill()
            raise WorkerError(f"the worker of {self._target.canonical} cannot be forked: {problem}") from None
        except BaseException:
            self._kill()  # an answer that nobody has read would be taken for that to the next question
            raise

    def _reap(self, pid: int) -> int:
        """How a forked worker has ended, or is killed now."""
        try:
            self._socket.sendall(REQUEST.pack(REAP, pid))
            status, seconds = REAPED.unpack(self._socket.recv(REAPED.size, socket.MSG_WAITALL))
        except (OSError, struct.error):
            self._kill()
            return _KILLED  # its mother is gone, and it with her
        except BaseException:
            self._kill()  # as above
            raise
        self.spent += seconds
        return os.waitstatus_to_exitcode(status)
