"""What one attempt at a case may use, and what it gave."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.frame import Frame
    from backends.protocol import Outcome, Stage
    from backends.tensor import Value

__all__ = ["Attempt", "Heard", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one case may use: seconds (all data sets together) and bytes of resident memory."""

    seconds: float
    resident_bytes: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one attempt at a case gave; `reports` are the frames by which other operations than `execute` answer."""

    outcome: Outcome
    stage: Stage | None
    message: str
    stderr: str
    wall_seconds: float
    cpu_seconds: float
    outputs: tuple[tuple[Value, ...], ...]
    reports: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class Heard:
    """What a worker has sent of an attempt so far."""

    outputs: list[tuple[Value, ...]] = field(default_factory=list)
    reports: list[Frame] = field(default_factory=list)

    def hear(self, frame: Frame) -> None:
        """Take the outputs that a frame brings: a list for each data set. Raises `TypeError` where one is none."""
        self.outputs.extend(tuple(_listed(values)) for values in frame.values)


def _listed(values: Value) -> list[Value]:
    if not isinstance(values, list):
        raise TypeError("outputs that are no list")
    return values
