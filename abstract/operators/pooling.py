"""Pooling: the greatest, the mean or the norm of what a window covers."""

from __future__ import annotations

from functools import reduce
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.error import accumulator, is_exact, step_unit, summation, underflow, within_range
from abstract.operator import Accuracy, Array, Bound, Call, Domain, Operator, Run, Scope, Typing
from abstract.operators.elementwise import FLOAT, MARGIN, NUMBER
from abstract.operators.window import Window, patches, slid, window, window_params

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from abstract.dtypes import DType, Kind
    from abstract.types import Shape

__all__ = ["OPERATORS"]

_MODERATE = Domain(-64.0, 64.0)
_MEAN = Accuracy(2, 0)  # the sum is rounded, then divided or multiplied by 1/n


def _propose(s: Scope, kinds: Sequence[Kind], domain: Domain) -> Call:
    x = s.tensor(kinds=kinds, rank=(3, 5), domain=domain, where=lambda v: all(v.array.shape))
    spatial = x.type.shape[2:]
    kernel = tuple(s.size(1, min(3, s.store.value(d)), "k") for d in spatial)
    return Call((x,), window_params(s, spatial, kernel, pool=True))


def pooled(t: Typing) -> tuple[Shape, ...]:
    """(N, C, *out), for every output; see ``slid``."""
    x = t[0]
    return ((*x[:2], *slid(t, t.params, x[2:], t.params["kernel_shape"])),) * t.outputs


def _geometry(run: Run) -> Window:
    return window(run.params, run[0].shape[2:], run.params["kernel_shape"])


def _flat(x: Array, geometry: Window, fill: float = 0) -> Array:
    """Every window's elements along one last axis: (N, C, *out, taps)."""
    views = patches(x, geometry, fill)
    return views.reshape(*views.shape[: x.ndim], prod(geometry.kernel))


# -- greatest ------------------------------------------------------------------------------------------------


def propose_max_pool(s: Scope) -> Call:
    """With the indices or without; storage_order goes with them."""
    call = _propose(s, NUMBER, Domain())
    if not s.coin(0.25):
        return call
    params = {**call.params, "storage_order": s.integer(0, 1)} if s.coin(0.5) else call.params
    return Call(call.inputs, params, outputs=2)


def _least(dtype: DType | None) -> float:
    """What padding holds: less than any value."""
    if dtype is None or dtype.is_float:
        return -np.inf
    return dtype.minimum


def max_pool(run: Run) -> tuple[Array, ...]:
    """The greatest element of each window, and where it lies in the flattened input without its padding."""
    geometry = _geometry(run)
    taps = _flat(run[0], geometry, _least(run.dtypes[0]))
    if len(run.output_dtypes) == 1:
        return (taps.max(axis=-1),)
    best = taps.argmax(axis=-1)
    return np.take_along_axis(taps, best[..., None], axis=-1)[..., 0], _positions(run, geometry, best)


def _positions(run: Run, w: Window, tap: Array) -> Array:
    """The flat index of a tap (numbered row-major within its kernel) of each window; H5.6."""
    x = run[0]
    rank = len(w.kernel)
    taps = np.unravel_index(tap, w.kernel)
    column_major = run.params.get("storage_order", 0)
    scale = [1] * rank
    for i in range(1, rank):
        if column_major:
            scale[i] = scale[i - 1] * x.shape[1 + i]
        else:
            scale[-1 - i] = scale[-i] * x.shape[-i]
    planes = np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], *(1,) * rank)
    index: Array = planes * prod(x.shape[2:])
    for i in range(rank):
        first = np.arange(w.out[i]) * w.strides[i] - w.begin[i]
        at = first.reshape(-1, *(1,) * (rank - 1 - i)) + taps[i] * w.dilations[i]
        index = index + at * scale[i]
    return index


def _contenders(run: Run, error: Bound) -> Array:
    """How many elements of each window may be its greatest, errors considered."""
    x, geometry = run[0], _geometry(run)
    reach = np.broadcast_to(np.asarray(error, dtype=np.float64), x.shape)
    low = _flat(x - reach, geometry, -np.inf).max(axis=-1, keepdims=True)
    count: Array = (_flat(x + reach, geometry, -np.inf) >= low).sum(axis=-1)
    return count


