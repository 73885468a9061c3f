"""Comparison, logic and bits: what is true or false, and what hangs on a last bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from abstract.dtypes import Kind
from abstract.error import is_exact, tainted
from abstract.operator import Array, Bound, Domain, Operator, Run
from abstract.operators.broadcast import binary
from abstract.operators.elementwise import NUMBER, WHOLE, apart

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["OPERATORS"]


def _comparison_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Certain where the operands are farther apart than their errors together."""
    if is_exact(e[0]) and is_exact(e[1]):
        return (0.0,)
    reach = e[0] + e[1]
    if run[0].dtype == object:
        return (tainted(y[0], np.asarray(reach) > 0),)
    gap = np.abs(np.subtract(run[0], run[1], dtype=np.result_type(run[0], run[1], np.float64)))
    return (tainted(y[0], ~(gap > reach) & (reach > 0)),)


def _comparable(run: Run) -> bool:
    a, b = run[0], run[1]
    return a.dtype.kind != "f" or apart(a - b, np.maximum(np.abs(a), np.abs(b)))


def comparison(name: str, function: Callable[[Array, Array], Array], kinds: Sequence[Kind] = NUMBER) -> Operator:
    """A row for a comparison: what hangs on a last bit is not generated, and tainted in foreign models."""
    return binary(
        name, lambda a, b, _: function(a, b), _comparison_error, kinds=kinds, defined=_comparable, weight=0.5
    )


def logic(name: str, function: Callable[[Array, Array], Array], decisive: bool | None) -> Operator:
    """A row for a logical operator. An operand that is certainly ``decisive`` makes the other one irrelevant."""

    def error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
        if is_exact(e[0]) and is_exact(e[1]):
            return (0.0,)
        unsure = [np.asarray(bound) > 0 for bound in e]
        settled = [~u & (x == decisive) for u, x in zip(unsure, (run[0], run[1]), strict=True)]
        return (tainted(y[0], (unsure[0] & ~settled[1]) | (unsure[1] & ~settled[0])),)

    return binary(name, lambda a, b, _: function(a, b), error, kinds=None)


def _bits_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """An operand that errs at all may change any bit."""
    del run
    if is_exact(e[0]) and is_exact(e[1]):
        return (0.0,)
    return (tainted(y[0], (np.asarray(e[0]) > 0) | (np.asarray(e[1]) > 0)),)


def bits(name: str, function: Callable[[Array, Array], Array]) -> Operator:
    """A row for a bitwise operator."""
    return binary(name, lambda a, b, _: function(a, b), _bits_error, kinds=WHOLE, weight=0.5)


def _shift(a: Array, b: Array, run: Run) -> Array:
    """Shift by fewer bits than the type has, or to nothing or a sign (opset 28 says so; hazard shift-beyond-width)."""
    if run.params["direction"] == b"LEFT":
        result: Array = np.left_shift(a, b)
        return result
    return np.right_shift(a, b)


OPERATORS: tuple[Operator, ...] = (
    comparison("Equal", lambda a, b: np.equal(a, b).astype(np.bool_), (*NUMBER, Kind.BOOL, Kind.STRING)),
    comparison("Less", np.less),
    comparison("LessOrEqual", np.less_equal),
    comparison("Greater", np.greater),
    comparison("GreaterOrEqual", np.greater_equal),
    logic("And", np.logical_and, decisive=False),
    logic("Or", np.logical_or, decisive=True),
    logic("Xor", np.logical_xor, decisive=None),
    bits("BitwiseAnd", np.bitwise_and),
    bits("BitwiseOr", np.bitwise_or),
    bits("BitwiseXor", np.bitwise_xor),
    binary("BitShift", _shift, _bits_error, kinds=WHOLE, right=Domain(0, 7), weight=0.5,
           attributes=lambda s, _: {"direction": s.pick((b"LEFT", b"RIGHT"))}),
)  # fmt: skip
