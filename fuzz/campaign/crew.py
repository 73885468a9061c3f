"""The processes that examine seeds and reduce what fails: what each has in hand, what becomes of it when one dies."""

from __future__ import annotations

import contextlib
import multiprocessing
import select
import selectors
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from fuzz.campaign.member import serve
from fuzz.campaign.task import Reduce, Task
from fuzz.campaign.trial import Exhibit, Trial
from fuzz.errors import FuzzError
from fuzz.execute.process import resident_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from fuzz.campaign.campaign import Campaign

__all__ = ["Crew"]

_DEPTH = 2  # messages of tasks that a process has in hand: one at work, one so that it need not wait
_MOST = 16  # tasks of a message: beyond that its own cost does not count any more
_SPAN = 0.1  # seconds that a message may take: what is in hand is lost with the process, and ends late
_FAREWELL = 5.0  # seconds that a process has to end its workers and itself
_WATCHED = 0.25  # seconds between two looks at the memory that they hold

# A process of its own from the start: what the driver holds (the display's threads, the store) is not copied into it.
_CONTEXT = multiprocessing.get_context("spawn")


class Crew:
    """Processes that work at a campaign side by side. A context manager: at its end all processes are gone."""

    def __init__(self, campaign: Campaign, parts: Path, jobs: int) -> None:
        self._campaign, self._parts = campaign, parts
        self._lost: dict[tuple[int, str], int] = {}
        self._again: deque[Task] = deque()
        self._watched = time.monotonic()
        self._members: list[_Member] = []
        # Made once: `multiprocessing.connection.wait` makes one each time, and so does a connection's `poll`.
        self._selector = selectors.DefaultSelector()
        self._jobs = jobs

    def __enter__(self) -> Self:
        try:
            for _ in range(self._jobs):
                self._members.append(self._member())
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
        self._selector.close()

    def _member(self) -> _Member:
        member = _Member(self._campaign, self._parts)
        for handle in member.handles:
            self._selector.register(handle, selectors.EVENT_READ, member)
        return member

    def results(self, task: Callable[[], Task | None], tick: float) -> Iterator[list[Trial | Exhibit]]:
        """What came of tasks, in the order in which they are done; at least every ``tick`` seconds, if of none.

        ``task`` is asked for the next one when there is somebody to do it; None says that there is none at the moment.
        It ends when there is none and nothing is being done. Raises what an examiner raises.
        """
        while self._hand_out(task):
            ready = {id(key.data) for key, _ in self._selector.select(tick)}
            results: list[Trial | Exhibit] = []
            for at, member in enumerate(self._members):
                if id(member) in ready:
                    results.extend(member.heard())
                    if not member.alive:
                        results.extend(self._bury(at))
            self._watch()
            yield results

    def _hand_out(self, task: Callable[[], Task | None]) -> bool:
        """Give each process something to do; whether any has. All have one message before one has two."""
        for depth in range(_DEPTH):
            for member in self._members:
                # Nothing waits behind a reduction, which takes a hundred times as long as a case.
                if member.messages > depth or any(isinstance(one, Reduce) for one in member.pending):
                    continue
                if not self._fill(member, task):
                    break
        return any(member.pending for member in self._members)

    def _fill(self, member: _Member, task: Callable[[], Task | None]) -> bool:
        """Send a process as much as it does in a moment; whether there is anything."""
        alone = bool(self._again)  # a task that has seen a process die, or was beside one: that must not be in doubt
        for _ in range(1 if alone else member.share):
            found = self._again.popleft() if self._again else task()
            if found is None:
                break
            if isinstance(found, Reduce) and member.drafted:
                self._again.append(found)
                break
            member.give(found)
            if isinstance(found, Reduce):
                break
        return member.send()

    def _bury(self, at: int) -> list[Trial | Exhibit]:
        """Put another in the place of a dead process. What it was at is tried once more; then the case is at fault.

        Of several that it was at none is: they are tried one by one.
        """
        dead = self._members[at]
        for handle in dead.handles:
            self._selector.unregister(handle)
        dead.close()
        self._members[at] = self._member()
        if not dead.pending:
            return []
        if dead.doubtful:
            self._again.extend(dead.pending)
            return []
        culprit = dead.pending.popleft()
        self._again.extend(dead.pending)
        self._lost[culprit.key] = deaths = self._lost.get(culprit.key, 0) + 1
        what = culprit.after(deaths, dead.exit_code)
        if isinstance(what, Trial | Exhibit):
            return [what]
        self._again.append(what)
        return []

    def _watch(self) -> None:
        """Kill a process that holds more memory than a worker may: a case of such a size is nobody's use."""
        now = time.monotonic()
        if now - self._watched >= _WATCHED:
            self._watched = now
            for member in self._members:
                member.confine(self._campaign.limits.resident_bytes)