def max_pool_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The greatest error in the window; an index is sure where one element alone may be the greatest (H5.6)."""
    if is_exact(e[0]):
        value: Bound = 0.0
    else:
        reach = np.broadcast_to(np.asarray(e[0], dtype=np.float64), run[0].shape)
        value = _flat(reach, _geometry(run)).max(axis=-1)
    if len(y) == 1:
        return (value,)
    return value, np.where(_contenders(run, e[0]) > 1, np.inf, 0.0)


def _distinct(run: Run) -> bool:
    """With indices: no window whose greatest elements are alike, for no text says which of them counts (H5.6)."""
    if len(run.output_dtypes) == 1 or not run[0].size:
        return True
    margin = MARGIN * float(np.max(np.abs(run[0]))) if run[0].dtype.kind == "f" else 0.0
    return bool((_contenders(run, margin) == 1).all())


# -- mean ----------------------------------------------------------------------------------------------------


def propose_average_pool(s: Scope) -> Call:
    """Padding counted or not; never together with ceil_mode, where the divisor is open (H5.4)."""
    call = _propose(s, FLOAT, _MODERATE)
    if "ceil_mode" not in call.params and s.coin(0.4):
        return Call(call.inputs, {**call.params, "count_include_pad": s.pick((0, 1, 1))})
    return call


def _divisors(run: Run, w: Window) -> Array:
    """How many elements each window counts, (*out): those of the input, or with count_include_pad of the padding."""
    counts = []
    spatial = run[0].shape[2:]
    everything = run.params.get("count_include_pad", 0)
    for i, size in enumerate(spatial):
        taps = np.arange(w.out[i])[:, None] * w.strides[i] + np.arange(w.kernel[i]) * w.dilations[i]
        first = 0 if everything else w.begin[i]
        last = w.begin[i] + size + (w.end[i] if everything else 0)
        counts.append(((taps >= first) & (taps < last)).sum(axis=1))
    return reduce(np.multiply.outer, counts)


def _mean(run: Run, x: Array) -> Array:
    w = _geometry(run)
    rank = len(w.kernel)
    total = run.arithmetic.sum(patches(x, w), tuple(range(-rank, 0)), keepdims=False)
    result: Array = total / _divisors(run, w).astype(x.dtype)
    return result


def average_pool(run: Run) -> tuple[Array, ...]:
    """The sum of each window over the number of elements that count."""
    return (_mean(run, run[0]),)


def average_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The mean of the errors, and that of the magnitudes times the factor of a sum."""
    del y
    size, count, dtype = np.abs(run[0]), prod(run.params["kernel_shape"]), run.dtypes[0]
    bound = _mean(run, size * summation(run, count, dtype) + e[0])
    return (within_range(bound, _mean(run, size + e[0]) * count, accumulator(run, dtype)),)


# -- norm ----------------------------------------------------------------------------------------------------

_SMALL = Domain(-8.0, 8.0)


def propose_lp_pool(s: Scope) -> Call:
    """The power p is 1, 2 or 3."""
    call = _propose(s, FLOAT, _SMALL)
    params = dict(call.params)
    if params.get("ceil_mode"):
        del params["ceil_mode"]  # H5.2
    return Call(call.inputs, {**params, "p": s.integer(1, 3)} if s.coin(0.6) else params)


def _norm(x: Array, p: int, total: Callable[[Array], Array]) -> Array:
    size: Array = np.abs(x)
    if p == 1:
        return total(size)
    sums = total(x * x if p == 2 else np.power(size, p))
    result: Array = np.sqrt(sums) if p == 2 else np.power(sums, 1.0 / p)
    return result


def _norm_error(run: Run, y: Array, count: int, passed: Array | float) -> Bound:
    """A norm is 1-Lipschitz in itself: the norm of the errors passes.

    Rounding: each power p u, the sum, the root; what underflows on the way is at most (n * 4 * least)**(1/p).
    """
    dtype, p = run.dtypes[0], int(run.params.get("p", 2))
    if dtype is None:
        return np.inf
    relative = summation(run, count, dtype) + (p + 4) * step_unit(run, dtype)
    lost = (4 * count * underflow(run, dtype)) ** (1 / p)
    return within_range(y * relative + passed + lost, np.power(y + passed, p), accumulator(run, dtype))


