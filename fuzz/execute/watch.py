"""What a busy worker uses, held against its limits: resident memory, wall time, and past the deadline CPU time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from backends.protocol import Outcome
from fuzz.execute.process import asleep, cpu_seconds, resident_bytes, tree

if TYPE_CHECKING:
    from fuzz.execute.attempt import Limits

__all__ = ["Ended", "Watch"]

_TREE_TICK = 0.5  # seconds between two looks for its children
_STILL = 1.0  # seconds without CPU time that show that a worker waits for something and is not starved, at most
_PATIENCE = 4.0  # a starved worker gets at most this many times its limit in wall time


class Ended(Exception):
    """The worker has to be killed, or is dead; carries the outcome that this means.

    ``exceeded`` says that it is alive and has used more than it may.
    """

    def __init__(self, outcome: Outcome, message: str, *, exceeded: bool = False) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.message = message
        self.exceeded = exceeded


class Watch:
    """What the process of this id and its children use, from a moment on."""

    def __init__(self, pid: int, limits: Limits) -> None:
        self._pid, self._limits = pid, limits
        self.rewind(limits.seconds)

    def rewind(self, seconds: float, since: float | None = None) -> None:
        """Let so much time be left from now on, or since a moment of the monotonic clock."""
        self._seconds = seconds
        self._tree_seen = time.monotonic()
        self._started = self._tree_seen if since is None else min(since, self._tree_seen)
        self._tree: tuple[int, ...] = (self._pid,)
        self._cpu_before: float | None = None
        self._cpu_last: float | None = None
        self._cpu_seen = self._progress_seen = 0.0
        self._still = False
        self.resident = 0

    @property
    def elapsed(self) -> float:
        """Seconds that it has been at it."""
        return time.monotonic() - self._started

    def look(self, now: float) -> float:
        """Seconds beyond its deadline, negative before. Raises Ended where it holds too much memory."""
        if now - self._tree_seen >= _TREE_TICK:
            self._tree_seen = now
            self._tree = tree(self._pid)
        self.resident = resident_bytes(self._tree)
        if self.resident > self._limits.resident_bytes:
            raise Ended(Outcome.OOM, f"stopped at {self.resident >> 20} MiB of resident memory", exceeded=True)
        if self._cpu_before is None:
            self._cpu_before = cpu_seconds(self._tree)
        elapsed = now - self._started
        window = min(_STILL, self._seconds / 2)
        if elapsed >= self._seconds - window:
            self._note_progress(elapsed, window)
        return elapsed - self._seconds

    def _note_progress(self, elapsed: float, window: float) -> None:
        """Once a window of seconds: did it use CPU time in the last one?

        In less than a second a worker may get none though it wants some: all of its threads must sleep then as well.
        """
        if self._cpu_last is not None and elapsed - self._progress_seen < window:
            return
        before, self._cpu_last, self._progress_seen = self._cpu_last, self.cpu_used(), elapsed
        still = before is not None and self._cpu_last <= before
        self._still = still and (window >= _STILL or asleep(self._tree))

    def judge_delay(self, now: float) -> None:
        """Past the deadline: stop a worker that has had its time or stands still, not one that the machine starves.

        Raises Ended.
        """
        elapsed, cpu = now - self._started, self.cpu_used()
        if cpu >= self._seconds / 2 or elapsed >= self._seconds * _PATIENCE:
            raise Ended(Outcome.TIMEOUT, f"stopped after {elapsed:.1f} s ({cpu:.1f} s of CPU time)", exceeded=True)
        if self._still:
            raise Ended(Outcome.TIMEOUT, f"stopped after {elapsed:.1f} s: it stands still", exceeded=True)

    def cpu_used(self) -> float:
        """CPU seconds since it was first looked at."""
        if self._cpu_before is None:
            return 0.0
        self._cpu_seen = max(self._cpu_seen, cpu_seconds(self._tree) - self._cpu_before)
        return self._cpu_seen
