"""Reductions over axes: sums, means, norms, products, extrema, and the logarithms of sums."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.accuracy import granted, in_type
from abstract.dtypes import DType, Kind
from abstract.error import accumulator, is_exact, rounding_unit, step_unit, summation, underflow, within_range
from abstract.operator import (
    EVERYWHERE,
    Accuracy,
    Array,
    Bound,
    Call,
    Domain,
    NotCovered,
    Operator,
    Params,
    Run,
    Scope,
    Typing,
)  # fmt: skip
from abstract.operators.axes import counted, not_empty, operand, spelt, subset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from abstract.types import Shape

__all__ = ["OPERATORS", "magnitude_of", "reduced_axes"]

NUMBER = (Kind.FLOAT, Kind.SIGNED, Kind.UNSIGNED)
FLOAT = (Kind.FLOAT,)


def reduced_axes(params: Params, rank: int) -> tuple[int, ...]:
    """The axes to reduce, counted from the front; none given means all, or none if a flag says so."""
    axes = params.get("axes")
    if axes is None or axes == ():
        return () if params.get("noop_with_empty_axes", 0) else tuple(range(rank))
    if isinstance(axes, int):
        axes = (axes,)
    return counted(axes, rank)


def reduced_shape(t: Typing) -> tuple[Shape, ...]:
    """The shape without the reduced axes, or with 1 in their place."""
    gone = set(reduced_axes(t.params, len(t[0])))
    if t.params.get("keepdims", 1):
        return (tuple(1 if a in gone else d for a, d in enumerate(t[0])),)
    return (tuple(d for a, d in enumerate(t[0]) if a not in gone),)


def propose_reduction(
    kinds: Sequence[Kind] | None, domain: Callable[[DType], Domain], largest: int
) -> Callable[[Scope], Call]:
    """The proposal of a reduction: some axes or all, in either spelling, never an empty set (hazard H6.1).

    ``largest`` bounds the number of elements that are reduced to one.
    """

    def propose(s: Scope) -> Call:
        variable = s.signature.formal(0).variable
        where = domain(s.dtype(variable, kinds)) if domain is not everywhere else EVERYWHERE
        x = operand(s, kinds=kinds, domain=where, where=not_empty)
        rank = x.type.rank
        params: dict[str, Any] = {} if s.coin(0.4) else {"keepdims": s.integer(0, 1)}
        axes = list(range(rank)) if s.coin(0.15) else subset(s, rank)
        if rank and s.coin(0.5):
            axes = axes[-1:]
        while len(axes) > 1 and prod(x.array.shape[a] for a in axes) > largest:
            axes.pop()
        style = s.integer(0, 19)
        flag = "noop_with_empty_axes" in s.signature.attributes
        if style == 0 and flag:
            # No reduction at all, yet the inner function applies (hazard H6.2).
            return Call((x,), {**params, "noop_with_empty_axes": 1, **({"axes": ()} if s.coin(0.5) else {})})
        if rank == 0 or (len(axes) == rank and style < 10):
            return Call((x,), {**params, "axes": ()} if flag and style == 2 else params)
        if style == 19 and flag:
            params["noop_with_empty_axes"] = 1
        return Call((x,), {**params, "axes": spelt(s, axes[::-1] if style == 3 else axes, rank)})

    return propose


def everywhere(dtype: DType) -> Domain:
    """No restriction."""
    del dtype
    return EVERYWHERE


def within(low: float, high: float, narrow: float) -> Callable[[DType], Domain]:
    """A range, smaller for 16-bit types, whose sums and exponentials leave the type's range sooner."""
    return lambda dtype: Domain(max(low, -narrow), narrow) if dtype.bits <= 16 else Domain(low, high)


def magnitude_of(x: Array) -> Array:
    """Absolute values as floats, in which nothing wraps."""
    result: Array = np.abs(x if x.dtype.kind == "f" else x.astype(np.float64))
    return result


