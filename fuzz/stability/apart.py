"""Processes beside the lanes, in which what is a stranger's may cost its case and nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from fuzz.errors import CaseError
from fuzz.pool import process_pool

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ProcessPoolExecutor
    from types import TracebackType

__all__ = ["Apart"]

_MEMORY = 8 * 2**30  # bytes of address space that one process may have

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Apart:
    """A pool that any thread may call; it outlives a process that dies.

    One thread starts all processes and lives as long as the pool: the kernel ends a process with the thread that
    started it.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._stack = ExitStack()
        self._keeper = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        self._pool = self._keeper.submit(self._open).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keeper.submit(self._stack.close).result()
        self._keeper.shutdown()

    def call(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **options: Arguments.kwargs
    ) -> Result:
        """What a function of a module gives there; raises what it raises, CaseError where it ends its process."""
        pool = self._pool
        try:
            return pool.submit(function, *args, **options).result()
        except BrokenProcessPool:
            self._keeper.submit(self._renew, pool).result()
        # A call beside this one may have done it.
        try:
            return self._keeper.submit(_alone, partial(function, *args, **options)).result()
        except BrokenProcessPool:
            raise CaseError("reading this case ended the process that did it") from None

    def _open(self) -> ProcessPoolExecutor:
        pool = self._stack.enter_context(process_pool(self._jobs, memory=_MEMORY))
        pool.submit(int).result()
        return pool

    def _renew(self, broken: ProcessPoolExecutor) -> None:
        if self._pool is broken:
            self._pool = self._open()


def _alone(function: Callable[[], Result]) -> Result:
    with process_pool(1, memory=_MEMORY) as pool:
        return pool.submit(function).result()
