"""The temporary folder of a worker, which is gone when the worker or its driver is.

A folder is locked for as long as its driver lives. A driver that is killed leaves its folders behind unlocked, so
that the next one can tell them from those in use, whatever process ids mean where the folder was made.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Scratch", "clear_abandoned"]

_PREFIX = "fuzz-worker-"


@dataclass(frozen=True, slots=True)
class Scratch:
    """A folder and the descriptor that holds its lock."""

    path: str
    lock: int

    @classmethod
    def make(cls) -> Scratch:
        """A fresh folder, locked."""
        while True:
            path = tempfile.mkdtemp(prefix=_PREFIX)
            lock = _lock(path)
            if lock is not None:
                if Path(path).is_dir():
                    return cls(path, lock)
                os.close(lock)
            # Another driver took it for abandoned between the two steps, and removes it.

    def remove(self) -> None:
        """Remove the folder with all that the worker put there."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)


def clear_abandoned() -> None:
    """Remove the folders of drivers that are gone."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        lock = _lock(str(path))
        if lock is not None:
            Scratch(str(path), lock).remove()


def _lock(path: str) -> int | None:
    """The descriptor of a folder, locked; None where somebody else holds it, or the folder is gone or not ours."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
