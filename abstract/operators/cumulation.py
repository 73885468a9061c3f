"""Running sums and products along an axis: CumSum, CumProd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.dtypes import Kind
from abstract.error import accumulator, is_exact, rounding_unit, summation, within_range
from abstract.operator import Array, Bound, Call, Domain, Operator, Run, Scope, Typing
from abstract.operators.axes import from_front, operand, whole_number
from abstract.operators.reduction import magnitude_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from abstract.types import Shape

__all__ = ["OPERATORS"]

NUMBER = (Kind.FLOAT, Kind.SIGNED, Kind.UNSIGNED)


def propose_running(domain: Domain, longest: int) -> Callable[[Scope], Call]:
    """Along any axis, in both directions, with or without the element itself."""

    def propose(s: Scope) -> Call:
        x = operand(s, rank=(1, 8), kinds=NUMBER, domain=domain,
                    where=lambda v: v.array.size > 0 and max(v.array.shape) <= longest)  # fmt: skip
        params: dict[str, Any] = {"axis": s.integer(-x.type.rank, x.type.rank - 1)}
        for name in ("exclusive", "reverse"):
            if s.coin(0.5):
                params[name] = s.integer(0, 1)
        return Call((x,), params, stored=s.stored(s.signature.formal(1).variable))

    return propose


def same_shape(t: Typing) -> tuple[Shape, ...]:
    """The input's shape."""
    return (t[0],)


def _accumulated(run: Run, x: Array, function: np.ufunc) -> Array:
    """The running sum or product; its start is 0 or 1 where each element is left out of its own."""
    axis = from_front(int(whole_number(run.params["axis"])), x.ndim)
    if run.params.get("reverse", 0):
        x = np.flip(x, axis)
    y: Array = function.accumulate(x, axis=axis, dtype=x.dtype)
    if run.params.get("exclusive", 0):
        start = np.full_like(y[(slice(None),) * axis + (slice(0, 1),)], function.identity)
        y = np.concatenate([start, y], axis=axis)[(slice(None),) * axis + (slice(0, x.shape[axis]),)]
    return np.flip(y, axis) if run.params.get("reverse", 0) else y


def running(function: np.ufunc) -> Callable[[Run], tuple[Array, ...]]:
    """``numpy.add`` or ``numpy.multiply`` accumulated."""
    return lambda run: (_accumulated(run, run[0], function),)


def sum_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Every order of partial sums: the errors' running sum, and a share of the magnitudes' (hazard H6.7)."""
    del y
    x, dtype = run[0], run.output_dtypes[0]
    count = x.shape[int(whole_number(run.params["axis"]))]
    if is_exact(e[0]) and not dtype.is_float:
        return (within_range(0.0, _accumulated(run, magnitude_of(x), np.add), dtype),)
    own = np.broadcast_to(np.asarray(e[0], dtype=np.float64), x.shape)
    size = _accumulated(run, magnitude_of(x) + own, np.add)
    errors: Bound = 0.0 if is_exact(e[0]) else _accumulated(run, own, np.add)
    return (within_range(size * summation(run, count, dtype) + errors, size, accumulator(run, dtype)),)


def product_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The running product of the magnitudes with their errors, less the product itself."""
    x, dtype = run[0], run.output_dtypes[0]
    count = x.shape[int(whole_number(run.params["axis"]))]
    size = magnitude_of(x) + e[0]
    high = _accumulated(run, np.maximum(size, 1), np.multiply)
    if is_exact(e[0]) and not dtype.is_float:
        return (within_range(0.0, high, dtype),)
    grown = _accumulated(run, size, np.multiply)
    bound = grown * (1 + np.expm1(rounding_unit(run, dtype) * (count + 1)) + 1e-15) - np.abs(y[0])
    return (within_range(bound + high * (count * dtype.smallest_normal), high, dtype),)


OPERATORS: tuple[Operator, ...] = (
    Operator("CumSum", propose_running(Domain(), 64), same_shape, running(np.add), sum_error,
             parameters=("axis",), weight=0.7),
    Operator("CumProd", propose_running(Domain(-4.0, 4.0), 8), same_shape, running(np.multiply), product_error,
             parameters=("axis",), since=26, weight=0.5),
)  # fmt: skip
