"""What became of one case on one target."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.protocol import Outcome, Stage
    from backends.tensor import Value

__all__ = ["Execution"]


@dataclass(frozen=True, slots=True)
class Execution:
    """One case executed on one target.

    Attributes:
        case: the case's id.
        target: the canonical text of the target.
        version: the version of the backend that ran.
        outcome: what became of it.
        stage: the stage in which it ended, None where the worker did not get so far.
        message: the backend's own words, or what the worker died of; empty where all went well.
        stderr: the last lines that the worker printed, empty where all went well.
        attempts: 2 where a crash, a time-out or memory's end was repeated in a fresh worker, else 1.
        wall_seconds: of the last attempt, compiling and all data sets together.
        cpu_seconds: the same in CPU time, the worker's children included.
        outputs: one tuple of outputs for each data set that was finished.
        beside: of a model that a tool has rewritten, what else was computed (`protocol.UNTRANSFORMED`, `ELSEWHERE`),
            by kind, data set and position of the output.
    """

    case: str
    target: str
    version: str
    outcome: Outcome
    stage: Stage | None
    message: str
    stderr: str
    attempts: int
    wall_seconds: float
    cpu_seconds: float
    outputs: tuple[tuple[Value, ...], ...]
    beside: Mapping[tuple[str, int, int], Value] = field(default_factory=dict)
