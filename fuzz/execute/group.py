"""Processes that are started in a group of their own, and end with all that they have started."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

__all__ = ["end_group", "leashed"]

_LEASH = """
import os, resource, signal, subprocess, sys, threading
def watch():
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)
threading.Thread(target=watch, daemon=True).start()
try:
    status = subprocess.call(sys.argv[1:], stdin=subprocess.DEVNULL)
except OSError as problem:
    print(problem, flush=True)
    status = 127
if status < 0 and status != -signal.SIGKILL:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(-status, signal.SIG_DFL)
if status < 0:
    os.kill(os.getpid(), -status)
os._exit(status)
"""


def leashed(command: Sequence[str]) -> list[str]:
    """A command that runs this one and, however its driver goes, kills it with all that it has started.

    Start it with ``stdin=subprocess.PIPE``, to be kept open, and ``start_new_session``. It ends as the command does, or
    with 127 where that cannot be started, and says why on standard output. The command has no standard input.
    """
    return [sys.executable, "-I", "-c", _LEASH, *command]


def end_group(process: subprocess.Popen[Any]) -> None:
    """End a process that leads its group (``start_new_session``), and the others in it; wait for it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
