"""The processes that examine seeds: what each has in hand, and what becomes of it when one of them dies."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections import deque
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Self

from fuzz.campaign.examiner import Examiner
from fuzz.campaign.trial import Trial
from fuzz.errors import FuzzError
from fuzz.pool import prepare_process, seldom_collect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from fuzz.campaign.campaign import Campaign

__all__ = ["Crew"]

_DEPTH = 2  # seeds that a process has in hand: one at work, one so that it need not wait
_FAREWELL = 5.0  # seconds that a process has to end its workers and itself
_LIVES = 2  # processes that one seed may cost

# A process of its own from the start: what the driver holds (the display's threads, the store) is not copied into it.
_CONTEXT = multiprocessing.get_context("spawn")


class Crew:
    """Processes that examine seeds of a campaign side by side. A context manager: at its end all processes are gone."""

    def __init__(self, campaign: Campaign, parts: Path, jobs: int) -> None:
        self._campaign, self._parts = campaign, parts
        self._lost: dict[int, int] = {}
        self._again: deque[int] = deque()
        self._members: list[_Member] = []
        self._jobs = jobs

    def __enter__(self) -> Self:
        try:
            self._members.extend(_Member(self._campaign, self._parts) for _ in range(self._jobs))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        for member in self._members:
            member.bid_farewell()
        for member in self._members:
            member.close()
        self._members.clear()

    def results(self, seeds: Iterator[int], tick: float) -> Iterator[list[Trial]]:
        """What came of seeds, in the order in which they are done; at least every ``tick`` seconds, if of none.

        ``seeds`` is asked for the next one when there is somebody to examine it. Raises what an examiner raises.
        """
        while self._hand_out(seeds):
            ready = wait([handle for member in self._members for handle in member.handles], tick)
            trials: list[Trial] = []
            for at, member in enumerate(self._members):
                if not member.handles.isdisjoint(ready):
                    trials.extend(member.heard())
                    if not member.alive:
                        trials.extend(self._bury(at))
            yield trials

    def _hand_out(self, seeds: Iterator[int]) -> bool:
        """Give each process seeds to do; whether any is in hand. All have one before one has two."""
        for depth in range(_DEPTH):
            for member in self._members:
                if len(member.pending) > depth:
                    continue
                seed = self._again.popleft() if self._again else next(seeds, None)
                if seed is None:
                    break
                member.give(seed)
        return any(member.pending for member in self._members)

    def _bury(self, at: int) -> list[Trial]:
        """Put another in the place of a dead process. What it was at is tried once more; then the case is at fault."""
        dead = self._members[at]
        dead.close()
        self._members[at] = _Member(self._campaign, self._parts)
        if not dead.pending:
            return []
        culprit = dead.pending.popleft()
        self._again.extend(dead.pending)
        self._lost[culprit] = self._lost.get(culprit, 0) + 1
        if self._lost[culprit] < _LIVES:
            self._again.append(culprit)
            return []
        return [Trial(culprit, problem=f"the process that examined it ended with exit code {dead.exit_code}")]


class _Member:
    """One process, and the driver's end of the pipe to it."""

    def __init__(self, campaign: Campaign, parts: Path) -> None:
        self.pending: deque[int] = deque()
        self.exit_code: int | None = None
        self._pipe, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(theirs, campaign, parts, os.getpid()))
        with theirs:
            self._process.start()
        self.handles: frozenset[Connection | int] = frozenset((self._pipe, self._process.sentinel))
        self.alive = True

    def give(self, seed: int) -> None:
        self.pending.append(seed)
        with contextlib.suppress(OSError):  # it is dead, which its sentinel tells
            self._pipe.send(seed)

    def heard(self) -> list[Trial]:
        """What it has sent; raises what it was sent to raise."""
        trials = []
        try:
            while self._pipe.poll():
                said = self._pipe.recv()
                if isinstance(said, FuzzError):
                    raise said
                self.pending.remove(said.seed)
                trials.append(said)
        except (EOFError, OSError):
            self.alive = False
        return trials

    def bid_farewell(self) -> None:
        """End it, whatever it does: one that waits for a seed learns that there is none, another is interrupted."""
        if self._process.is_alive():
            self._process.terminate()

    def close(self) -> None:
        self._process.join(_FAREWELL)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self.exit_code = self._process.exitcode
        self._process.close()
        self._pipe.close()


def _serve(pipe: Connection, campaign: Campaign, parts: Path, driver: int) -> None:
    """Examine seeds as they come. SIGTERM ends workers and folders on its way out."""
    prepare_process()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if os.getppid() != driver:  # it was killed before this process could ask to die with it
        return
    seldom_collect()
    with contextlib.suppress(KeyboardInterrupt, EOFError, BrokenPipeError), Examiner(campaign, parts) as examiner:
        while True:
            seed = pipe.recv()
            try:
                found: Trial | FuzzError = examiner.examine(seed)
            except FuzzError as error:
                found = error
            pipe.send(found)
