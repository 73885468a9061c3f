"""How long targets take for a model: all are sampled in turns, so that a drift of the machine meets all alike."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from fuzz.performance.timer import Refused, in_turns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fuzz.performance.timer import Subject, Timer

__all__ = ["BUDGET", "Latency", "against", "latencies"]

BUDGET = 1.0
"""Seconds after which a model's samples end, whatever their number."""

_LEAST = 3


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds of a call: median, quartiles and mean of so many samples; ``compile`` is of the first compilation."""

    median: float
    lower: float
    upper: float
    mean: float
    samples: int
    compile: float

    @property
    def throughput(self) -> float:
        """Calls a second."""
        return 1.0 / self.median if self.median > 0 else 0.0


def latencies(timers: Mapping[str, Timer], subject: Subject, iterations: int) -> dict[str, Latency]:
    """The latency of each target that runs the model. The others have none.

    Raises TargetError where a worker does not start.
    """
    compiled: dict[str, float] = {}
    quick: dict[str, float] = {}
    for name, timer in timers.items():
        try:
            compiled[name] = timer.load(subject)
            quick[name] = timer.run(0, warm=1)
        except Refused:
            continue
    # The call that told how long one takes is the first sample: of slow models there are few.
    taken: dict[str, list[float]] = {name: [seconds] for name, seconds in quick.items()}
    start = time.monotonic()
    for number in range(1, iterations):
        order = list(quick) if number % 2 == 0 else list(reversed(quick))
        for name in order:
            try:
                taken[name].append(timers[name].sample(0, quick[name], alone=len(order) == 1))
            except Refused:
                del quick[name]
        if number + 1 >= _LEAST and time.monotonic() - start > BUDGET:
            break
    return {name: _figure(samples, compiled[name]) for name, samples in taken.items() if name in quick and samples}


def against(
    timer: Timer, subject: Subject, other: Timer, yardstick: Subject, iterations: int
) -> tuple[float, float] | None:
    """How many times as long as a yardstick a model takes, and seconds of the yardstick: medians of samples in turns.

    The first is the median of the ratios of two samples that follow each other. None where either is refused. Raises
    TargetError where a worker does not start.
    """
    sides = (timer, other)
    try:
        for side, model in zip(sides, (subject, yardstick), strict=True):
            side.load(model)
        quick = [side.run(0, warm=1) for side in sides]
        start = time.monotonic()
        taken = in_turns(
            lambda place: sides[place].sample(0, quick[place]), iterations,
            lambda pairs: pairs >= _LEAST and time.monotonic() - start > BUDGET,
        )  # fmt: skip
    except Refused:
        return None
    return median(one / two for one, two in zip(*taken, strict=True)), median(taken[1])


def _figure(samples: list[float], compiled: float) -> Latency:
    lower, middle, upper = (float(value) for value in np.percentile(samples, [25, 50, 75]))
    return Latency(middle, lower, upper, float(np.mean(samples)), len(samples), compiled)
