"""Determinants of square matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from abstract.dtypes import Kind
from abstract.error import accumulator, is_exact, step_unit, underflow, within_range
from abstract.operator import Array, Bound, Call, Domain, Operator, Run, Scope, Typing
from abstract.operators.axes import operand

if TYPE_CHECKING:
    from abstract.graph import Value
    from abstract.types import Shape

__all__ = ["OPERATORS"]

_SMALL = Domain(-8.0, 8.0)
_EXPANDED = 4  # the most rows for which anybody writes the determinant out


def _square(value: Value) -> bool:
    rows, columns = value.array.shape[-2:]
    return 0 < int(rows) == int(columns) <= 6


def propose_det(s: Scope) -> Call:
    """Stacks of matrices of 1 to 5 rows: some that exist, or of the leading sizes of what exists."""
    x = operand(s, rank=(2, 8), kinds=(Kind.FLOAT,), domain=_SMALL, where=_square)
    if not _square(x):
        side = s.size(1, 5, "m")
        x = s.shaped((*x.type.shape[:-2], side, side), s.signature.formal(0).variable, domain=_SMALL)
    return Call((x,))


def det_shape(t: Typing) -> tuple[Shape, ...]:
    """All axes but the last two, which are as long as each other."""
    *stack, rows, columns = t[0]
    t.store.unify(rows, columns)
    return (tuple(stack),)


def _triangular(x: Array) -> tuple[Array, Array, Array]:
    """(n, n) matrices in a stack by rows: the factors L and U, where rows were exchanged, and the sign of that."""
    u = np.array(x)
    count, n = u.shape[:2]
    lower, sign, every = np.zeros_like(u), np.ones(count, u.dtype), np.arange(count)
    for k in range(n):
        best = k + np.abs(u[:, k:, k]).argmax(axis=1)
        for matrix in (u, lower):
            held = matrix[every, best].copy()
            matrix[every, best] = matrix[:, k]
            matrix[:, k] = held
        sign = np.where(best == k, sign, -sign)
        pivot = u[:, k, k]
        factor = u[:, k:, k] / np.where(pivot == 0, np.ones_like(pivot), pivot)[:, None]
        lower[:, k:, k] = factor
        u[:, k + 1 :] -= factor[:, 1:, None] * u[:, k, None]
    return lower, u, sign


def _stacked(x: Array) -> Array:
    return x.reshape(-1, *x.shape[-2:])


def det(run: Run) -> tuple[Array, ...]:
    """The product of the pivots that elimination with exchanges of rows leaves."""
    x = run[0]
    _, u, sign = _triangular(_stacked(x))
    y: Array = sign
    for k in range(x.shape[-1]):
        y = y * u[:, k, k]
    return (y.reshape(x.shape[:-2]),)


def det_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The determinant of a matrix whose rows a_i err by e_i errs by at most prod(|a_i| + |e_i|) - prod |a_i|.

    This is its linearity in each row and Hadamard's inequality, in two norms. Elimination gives the determinant of a
    matrix that errs by n u |L| |U| (Higham, theorem 9.3), four times which is granted for another choice of pivots, and
    expansions along rows, of up to 4 of them, sum n! products: n u times the product of the sums of magnitudes.
    """
    x, dtype = _stacked(run[0]), run.dtypes[0]
    n, unit = x.shape[-1], step_unit(run, dtype)
    size = np.abs(x).astype(np.float64)
    lower, upper, _ = _triangular(x)
    # Rows of |L||U| are those of the matrix in another order: each is granted the greatest.
    product = (np.abs(lower) @ np.abs(upper)).astype(np.float64)
    errors = (4 * n * unit) * np.sqrt((product * product).sum(axis=-1)).max(axis=-1, initial=0.0)[:, None]
    if not is_exact(e[0]):
        own = _stacked(np.broadcast_to(np.asarray(e[0], dtype=np.float64), run[0].shape))
        errors = errors + np.sqrt((own * own).sum(axis=-1))
    norms = np.sqrt((size * size).sum(axis=-1))
    sums = size.sum(axis=-1).prod(axis=-1) if n <= _EXPANDED else norms.prod(axis=-1)
    bound = (norms + errors).prod(axis=-1) - norms.prod(axis=-1) + 2 * n * unit * sums
    largest = np.maximum(size.sum(axis=-1) + errors, 1.0).prod(axis=-1)
    bound = within_range(bound + largest * (2 * n * underflow(run, dtype)), largest, accumulator(run, dtype))
    return (np.asarray(bound).reshape(y[0].shape),)


OPERATORS: tuple[Operator, ...] = (Operator("Det", propose_det, det_shape, det, det_error, weight=0.7),)
