"""Two samples of times compared: is one side slower, by how much, and can that be chance?"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from fuzz.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Comparison", "Threshold", "compare", "require_scipy"]


@dataclass(frozen=True, slots=True)
class Threshold:
    """What counts as slower: all three must be exceeded.

    ``ratio`` is of medians, ``seconds`` their difference, ``significance`` the greatest p of the rank test.
    """

    ratio: float = 1.5
    seconds: float = 1e-3
    significance: float = 1e-3


@dataclass(frozen=True, slots=True)
class Comparison:
    """Seconds a call of both sides, and the p of a one-sided Mann-Whitney test that the candidate is not slower."""

    candidate: tuple[float, ...]
    baseline: tuple[float, ...]
    p: float

    @property
    def ratio(self) -> float:
        """Median of the candidate over that of the baseline; infinite over zero."""
        base = median(self.baseline)
        return median(self.candidate) / base if base > 0 else float("inf")

    @property
    def difference(self) -> float:
        """Seconds between the medians."""
        return median(self.candidate) - median(self.baseline)

    def slower(self, than: Threshold) -> bool:
        """Whether the candidate is slower."""
        return self.ratio >= than.ratio and self.difference >= than.seconds and self.p < than.significance


def compare(candidate: Sequence[float], baseline: Sequence[float]) -> Comparison:
    """Compare two samples.

    Raises ValueError for an empty one, UsageError where scipy is missing.
    """
    if not (candidate and baseline):
        raise ValueError("an empty sample cannot be compared")
    require_scipy()
    from scipy.stats import mannwhitneyu

    # Exact where both are small and untied, else by the normal approximation with its correction for ties.
    p = float(mannwhitneyu(candidate, baseline, alternative="greater").pvalue)
    return Comparison(tuple(candidate), tuple(baseline), p)


def require_scipy() -> None:
    """Refuse to measure what could not be judged. Raises UsageError."""
    try:
        import scipy.stats  # noqa: F401 - only whether it is there
    except ImportError:
        raise UsageError("fuzz perf needs scipy: pip install 'dnnfuzz[perf]'") from None
