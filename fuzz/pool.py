"""Processes that share a task: of gen, of the judge, of the page."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import resource
import signal
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MODEL_MEMORY", "prepare_process", "process_pool", "seldom_collect"]

MODEL_MEMORY = 8 << 30
"""Bytes of address space of a process that reads models."""
_PR_SET_PDEATHSIG = 1


def seldom_collect() -> None:
    """Look for cycles in memory less often: what is made here is much and lives briefly (a tenth of gen's time)."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@contextmanager
def process_pool(jobs: int, *, memory: int | None = None) -> Iterator[ProcessPoolExecutor]:
    """A pool of at least one process; ``memory`` bounds the address space of each, in bytes.

    Ctrl-C reaches the whole process group, but is the driver's alone to handle: a process that it ends while it holds
    the lock of a queue would leave the others waiting for good. On any error what has not begun is dropped, and what
    has is finished.
    """
    with ProcessPoolExecutor(max(jobs, 1), initializer=prepare_process, initargs=(memory,)) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def prepare_process(memory: int | None = None) -> None:
    """Make a process one of the driver's: Ctrl-C is not its own to handle, and it dies with the driver.

    One whose ``memory`` is bounded reads models, and what a library prints before it ends the process over one is not
    for the terminal: standard error is closed to it.
    """
    _die_with_driver()
    seldom_collect()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if memory is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (memory if hard < 0 else min(memory, hard), hard))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)


def _die_with_driver() -> None:
    """Have the kernel kill this process when its driver is gone; end at once where it has gone already.

    Each process holds the queue's other end open for its siblings and for itself: none would notice that nobody is
    there to write to it. The kernel tells nothing of a death before it was asked, so whose child this is now is held
    against the number that the driver left before it began this process.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    driver = multiprocessing.parent_process()
    if driver is not None and os.getppid() != driver.pid:
        os._exit(1)
