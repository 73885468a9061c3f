"""What came of one seed, and of one failing answer: plain data, on its way from where it was found to the driver.

Without slots: dataclasses that have them go through Python twice on their way, which takes half as long again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from fuzz.novelty.state import Shown
    from fuzz.reach import Pair

__all__ = ["Answer", "Exhibit", "Failure", "Sighting", "Trial", "finding_id", "rough_digest"]


def finding_id(identity: str) -> str:
    """The name of a finding's folder."""
    return hashlib.sha256(identity.encode("utf-8", "backslashreplace")).hexdigest()[:12]


def rough_digest(rough: str) -> str:
    """A rough key in few letters: tasks carry many of them."""
    return hashlib.sha256(rough.encode("utf-8", "backslashreplace")).hexdigest()[:10]


@dataclass(frozen=True)
class Answer:
    """One target's answer: what became of it and how it was judged; ``message`` is empty where it is ok."""

    target: str
    version: str
    outcome: str
    verdict: str
    message: str
    attempts: int
    cpu_seconds: float


@dataclass(frozen=True)
class Failure:
    """A failing answer, not reduced yet.

    ``rough`` is what it is taken for before any search (``fuzz/campaign/rough.py``), ``site`` the operator with its
    element type where it seems to begin, empty where nothing tells. ``told`` is what a reduction has to know of the
    answer, as JSON.
    """

    target: str
    rough: str
    site: str
    told: str


@dataclass(frozen=True)
class Trial:
    """One seed. ``problem`` says why it has no answers, in case our own code failed; seconds are of CPU time.

    ``pairs`` are the operators of the case, each with the element type of its first operand (``fuzz.reach``),
    ``links`` says which feed which, ``Producer>Consumer``, if a target ran the model. ``shown`` is
    what targets showed of their work, where they were asked.
    """

    seed: int
    nodes: int = 0
    generate_seconds: float = 0.0
    judge_seconds: float = 0.0
    answers: tuple[Answer, ...] = ()
    failures: tuple[Failure, ...] = ()
    problem: str = ""
    pairs: tuple[Pair, ...] = ()
    links: frozenset[str] = frozenset()
    shown: Shown | None = None

    @property
    def key(self) -> tuple[int, str]:
        """Names the task that it came of."""
        return self.seed, ""


@dataclass(frozen=True)
class Sighting:
    """A finding was seen. ``folder`` is where the case lies that shows it, for the driver to put in place.

    ``identity`` is what tells it from other findings, ``nodes`` how many are left of ``nodes_before``, ``sites`` the
    operators with their types that it is put down to. ``aside`` says that it is not what the case failed with, but
    what a candidate of its reduction did.
    """

    target: str
    identity: str
    signature: str
    pattern: str
    nodes: int
    nodes_before: int
    folder: Path
    sites: str = ""
    aside: bool = False


@dataclass(frozen=True)
class Exhibit:
    """What came of reducing a failing answer. ``problem`` says why it shows nothing, if so."""

    seed: int
    target: str
    sightings: tuple[Sighting, ...] = ()
    problem: str = ""
    cpu_seconds: float = 0.0

    @property
    def key(self) -> tuple[int, str]:
        """Names the task that it came of."""
        return self.seed, self.target