class _Reduction:
    """What one reduction reduces: its axes, whether they stay, how many elements become one."""

    __slots__ = ("axes", "count", "keep", "run")

    def __init__(self, run: Run) -> None:
        x = run[0]
        self.axes = reduced_axes(run.params, x.ndim)
        self.keep = bool(run.params.get("keepdims", 1))
        self.count = prod(x.shape[a] for a in self.axes)
        self.run = run

    def fold(self, function: Any, x: Any, **options: Any) -> Array:
        """A numpy function of two arguments applied along the axes."""
        result: Array = function.reduce(x, axis=self.axes, keepdims=self.keep, **options)
        return result

    def total(self, x: Array) -> Array:
        """The sum."""
        return self.run.arithmetic.sum(x, self.axes, self.keep)

    def spread(self, bound: Bound) -> Bound:
        """The sum of a bound over the elements that are reduced."""
        many = isinstance(bound, np.ndarray) and bound.ndim
        return self.fold(np.add, bound) if many else float(bound) * self.count

    def widest(self, bound: Bound) -> Bound:
        """The greatest bound over the elements that are reduced."""
        many = isinstance(bound, np.ndarray) and bound.ndim
        return self.fold(np.maximum, bound, initial=0.0) if many else float(bound)

    def sum_error(self, magnitude: Array, e: Bound, dtype: DType | None) -> tuple[Bound, Array]:
        """How far a sum may err whose terms have this magnitude and err by e; and the magnitudes' sum."""
        total, factor = self.total(magnitude), summation(self.run, self.count - 1, dtype)
        if is_exact(e):
            return total * factor, total
        spread = self.spread(e)
        return spread + (total + spread) * factor, total + spread


def _floats_only(run: Run) -> None:
    # How an integer mean, root or logarithm rounds is nowhere stated (hazard H6.4).
    if not run.output_dtypes[0].is_float:
        raise NotCovered("a reduction that rounds, on integers")


# -- sums ----------------------------------------------------------------------------------------------------


def total(run: Run) -> tuple[Array, ...]:
    """ReduceSum."""
    return (_Reduction(run).total(run[0]),)


def mean(run: Run) -> tuple[Array, ...]:
    """ReduceMean; NaN for an empty set, which the specification leaves undefined."""
    _floats_only(run)
    r = _Reduction(run)
    y = r.total(run[0])
    return (y / r.count if r.count else np.full_like(y, np.nan),)


def absolute_total(run: Run) -> tuple[Array, ...]:
    """ReduceL1."""
    return (_Reduction(run).total(np.abs(run[0])),)


def square_total(run: Run) -> tuple[Array, ...]:
    """ReduceSumSquare."""
    return (_Reduction(run).total(run[0] * run[0]),)


def root_square_total(run: Run) -> tuple[Array, ...]:
    """ReduceL2."""
    _floats_only(run)
    return (np.sqrt(_Reduction(run).total(run[0] * run[0])),)


def log_total(run: Run) -> tuple[Array, ...]:
    """ReduceLogSum; -inf for an empty set."""
    _floats_only(run)
    return (np.log(_Reduction(run).total(run[0])),)


def log_exp_total(run: Run) -> tuple[Array, ...]:
    """ReduceLogSumExp by the stable formula: the maximum is taken out; -inf for an empty set."""
    _floats_only(run)
    r, x = _Reduction(run), run[0]
    if r.count == 0:
        return (np.log(r.total(x)),)
    top = np.maximum.reduce(x, axis=r.axes, keepdims=True)
    anchor = np.where(np.isfinite(top), top, 0)
    return (np.log(r.total(np.exp(x - anchor))) + (anchor if r.keep else anchor.squeeze(r.axes)),)


def total_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """ReduceSum and ReduceL1: every order of summation."""
    del y
    dtype = run.output_dtypes[0]
    bound, size = _Reduction(run).sum_error(magnitude_of(run[0]), e[0], dtype)
    return (within_range(bound if dtype.is_float or not is_exact(e[0]) else 0.0, size, accumulator(run, dtype)),)


