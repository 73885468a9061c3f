"""A generated case in memory, and what the judge says of an attempt at it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.protocol import Outcome
from backends.tensor import Tensor, to_numpy
from fuzz.execute.execution import Execution
from fuzz.generate.choices import Seeded
from fuzz.generate.run import case_id, generate_case
from fuzz.judge.judge import Sample, judge
from fuzz.selftest.station import request

if TYPE_CHECKING:
    from backends.tensor import Value
    from fuzz.case import DataSet
    from fuzz.execute.worker import Attempt
    from fuzz.generate.plan import Supports
    from fuzz.generate.settings import Settings
    from fuzz.judge.verdict import Verdict

__all__ = ["Subject", "agrees", "make"]

_NOT_RUN = frozenset({Outcome.UNSUPPORTED, Outcome.ERROR})

RTOL, ATOL = 1e-2, 1e-3
"""The fixed tolerance of other fuzzers, to compare with."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One case. ``message`` asks a worker to run it; ``making`` is the CPU seconds that generating it took."""

    seed: int
    model: bytes
    data_sets: tuple[DataSet, ...]
    record: dict[str, Any]
    message: list[bytes]
    making: float

    def values(self) -> list[list[Value]]:
        """The inputs of each data set."""
        return [list(data_set.inputs.values()) for data_set in self.data_sets]

    def verdict(self, attempt: Attempt, target: str) -> Verdict:
        """What the judge says of an attempt at this case; it knows the model and nothing of faults."""
        execution = Execution(
            case=case_id(self.seed), target=target, version="", outcome=attempt.outcome, stage=attempt.stage,
            message=attempt.message, stderr="", attempts=1, wall_seconds=attempt.wall_seconds,
            cpu_seconds=attempt.cpu_seconds, outputs=attempt.outputs,
        )  # fmt: skip
        samples = [Sample(data_set.inputs) for data_set in self.data_sets]
        return judge(case_id(self.seed), self.model, "", samples, [execution])[0]


def make(seed: int, settings: Settings, supports: Supports | None) -> Subject:
    """Generate a case."""
    start = time.process_time()
    made = generate_case(Seeded(seed), settings, supports)
    message = request(made.model, [list(data_set.inputs.values()) for data_set in made.data_sets])
    return Subject(seed, made.model, made.data_sets, made.record, message, time.process_time() - start)


def agrees(attempt: Attempt, clean: Attempt) -> bool:
    """Whether plain ``allclose`` against the clean target sees nothing; what could not be run is not compared."""
    if attempt.outcome in _NOT_RUN:
        return True
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
