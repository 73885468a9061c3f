"""Operators whose operands broadcast: arithmetic, comparison, logic, bits, selection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.accuracy import extra, granted
from abstract.error import ErrorRule, is_exact, maximum, rounding_unit, spread, widened, within_range
from abstract.operator import EVERYWHERE, Array, Bound, Call, Domain, Operator, Run, Scope, Typing
from abstract.operators.elementwise import FLOAT, NUMBER, SIGNED, WHOLE, apart

if TYPE_CHECKING:
    from abstract.constraints import Constraints
    from abstract.dims import Dim
    from abstract.dtypes import Kind
    from abstract.graph import Value
    from abstract.types import Shape

__all__ = ["OPERATORS", "binary", "broadcast_shape"]

Binary = Callable[[Array, Array, Run], Array]


def broadcast_shape(store: Constraints, *shapes: Shape) -> Shape:
    """The shape that shapes broadcast to, following the witness: a dimension of 1 there is 1 for good."""
    first = shapes[0]
    if all(s is first or s == first for s in shapes[1:]):
        return first
    rank = max(map(len, shapes))
    result: list[Dim] = []
    for axis in range(-rank, 0):
        dims = [s[axis] for s in shapes if len(s) >= -axis]
        wide = [d for d in dims if store.value(d) != 1]
        for dim in dims:
            store.unify(dim, wide[0] if wide and store.value(dim) != 1 else 1 if wide else dims[0])
        result.append(wide[0] if wide else dims[0])
    return tuple(result)


def broadcast(t: Typing) -> tuple[Shape, ...]:
    """All inputs broadcast against each other."""
    return (broadcast_shape(t.store, *(s for s in t.shapes if s is not None)),)


def unidirectional(t: Typing) -> tuple[Shape, ...]:
    """The later inputs broadcast to the first, whose shape stays."""
    wide = broadcast_shape(t.store, *(s for s in t.shapes if s is not None))
    for mine, theirs in zip(t[0], wide, strict=True):
        t.store.unify(mine, theirs)
    return (t[0],)


def binary(  # noqa: PLR0913 - the columns of a table
    name: str,
    function: Binary,
    error: ErrorRule,
    *,
    kinds: Sequence[Kind] | None = NUMBER,
    left: Domain = EVERYWHERE,
    right: Domain = EVERYWHERE,
    attributes: Callable[[Scope, Value], dict[str, Any]] | None = None,
    defined: Callable[[Run], bool] | None = None,
    exact: bool = False,
    weight: float = 1.0,
) -> Operator:
    """A row for a function of two operands that broadcast; the larger of them stands first or second."""

    def propose(s: Scope) -> Call:
        flipped = left is right and s.coin(0.3)
        a = s.tensor(kinds=kinds, domain=left)
        b = s.broadcastable(a, domain=right)
        return Call((b, a) if flipped else (a, b), attributes(s, a) if attributes else {})

    more = extra(name)
    return Operator(
        name,
        propose=propose,
        shape=broadcast,
        evaluate=lambda run: (function(run[0], run[1], run),),
        error=error if more is None else widened(error, more),
        accuracy=granted(name),
        exact=exact,
        defined=defined,
        weight=weight,
    )


# -- arithmetic ------------------------------------------------------------------------------------------


def _finite(size: Array) -> Array:
    """Magnitudes, without the infinite ones."""
    return np.where(np.isinf(size), 0.0, size)


def _sum_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Errors add; beyond two operands the partial sums are rounded as well.

    A constant operand may be folded into one that follows, so that what is rounded is as large as the constant though
    the sum be 0: (x + c) + d as x + (c + d), (x + c) d as x d + c d. That is 2 u |c| for the constant.
    """
    total: Bound = sum(e[1:], e[0])
    if len(e) == 2 and run.constants:
        unit = 2 * rounding_unit(run, run.dtypes[0])
        total = total + sum(_finite(np.abs(run[i])) * unit for i in run.constants) if unit else total
    if len(e) > 2:
        size, dtype = _size(run), run.dtypes[0]
        total = within_range(size * (rounding_unit(run, dtype) * (len(e) + 1)) + total, size + total, dtype)
    return (spread(total, y[0]),)


