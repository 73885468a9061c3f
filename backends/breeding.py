"""A worker that has imported its backend and forks others in place of serving cases: each of them as fresh as itself.

To start an interpreter and to import a backend takes 0.2 to 5 seconds of CPU time, a fork some milliseconds. It is done
only by a process with one thread, since no other thread survives a fork; and what forks has seen no case.
"""

from __future__ import annotations

import gc
import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FORK", "FORKED", "REAP", "REAPED", "REQUEST", "alone", "breed"]

REQUEST = struct.Struct("<ci")
"""What the driver asks: `FORK`, with three descriptors (channel, stage, what is printed); `REAP`, of a process's id."""
FORK, REAP = b"f", b"r"
FORKED = struct.Struct("<i")
"""The id of the new process."""
REAPED = struct.Struct("<id")
"""The status with which the other one has ended, as `wait4` has it, and its CPU seconds, its children's included."""
_DESCRIPTORS = 3


def alone() -> bool:
    """Whether this process has one thread only, as the kernel counts them: those of compilers are not Python's."""
    return len(list(Path("/proc/self/task").iterdir())) == 1


def breed(channel: socket.socket, die_with: Callable[[int], None]) -> tuple[int, int]:
    """Fork a worker each time that the driver asks; returns in the workers alone: channel and stage, two descriptors.

    ``die_with`` is told, in a worker, which process it is to end with. Raises EOFError where the driver has gone.
    """
    gc.collect()
    gc.freeze()  # else the first collection in each worker would write to all pages, and copy them
    own = os.getpid()
    while True:
        asked, descriptors, _, _ = socket.recv_fds(channel, REQUEST.size, _DESCRIPTORS)
        if len(asked) != REQUEST.size:
            raise EOFError("the driver has closed the channel")
        what, number = REQUEST.unpack(asked)
        if what == REAP:
            _, status, used = os.wait4(number, 0)
            channel.sendall(REAPED.pack(status, used.ru_utime + used.ru_stime))
            continue
        pid = os.fork()
        if not pid:
            channel.close()
            die_with(own)
            return _settle(*descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        channel.sendall(FORKED.pack(pid))


def _settle(channel: int, stage: int, printed: int) -> tuple[int, int]:
    """Become a process like one that was started: a session of its own, its own place for what is printed."""
    os.setsid()
    for standard in (1, 2):
        os.dup2(printed, standard)
    os.close(printed)
    return channel, stage
