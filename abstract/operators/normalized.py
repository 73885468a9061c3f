"""What is normalized over axes: its mean, its deviation, the scaled values, and how each of them errs."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.dtypes import BY_CODE, BY_NAME
from abstract.error import is_exact, step_unit, summation, within_range

if TYPE_CHECKING:
    from abstract.dtypes import DType
    from abstract.operator import Array, Bound, Run

__all__ = ["FLOAT32", "Axes", "Normalized", "epsilon_loss", "stage"]

FLOAT32 = BY_NAME["float"]
_LARGEST_LOSS = 0.1  # a relative error of the variance beyond this says nothing any more

Axes = tuple[int, ...]


def _mean(run: Run, x: Array, axes: Axes) -> Array:
    result: Array = run.arithmetic.sum(x, axes, keepdims=True) / max(prod(x.shape[a] for a in axes), 1)
    return result


class Normalized:
    """(x - mean) / sqrt(var + epsilon) over axes, or without a mean x / sqrt(mean(x**2) + epsilon)."""

    __slots__ = ("axes", "centre", "centred", "deviation", "epsilon", "mean")

    def __init__(self, run: Run, x: Array, axes: Axes, epsilon: float, *, centre: bool) -> None:
        self.axes = axes
        self.centre = centre
        self.mean = _mean(run, x, axes) if centre else np.zeros((), dtype=x.dtype)
        self.centred = x - self.mean if centre else x
        self.deviation = np.sqrt(_mean(run, self.centred * self.centred, axes) + epsilon)
        self.epsilon = epsilon

    @property
    def scaled(self) -> Array:
        """The normalized values."""
        result: Array = self.centred / self.deviation
        return result

    def errors(self, run: Run, error: Bound) -> tuple[Array, Array, Array]:
        """Bounds on the mean, on the deviation, and on the scaled values.

        Incoming: centring moves an element by its own and the mean error; the deviation is a 2-norm of centred
        values, and centring is a projection, so it moves by the root of the mean square error at most. Rounding: a
        mean errs by g mean|x|, a variance relatively by g E[x**2] / var, which admits E[x**2] - E[x]**2. Nothing is
        known where a sum may leave the range of the type that it is kept in.
        """
        x, axes, dtype = run[0], self.axes, stage(run)
        count = max(prod(x.shape[a] for a in axes), 1)
        factor = summation(run, count, dtype) + 4 * step_unit(run, dtype)
        size = np.abs(x)
        average: Any = np.add.reduce(size, axis=axes, keepdims=True) / count if self.centre else 0.0
        moved = self.deviation * self._loss(run, size, average * factor, factor)
        moved = moved + epsilon_loss(run, self.epsilon) / self.deviation
        mean: Any = average * factor
        own = size * (2 * step_unit(run, dtype))
        if not is_exact(error):
            full = np.broadcast_to(np.asarray(error, dtype=np.float64), x.shape)
            moved = moved + np.sqrt(np.add.reduce(full * full, axis=axes, keepdims=True) / count)
            own = own + full
            if self.centre:
                mean = mean + np.add.reduce(full, axis=axes, keepdims=True) / count
        kept = run.contract.accumulator(_stash(run))
        mean = within_range(mean, count * (average + mean), kept) if self.centre else mean
        moved = np.asarray(within_range(moved, count * np.square(self.deviation + moved), kept))
        left = self.deviation - moved
        scaled = np.where(left > 0, (own + mean + np.abs(self.scaled) * moved) / left, np.inf)
        return mean, moved, scaled

    def _loss(self, run: Run, size: Array, mean_error: Any, factor: float) -> Array | float:
        """The relative rounding error of the deviation; inf beyond a tenth, 0 for a single element less itself."""
        count = max(prod(size.shape[a] for a in self.axes), 1)
        if self.centre and count == 1:
            return 0.0
        squares = np.add.reduce(size * size, axis=self.axes, keepdims=True) / count
        # Half-width types are never accumulated in one pass but in float.
        cancelled = squares * min(factor, summation(run, count, FLOAT32) + 4 * FLOAT32.unit) if self.centre else 0.0
        loss = factor + (cancelled + mean_error * mean_error) / (self.deviation * self.deviation)
        return np.where(loss > _LARGEST_LOSS, np.inf, loss)


def epsilon_loss(run: Run, epsilon: float) -> float:
    """Half of what epsilon may be off by: the attribute is float32, and backends use 1e-5 or what float32 makes of it.

    Seen only in double. The root of v + epsilon moves by this over the root.
    """
    own = run.dtypes[0]
    return epsilon * 2.0**-25 if own is not None and own.name == "double" else 0.0


def stage(run: Run) -> DType:
    """The type in which mean and deviation may be computed: the operand's, or a coarser ``stash_type`` (H6.14)."""
    own, stash = run.dtypes[0] or FLOAT32, _stash(run)
    return stash if stash.unit > own.unit else own


def _stash(run: Run) -> DType:
    """The type that the statistics are kept in by the specification: the operand's unless there is a ``stash_type``."""
    own = run.dtypes[0] or FLOAT32
    return BY_CODE.get(run.params.get("stash_type", own.code), own)