def _size(run: Run) -> Array:
    return reduce(np.add, map(np.abs, (x for x in run.inputs if x is not None)))


def _mean_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    (total,) = _sum_error(run, y, e)
    return (within_range(total / len(e), _size(run) + total, run.dtypes[0]),)


def _product_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """|a| Eb + |b| Ea + Ea Eb."""
    first, second = e
    if is_exact(first):
        return (0.0 if is_exact(second) else spread(np.abs(run[0]) * second, y[0]),)
    total = np.abs(run[1]) * first
    if not is_exact(second):
        total = total + (np.abs(run[0]) + first) * second
    return (spread(total, y[0]),)


def _divide(a: Array, b: Array, run: Run) -> Array:
    """The quotient; of integers, cut off towards zero (H2.2)."""
    del run
    if a.dtype.kind == "f":
        result: Array = a / b
        return result
    quotient = a // b
    if a.dtype.kind == "i":
        quotient = quotient + ((quotient < 0) & (quotient * b != a))
    return quotient


def _quotient_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """(Ea + |a/b| Eb) / (|b| - Eb) while the divisor stays off 0; integers may be off by one more."""
    if is_exact(e[0]) and is_exact(e[1]):
        return (0.0,)
    size = np.abs(run[1]).astype(np.float64)
    bound = np.where(size > e[1], (e[0] + np.abs(y[0]) * e[1]) / (size - e[1]), np.inf)
    if y[0].dtype.kind != "f":
        bound = np.where(bound > 0, bound + 1, 0.0)
    return (spread(bound, y[0]),)


def _modulo(a: Array, b: Array, run: Run) -> Array:
    """The remainder with the sign of the divisor, or with fmod of the dividend."""
    result: Array = np.fmod(a, b) if run.params.get("fmod", 0) else np.mod(a, b)
    return result


def _modulo_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Ea + |a/b| Eb while the quotient keeps its whole part, else anything in the period.

    Backends form a - b * floor(a/b) with rounding, so the dividend is taken to err by 2 u |a| at least.
    """
    a, b, r = run[0], run[1], np.abs(y[0])
    if y[0].dtype.kind != "f":
        exact = is_exact(e[0]) and is_exact(e[1])
        return (0.0 if exact else np.inf,)
    steps = np.abs(a / b)
    near = e[0] + np.abs(a) * (2 * rounding_unit(run, run.dtypes[0])) + (steps + 1) * e[1]
    period = np.abs(b)
    inside = (r - near > 0) & (r + near < period)
    if run.params.get("fmod", 0):
        inside = inside | (np.abs(a) + near < period)
    return (spread(np.where(inside, near, period + e[1] + near), y[0]),)


def _power(a: Array, b: Array, run: Run) -> Array:
    """The power in the type of the base; integers cut off towards zero."""
    del run
    if a.dtype.kind == "f":
        result: Array = np.power(a, b if b.dtype == a.dtype else b.astype(a.dtype))
        return result
    if b.dtype.kind == "f":
        return np.trunc(np.power(a.astype(np.float64), b)).astype(a.dtype)
    whole: Array = np.power(a, np.maximum(b, 0).astype(a.dtype, copy=False))
    if not np.any(b < 0):
        return whole
    return np.where(b < 0, np.trunc(np.power(a.astype(np.float64), b)).astype(a.dtype), whole)


def _whole_power_error(run: Run) -> Bound:
    """Integers to known powers: exact for whole ones; others are computed in float by some and cut off.

    A float power may come out below the whole number that it is. The grant is that of Pow with room: 2**-20 relative.
    """
    x, p = run[0], run[1]
    if p.dtype.kind != "f":
        return 0.0 if bool(np.all(p >= 0)) else np.where(p < 0, np.inf, np.zeros(x.shape))
    power = np.power(x.astype(np.float64), p.astype(np.float64))
    reach = np.abs(power) * 2.0**-20
    middle = np.trunc(power)
    bound = np.maximum(np.trunc(power + reach) - middle, middle - np.trunc(power - reach))
    return np.where(np.isfinite(power) & (p >= 0), bound, np.inf)


def _power_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The corners of the box around (x, y): monotone in each operand for x > 0.

    For exact whole exponents n any base: (|x|+e)**n - |x|**n, or for n < 0 |x|**n - (|x|-e)**n, 0 outside.
    An exponent in a type of its own may be rounded to the base's first (H2.7).
    """
    x, p = run[0], run[1]
    if y[0].dtype.kind != "f":
        return (_whole_power_error(run) if is_exact(e[0]) and is_exact(e[1]) else np.inf,)
    exponent = e[1]
    if run.dtypes[1] is not run.dtypes[0] and p.dtype.kind == "f":
        exponent = exponent + np.abs(p) * (2 * max(rounding_unit(run, d) for d in run.dtypes))
    if is_exact(e[0]) and is_exact(exponent):
        return (0.0,)
    p = p.astype(x.dtype, copy=False)
    shifts = (0.0,) if is_exact(exponent) else (exponent, -exponent)
    corners = [np.power(x + dx, p + dp) for dx in (e[0], -e[0]) for dp in shifts]
    bound = reduce(np.maximum, (np.abs(c - y[0]) for c in corners))
    outside = np.where(x - e[0] > 0, bound, np.inf)
    if not is_exact(exponent):
        return (spread(outside, y[0]),)
    size = np.abs(x)
    grown = np.where(p < 0, np.where(size > e[0], size - e[0], 0.0), size + e[0])
    steep = np.abs(np.power(grown, p) - np.abs(y[0]))
    return (spread(np.where(np.rint(p) == p, steep, outside), y[0]),)