def mean_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The sum's error over the count; one more rounding where the reciprocal of the count is multiplied."""
    r = _Reduction(run)
    bound, size = r.sum_error(np.abs(run[0]), e[0], run.dtypes[0])
    bound = bound / max(r.count, 1) + np.abs(y[0]) * (2 * step_unit(run, run.dtypes[0]))
    return (within_range(bound, size, accumulator(run, run.dtypes[0])),)


def square_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Squares round once each, then they are summed: (1+g) sum (|x|+e)^2 - sum x^2."""
    return (_square_error(run, y[0], e[0])[0],)


def _square_error(run: Run, total_: Array, e: Bound) -> tuple[Bound, Array]:
    r, dtype = _Reduction(run), run.output_dtypes[0]
    factor, lost = summation(run, r.count, dtype), r.count * underflow(run, dtype)
    held = run.contract.accumulator(dtype)
    if is_exact(e):
        if dtype.is_float:
            return within_range(total_ * factor + lost, total_, held), total_
        total_ = r.total(np.square(magnitude_of(run[0])))
        return within_range(0.0, total_, dtype), total_
    grown = r.total(np.square(magnitude_of(run[0]) + e))
    return within_range(grown * (1 + factor + 1e-15) - total_ + lost, grown, held), grown


def root_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The square root of an interval around the sum of squares; tiny squares may be flushed to zero."""
    square = y[0] * y[0]
    bound, _ = _square_error(run, square, e[0])
    return (np.maximum(np.sqrt(square + bound) - y[0], y[0] - np.sqrt(np.maximum(square - bound, 0))),)


def log_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The logarithm of an interval around the sum: -log(1 - error/sum), inf once the interval reaches 0."""
    r = _Reduction(run)
    if r.count == 0:
        return (0.0,)
    bound, size = r.sum_error(np.abs(run[0]), e[0], run.dtypes[0])
    return (within_range(_log_of_relative(bound / np.exp(y[0])), size, accumulator(run, run.dtypes[0])),)


def _log_of_relative(relative: Bound) -> Array:
    bound = -np.log1p(-np.asarray(relative))
    return np.where(np.isnan(bound), np.inf, bound)


def log_exp_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Either formula, the stable and the plain one; where the plain one overflows anything is legal (H6.5).

    A weighted mean of the inputs' errors passes (the gradient is a softmax); each exponential errs by its
    accuracy and by the rounding of its argument.
    """
    r, x, dtype = _Reduction(run), run[0], run.output_dtypes[0]
    if r.count == 0:
        return (0.0,)
    unit, step, held = step_unit(run, dtype), run.contract.step(dtype), run.contract.accumulator(dtype)
    shifted = x - (y[0] if r.keep else np.expand_dims(y[0], r.axes))
    terms = r.total(np.exp(shifted) * np.abs(shifted))  # each element's share of the sum times its argument
    plain = np.exp(y[0])
    relative = terms * (2 * unit) + 2 * in_type(granted("Exp"), step).ulps * unit
    relative = relative + summation(run, r.count - 1, dtype) + (4 * r.count * underflow(run, dtype)) / plain
    # the logarithm itself, where the stable formula adds it to a maximum that nearly cancels it
    tail = 2 * in_type(granted("Log"), step).ulps * unit * float(np.log(r.count))
    return (within_range(_log_of_relative(relative) + tail + r.widest(e[0]), plain * (1 + 1e-6), held),)


# -- extrema and products ------------------------------------------------------------------------------------


def extremum(function: np.ufunc, sign: int) -> Callable[[Run], tuple[Array, ...]]:
    """ReduceMax (sign 1) or ReduceMin (-1); an empty set gives the far end of the type."""

    def evaluate(run: Run) -> tuple[Array, ...]:
        r, x, dtype = _Reduction(run), run[0], run.output_dtypes[0]
        if r.count:
            return (r.fold(function, x),)
        far: Any = -sign * np.inf if dtype.is_float else (dtype.minimum if sign > 0 else dtype.maximum)
        far = x.dtype.type(far)
        return (r.fold(function, x, initial=far),)

    return evaluate


