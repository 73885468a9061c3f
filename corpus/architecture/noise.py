"""Principal components, and a Gaussian mixture over them that says which models are unlike all others.

DARA filters its training set by such a mixture before it learns; its logs say that this did not help. scikit-learn
would be a dependency for two functions, which are these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Components", "likely", "mixture", "principal_components"]

_DIMENSIONS, _ROUNDS, _FLOOR, _LEAST = 16, 100, 1e-3, 5
"""Components that the mixture sees; rounds of expectation and maximisation; least variance; least points."""


@dataclass(frozen=True, slots=True)
class Components:
    """Models in the plane (or space) of most variance: [models, dimensions]; the share of it that each has."""

    points: NDArray[np.float64]
    shares: tuple[float, ...]


def principal_components(inputs: NDArray[np.float32], dimensions: int = 2) -> Components:
    """The first principal components of vectors [models, length]; fewer where there are no more."""
    import numpy as np

    centred = inputs.astype(np.float64) - inputs.mean(axis=0, dtype=np.float64)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    # The sign of a component is anybody's choice: the largest entry is positive.
    largest = np.abs(left).argmax(axis=0)
    left *= np.where(left[largest, np.arange(left.shape[1])] < 0, -1.0, 1.0)
    total = float((values**2).sum()) or 1.0
    return Components((left * values)[:, :dimensions], tuple((values[:dimensions] ** 2 / total).tolist()))


def mixture(points: NDArray[np.float64], count: int, seed: int) -> NDArray[np.float64]:
    """The logarithm of each point's likelihood under a mixture of Gaussians fitted to all, [models].

    Expectation and maximisation from centres that are chosen far apart (k-means++); variances are diagonal. A Gaussian
    that stands for fewer than `_LEAST` points is taken away, else each odd point would have its own and be likely.
    """
    import numpy as np

    count = min(count, len(points))
    means = _far_apart(points, count, seed)
    variances = np.tile(points.var(axis=0) + _FLOOR, (count, 1))
    weights = np.full(count, 1 / count)
    scores = _scores(points, means, variances, weights)
    for _ in range(_ROUNDS):
        total = np.logaddexp.reduce(scores, axis=1)
        shares = np.exp(scores - total[:, None])
        sizes = shares.sum(axis=0) + 1e-12
        if len(sizes) > 1 and sizes.min() < _LEAST:
            kept = np.arange(len(sizes)) != sizes.argmin()
            scores = scores[:, kept]
            continue
        weights = sizes / len(points)
        means = shares.T @ points / sizes[:, None]
        variances = np.maximum(shares.T @ points**2 / sizes[:, None] - means**2, 0) + _FLOOR
        scores = _scores(points, means, variances, weights)
    return np.asarray(np.logaddexp.reduce(scores, axis=1))


def likely(inputs: NDArray[np.float32], count: int, share: float, seed: int) -> NDArray[np.bool_]:
    """Which models are kept where the ``share`` of them that is least likely is filtered out, [models]."""
    import numpy as np

    scores = mixture(principal_components(inputs, _DIMENSIONS).points, count, seed)
    kept = np.ones(len(inputs), dtype=np.bool_)
    kept[np.argsort(scores, kind="stable")[: int(share * len(inputs))]] = False
    return kept


def _far_apart(points: NDArray[np.float64], count: int, seed: int) -> NDArray[np.float64]:
    import numpy as np

    numbers = np.random.default_rng(seed)
    chosen = [int(numbers.integers(len(points)))]
    nearest = ((points - points[chosen[0]]) ** 2).sum(axis=1)
    for _ in range(count - 1):
        total = nearest.sum()
        chosen.append(int(numbers.choice(len(points), p=nearest / total)) if total else chosen[0])
        nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
    return points[chosen]


def _scores(
    points: NDArray[np.float64], means: NDArray[np.float64], variances: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:  # fmt: skip
    """Logarithms of weight times density, [models, Gaussians]."""
    import numpy as np

    gaps = (points[:, None] - means) ** 2 / variances + np.log(2 * np.pi * variances)
    return np.asarray(np.log(weights + 1e-300) - gaps.sum(axis=2) / 2)
