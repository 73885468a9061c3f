"""The process of a worker: started by this one, or forked by another one of our children (`backends.breeding`)."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from typing import TYPE_CHECKING, Protocol

from backends import __main__ as _entry_point
from fuzz.execute.group import end_group

if TYPE_CHECKING:
    from collections.abc import Callable

    from fuzz.execute.target import Target

__all__ = ["Child", "Forked", "spawn"]


class Child(Protocol):
    """A process that leads a group of its own."""

    @property
    def pid(self) -> int:
        """Its id, and its group's: nobody else's until it is ended here."""

    @property
    def returncode(self) -> int | None:
        """None until it is ended here; then its status, or the negative number of the signal that it died of."""

    def exited(self) -> bool:
        """Whether it is over."""

    def end(self) -> None:
        """Kill what is left of its group, and wait for it."""


def spawn(target: Target, passed: tuple[int, int], printed: int, place: str) -> Child:
    """Start a worker, given the descriptors of its channel, of its progress, of what it prints, and its folder.

    Raises OSError.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment.update(target.variables(), TMPDIR=place)
    process = subprocess.Popen(
        [target.python, "-I", str(_entry_point.__file__), *map(str, passed)],
        stdin=subprocess.DEVNULL,
        stdout=printed,
        stderr=printed,
        pass_fds=passed,
        cwd=place,
        env=environment,
        start_new_session=True,
    )
    return _Started(process)


class _Started:
    """A process that this one has started."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid

    @property
    def returncode(self) -> int | None:
        """As of any child."""
        return self._process.returncode

    def exited(self) -> bool:
        """Asked without reaping it: its id still names its group, which is to be killed."""
        if self._process.returncode is not None:
            return True
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.pid, flags) is not None

    def end(self) -> None:
        """As of any child."""
        end_group(self._process)


class Forked:
    """A process whose parent is another one, which keeps it from being reaped until it is asked by ``reap``."""

    def __init__(self, pid: int, reap: Callable[[int], int]) -> None:
        self.pid, self._reap = pid, reap
        self.returncode: int | None = None
        self._handle = os.pidfd_open(pid)
        self._over = select.poll()
        self._over.register(self._handle, select.POLLIN)

    def exited(self) -> bool:
        """As of any child."""
        return self.returncode is not None or bool(self._over.poll(0))

    def end(self) -> None:
        """As of any child. It may have no group of its own yet."""
        if self.returncode is None:
            for kill in (os.killpg, os.kill):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    kill(self.pid, signal.SIGKILL)
            self.returncode = self._reap(self.pid)
            os.close(self._handle)
