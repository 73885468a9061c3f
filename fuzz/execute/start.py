"""Starting a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.errors import TargetError
from fuzz.execute.worker import Limits, Worker, WorkerError

if TYPE_CHECKING:
    from threading import Event

    from fuzz.execute.target import Target

__all__ = ["start_worker"]


def start_worker(target: Target, limits: Limits, stop: Event) -> Worker:
    """A new worker of a target. Raises Interrupted, TargetError."""
    try:
        return Worker(target, limits, stop)
    except WorkerError:
        # A machine short of memory may fail to start a process once; a broken environment fails again.
        try:
            return Worker(target, limits, stop)
        except WorkerError as problem:
            raise TargetError(str(problem)) from None