@dataclass(slots=True)
class _Message:
    """Tasks that were sent together: the keys of those that are not done, how many there were, since when at work."""

    keys: set[tuple[int, str]]
    count: int
    begun: float


class _Member:
    """One process, and the driver's end of the pipe to it."""

    def __init__(self, campaign: Campaign, parts: Path) -> None:
        self.pending: deque[Task] = deque()
        self.share = 1
        self._drafted: list[Task] = []
        self._sent: deque[_Message] = deque()
        self.exit_code: int | None = None
        self._pipe, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=serve, args=(theirs,))
        with theirs:
            self._process.start()
        with contextlib.suppress(OSError):  # as of a task
            self._pipe.send((campaign, parts))
        self.handles = self._pipe.fileno(), self._process.sentinel
        self._said = select.poll()
        self._said.register(self._pipe, select.POLLIN)
        self.alive = True

    @property
    def messages(self) -> int:
        """How many messages of tasks it has in hand."""
        return len(self._sent)

    @property
    def drafted(self) -> bool:
        """Whether it has been given what is not sent yet."""
        return bool(self._drafted)

    @property
    def doubtful(self) -> bool:
        """Whether it has several tasks at work at a time, of which any may be what it is at."""
        return bool(self._sent) and len(self._sent[0].keys) > 1

    def give(self, task: Task) -> None:
        """Have it do a task, which `send` sends with the others."""
        self.pending.append(task)
        self._drafted.append(task)

    def send(self) -> bool:
        """Send what it was given; whether that is anything."""
        if not self._drafted:
            return False
        self._sent.append(_Message({task.key for task in self._drafted}, len(self._drafted), time.monotonic()))
        with contextlib.suppress(OSError):  # it is dead, which its sentinel tells
            self._pipe.send(self._drafted)
        self._drafted = []
        return True

    def confine(self, most: int) -> None:
        """Kill it where it holds more than so many bytes; its workers, which have limits of their own, not counted."""
        if resident_bytes((self._process.pid or 0,)) > most:
            self._process.kill()

    def heard(self) -> list[Trial | Exhibit]:
        """What it has sent; raises what it was sent to raise."""
        results = []
        try:
            while self._said.poll(0):
                for said in self._pipe.recv():
                    if isinstance(said, FuzzError):
                        raise said
                    self._strike_off(said)
                    results.append(said)
        except (EOFError, OSError):
            self.alive = False
        return results

    def _strike_off(self, said: Trial | Exhibit) -> None:
        self.pending = deque(task for task in self.pending if task.key != said.key)
        message = self._sent[0]
        message.keys.discard(said.key)
        if message.keys:
            return
        self._sent.popleft()
        now = time.monotonic()
        took = now - message.begun
        if self._sent:
            self._sent[0].begun = now
        # As many as have taken so long the last time, but no sudden rush; it decides nothing of what comes of them.
        self.share = max(1, min(int(message.count * _SPAN / max(took, 1e-6)), 2 * message.count, _MOST))

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
