"""Forward error: the combinators from which operator specifications make their error rules.

Every rule maps bounds on the inputs' absolute errors to bounds on the outputs', for any legal order of evaluation.
The rounding of the operator's own last operation is not a rule's business: ``abstract/reference.py`` adds it from the
operator's ``accuracy``. Model: fl(a op b) = (a op b)(1 + d), |d| <= u (N. Higham, Accuracy and Stability of Numerical
Algorithms, 2nd ed., sections 2.2, 3.1 and 4.2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from abstract.contract import TF32_UNIT
from abstract.operator import Array, Bound, Run

if TYPE_CHECKING:
    from abstract.dtypes import DType

__all__ = ["SHAPELESS", "ErrorRule", "accumulator", "bent", "contraction", "exact_zero", "folded", "held_loss",
           "is_exact", "lipschitz", "maximum", "monotone", "moved", "own_unit", "products", "rounding_unit", "spread",
           "step_unit", "summation", "tainted", "underflow", "unknown", "widened", "within_range"]  # fmt: skip

ErrorRule: TypeAlias = Callable[[Run, tuple[Array, ...], tuple[Bound, ...]], tuple[Bound, ...]]


SHAPELESS = float("nan")
"""What a rule returns for an output of which not even the shape is sure."""


def is_exact(bound: Bound) -> bool:
    """Whether a bound is the scalar 0.0, the quick way to say that a value is exact."""
    return isinstance(bound, float) and bound == 0.0


def own_unit(dtype: DType, *, extended: bool) -> float:
    """The unit roundoff for a type, and what the reference itself rounds: as much in double, if it computes in double.

    In extended precision a rounding is 2**-11 of one in double, a function twice that; four times as much is granted.
    """
    if dtype.name != "double":
        return dtype.unit
    return dtype.unit * (1 + 2.0**-9 if extended else 2.0)


def rounding_unit(run: Run, dtype: DType | None) -> float:
    """The unit roundoff for a type, the reference's own rounding included."""
    return own_unit(dtype, extended=run.extended) if dtype is not None and dtype.is_float else 0.0


def step_unit(run: Run, dtype: DType | None) -> float:
    """The unit roundoff of a step inside of an operator whose operands have a type."""
    return rounding_unit(run, None if dtype is None else run.contract.step(dtype))


def accumulator(run: Run, dtype: DType | None) -> DType | None:
    """The type in which sums of terms of a type are held."""
    return None if dtype is None else run.contract.accumulator(dtype)


def underflow(run: Run, dtype: DType | None) -> float:
    """What one step may lose near 0: its result where subnormals are flushed, else in 16-bit types half a spacing.

    Where 16-bit types are computed in float32, it has no subnormals of theirs.
    """
    if dtype is None or not dtype.is_float:
        return 0.0
    contract = run.contract
    narrow = contract.step(dtype) is dtype or contract.accumulator(dtype) is dtype
    if not narrow:
        return contract.step(dtype).smallest_normal
    return dtype.smallest_normal * (1.0 if dtype.bits > 16 or contract.flush_subnormals else dtype.unit)


def summation(run: Run, n: int, dtype: DType | None) -> float:
    """The factor g such that a sum of n products, formed in any order, errs by at most g times the sum of magnitudes.

    The worst case n u, u being the accumulator's unit: it holds for any n, n u > 1 included (Jeannerod and Rump,
    Improved error bounds for inner products in floating-point arithmetic, 2013). One u is for a constant factor folded
    into the terms. The probabilistic bound lambda sqrt(n) u of Higham and Mary (A new approach to probabilistic
    rounding error analysis, 2019) is no bound here, whatever the type: a sequential sum of numbers that are nearly
    alike rounds the same way at each step (20,000 numbers around 1000 in float: 0.17 n u on a CPU backend; 4096 ones
    in float16: 0.25 n u, half of the sum, which would ask for lambda = 16), and sequential order is legal. Nor is one
    in the partial sums, for those hang on the order. So where n u > 1 the bound is wide, but what lies beyond it is
    certainly wrong.
    """
    if dtype is None or n <= 0:
        return 0.0
    return rounding_unit(run, accumulator(run, dtype)) * (n + 1)


def folded(run: Run, dtype: DType | None, *positions: int) -> float:
    """What the terms of a sum lose, relatively, where a constant operand takes in others and is stored in its type.

    A scale that follows a convolution goes into its weights, one after another (two are granted); they are then rounded
    to the type that they are stored in. Where the accumulator is no wider than that, the sum's own factor covers it.
    """
    if dtype is None or accumulator(run, dtype) is dtype or not any(run.is_constant(p) for p in positions):
        return 0.0
    return 2 * dtype.unit


