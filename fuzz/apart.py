"""Calls in processes that the model which they read may end, never those that ask."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from fuzz.errors import CaseError
from fuzz.pool import MODEL_MEMORY, process_pool

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ProcessPoolExecutor
    from types import TracebackType

__all__ = ["Apart", "Died"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Died(CaseError):
    """A call ended the process that made it, twice."""

    def __init__(self) -> None:
        super().__init__("reading this case ended the process that did it")


class Apart:
    """Calls functions in ``jobs`` processes that what they read may end; any thread may call. A context manager.

    The processes are started with the first call and stay, since one takes as long to start and import as a hundred
    small models to read; after ``calls`` calls they are replaced, and what they have gathered in memory goes with them.
    One thread starts them all and lives as long as they: the kernel ends a process with the thread that started it.
    """

    def __init__(self, jobs: int = 1, *, calls: int | None = None) -> None:
        self._jobs, self._limit = jobs, calls
        self._lock = threading.Lock()
        self._keeper = ThreadPoolExecutor(1)
        self._held = ExitStack()
        self._pool: ProcessPoolExecutor | None = None
        self._calls = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keeper.submit(self._held.close).result()
        self._keeper.shutdown()

    def call(
        self, function: Callable[Arguments, Result], /, *arguments: Arguments.args, **options: Arguments.kwargs
    ) -> Result:
        """Call a function of a module in one of the processes; what it raises is raised here.

        A process may die of what its neighbours do, or of what it did before: the call is made once more in a process
        that does nothing else. Raises Died where that one ends as well.
        """
        pool = self._ready()
        try:
            return pool.submit(function, *arguments, **options).result()
        except BrokenProcessPool:
            self._put_away(pool)
        except MemoryError:
            pass  # what the process has gathered may be in the way
        except RuntimeError:
            # The pool was put away while this thread came to it; or the function raised it.
            if not self._is_away(pool):
                raise
        try:
            return self._keeper.submit(_alone, partial(function, *arguments, **options)).result()
        except BrokenProcessPool:
            raise Died from None

    def _ready(self) -> ProcessPoolExecutor:
        with self._lock:
            self._calls += 1
            if self._pool is None or (self._limit is not None and self._calls > self._limit):
                self._pool, self._calls = self._keeper.submit(self._renewed).result(), 1
            return self._pool

    def _renewed(self) -> ProcessPoolExecutor:
        # Closing waits for what other threads have asked for.
        self._held.close()
        pool = self._held.enter_context(process_pool(self._jobs, memory=MODEL_MEMORY))
        pool.submit(int).result()  # the processes are started with the first call, by the thread that makes it
        return pool

    def _put_away(self, pool: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is pool:
                self._pool = None

    def _is_away(self, pool: ProcessPoolExecutor) -> bool:
        with self._lock:
            return self._pool is not pool


def _alone(function: Callable[[], Result]) -> Result:
    with process_pool(1, memory=MODEL_MEMORY) as pool:
        return pool.submit(function).result()
