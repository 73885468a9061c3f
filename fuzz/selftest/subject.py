"""A generated case in memory, with what a sound target makes of it and what all of that costs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backends.protocol import Outcome
from backends.tensor import Tensor, to_numpy
from fuzz.execute.execution import Execution
from fuzz.generate.choices import Seeded
from fuzz.generate.run import case_id, generate_case
from fuzz.judge.judge import Sample, judge
from fuzz.judge.verdict import Word
from fuzz.selftest.station import request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.tensor import Value
    from fuzz.execute.worker import Attempt
    from fuzz.generate.plan import Supports
    from fuzz.generate.settings import Settings
    from fuzz.judge.verdict import Verdict
    from fuzz.selftest.station import Station

__all__ = ["Subject", "agrees", "prepare"]

RTOL, ATOL = 1e-2, 1e-3
"""The fixed tolerance of other fuzzers, to compare with."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One case.

    ``word`` is the verdict of the clean target. ``making`` is what generating it costs, ``judging`` the reference with
    its bounds and the comparison, ``running`` the clean target; all in CPU seconds.
    """

    seed: int
    model: bytes
    samples: tuple[Sample, ...]
    message: list[bytes]
    clean: Attempt
    word: Word
    making: float
    running: float
    judging: float

    @property
    def cost(self) -> float:
        """CPU seconds of a case that a fault does not show in."""
        return self.making + self.running + self.judging

    def verdict(self, attempt: Attempt, target: str) -> Verdict:
        """What the judge says of an attempt at this case; it knows the model and nothing of faults."""
        return _judged(self.seed, self.model, self.samples, attempt, target)


def prepare(seed: int, settings: Settings, supports: Supports | None, station: Station) -> Subject:
    """Generate a case, run it on the clean target, judge that."""
    start = time.process_time()
    made = generate_case(Seeded(seed), settings, supports)
    samples = tuple(Sample(data_set.inputs) for data_set in made.data_sets)
    message = request(made.model, [list(data_set.inputs.values()) for data_set in made.data_sets])
    generated = time.process_time()
    before = station.spent
    clean = station.execute(message)
    ran = time.process_time()
    word = Word(_judged(seed, made.model, samples, clean, station.target.canonical).verdict)
    done = time.process_time()
    running = ran - generated + station.spent - before
    return Subject(seed, made.model, samples, message, clean, word, generated - start, running, done - ran)


def _judged(seed: int, model: bytes, samples: Sequence[Sample], attempt: Attempt, target: str) -> Verdict:
    execution = Execution(
        case=case_id(seed), target=target, version="", outcome=attempt.outcome, stage=attempt.stage,
        message=attempt.message, stderr="", attempts=1, wall_seconds=attempt.wall_seconds,
        cpu_seconds=attempt.cpu_seconds, outputs=attempt.outputs,
    )  # fmt: skip
    return judge(case_id(seed), model, "", samples, [execution])[0]


def agrees(attempt: Attempt, clean: Attempt) -> bool:
    """Whether plain ``allclose`` against the clean target sees nothing."""
    if attempt.outcome is not Outcome.OK or len(attempt.outputs) != len(clean.outputs):
        return False
    return all(
        len(mine) == len(theirs) and all(map(_close, mine, theirs))
        for mine, theirs in zip(attempt.outputs, clean.outputs, strict=True)
    )


def _close(mine: Value, theirs: Value) -> bool:
    if not isinstance(mine, Tensor) or not isinstance(theirs, Tensor):
        return mine == theirs
    if mine.element_type != theirs.element_type or mine.shape != theirs.shape:
        return False
    if mine.data == theirs.data:
        return True
    a, b = to_numpy(mine), to_numpy(theirs)
    if a.dtype.kind in "OUS":
        return bool(np.array_equal(a, b))
    with np.errstate(all="ignore"):
        return bool(np.allclose(a.astype(np.float64), b.astype(np.float64), RTOL, ATOL, equal_nan=True))
