"""Products of quantised matrices and convolutions of quantised tensors, in 32-bit integers or quantised again.

Sums of integers are exact in any order, so ConvInteger and MatMulInteger are. QLinearConv and QLinearMatMul rescale the
sum by ``x_scale * w_scale / y_scale``: as integers, or what many compilers make of them, as products and sums of the
numbers meant, in float. Both are granted, next to a tie alone (see ``quantization.py``).
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible, divisible
from abstract.dims import Dim, floor_div
from abstract.dtypes import BY_NAME, DType
from abstract.error import is_exact, spread, step_unit
from abstract.narrow import between
from abstract.operator import Array, Bound, Call, Domain, Operator, Run, Scope, Typing
from abstract.operators.convolution import conv, conv_shape
from abstract.operators.elementwise import MARGIN
from abstract.operators.linear import matmul, matmul_shape, matrices
from abstract.operators.quantization import is_power_of_two, scale_values, stepped, zero_point
from abstract.operators.window import window_params

if TYPE_CHECKING:
    from collections.abc import Callable

    from abstract.graph import Value
    from abstract.schema import Signature
    from abstract.types import Shape

__all__ = ["OPERATORS"]

_INT32, _SINGLE = BY_NAME["int32"], BY_NAME["float"]
_EXACT_SUMS = 2.0**24  # integers up to here are exact in float
_BIAS = Domain(-(2.0**20), 2.0**20)  # no sum leaves 32 bits


# -- operands -------------------------------------------------------------------------------------------------------


def _filters(s: Scope, x: Value) -> tuple[Value, Dim, dict[str, Any]]:
    """Weights that fit a tensor of images, the number of maps, and the attributes of the window."""
    _, channels, *spatial = x.type.shape
    count = s.store.value(channels)
    groups = [g for g in (count, 2, 3, 4) if g > 1 and count % g == 0]
    group = s.pick(groups) if groups and s.coin(0.3) else 1
    maps = s.size(1, 4, "m") * group
    s.store.require(divisible(channels, group))
    kernel = tuple(s.size(1, min(3, s.store.value(d)), "k") for d in spatial)
    w = s.shaped((maps, floor_div(channels, group), *kernel), "T2", weight=True)
    params = window_params(s, spatial, kernel, pool=False)
    if s.coin(0.3):
        del params["kernel_shape"]
    if group != 1 or s.coin(0.2):
        params["group"] = group
    return w, maps, params


def _images(s: Scope) -> Value:
    return s.tensor("T1", rank=(3, 5), where=lambda v: all(v.array.shape))


def propose_conv(s: Scope) -> Call:
    """Zero points left out or given, of the weights one a map as well."""
    x = _images(s)
    w, maps, params = _filters(s, x)
    zero = s.shaped((), "T1", weight=True) if s.coin(0.6) else None
    each = s.shaped((maps,) if s.coin(0.4) else (), "T2", weight=True) if s.coin(0.5) else None
    return Call((x, w, zero, each), params)


def propose_qlinear_conv(s: Scope) -> Call:
    """One scale or one a map for the weights, one for input and output, a bias or none."""
    x = _images(s)
    w, maps, params = _filters(s, x)
    variable = s.signature.inputs[1].variable
    each: Shape = (maps,) if s.coin(0.4) else ()
    x_scale, w_scale = scale_values(s, (), variable), scale_values(s, each, variable)
    y_scale = scale_values(s, (), variable)
    zeros = s.shaped((), "T1", weight=True), s.shaped(each, "T2", weight=True), s.shaped((), "T3", weight=True)
    bias = s.shaped((maps,), "T4", domain=_BIAS, weight=True) if s.coin(0.5) else None
    return Call((x, x_scale, zeros[0], w, w_scale, zeros[1], y_scale, zeros[2], bias), params)


def _by_column(b: Value) -> Shape:
    """The shape of what belongs to the columns of a matrix, or to stacks of them."""
    if b.type.rank == 2:
        return b.type.shape[-1:]
    return (*b.type.shape[:-2], 1, b.type.shape[-1]) if b.type.rank > 2 else ()


def _by_row(a: Value) -> Shape:
    """The shape of what belongs to the rows of a matrix, or to stacks of them."""
    if a.type.rank == 2:
        return a.type.shape[:1]
    return (*a.type.shape[:-1], 1) if a.type.rank > 2 else ()


def propose_matmul(s: Scope) -> Call:
    """Zero points left out or given, one for all, one a row of A, one a column of B."""
    a, b = matrices(s, "T1", "T2")
    rows = s.shaped(_by_row(a) if s.coin(0.1) else (), "T1", weight=True) if s.coin(0.6) else None
    columns = s.shaped(_by_column(b) if s.coin(0.4) else (), "T2", weight=True) if s.coin(0.5) else None
    return Call((a, b, rows, columns))


def propose_qlinear_matmul(s: Scope) -> Call:
    """One scale for all, one a row of A, one a column of B; 8-bit floats have no zero point but 0 (opset 21)."""
    a, b = matrices(s, "T1", "T2")
    variable = s.signature.inputs[1].variable
    rows: Shape = _by_row(a) if s.coin(0.1) else ()
    columns = _by_column(b) if s.coin(0.3) else ()
    a_scale, b_scale = scale_values(s, rows, variable), scale_values(s, columns, variable)
    y_scale = scale_values(s, (), variable)
    zeros = [
        zero_point(s, scale, s.dtype(name), name) for scale, name in ((a_scale, "T1"), (b_scale, "T2"), (y_scale, "T3"))
    ]
    return Call((a, a_scale, zeros[0], b, b_scale, zeros[1], y_scale, zeros[2]))


# -- shapes ---------------------------------------------------------------------------------------------------------


def _of(t: Typing, *positions: int) -> Typing:
    """The operands at some positions as an operator without quantisation sees them."""
    shapes = tuple(t.shapes[p] if p < len(t.shapes) else None for p in positions)
    return Typing(t.params, shapes, (), 1, t.store)


def _belongs(t: Typing, positions: tuple[int, ...], *allowed: Shape) -> None:
    """Scales and zero points are one number, or have a shape that the text names. Raises Infeasible for others.

    Numpy would broadcast others, and their sizes would then become those of the result.
    """
    for position in positions:
        given = t.shapes[position] if position < len(t.shapes) else None
        if given is None or not given or (len(given) == 1 and t.store.value(given[0]) == 1):
            continue
        wanted = next((shape for shape in allowed if len(shape) == len(given)), None)
        if wanted is None:
            raise Infeasible("a scale or zero point of a shape that the operator does not take")
        for mine, theirs in zip(given, wanted, strict=True):
            t.store.unify(mine, theirs)


def _conv_integer_shape(t: Typing) -> tuple[Shape, ...]:
    _belongs(t, (2,))
    _belongs(t, (3,), t[1][:1])
    return conv_shape(_of(t, 0, 1))


def _qlinear_conv_shape(t: Typing) -> tuple[Shape, ...]:
    _belongs(t, (1, 2, 6, 7))
    _belongs(t, (4, 5), t[3][:1])
    return conv_shape(_of(t, 0, 3, 8))


def _rows_of(a: Shape) -> tuple[Shape, ...]:
    """A number a row: [M], or [..., M, 1]; a vector has no rows."""
    if len(a) < 2:
        return ()
    return ((*a[:-1], 1), *((a[:1],) if len(a) == 2 else ()))


def _columns_of(b: Shape) -> tuple[Shape, ...]:
    """A number a column: [N], or [..., 1, N]; a vector has no columns."""
    if len(b) < 2:
        return ()
    return ((*b[:-2], 1, *b[-1:]), *((b[-1:],) if len(b) == 2 else ()))


def _matmul_integer_shape(t: Typing) -> tuple[Shape, ...]:
    _belongs(t, (2,), *_rows_of(t[0]))
    _belongs(t, (3,), *_columns_of(t[1]))
    return matmul_shape(_of(t, 0, 1))


def _qlinear_matmul_shape(t: Typing) -> tuple[Shape, ...]:
    _belongs(t, (1, 2), *_rows_of(t[0]))
    _belongs(t, (4, 5), *_columns_of(t[3]))
    _belongs(t, (6, 7))
    return matmul_shape(_of(t, 0, 3))


# -- products -------------------------------------------------------------------------------------------------------


def _less(x: Array, zero: Array | None) -> Array:
    """The numbers less their zero point: exact in any carrier."""
    if zero is None:
        return x
    result: Array = x - zero
    return result


def _a_map(given: Array, x: Array) -> Array:
    """What belongs to the maps of weights, or to all of them."""
    return given.reshape(-1, *(1,) * (x.ndim - 1)) if given.size > 1 else given.reshape(())


def _a_row(given: Array, x: Array) -> Array:
    """What belongs to the rows of a matrix: a vector has one number a row."""
    if given.size == 1:
        return given.reshape(())
    return given[:, None] if given.ndim == 1 and x.ndim > 1 else given


def _plain(given: Array, x: Array) -> Array:
    """What broadcasts as it is: one number for all, or one a column."""
    del x
    return given.reshape(()) if given.size == 1 else given


def _shifted(run: Run, at: int, zero_at: int, place: Callable[[Array, Array], Array]) -> Array:
    zero = run.optional(zero_at)
    return _less(run[at], None if zero is None else place(zero, run[at]))


def _moved(e: tuple[Bound, ...], run: Run, at: int, zero_at: int, place: Callable[[Array, Array], Array]) -> Bound:
    """How far an operand less its zero point may be off."""
    other = e[zero_at] if zero_at < len(e) else 0.0
    return e[at] + (other if isinstance(other, float) else place(other, run[at]))


def _convolved(run: Run, x: Array, w: Array) -> Array:
    return conv(replace(run, inputs=(x, w)))[0]


def _multiplied(run: Run, a: Array, b: Array) -> Array:
    return matmul(replace(run, inputs=(a, b)))[0]


def _wider(run: Run, product: Callable[[Run, Array, Array], Array], sides: tuple[Array, Array], by: Any) -> Bound:
    """(|a| + Ea)(|b| + Eb) - |a||b|: what operands that err move sums by; anything beside an unknown one."""
    if is_exact(by[0]) and is_exact(by[1]):
        return 0.0
    a, b = (np.abs(side).astype(np.float64) for side in sides)
    grown = product(run, a + by[0], b + by[1]) - product(run, a, b)
    return np.where(np.isnan(grown), np.inf, grown)  # an unknown number times 0 in float64


def conv_integer(run: Run) -> tuple[Array, ...]:
    """The convolution of x - x_zero_point, padded with 0, and w - w_zero_point."""
    return (_convolved(run, _shifted(run, 0, 2, _plain), _shifted(run, 1, 3, _a_map)),)


def conv_integer_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Exact, whatever the order."""
    sides = _shifted(run, 0, 2, _plain), _shifted(run, 1, 3, _a_map)
    return (spread(_wider(run, _convolved, sides, (_moved(e, run, 0, 2, _plain), _moved(e, run, 1, 3, _a_map))), y[0]),)


