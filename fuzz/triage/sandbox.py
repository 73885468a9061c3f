"""Processes that parse models: a stranger's model may end them, never those that ask."""

from __future__ import annotations

import threading
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self, TypeVar

from fuzz.pool import process_pool

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ProcessPoolExecutor
    from types import TracebackType

__all__ = ["Sandbox"]

_MEMORY = 8 << 30  # bytes of address space of a process that parses models
_CALLS = 2000  # after which the processes are replaced: what they have gathered in memory goes with them

T = TypeVar("T")


class Sandbox:
    """Calls functions in processes that parse models, ``jobs`` side by side. A context manager.

    The processes are started when they are needed and stay until the end: one takes as long to start and import as a
    hundred candidates to examine. Several threads may call.
    """

    def __init__(self, jobs: int = 1) -> None:
        self._jobs = jobs
        self._lock = threading.Lock()
        self._pool: ExitStack | None = None
        self._executor: ProcessPoolExecutor | None = None
        self._calls = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._close()

    def __call__(self, function: Callable[..., T], /, *arguments: Any) -> T | None:
        """Call a function; None where the process died of it, or the function failed.

        A process may die of what its neighbours do, or of what it did before: the call is made once more in a process
        that does nothing else, and only what ends that one as well has no answer.
        """
        executor = self._ready()
        try:
            future = executor.submit(function, *arguments)
        except RuntimeError:  # the pool broke, or was put away because it broke, while this thread came to it
            self._put_away(executor)
        else:
            try:
                return future.result()
            except BrokenProcessPool:
                self._put_away(executor)
            except MemoryError:
                pass
            except Exception:  # noqa: BLE001 - a candidate that our own code cannot treat is no candidate
                return None
        try:
            with process_pool(1, memory=_MEMORY) as own:
                return own.submit(function, *arguments).result()
        except Exception:  # noqa: BLE001 - it is this call that no process survives
            return None

    def _ready(self) -> ProcessPoolExecutor:
        with self._lock:
            self._calls += 1
            # Closing waits for what other threads have asked for.
            if self._calls > _CALLS:
                self._close()
            if self._executor is None:
                self._pool, self._calls = ExitStack(), 1
                self._executor = self._pool.enter_context(process_pool(self._jobs, memory=_MEMORY))
            return self._executor

    def _put_away(self, executor: ProcessPoolExecutor) -> None:
        """End a pool that is broken, unless another thread has done so."""
        with self._lock:
            if self._executor is executor:
                self._close()

    def _close(self) -> None:
        if self._pool is not None:
            self._pool.close()
        self._pool = self._executor = None
