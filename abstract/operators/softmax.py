"""Softmax and its kin: an axis on which elements compete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.error import is_exact, step_unit, summation, underflow
from abstract.operator import Accuracy, Array, Bound, Call, Domain, NotCovered, Operator, Run, Scope
from abstract.operators.elementwise import FLOAT, apart, same_shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from abstract.graph import Value

__all__ = ["OPERATORS", "axis_params"]

_FLAT = Domain(-30.0, 30.0)  # log(softmax(x)) stays finite in float
_STEEP = Domain(-240.0, 240.0)  # exp(x) is beyond float unless the greatest is taken off


def axis_params(s: Scope, x: Value) -> dict[str, Any]:
    """An axis from either end, or the last by default."""
    rank = x.type.rank
    axis = s.integer(0, rank - 1)
    if axis == rank - 1 and s.coin(0.4):
        return {}
    return {"axis": axis - rank if s.coin(0.4) else axis}


def propose_along(domain: Domain) -> Callable[[Scope], Call]:
    """Along any axis (H6.8: one axis since opset 13)."""

    def propose(s: Scope) -> Call:
        x = s.tensor(kinds=FLOAT, rank=(1, 5), domain=domain, where=lambda v: v.array.size > 0)
        return Call((x,), axis_params(s, x))

    return propose


def _axis(run: Run) -> int:
    return int(run.params.get("axis", -1))


def _exponentials(run: Run) -> tuple[Array, Array, Array]:
    """The input less its greatest, the exponentials of that, and their sum."""
    x = run[0]
    if not x.ndim:
        raise NotCovered("Softmax of a scalar")
    shifted = x - x.max(axis=_axis(run), keepdims=True, initial=-np.inf)
    powers = np.exp(shifted)
    return shifted, powers, run.arithmetic.sum(powers, (_axis(run) % x.ndim,), keepdims=True)


def softmax(run: Run) -> tuple[Array, ...]:
    """Exponentials over their sum along an axis."""
    _, powers, total = _exponentials(run)
    return (powers / total,)


def _worst(run: Run, error: Bound) -> Bound:
    """An element's own error and the greatest along the axis: what exp(x) / sum(exp(x)) can change by, in log."""
    if isinstance(error, float):
        return 2 * error
    full = np.broadcast_to(error, run[0].shape)
    bound: Bound = full + full.max(axis=_axis(run), keepdims=True)
    return bound


def softmax_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Relative: expm1 of the change in log, and (8 + n-term sum)(1 + |x - max|) u; tails may flush to 0.

    What is masked by -inf is 0, whatever the others are, as long as they are numbers.
    """
    dtype = run.dtypes[0]
    if dtype is None:
        return (np.inf,)
    shifted = np.abs(run[0] - run[0].max(axis=_axis(run), keepdims=True, initial=-np.inf))
    relative = (summation(run, run[0].shape[_axis(run)], dtype) + 8 * step_unit(run, dtype)) * (1 + shifted)
    if not is_exact(e[0]):
        relative = relative + np.expm1(_worst(run, e[0])) * (1 + relative)
    masked = np.isneginf(run[0]) & (y[0] == 0) & np.isfinite(_worst(run, e[0]))
    return (np.where(masked, 0.0, y[0] * relative + 4 * underflow(run, dtype)),)


def log_softmax(run: Run) -> tuple[Array, ...]:
    """The input less the logarithm of the sum of exponentials along an axis."""
    shifted, _, total = _exponentials(run)
    return (shifted - np.log(total),)


def log_softmax_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The change in log, and (6 + n-term sum)(1 + |y|) u.

    Nothing is known where softmax(x) is near the subnormals: log(softmax(x)) is a legal way to compute it.
    """
    dtype = run.dtypes[0]
    if dtype is None:
        return (np.inf,)
    factor = summation(run, run[0].shape[_axis(run)], dtype) + 8 * step_unit(run, dtype)
    shifted = np.abs(run[0] - run[0].max(axis=_axis(run), keepdims=True, initial=-np.inf))
    bound = _worst(run, e[0]) + (1 + shifted + np.abs(y[0])) * factor
    return (np.where(y[0] < np.log(dtype.smallest_normal) + 1, np.inf, bound),)


def hardmax(run: Run) -> tuple[Array, ...]:
    """1 at the first of the greatest elements along an axis, 0 elsewhere (H3.12)."""
    x = run[0]
    if not x.ndim:
        raise NotCovered("Hardmax of a scalar")
    result = np.zeros_like(x)
    if x.size:
        np.put_along_axis(result, x.argmax(axis=_axis(run), keepdims=True), 1, axis=_axis(run))
    return (result,)


def hardmax_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """1 at every element that may be the greatest, where there are several."""
    del y
    if is_exact(e[0]) or not run[0].size:
        return (0.0,)
    x, axis = run[0], _axis(run)
    reach = np.broadcast_to(np.asarray(e[0]), x.shape)
    may = x + reach >= (x - reach).max(axis=axis, keepdims=True)
    worst = reach.max(axis=axis, keepdims=True)
    several = (may.sum(axis=axis, keepdims=True) > 1) & (worst > 0)
    # What is wholly unknown may be NaN, with which any element may win.
    return (np.where(np.isinf(worst), np.inf, np.where(may & several, 1.0, 0.0)),)


def _one_greatest(run: Run) -> bool:
    x = run[0]
    return apart(x.max(axis=_axis(run), keepdims=True) - x, x)


_ROUNDED = Accuracy(2, 0)

OPERATORS: tuple[Operator, ...] = (
    Operator("Softmax", propose_along(_STEEP), same_shape, softmax, softmax_error, accuracy=_ROUNDED),
    Operator("LogSoftmax", propose_along(_FLAT), same_shape, log_softmax, log_softmax_error, accuracy=_ROUNDED),
    Operator("Hardmax", propose_along(_FLAT), same_shape, hardmax, hardmax_error, defined=_one_greatest, exact=True,
             weight=0.5),
)  # fmt: skip
