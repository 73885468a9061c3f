"""How well predictions fit what was measured: errors, correlation of ranks, NDCG.

NDCG is GENNAPE's: relevance is the label's place between the least and the greatest, times 20, gain is linear, the
discount of rank i (from 0) is 1 / log2(i + 2), and predictions that are equal share their ranks. Of a label of which
less is better, the relevance of the least is 20.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Scores", "kendall", "ndcg", "score", "spearman"]

_RELEVANCE = 20.0


@dataclass(frozen=True, slots=True)
class Scores:
    """How well labels of ``count`` graphs are predicted.

    Mean squared, absolute and relative error (1 is 100%), in units of the label; correlations of ranks; NDCG@10 and
    @50. What cannot be said, as a correlation where all are equal, is None.
    """

    count: int
    mse: float
    mae: float
    mape: float | None
    spearman: float | None
    kendall: float | None
    ndcg_10: float | None
    ndcg_50: float | None

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {name: getattr(self, name) for name in self.__slots__}


def score(truth: Sequence[float], predicted: Sequence[float], *, less_is_better: bool = False) -> Scores:
    """All measures of as many predictions as labels, at least one. Raises ValueError."""
    import numpy as np

    if len(truth) != len(predicted) or not truth:
        raise ValueError(f"{len(truth)} labels and {len(predicted)} predictions")
    true, told = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    off = np.abs(told - true)
    some = np.abs(true) > 0  # as in GENNAPE, a label of 0 has no relative error
    return Scores(
        len(true), float(np.mean(off**2)), float(np.mean(off)),
        float(np.mean(off[some] / np.abs(true[some]))) if some.any() else None,
        spearman(true, told), kendall(true, told),
        ndcg(true, told, 10, less_is_better=less_is_better), ndcg(true, told, 50, less_is_better=less_is_better),
    )  # fmt: skip


def spearman(one: Sequence[float] | NDArray[np.float64], other: Sequence[float] | NDArray[np.float64]) -> float | None:
    """Spearman's rank correlation; None where one side is constant."""
    from scipy.stats import spearmanr

    return float(spearmanr(one, other).statistic) if _varies(one) and _varies(other) else None


def kendall(one: Sequence[float] | NDArray[np.float64], other: Sequence[float] | NDArray[np.float64]) -> float | None:
    """Kendall's tau-b; None where one side is constant."""
    from scipy.stats import kendalltau

    return float(kendalltau(one, other).statistic) if _varies(one) and _varies(other) else None


def ndcg(
    truth: Sequence[float] | NDArray[np.float64], predicted: Sequence[float] | NDArray[np.float64], most: int,
    *, less_is_better: bool = False,
) -> float | None:  # fmt: skip
    """Normalised discounted cumulative gain of the first ``most``; None where all labels are equal."""
    import numpy as np

    if not _varies(truth):
        return None
    sign = -1.0 if less_is_better else 1.0
    true, told = sign * np.asarray(truth, np.float64), sign * np.asarray(predicted, np.float64)
    relevance = _RELEVANCE * (true - true.min()) / (true.max() - true.min())
    discount = 1.0 / np.log2(np.arange(len(true)) + 2.0)
    discount[most:] = 0.0
    best = float(np.sum(np.sort(relevance)[::-1] * discount))
    # Those of one prediction share the discounts of their ranks.
    _, group, sizes = np.unique(-told, return_inverse=True, return_counts=True)
    ends = np.cumsum(sizes)
    shared = [float(discount[end - size : end].mean()) for end, size in zip(ends, sizes, strict=True)]
    return float(np.sum(relevance * np.asarray(shared)[group.reshape(-1)])) / best


def _varies(values: Sequence[float] | NDArray[np.float64]) -> bool:
    return len(values) > 1 and min(values) < max(values)
