"""Elements over a norm of their neighbours: LpNormalization and local response normalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from abstract.error import accumulator, is_exact, step_unit, summation, within_range
from abstract.operator import Accuracy, Array, Bound, Call, Domain, Operator, Run, Scope
from abstract.operators.axes import from_front
from abstract.operators.elementwise import FLOAT, same_shape
from abstract.operators.softmax import axis_params

__all__ = ["OPERATORS"]

_MODERATE = Domain(-64.0, 64.0)


def propose_lp(s: Scope) -> Call:
    """Norm 1 or 2 along an axis."""
    x = s.tensor(kinds=FLOAT, rank=(1, 5), domain=_MODERATE, where=lambda v: v.array.size > 0)
    params = axis_params(s, x)
    return Call((x,), {**params, "p": s.integer(1, 2)} if s.coin(0.6) else params)


def _lp_norm(run: Run, x: Array) -> Array:
    axes = (from_front(int(run.params.get("axis", -1)), x.ndim),)
    if run.params.get("p", 2) == 1:
        return run.arithmetic.sum(np.abs(x), axes, keepdims=True)
    result: Array = np.sqrt(run.arithmetic.sum(x * x, axes, keepdims=True))
    return result


def lp(run: Run) -> tuple[Array, ...]:
    """The elements over their norm; 0 where the norm is (H6.10)."""
    norm = _lp_norm(run, run[0])
    return (np.where(norm == 0, 0, run[0] / np.where(norm == 0, 1, norm)),)


def lp_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """(E + |y| En) / (n - En): a norm errs by the norm of the errors and by the rounding of a sum."""
    x = run[0]
    norm = _lp_norm(run, x)
    count = x.shape[int(run.params.get("axis", -1))] if x.ndim else 1
    moved = norm * (summation(run, count, run.dtypes[0]) + 4 * step_unit(run, run.dtypes[0]))
    if not is_exact(e[0]):
        moved = moved + _lp_norm(run, np.broadcast_to(np.asarray(e[0], dtype=np.float64), x.shape))
    left = norm - moved
    bound = np.where(left > 0, (e[0] + np.abs(y[0]) * moved) / left, np.inf)
    total = np.power(norm + moved, run.params.get("p", 2))
    return (within_range(np.where((norm == 0) & (moved == 0), 0.0, bound), total, accumulator(run, run.dtypes[0])),)


def _has_norm(run: Run) -> bool:
    return bool((_lp_norm(run, run[0]) > 2.0**-6).all())


def propose_lrn(s: Scope) -> Call:
    """Windows over the channels, mostly of images and of odd size; others are legal too (H5.22)."""
    rank = s.pick(((4, 4), (4, 4), (4, 4), (3, 5)))
    x = s.tensor(kinds=FLOAT, rank=rank, domain=_MODERATE, where=lambda v: v.array.size > 0)
    params: dict[str, Any] = {"size": s.pick((1, 3, 3, 5, 5, 2, 4) if s.coin(0.2) else (1, 3, 5))}
    for name, values in (("alpha", (1e-4, 0.01, 0.5)), ("beta", (0.5, 0.75, 1.0)), ("bias", (1.0, 2.0))):
        if s.coin(0.5):
            params[name] = s.pick(values)
    return Call((x,), params)


def _window_sum(run: Run, x: Array) -> Array:
    """The sum over channels from c - floor((size-1)/2) to c + ceil((size-1)/2)."""
    size, channels = int(run.params["size"]), x.shape[1]
    before = (size - 1) // 2
    wide = np.zeros((x.shape[0], channels + size - 1, *x.shape[2:]), dtype=x.dtype)
    wide[:, before : before + channels] = x
    views = np.lib.stride_tricks.sliding_window_view(wide, size, axis=1)
    return run.arithmetic.sum(views, (-1,), keepdims=False)


def _lrn_base(run: Run) -> Array:
    x, alpha = run[0], float(run.params.get("alpha", 1e-4))
    result: Array = run.params.get("bias", 1.0) + alpha / int(run.params["size"]) * _window_sum(run, x * x)
    return result


def lrn(run: Run) -> tuple[Array, ...]:
    """The input over (bias + alpha / size * sum of squares)**beta."""
    return (run[0] / np.power(_lrn_base(run), run.params.get("beta", 0.75)),)


def lrn_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """(|x| + E) / (base - Eb)**beta - |y|, the power with its argument's rounding (exp and log in narrow types).

    ONNX Runtime slides the sum along the channels (adds one square, subtracts another), so that every base errs with
    the greatest one: two roundings a channel.
    """
    x, size, dtype = run[0], int(run.params["size"]), run.dtypes[0]
    alpha, beta = abs(float(run.params.get("alpha", 1e-4))), abs(float(run.params.get("beta", 0.75)))
    base, unit = _lrn_base(run), step_unit(run, dtype)
    slid = np.max(base, axis=1, keepdims=True, initial=0.0) * (2 * x.shape[1] * unit)
    moved = np.abs(base) * (summation(run, size, dtype) + 4 * unit) + slid
    if not is_exact(e[0]):
        moved = moved + alpha / size * _window_sum(run, (2 * np.abs(x) + e[0]) * e[0])
    left = base - moved
    grown = (np.abs(x) + e[0]) / np.power(np.where(left > 0, left, np.nan), beta)
    relative = (6 + beta * np.abs(np.log(np.abs(base)))) * unit
    squares = _window_sum(run, np.square(np.abs(x) + e[0]))
    return (within_range(grown * (1 + relative) - np.abs(y[0]), squares, accumulator(run, dtype)),)


OPERATORS: tuple[Operator, ...] = (
    Operator("LpNormalization", propose_lp, same_shape, lp, lp_error, defined=_has_norm, accuracy=Accuracy(2, 0),
             weight=0.5),
    Operator("LRN", propose_lrn, same_shape, lrn, lrn_error, accuracy=Accuracy(2, 0), weight=0.5),
)  # fmt: skip
