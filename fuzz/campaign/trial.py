"""What came of one seed: plain data, on its way from the process that examined it to the driver."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from fuzz.reach import Pair

__all__ = ["Answer", "Sighting", "Trial", "finding_id"]


def finding_id(identity: str) -> str:
    """The name of a finding's folder."""
    return hashlib.sha256(identity.encode("utf-8", "backslashreplace")).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Answer:
    """One target's answer: what became of it and how it was judged; ``message`` is empty where it is ok."""

    target: str
    version: str
    outcome: str
    verdict: str
    message: str
    attempts: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Sighting:
    """A target failed. ``folder`` is where the case lies that shows it, for the driver to put in place.

    ``identity`` is what tells it from other findings, ``nodes`` how many are left of ``nodes_before``.
    """

    target: str
    identity: str
    signature: str
    pattern: str
    nodes: int
    nodes_before: int
    folder: Path


@dataclass(frozen=True, slots=True)
class Trial:
    """One seed. ``problem`` says why it has no answers, in case our own code failed; seconds are of CPU time.

    ``pairs`` are the operators of the case, each with the element type of its first operand (``fuzz.reach``).
    """

    seed: int
    nodes: int = 0
    generate_seconds: float = 0.0
    judge_seconds: float = 0.0
    answers: tuple[Answer, ...] = ()
    sightings: tuple[Sighting, ...] = ()
    problem: str = ""
    pairs: tuple[Pair, ...] = ()
