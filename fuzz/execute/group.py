"""Processes that are started in a group of their own, and end with all that they have started."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess

__all__ = ["end_group"]


def end_group(process: subprocess.Popen[Any]) -> None:
    """End a process that leads its group (``start_new_session``), and the others in it; wait for it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