def _lp_pool(run: Run, x: Array) -> Array:
    rank = x.ndim - 2
    views = patches(x, _geometry(run))
    return _norm(views, int(run.params.get("p", 2)),
                 lambda v: run.arithmetic.sum(v, tuple(range(-rank, 0)), keepdims=False))  # fmt: skip


def lp_pool(run: Run) -> tuple[Array, ...]:
    """(sum |x|**p)**(1/p) over each window."""
    return (_lp_pool(run, run[0]),)


def lp_pool_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The norm of the errors in the window, and the rounding of a norm."""
    passed = 0.0 if is_exact(e[0]) else _lp_pool(run, np.broadcast_to(np.asarray(e[0]), run[0].shape))
    return (_norm_error(run, y[0], prod(run.params["kernel_shape"]), passed),)


# -- global --------------------------------------------------------------------------------------------------


def _propose_global(domain: Domain, *, powers: bool = False) -> Callable[[Scope], Call]:
    def propose(s: Scope) -> Call:
        x = s.tensor(kinds=FLOAT, rank=(3, 5), domain=domain, where=lambda v: all(v.array.shape))
        return Call((x,), {"p": s.integer(1, 3)} if powers and s.coin(0.6) else {})

    return propose


def _global_shape(t: Typing) -> tuple[Shape, ...]:
    return ((*t[0][:2], *(1,) * (len(t[0]) - 2)),)


def _spatial(x: Array) -> tuple[int, ...]:
    return tuple(range(2, x.ndim))


def _count(run: Run) -> int:
    return prod(run[0].shape[2:])


def _global_mean(run: Run, x: Array) -> Array:
    result: Array = run.arithmetic.sum(x, _spatial(x), keepdims=True) / _count(run)
    return result


def _global_mean_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    del y
    size, count, dtype = np.abs(run[0]), _count(run), run.dtypes[0]
    bound = _global_mean(run, size * summation(run, count, dtype) + e[0])
    return (within_range(bound, _global_mean(run, size + e[0]) * count, accumulator(run, dtype)),)


def _global_max_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    del y
    x = run[0]
    if is_exact(e[0]):
        return (0.0,)
    return (np.broadcast_to(np.asarray(e[0]), x.shape).max(axis=_spatial(x), keepdims=True),)


def _global_norm(run: Run, x: Array) -> Array:
    return _norm(x, int(run.params.get("p", 2)), lambda v: run.arithmetic.sum(v, _spatial(v), keepdims=True))


def _global_norm_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    passed: Any = 0.0
    if not is_exact(e[0]):
        passed = _global_norm(run, np.broadcast_to(np.asarray(e[0]), run[0].shape))
    return (_norm_error(run, y[0], _count(run), passed),)


OPERATORS: tuple[Operator, ...] = (
    Operator("MaxPool", propose_max_pool, pooled, max_pool, max_pool_error, defined=_distinct, exact=True),
    Operator("AveragePool", propose_average_pool, pooled, average_pool, average_error, accuracy=_MEAN),
    Operator("LpPool", propose_lp_pool, pooled, lp_pool, lp_pool_error, accuracy=_MEAN, weight=0.5),
    Operator("GlobalAveragePool", _propose_global(_MODERATE), _global_shape,
             lambda run: (_global_mean(run, run[0]),), _global_mean_error, accuracy=_MEAN),
    Operator("GlobalMaxPool", _propose_global(Domain()), _global_shape,
             lambda run: (run[0].max(axis=_spatial(run[0]), keepdims=True),), _global_max_error, exact=True),
    Operator("GlobalLpPool", _propose_global(_SMALL, powers=True), _global_shape,
             lambda run: (_global_norm(run, run[0]),), _global_norm_error, accuracy=_MEAN, weight=0.5),
)  # fmt: skip
