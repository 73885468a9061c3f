"""The workers of one lane: those that are kept from case to case, and those that have run nothing before."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from fuzz.execute.start import start_worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from threading import Event

    from fuzz.execute.target import Target
    from fuzz.execute.worker import Attempt, Limits, Worker

__all__ = ["Crew", "has_poison", "with_heap", "with_threads"]


def with_threads(target: Target, count: int) -> Target:
    """The target with another thread count."""
    options = {**dict(target.options), "threads": str(count)}
    return replace(target, options=tuple(sorted(options.items())))


def has_poison() -> bool:
    """Whether the C library's allocator fills memory when it is told to."""
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (OSError, ValueError):
        return False


def with_heap(target: Target, byte: int) -> Target:
    """The target with freed memory filled with a byte, and fresh memory with its complement.

    The cache that each thread keeps of freed blocks is not filled, so it is turned off.
    """
    variables = dict(target.environment)
    tunables = variables.get("GLIBC_TUNABLES", os.environ.get("GLIBC_TUNABLES", ""))
    own = f"glibc.malloc.perturb={byte}:glibc.malloc.tcache_count=0"
    variables["GLIBC_TUNABLES"] = f"{tunables}:{own}" if tunables else own
    variables["MALLOC_PERTURB_"] = str(byte)
    return replace(target, environment=tuple(sorted(variables.items())))


class Crew:
    """Workers of one target in its variants. Use it in the thread that made it."""

    def __init__(self, target: Target, limits: Limits, stop: Event) -> None:
        self.target = target
        self._limits = limits
        self._stop = stop
        self._kept: dict[Target, Worker] = {}

    def ask(self, target: Target, request: Sequence[bytes]) -> Attempt:
        """Send a request to the worker kept for a variant of the target. Raises Interrupted, TargetError."""
        worker = self._kept.get(target)
        if worker is not None and (not worker.alive or worker.bloated):
            del self._kept[target]
            worker.close()
            worker = None
        if worker is None:
            worker = self._kept[target] = start_worker(target, self._limits, self._stop)
        return worker.execute(request)

    def ask_fresh(self, target: Target, request: Sequence[bytes]) -> Attempt:
        """The same to a worker that has run nothing before, and runs nothing after it."""
        with self._fresh(target) as worker:
            return worker.execute(request)

    @contextmanager
    def _fresh(self, target: Target) -> Iterator[Worker]:
        worker = start_worker(target, self._limits, self._stop)
        try:
            yield worker
        finally:
            worker.close()

    def close(self) -> None:
        """End all workers."""
        for worker in self._kept.values():
            worker.close()
        self._kept.clear()