def propose_power(s: Scope) -> Call:
    """A square or cube of anything, a positive base to a moderate exponent, integers to 0..3 (H2.6, H2.7)."""
    dtype = s.dtype("T", SIGNED)
    alike = dtype in s.signature.types["T1"]  # bfloat16 became an exponent at opset 15
    if not dtype.is_float:
        x = s.tensor(domain=Domain(-8, 8))
        exponent = np.array(s.integer(0, 3))
        return Call((x, s.constant(exponent, dtype if s.coin(0.5) else s.dtype("T1", WHOLE))))
    if s.coin(0.4):
        x = s.tensor(domain=Domain(-8.0, 8.0))
        exponent = np.array(float(s.pick((1, 2, 2, 3))))
        return Call((x, s.constant(exponent, dtype if alike and s.coin(0.7) else s.dtype("T1", NUMBER))))
    x = s.tensor(domain=Domain(0.0625, 8.0))
    variable = "T" if s.coin(0.8) and alike else "T1"
    s.dtype(variable, SIGNED)
    return Call((x, s.broadcastable(x, variable, domain=Domain(-3.0, 3.0))))


def propose_modulo(s: Scope) -> Call:
    """Integers with either sign rule, floats with fmod (below opset 28: H2.3 to H2.5); no large quotients."""
    a = s.tensor(kinds=NUMBER, domain=Domain(-64.0, 64.0))
    b = s.broadcastable(a, domain=Domain(away=0.5))
    always = a.type.dtype.is_float and s.signature.since < 28
    fmod = 1 if always else int(s.coin(0.2))
    return Call((a, b), {"fmod": fmod} if fmod or s.coin(0.5) else {})


def _modulo_defined(run: Run) -> bool:
    a, b = run[0], run[1]
    if a.dtype.kind != "f":
        return True
    if not run.params.get("fmod", 0):
        return False  # "If the input type is floating point, then fmod attribute must be set to 1"
    steps = a / b
    return apart(steps - np.rint(steps), np.maximum(np.abs(steps), 1))


# -- variadic --------------------------------------------------------------------------------------------


