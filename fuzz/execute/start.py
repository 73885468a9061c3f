"""Starting a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.errors import TargetError
from fuzz.execute.worker import Limits, Worker, WorkerError

if TYPE_CHECKING:
    from threading import Event

    from fuzz.execute.nursery import Nursery
    from fuzz.execute.target import Target

__all__ = ["ready_worker", "start_worker"]


def start_worker(target: Target, limits: Limits, stop: Event, nursery: Nursery | None = None) -> Worker:
    """A new worker of a target, from the ``nursery`` if there is one. Raises Interrupted, TargetError."""
    make = Worker if nursery is None else nursery.worker
    try:
        return make(target, limits, stop)
    except WorkerError:
        # A machine short of memory may fail to start a process once; a broken environment fails again.
        try:
            return make(target, limits, stop)
        except WorkerError as problem:
            raise TargetError(str(problem)) from None


def ready_worker(worker: Worker, target: Target, limits: Limits, stop: Event) -> Worker:
    """A worker that was started ahead, once it is ready; another where it did not start. Raises as start_worker."""
    try:
        worker.await_ready()
    except WorkerError:
        worker.close()
        return start_worker(target, limits, stop)
    except BaseException:
        worker.close()
        raise
    return worker
