"""Two workers, A and B, that take turns on one model; the driver's side of `backends.timing`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from backends.frame import Frame, encode
from backends.protocol import Outcome
from backends.tensor import Tensor, to_numpy
from fuzz.errors import TargetError
from fuzz.execute.worker import Worker, WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from threading import Event
    from types import TracebackType

    from backends.tensor import Value
    from fuzz.execute.target import Target
    from fuzz.execute.worker import Limits

__all__ = ["Pair", "Refused", "Subject", "Timer"]

_SAMPLE = 1e-3  # seconds that a sample takes at least: well above what clocks and the look at the run queue cost
_MOST_REPETITIONS = 1000
_WARM_BELOW = 0.01  # seconds; a call that takes longer does not feel what the other side left in the caches


class Refused(Exception):
    """A target does not run the model, or not within its limits: there is nothing to time."""

    def __init__(self, target: str, outcome: Outcome, message: str) -> None:
        super().__init__(f"{target}: {outcome.value} {message}".strip())
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Subject:
    """What is timed: a model with data sets; ``folder`` is where its external data lies."""

    model: bytes
    data_sets: tuple[tuple[Value, ...], ...]
    folder: str | None = None


class Timer:
    """One worker that times a target. All times are seconds a call on an idle machine (``own``)."""

    def __init__(self, target: Target, limits: Limits, stop: Event) -> None:
        """Start the worker. Raises TargetError."""
        self.target = target
        self._limits = limits
        self._stop = stop
        self._worker = self._start()
        self._loaded: Subject | None = None

    def _start(self) -> Worker:
        try:
            return Worker(self.target, self._limits, self._stop)
        except WorkerError as problem:
            raise TargetError(str(problem)) from None

    def load(self, subject: Subject) -> float:
        """Compile a model and keep it; the seconds of that compilation. Raises Refused."""
        self._loaded = None
        if not self._worker.alive or self._worker.bloated:
            self._worker.close()
            self._worker = self._start()
        values = [list(inputs) for inputs in subject.data_sets]
        (seconds,) = self._ask(Frame("time", {"action": "load", "folder": subject.folder}, values, subject.model))
        self._loaded = subject
        return seconds

    def compile(self) -> float:
        """Seconds of one more compilation of the loaded model. Raises Refused."""
        (seconds,) = self._ask(Frame("time", {"action": "compile", "samples": 1}))
        return seconds

    def run(self, data_set: int, *, repetitions: int = 1, warm: int = 0) -> float:
        """Seconds of a call on a data set of the loaded model. Raises Refused."""
        fields = {"action": "run", "data_set": data_set, "repetitions": repetitions, "warm": warm, "samples": 1}
        (seconds,) = self._ask(Frame("time", fields))
        return seconds

    def _ask(self, frame: Frame) -> list[float]:
        attempt = self._worker.execute(encode(frame))
        if attempt.outcome is not Outcome.OK:
            raise Refused(self.target.canonical, attempt.outcome, attempt.message)
        samples = attempt.outputs[0][0]
        assert isinstance(samples, Tensor)  # noqa: S101 - for the type checker: a stopwatch answers with one tensor
        return [float(own) for _, _, own in to_numpy(samples)]

    def close(self) -> None:
        """End the worker."""
        self._worker.close()


class Pair:
    """A candidate and a baseline, each in its worker, timed in turns: AB, BA, AB, ..."""

    def __init__(self, candidate: Target, baseline: Target, limits: Limits, stop: Event) -> None:
        """Start both workers. Raises TargetError."""
        self.candidate = Timer(candidate, limits, stop)
        try:
            self.baseline = Timer(baseline, limits, stop)
        except BaseException:
            self.candidate.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.candidate.close()
        self.baseline.close()

    def load(self, subject: Subject) -> tuple[float, float]:
        """Compile a model on both sides: the seconds of each. Raises Refused."""
        return self.candidate.load(subject), self.baseline.load(subject)

    def quick(self, data_set: int) -> tuple[float, float]:
        """One call on each side, after one that does not count. Raises Refused."""
        return self.candidate.run(data_set, warm=1), self.baseline.run(data_set, warm=1)

    def runs(self, data_set: int, pairs: int, quick: tuple[float, float]) -> tuple[list[float], list[float]]:
        """So many samples of both sides, in turns; ``quick`` is about what a call takes. Raises Refused."""
        plans = [_plan(seconds) for seconds in quick]

        def sample(side: int) -> float:
            repetitions, warm = plans[side]
            return (self.candidate, self.baseline)[side].run(data_set, repetitions=repetitions, warm=warm)

        return in_turns(sample, pairs)

    def compilations(self, pairs: int) -> tuple[list[float], list[float]]:
        """So many compilations of the loaded model on both sides, in turns. Raises Refused."""
        return in_turns(lambda side: (self.candidate, self.baseline)[side].compile(), pairs)


def _plan(seconds: float) -> tuple[int, int]:
    """Repetitions a sample, and calls before it that do not count."""
    repetitions = min(max(round(_SAMPLE / max(seconds, 1e-9)), 1), _MOST_REPETITIONS)
    return repetitions, int(seconds < _WARM_BELOW)


def in_turns(sample: Callable[[int], float], pairs: int) -> tuple[list[float], list[float]]:
    """Sample sides 0 and 1 in the order 0 1, 1 0, 0 1, ...: a drift of the machine meets both alike."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(pairs):
        sides: Sequence[int] = (0, 1) if number % 2 == 0 else (1, 0)
        for side in sides:
            taken[side].append(sample(side))
    return taken
