"""What was seen of a candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fuzz.judge.verdict import FINDINGS

if TYPE_CHECKING:
    from fuzz.judge.verdict import Verdict
    from fuzz.triage.signature import Signature

__all__ = ["Observation"]


@dataclass(frozen=True, slots=True)
class Observation:
    """What became of a candidate.

    ``signature`` is that of its verdict; ``fit`` says that it is a valid model on which the reference is defined, so
    that what a target does with it counts; ``problem`` says why it is not. ``verdict`` is None where the target was not
    asked or the answer was known from an earlier run; ``said`` are the target's own words.
    """

    signature: Signature
    fit: bool = True
    problem: str = ""
    verdict: Verdict | None = None
    said: str = ""

    @property
    def finding(self) -> bool:
        """Whether it is something to report."""
        return self.fit and self.signature.word in FINDINGS
