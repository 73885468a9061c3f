"""One target's worker as the self-test uses it: restarted where it died, its time counted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from backends.frame import Frame, encode
from backends.protocol import Outcome
from fuzz.execute.start import start_worker
from fuzz.execute.target import parse_target

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from backends.tensor import Value
    from fuzz.execute.target import Target
    from fuzz.execute.worker import Attempt, Limits, Worker

__all__ = ["REPEATED", "Station", "request", "varied"]

REPEATED = frozenset({Outcome.CRASH, Outcome.TIMEOUT, Outcome.OOM})
"""Outcomes that count only once they have come again in a fresh worker."""


def request(model: bytes, data_sets: Sequence[Sequence[Value]]) -> list[bytes]:
    """The message that asks a worker to run a model on these inputs."""
    return encode(Frame("execute", {"folder": None}, [list(values) for values in data_sets], model))


def varied(target: Target, option: str, value: str) -> Target:
    """The same target with one option more."""
    text, at, device = target.canonical.partition("@")
    name, _, options = text.partition(":")
    joined = ",".join(filter(None, (options, f"{option}={value}")))
    return parse_target(f"{name}:{joined}{at}{device}")


class Station:
    """Executes on one target. Use it in the thread that made it.

    ``spent``: CPU seconds of the workers, their start included; a case that hung counts for the whole time limit.
    """

    def __init__(self, target: Target, limits: Limits) -> None:
        self.target = target
        self.spent = 0.0
        self._limits = limits
        self._stop = threading.Event()
        self._worker: Worker | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.renew()

    def execute(self, message: Sequence[bytes]) -> Attempt:
        """One attempt. Raises TargetError where no worker starts."""
        if self._worker is None or not self._worker.alive:
            self.renew()
            self._worker = start_worker(self.target, self._limits, self._stop)
            self.spent += self._worker.start_cpu_seconds
        attempt = self._worker.execute(message)
        hung = attempt.outcome is Outcome.TIMEOUT
        self.spent += max(attempt.cpu_seconds, self._limits.seconds) if hung else attempt.cpu_seconds
        return attempt

    def confirmed(self, message: Sequence[bytes]) -> tuple[Attempt, bool]:
        """One attempt, and a second one in a fresh worker where the outcome asks for it; whether both agree."""
        first = self.execute(message)
        if first.outcome not in REPEATED:
            return first, True
        self.renew()
        second = self.execute(message)
        return second, second.outcome is first.outcome

    def renew(self) -> None:
        """End the worker; the next attempt starts another."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None
