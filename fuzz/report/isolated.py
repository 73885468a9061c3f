"""Work on files of strangers, in processes of their own: a hostile model may end one, never the report."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, TypeVar

from fuzz.pool import process_pool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["in_processes"]

_MEMORY = 4 << 30  # bytes of address space
_CHUNK = 8

Task = TypeVar("Task")
Result = TypeVar("Result")


def in_processes(
    work: Callable[[Sequence[Task]], list[Result]],
    tasks: Sequence[Task],
    jobs: int,
    lost: Callable[[Task], Result],
    advance: Callable[[int], None] = lambda _done: None,
) -> list[Result]:
    """What ``work`` makes of some tasks at a time, for all of them in their order; both are sent to other processes.

    ``lost`` says what stands for a task that ended its process, also alone. ``advance`` is told how many more are done.
    """
    chunks = [tasks[start : start + _CHUNK] for start in range(0, len(tasks), _CHUNK)]
    results: list[Result] = []
    with process_pool(jobs, memory=_MEMORY) as pool:
        for chunk, future in [(chunk, pool.submit(work, chunk)) for chunk in chunks]:
            try:
                results += future.result()
            except BrokenProcessPool:
                results += [_alone(work, task, lost) for task in chunk]
            advance(len(chunk))
    return results


def _alone(
    work: Callable[[Sequence[Task]], list[Result]], task: Task, lost: Callable[[Task], Result]
) -> Result:
    with process_pool(1, memory=_MEMORY) as pool:
        try:
            return pool.submit(work, [task]).result()[0]
        except BrokenProcessPool:
            return lost(task)