def extremum_error(function: np.ufunc) -> Callable[..., tuple[Bound, ...]]:
    """The extremum at both ends of every element's interval."""

    def rule(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
        if is_exact(e[0]):
            return (0.0,)
        r, x = _Reduction(run), run[0]
        if x.dtype == bool:
            return (np.where(np.broadcast_to(r.widest(e[0]), y[0].shape) > 0, np.inf, 0.0),)
        above = r.fold(function, x + e[0])
        below = r.fold(function, x - e[0])
        # An infinity that no error moves differs from itself by nothing, though inf - inf is NaN.
        up, down = (np.where(end == y[0], 0.0, np.abs(end - y[0])) for end in (above, below))
        # What is wholly unknown may be NaN, whatever the others are.
        return (np.maximum(up, down) + r.widest(e[0]) * 0.0,)

    return rule


def product(run: Run) -> tuple[Array, ...]:
    """ReduceProd."""
    r = _Reduction(run)
    return (r.fold(np.multiply, run[0], dtype=run[0].dtype),)


def product_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Relative, for any order; partial products may over- or underflow on the way."""
    r, dtype, exact = _Reduction(run), run.output_dtypes[0], is_exact(e[0])
    result, size = magnitude_of(y[0]), magnitude_of(run[0])
    most = size if exact else size + e[0]
    high = r.fold(np.multiply, np.maximum(most, 1))
    if exact and not dtype.is_float:
        return (within_range(0.0, high, dtype),)
    grown = result if exact else r.fold(np.multiply, most)
    rounding = rounding_unit(run, dtype) * r.count if r.count > 1 else 0.0
    bound = grown * (1 + np.expm1(rounding) + r.count * 1e-16) - result
    low = r.fold(np.multiply, np.where(size > 0, np.minimum(size, 1), 1))
    if low.size and float(low.min()) < dtype.smallest_normal:
        bound = bound + r.count * dtype.smallest_normal * high
    return (within_range(bound, high, dtype),)


def _row(
    name: str,
    evaluate: Callable[[Run], tuple[Array, ...]],
    error: Callable[..., tuple[Bound, ...]],
    *,
    kinds: Sequence[Kind] | None = FLOAT,
    domain: Callable[[DType], Domain] = everywhere,
    accuracy: Accuracy | None = None,
    largest: int = 1024,
) -> Operator:
    return Operator(
        name, propose_reduction(kinds, domain, largest), reduced_shape, evaluate, error, parameters=("axes",),
        accuracy=accuracy or Accuracy(), exact=name in ("ReduceMax", "ReduceMin"), weight=0.5,
    )  # fmt: skip


# The magnitudes keep squares and exponentials of 16-bit types within their range.
OPERATORS: tuple[Operator, ...] = (
    _row("ReduceSum", total, total_error, kinds=NUMBER),
    _row("ReduceMean", mean, mean_error),
    _row("ReduceMax", extremum(np.maximum, 1), extremum_error(np.maximum), kinds=None),
    _row("ReduceMin", extremum(np.minimum, -1), extremum_error(np.minimum), kinds=None),
    _row("ReduceL1", absolute_total, total_error, kinds=NUMBER),
    _row("ReduceL2", root_square_total, root_error, domain=within(-1e6, 1e6, 16.0), accuracy=granted("Sqrt")),
    _row("ReduceSumSquare", square_total, square_error, kinds=NUMBER, domain=within(-1e4, 1e4, 16.0)),
    _row("ReduceProd", product, product_error, kinds=NUMBER, domain=within(-64.0, 64.0, 4.0), largest=12),
    _row("ReduceLogSum", log_total, log_error, domain=within(0.01, 1e6, 64.0), accuracy=granted("Log")),
    _row("ReduceLogSumExp", log_exp_total, log_exp_error, domain=within(-50.0, 50.0, 6.0),
         accuracy=granted("Log")),
)  # fmt: skip
