"""What is asked of a measurement and what comes of it; a slow side is measured again in fresh processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fuzz.execute.worker import Limits
from fuzz.judge.verdict import Verdict, Word
from fuzz.performance.comparison import Threshold
from fuzz.performance.timer import Pair

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from fuzz.execute.target import Target
    from fuzz.performance.comparison import Comparison
    from fuzz.performance.growth import Point

__all__ = ["FEWEST_PAIRS", "KINDS", "ORACLES", "Measurement", "Plan", "decide", "milliseconds"]

ORACLES = {"run": "performance", "compile": "compile-time", "growth": "growth"}
"""What is measured, and the oracle by whose name its verdicts stand in the store."""
KINDS = tuple(ORACLES)
FEWEST_PAIRS = 8  # with fewer the rank test cannot reach 0.001 even where the two sides do not overlap


@dataclass(frozen=True, slots=True)
class Plan:
    """Two targets and how they are compared; ``limits`` are those of one compilation or sample in a worker."""

    candidate: Target
    baseline: Target
    kinds: tuple[str, ...] = KINDS
    threshold: Threshold = field(default_factory=Threshold)
    pairs: int = 20
    limits: Limits = field(default_factory=lambda: Limits(60.0, 4096 << 20))

    def pair(self, stop: Event) -> Pair:
        """A candidate and a baseline in processes of their own."""
        return Pair(self.candidate, self.baseline, self.limits, stop)

    def affordable(self, seconds: float) -> int:
        """How many pairs of samples that take so long together fit into the time limit, within reason."""
        return max(FEWEST_PAIRS, min(self.pairs, int(self.limits.seconds / max(seconds, 1e-9))))


@dataclass(frozen=True, slots=True)
class Measurement:
    """One oracle's answer to one case.

    ``comparisons`` holds what was measured, and after it what was measured again in fresh processes; ``points`` the
    sizes of a growth; ``of_parts`` says that a compilation was compared with those of the model's parts. ``scale`` is
    the multiple of the case's dims at which that was.
    """

    case: str
    kind: str
    word: Word
    message: str
    scale: int = 1
    comparisons: tuple[Comparison, ...] = ()
    points: tuple[Point, ...] = ()
    of_parts: bool = False

    def verdict(self, target: str) -> Verdict:
        """As it goes into the store."""
        return Verdict(self.case, target, 0, self.word.value, message=self.message, oracle=ORACLES[self.kind])


def decide(
    threshold: Threshold, first: Comparison, again: Callable[[], Comparison]
) -> tuple[Word, tuple[Comparison, ...]]:
    """Slow where it is so twice: now, and in the fresh processes that ``again`` measures in; once is flaky."""
    if not first.slower(threshold):
        return Word.OK, (first,)
    second = again()
    return (Word.SLOW if second.slower(threshold) else Word.FLAKY), (first, second)


def milliseconds(seconds: float) -> str:
    """A time for people."""
    return f"{1e3 * seconds:.3g} ms"