def unknown(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Nothing is known once any input errs."""
    del run
    return tuple(0.0 if all(map(is_exact, e)) else np.inf for _ in y)


def exact_zero(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The output does not depend on the inputs' values at all."""
    del run, e
    return tuple(0.0 for _ in y)


def moved(evaluate: Callable[[Run], tuple[Array, ...]]) -> ErrorRule:
    """Data movement moves the bounds: the operator itself, applied to them. All data inputs must be movable."""

    def rule(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
        if all(map(is_exact, e)):
            return tuple(0.0 for _ in y)
        bounds = tuple(
            None if x is None else np.broadcast_to(np.asarray(b, dtype=np.float64), x.shape)
            for x, b in zip(run.inputs, e, strict=True)
        )
        return evaluate(replace(run, inputs=bounds))

    return rule


def _unknown_stays(bound: Bound) -> Bound:
    """NaN, which the reference reads as inf, where nothing is known of an operand: it may be NaN itself."""
    return bound * 0.0


def monotone(function: Callable[[Array, Run], Array]) -> ErrorRule:
    """A monotone function of one input: its values at both ends of the interval; NaN there counts as inf."""

    def rule(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
        if is_exact(e[0]):
            return (0.0,)
        x = run[0]
        above, below = function(x + e[0], run), function(x - e[0], run)
        return (np.maximum(np.abs(above - y[0]), np.abs(y[0] - below)) + _unknown_stays(e[0]),)

    return rule


def bent(function: Callable[[Array, Run], Array]) -> ErrorRule:
    """A function monotone on each side of 0, where it is 0: both ends of the interval, and 0 if inside."""

    def rule(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
        if is_exact(e[0]):
            return (0.0,)
        x = run[0]
        above, below = function(x + e[0], run), function(x - e[0], run)
        ends = np.maximum(np.abs(above - y[0]), np.abs(y[0] - below))
        return (np.maximum(ends, np.where(np.abs(x) <= e[0], np.abs(y[0]), 0.0)) + _unknown_stays(e[0]),)

    return rule


def lipschitz(constant: float) -> ErrorRule:
    """A function of one input whose slope is nowhere steeper than ``constant``."""

    def rule(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
        del run, y
        return (e[0] * constant,)

    return rule


def maximum(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Elementwise selection by size among inputs (Max, Min): no more than the greatest of their errors."""
    del run
    if all(map(is_exact, e)):
        return (0.0,)
    worst: Bound = 0.0
    for bound in e:
        worst = np.maximum(worst, bound)
    return (np.broadcast_to(worst, y[0].shape),)


def spread(bound: Bound, y: Array) -> Bound:
    """A bound computed on operands that broadcast, in the shape of the output."""
    return bound if isinstance(bound, float) or bound.shape == y.shape else np.broadcast_to(bound, y.shape)


def widened(rule: ErrorRule, extra: Callable[[Run, Array], Bound]) -> ErrorRule:
    """A rule to whose first bound something is added that depends on operands and result."""

    def wider(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
        first, *others = rule(run, y, e)
        return (first + extra(run, y[0]), *others)

    return wider


def tainted(y: Array, touched: Array) -> Bound:
    """A discrete output whose touched elements may be anything: inf there, exact elsewhere."""
    return np.where(np.broadcast_to(touched, y.shape), np.inf, 0.0) if touched.any() else 0.0


def within_range(bound: Bound, magnitude: Array, dtype: DType | None) -> Bound:
    """A bound; inf where an intermediate of this magnitude may overflow the type that holds it.

    Integers wrap in most backends, but some sum them as floats and saturate (hazard H2.1).
    """
    limit = np.inf if dtype is None else dtype.maximum
    if magnitude.size == 0 or float(magnitude.max()) <= limit:
        return bound
    return np.where(magnitude <= limit, bound, np.inf)


def held_loss(run: Run, *names: str) -> float:
    """What float parameters lose at most in the type that holds the first input (double in float, say): absolute."""
    dtype = run.dtypes[0]
    if dtype is None or not dtype.is_float:
        return 0.0
    values = [float(v) for v in map(run.params.get, names) if isinstance(v, int | float) and np.isfinite(v)]
    with np.errstate(over="ignore"):
        losses = [abs(v - float(np.asarray(v, np.float64).astype(dtype.numpy))) for v in values]
    return max(losses, default=0.0)


def products(run: Run, n: int, left: int = 0, right: int = 1) -> float:
    """The factor of a sum of n products of two operands: see ``summation`` and ``folded``.

    With TF32 each operand is rounded once more, and the accumulator truncates: twice its unit (Fasi, Higham, Mikaitis
    and Pranesh, Numerical behavior of NVIDIA tensor cores, 2021). Half types are multiplied by the same units.
    """
    dtype = run.dtypes[left]
    factor = summation(run, n, dtype) + folded(run, dtype, left, right)
    if not run.contract.tf32 or dtype is None or not dtype.is_float or dtype.name == "double":
        return factor
    factor = 2 * factor
    return factor + (2 * TF32_UNIT + TF32_UNIT**2) * (1 + factor) if dtype.name == "float" else factor


def contraction(
    multiply: Callable[[Run, Array, Array], Array], count: Callable[[Run], int], left: int = 0, right: int = 1
) -> ErrorRule:
    """A bilinear form with sums of ``count(run)`` products: (1+g) f(|a|+Ea, |b|+Eb) - f(|a|, |b|).

    Covers the errors of both operands to second order and every order of summation, with or without FMA.
    """

    def rule(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
        del y
        a, b = np.abs(run[left]), np.abs(run[right])
        size = multiply(run, a, b)
        dtype, n = run.dtypes[left], count(run)
        factor = products(run, n, left, right)
        lost = n * underflow(run, dtype)
        if is_exact(e[left]) and is_exact(e[right]):
            return (within_range(size * factor + lost, size, accumulator(run, dtype)),)
        grown = multiply(run, a + e[left], b + e[right])
        return (within_range(grown * (1 + factor + 1e-15) - size + lost, grown, accumulator(run, dtype)),)

    return rule
