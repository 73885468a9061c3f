"""Two workers, A and B, that take turns on one model; the driver's side of `backends.timing`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from backends.frame import Frame, encode
from backends.protocol import Outcome
from fuzz.execute.start import start_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from threading import Event
    from types import TracebackType

    from backends.tensor import Value
    from fuzz.execute.target import Target
    from fuzz.execute.worker import Limits, Worker

__all__ = ["Pair", "Refused", "Subject", "Timer", "in_turns"]

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

    def same_model(self, other: Subject) -> bool:
        """Whether the other differs at most in its data."""
        return (self.model, self.folder) == (other.model, other.folder)


class Timer:
    """One worker that times a target. Times are seconds a call on an idle machine (``own`` of `backends.timing`)."""

    def __init__(self, target: Target, limits: Limits, stop: Event) -> None:
        """The worker starts with the first model."""
        self.target = target
        self._limits = limits
        self._stop = stop
        self._worker: Worker | None = None
        self._loaded: Subject | None = None
        self._loaded_in: Worker | None = None
        self._compiled = 0.0

    def _ready(self) -> Worker:
        """The worker, a new one where there is none, it died, or it holds too much memory. Raises TargetError."""
        if self._worker is not None and (not self._worker.alive or self._worker.bloated):
            self.close()
        if self._worker is None:
            self._worker = start_worker(self.target, self._limits, self._stop)
        return self._worker

    def load(self, subject: Subject) -> float:
        """Compile a model and keep it; the seconds of that compilation. Raises Refused.

        A model that is loaded already, such as a dynamic one at another size, is not compiled anew.
        Raises TargetError where the worker does not start.
        """
        before, self._loaded = self._loaded, None
        worker = self._ready()
        values = [list(inputs) for inputs in subject.data_sets]
        if before is not None and worker is self._loaded_in and before.same_model(subject):
            self._ask(Frame("time", {"action": "feed"}, values))
            self._loaded = subject
            return self._compiled
        fields = {"action": "load", "folder": subject.folder}
        (self._compiled,) = self._ask(Frame("time", fields, values, subject.model))
        self._loaded, self._loaded_in = subject, worker
        return self._compiled

    def compile(self) -> float:
        """Seconds of one more compilation of the loaded model. Raises Refused."""
        (seconds,) = self._ask(Frame("time", {"action": "compile", "samples": 1}))
        return seconds

    def run(self, data_set: int, *, repetitions: int = 1, warm: int = 0) -> float:
        """Seconds of a call on a data set of the loaded model. Raises Refused."""
        fields = {"action": "run", "data_set": data_set, "repetitions": repetitions, "warm": warm, "samples": 1}
        (seconds,) = self._ask(Frame("time", fields))
        return seconds

    def sample(self, data_set: int, quick: float, *, alone: bool = False) -> float:
        """Seconds of a call, of as many calls as make a sample; ``quick`` is about what one takes. Raises Refused.

        One that takes turns with others runs once before, unless it is ``alone``.
        """
        repetitions = min(max(round(_SAMPLE / max(quick, 1e-9)), 1), _MOST_REPETITIONS)
        return self.run(data_set, repetitions=repetitions, warm=int(quick < _WARM_BELOW and not alone))

    def _ask(self, frame: Frame) -> list[float]:
        if self._worker is None or not self._worker.alive:
            raise Refused(self.target.canonical, Outcome.ERROR, "no model is loaded")
        attempt = self._worker.execute(encode(frame))
        if attempt.outcome is not Outcome.OK:
            raise Refused(self.target.canonical, attempt.outcome, attempt.message)
        return [float(own) for report in attempt.reports for _, _, own in report.fields["samples"]]

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None


class Pair:
    """A candidate and a baseline, each in its worker, timed in turns: AB, BA, AB, ..."""

    def __init__(self, candidate: Target, baseline: Target, limits: Limits, stop: Event) -> None:
        """Nothing starts before it is needed."""
        self.candidate = Timer(candidate, limits, stop)
        self.baseline = Timer(baseline, limits, stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.candidate.close()
        self.baseline.close()

    def load(self, subject: Subject) -> tuple[float, float]:
        """Compile a model on both sides: the seconds of each. Raises Refused, TargetError."""
        return self.candidate.load(subject), self.baseline.load(subject)

    def quick(self, data_set: int) -> tuple[float, float]:
        """One call on each side, after one that does not count. Raises Refused."""
        return self.candidate.run(data_set, warm=1), self.baseline.run(data_set, warm=1)

    def runs(self, data_set: int, pairs: int, quick: tuple[float, float]) -> tuple[list[float], list[float]]:
        """So many samples of both sides, in turns; ``quick`` is about what a call takes. Raises Refused."""
        sides = (self.candidate, self.baseline)
        return in_turns(lambda side: sides[side].sample(data_set, quick[side]), pairs)

    def compilations(self, pairs: int) -> tuple[list[float], list[float]]:
        """So many compilations of the loaded model on both sides, in turns. Raises Refused."""
        sides = (self.candidate, self.baseline)
        return in_turns(lambda side: sides[side].compile(), pairs)


def in_turns(
    sample: Callable[[int], float], pairs: int, enough: Callable[[int], bool] = lambda _: False
) -> tuple[list[float], list[float]]:
    """Sample sides 0 and 1 in the order 0 1, 1 0, 0 1, ...: a drift of the machine meets both alike.

    ``enough`` is asked after each pair, with how many there are, whether to end before all are taken.
    """
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(pairs):
        sides: Sequence[int] = (0, 1) if number % 2 == 0 else (1, 0)
        for side in sides:
            taken[side].append(sample(side))
        if enough(number + 1):
            break
    return taken
