"""What a process of the crew is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from fuzz.campaign.trial import Exhibit, Trial

if TYPE_CHECKING:
    from fuzz.campaign.trial import Failure
    from fuzz.novelty.state import Origin

__all__ = ["Examine", "Reduce", "Task"]

_LIVES = 2  # processes that a task may cost before it is given up, or asked for less


@dataclass(frozen=True)  # without slots, as what comes of it (`fuzz/campaign/trial.py`)
class Examine:
    """Generate a seed's case, with some operators at rest, execute it on the targets that are named, judge it.

    The case is made of ``origin`` where there is one. With ``shows`` targets are asked what they made of it. What fails
    as ``familiar`` answers did is not asked again in a fresh worker: the digests of rough keys, with spaces between. As
    one text they travel twelve times as fast as a set of them, and a case that passes has no use for them.
    """

    seed: int
    rests: tuple[str, ...] = ()
    asked: tuple[str, ...] | None = None
    origin: Origin | None = None
    shows: bool = False
    familiar: str = ""

    @property
    def key(self) -> tuple[int, str]:
        """Names the task."""
        return self.seed, ""

    def after(self, deaths: int, exit_code: int | None) -> Task | Trial:
        """What is to be done where so many processes have died of it; a result where that is nothing more."""
        if deaths < _LIVES:
            return self
        return Trial(self.seed, problem=f"the process that examined it ended with exit code {exit_code}")


@dataclass(frozen=True)  # without slots, as what comes of it (`fuzz/campaign/trial.py`)
class Reduce:
    """Make a seed's case small that failed on a target.

    ``known`` are signatures of findings: candidates that fail so are not looked into. ``found`` names findings that an
    earlier case stands for: no report is written of them. With ``plain`` the case is kept as it is, for that reason.
    """

    seed: int
    failure: Failure
    known: frozenset[str] = frozenset()
    plain: str = ""
    found: frozenset[str] = frozenset()

    @property
    def key(self) -> tuple[int, str]:
        """Names the task."""
        return self.seed, self.failure.target

    def after(self, deaths: int, exit_code: int | None) -> Task | Exhibit:
        """What is to be done where so many processes have died of it; a result where that is nothing more."""
        if deaths < _LIVES:
            return self
        told = f"the process that reduced it ended with exit code {exit_code}"
        return Exhibit(self.seed, self.failure.target, problem=told) if self.plain else replace(self, plain=told)


Task: TypeAlias = Examine | Reduce