def matmul_integer(run: Run) -> tuple[Array, ...]:
    """The product of a - a_zero_point and b - b_zero_point."""
    return (_multiplied(run, _shifted(run, 0, 2, _a_row), _shifted(run, 1, 3, _plain)),)


def matmul_integer_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Exact, whatever the order."""
    sides = _shifted(run, 0, 2, _a_row), _shifted(run, 1, 3, _plain)
    by = _moved(e, run, 0, 2, _a_row), _moved(e, run, 1, 3, _plain)
    return (spread(_wider(run, _multiplied, sides, by), y[0]),)


# -- quantised again ------------------------------------------------------------------------------------------------


class _Requantised:
    """The rules of QLinearConv and QLinearMatMul, which differ in the product and in what a scale belongs to."""

    def __init__(
        self, product: Callable[[Run, Array, Array], Array], left: Callable[[Array, Array], Array],
        right: Callable[[Array, Array], Array], rescaled: Callable[[Run, Array, Array], tuple[Array, Array]],
    ) -> None:  # fmt: skip
        self.product, self.left, self.right, self.rescaled = product, left, right, rescaled

    def _sides(self, run: Run) -> tuple[Array, Array]:
        return _shifted(run, 0, 2, self.left), _shifted(run, 3, 5, self.right)

    def _quotient(self, run: Run) -> tuple[Array, Array, Array]:
        """The sum of products, the factor by which it is rescaled, and what that gives."""
        total = self.product(run, *self._sides(run))
        bias = run.optional(8)
        if bias is not None:
            total = total + bias.reshape(-1, *(1,) * (total.ndim - 2))
        left, right = self.rescaled(run, run[1], run[4])
        factor = np.asarray(left * right / run[6].reshape(()))
        return total, factor, np.asarray(total * factor)

    def evaluate(self, run: Run) -> tuple[Array, ...]:
        """saturate(round(sum * a_scale * b_scale / y_scale) + y_zero_point), ties to even."""
        _, _, quotient = self._quotient(run)
        return (self._stepped(run, quotient),)

    def _stepped(self, run: Run, quotient: Array) -> Array:
        return stepped(quotient, run[7].reshape(()), run.output_dtypes[0])

    def error(self, run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
        """What the ends of the interval of the rescaled sum are rounded to."""
        total, factor, quotient = self._quotient(run)
        sides = self._sides(run)
        grown = _wider(run, self.product, sides, (_moved(e, run, 0, 2, self.left), _moved(e, run, 3, 5, self.right)))
        if len(e) > 8:
            grown = grown + (e[8] if isinstance(e[8], float) else e[8].reshape(-1, *(1,) * (total.ndim - 2)))
        factor = np.abs(factor.astype(np.float64))
        reach = grown * factor + self._rescaling(run, sides, quotient.astype(np.float64), factor, e)
        bound: Bound = e[7] if isinstance(e[7], float) else e[7].reshape(())
        if not is_exact(reach):
            wide = quotient.astype(np.float64)
            low, high = self._stepped(run, wide - reach), self._stepped(run, wide + reach)
            bound = bound + between(y[0].astype(np.float64), low, high)
        return (spread(bound, y[0]),)

    def _rescaling(
        self, run: Run, sides: tuple[Array, Array], quotient: Array, factor: Array, e: tuple[Bound, ...]
    ) -> Bound:
        """What rounding costs: four operations on the factor and the sum, in the type of the scales; sums in float.

        Anything where 32 bits may overflow. Nothing where all scales are powers of two and every sum is exact there.
        """
        a, b = (np.abs(side).astype(np.float64) for side in sides)
        size = self.product(run, a, b)
        bias = run.optional(8)
        if bias is not None:
            size = size + np.abs(bias).reshape(-1, *(1,) * (size.ndim - 2))
        dtypes = run.dtypes
        scales = [(run[at], e[at]) for at in (1, 4, 6)]
        dtype = dtypes[1]
        unit = step_unit(run, dtype)
        if size.size and float(np.max(size)) > _INT32.maximum:
            return np.where(size > _INT32.maximum, np.inf, np.abs(quotient))
        whole = all(d is None or d.is_integer for d in (dtypes[0], dtypes[3]))
        exact = whole and all(is_exact(bound) and is_power_of_two(scale) for scale, bound in scales)
        limit = _EXACT_SUMS if dtype is None else 2.0**dtype.precision
        if exact and (not size.size or float(np.max(size)) <= limit):
            return 0.0
        terms = self._terms(run)
        doubt = sum(float(np.max(np.asarray(bound) / scale, initial=0.0)) for scale, bound in scales)
        if doubt >= 0.5:
            return np.full(quotient.shape, np.inf)
        return np.abs(quotient) * (6 * unit + 4 * doubt) + size * factor * ((terms + 2) * _SINGLE.unit)

    def _terms(self, run: Run) -> int:
        shape = run[3].shape
        return prod(shape[1:]) if run[0].ndim > 2 and self.left is _plain else int(run[0].shape[-1])

    def defined(self, run: Run) -> bool:
        """Exactly on ties, or so far from them that rounding does not decide."""
        none: tuple[Bound, ...] = (0.0,) * len(run.inputs)
        sides = self._sides(run)
        _, factor, quotient = self._quotient(run)
        if is_exact(self._rescaling(run, sides, quotient, np.abs(factor), none)):
            return True
        reach = MARGIN * np.abs(quotient)
        return bool(np.all(self._stepped(run, quotient - reach) == self._stepped(run, quotient + reach)))


def _a_map_out(run: Run, left: Array, right: Array) -> tuple[Array, Array]:
    """Scales of a convolution: those of the weights go with the maps of the output."""
    return left.reshape(()), right.reshape(-1, *(1,) * (run[0].ndim - 2)) if right.size > 1 else right.reshape(())


def _a_row_out(run: Run, left: Array, right: Array) -> tuple[Array, Array]:
    """Scales of a product of matrices, an axis that vectors do not have left out."""
    rows, columns = _a_row(left, run[0]), _plain(right, run[3])
    if rows.ndim and run[3].ndim == 1:
        rows = rows[..., 0]
    if columns.ndim > 1 and run[0].ndim == 1:
        columns = columns[..., 0, :]
    return rows, columns


_CONV = _Requantised(_convolved, _plain, _a_map, _a_map_out)
_MATMUL = _Requantised(_multiplied, _a_row, _plain, _a_row_out)


def _sum_type(t: Typing, sign: Signature) -> tuple[DType, ...]:
    del t, sign
    return (_INT32,)


OPERATORS: tuple[Operator, ...] = (
    Operator("ConvInteger", propose_conv, _conv_integer_shape, conv_integer, conv_integer_error,
             output_dtypes=_sum_type),
    Operator("MatMulInteger", propose_matmul, _matmul_integer_shape, matmul_integer, matmul_integer_error,
             output_dtypes=_sum_type),
    Operator("QLinearConv", propose_qlinear_conv, _qlinear_conv_shape, _CONV.evaluate, _CONV.error,
             defined=_CONV.defined, tied=True, exact=True, weight=1.5),
    Operator("QLinearMatMul", propose_qlinear_matmul, _qlinear_matmul_shape, _MATMUL.evaluate, _MATMUL.error,
             defined=_MATMUL.defined, tied=True, exact=True),
)  # fmt: skip