def variadic(
    name: str,
    function: Callable[[list[Array], Run], Array],
    error: ErrorRule,
    *,
    kinds: Sequence[Kind] = FLOAT,
    exact: bool = False,
) -> Operator:
    """A row for a function of one to four operands that broadcast, now and then of up to 16."""

    def propose(s: Scope) -> Call:
        a = s.tensor(kinds=kinds)
        count = s.pick((1, 1, 2, 2, 2, 2, 3, 3, 4, 4, 0)) or s.integer(5, 16)
        operands = [a]
        if count > 1:
            operands.append(s.broadcastable(a))
        operands.extend(s.unidirectional(a) for _ in range(count - 2))
        return Call(tuple(operands))

    def evaluate(run: Run) -> tuple[Array, ...]:
        return (function([run[i] for i in range(len(run.inputs))], run),)

    return Operator(name, propose, broadcast, evaluate, error, accuracy=granted(name), exact=exact)


def _total(operands: list[Array], run: Run) -> Array:
    if len(operands) < 3:
        return reduce(np.add, operands)
    return run.arithmetic.sum(np.stack(np.broadcast_arrays(*operands)), (0,), keepdims=False)


# -- selection ----------------------------------------------------------------------------------------


def propose_where(s: Scope) -> Call:
    """A condition and two operands, all of which broadcast."""
    condition = s.tensor("B")
    x = s.broadcastable(condition, "T")
    y = s.unidirectional(s.pick((condition, x)), "T")
    return Call((condition, x, y) if s.coin(0.5) else (condition, y, x))


def _where(run: Run) -> tuple[Array, ...]:
    return (np.where(run[0], run[1], run[2]),)


def _where_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The error of the branch taken; where the condition is unsure, the distance of the two as well."""
    condition, first, second = run[0], run[1], run[2]
    if all(map(is_exact, e)):
        return (0.0,)
    taken = np.where(condition, e[1], e[2])
    if is_exact(e[0]):
        return (spread(taken, y[0]),)
    if first.dtype.kind not in "fiu":
        either: Any = np.where(first != second, np.inf, np.maximum(e[1], e[2]))
    else:
        either = np.abs(first.astype(np.float64) - second.astype(np.float64)) + np.maximum(e[1], e[2])
    return (spread(np.where(np.asarray(e[0]) > 0, either, taken), y[0]),)


def propose_prelu(s: Scope) -> Call:
    """A slope for every element, for every channel, or one for all."""
    x = s.tensor(kinds=NUMBER)
    return Call((x, s.unidirectional(x)))


def _prelu_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Slope 1 or s, the steeper of both where the sign is unsure; the slope's error counts below 0."""
    x, slope = run[0], np.abs(run[1])
    if is_exact(e[0]) and is_exact(e[1]):
        return (0.0,)
    steep = slope + e[1]
    factor = np.where(x > e[0], 1.0, np.where(x < -e[0], steep, np.maximum(steep, 1.0)))
    own = 0.0 if is_exact(e[0]) else factor * e[0]
    return (spread(own + np.maximum(-x, 0) * e[1], y[0]),)


_OFF_ZERO = Domain(away=0.0625)

OPERATORS: tuple[Operator, ...] = (
    binary("Add", lambda a, b, _: a + b, _sum_error),
    binary("Sub", lambda a, b, _: a - b, _sum_error),
    binary("Mul", lambda a, b, _: a * b, _product_error),
    binary("Div", _divide, _quotient_error, right=_OFF_ZERO),
    Operator("Pow", propose_power, broadcast, lambda run: (_power(run[0], run[1], run),),
             widened(_power_error, extra("Pow") or (lambda _, __: 0.0)), accuracy=granted("Pow")),
    Operator("Mod", propose_modulo, broadcast, lambda run: (_modulo(run[0], run[1], run),), _modulo_error,
             defined=_modulo_defined, weight=0.5),
    variadic("Max", lambda xs, _: reduce(np.maximum, xs), maximum, kinds=NUMBER, exact=True),
    variadic("Min", lambda xs, _: reduce(np.minimum, xs), maximum, kinds=NUMBER, exact=True),
    variadic("Sum", _total, _sum_error),
    variadic("Mean", lambda xs, run: _total(xs, run) / len(xs), _mean_error),
    Operator("Where", propose_where, broadcast, _where, _where_error, exact=True, weight=2.0),
    Operator("PRelu", propose_prelu, unidirectional,
             lambda run: (np.where(run[0] < 0, run[0] * run[1], run[0]),), _prelu_error),
)  # fmt: skip
