"""Operators of one input, element by element: a table of functions, their domains and attributes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.accuracy import extra, granted
from abstract.dtypes import Kind
from abstract.error import ErrorRule, bent, held_loss, is_exact, lipschitz, monotone, tainted, widened
from abstract.operator import EVERYWHERE, Array, Bound, Call, Domain, NotCovered, Operator, Run, Scope, Typing

if TYPE_CHECKING:
    from abstract.types import Shape

__all__ = ["FLOAT", "MARGIN", "NUMBER", "OPERATORS", "SIGNED", "WHOLE", "apart", "same_shape", "unary"]

FLOAT = (Kind.FLOAT,)
SIGNED = (Kind.FLOAT, Kind.SIGNED)
NUMBER = (Kind.FLOAT, Kind.SIGNED, Kind.UNSIGNED)
WHOLE = (Kind.SIGNED, Kind.UNSIGNED)
MARGIN = 1e-6
"""How near a discontinuity a value may not lie, relative to the operand's largest: see ``apart``."""

Function = Callable[[Array, Run], Array]
Attributes = Callable[[Scope], Mapping[str, Any]]


def same_shape(t: Typing) -> tuple[Shape, ...]:
    """Every output has the shape of the first input."""
    return (t[0],) * t.outputs


def apart(gap: Array, scale: Array) -> bool:
    """Whether no element of a gap is so small, next to the operand, that rounding could close it.

    A gap of exactly 0 is let through: mostly the values are exact (a tie that is meant); where they are not,
    the error rule taints the element.
    """
    if not gap.size or gap.dtype.kind != "f":
        return True
    size = np.abs(gap)
    return not bool(np.any((size > 0) & (size < MARGIN * float(np.max(np.abs(scale))))))


def unary(  # noqa: PLR0913 - the columns of a table
    name: str,
    function: Function,
    *,
    variable: str = "T",
    domain: Domain = EVERYWHERE,
    kinds: Sequence[Kind] | None = FLOAT,
    error: ErrorRule | None = None,
    exact: bool = False,
    attributes: Attributes | None = None,
    steps: Function | None = None,
    weight: float = 1.0,
) -> Operator:
    """A row for a function of one input; its error rule is a monotone function's unless another is given.

    ``steps`` is the distance of each element from a discontinuity.
    """

    def propose(s: Scope) -> Call:
        x = s.tensor(variable, kinds=kinds, domain=domain)
        return Call((x,), attributes(s) if attributes else {})

    rule = error or monotone(function)
    more = extra(name)
    return Operator(
        name,
        propose=propose,
        shape=same_shape,
        evaluate=lambda run: (function(run[0], run),),
        error=rule if more is None else widened(rule, more),
        accuracy=granted(name),
        exact=exact,
        defined=None if steps is None else lambda run: apart(steps(run[0], run), run[0]),
        weight=weight,
    )


def optional(**choices: Sequence[float]) -> Attributes:
    """Attributes written out half the time, left to their defaults otherwise."""
    return lambda s: {name: s.pick(values) for name, values in choices.items() if s.coin(0.5)}


# -- functions that numpy lacks or that would overflow if written as ONNX does ------------------------------


def each(function: Callable[[float], float]) -> Function:
    """A scalar function of the standard library on every element, in double, rounded to the array's type.

    numpy has no erf; the C library's is correct to 1 ulp, and for the sizes at hand a loop in C costs what a
    vectorised rational approximation would (see docs/notes/erf.md).
    """

    def apply(x: Array, run: Run) -> Array:
        del run
        values = np.fromiter(map(function, x.ravel().tolist()), dtype=np.float64, count=x.size)
        return values.reshape(x.shape).astype(x.dtype, copy=False)

    return apply


erf, _erfc = each(math.erf), each(math.erfc)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x))."""
    result: Array = 1 / (1 + np.exp(-x))
    return result


def softplus(x: Array) -> Array:
    """ln(1 + exp(x)) without overflow."""
    result: Array = np.logaddexp(x, 0)
    return result


def gelu(x: Array, run: Run) -> Array:
    """x/2 (1 + erf(x / sqrt 2)), or its tanh form."""
    if run.params.get("approximate", b"none") == b"tanh":
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
        result: Array = 0.5 * x * (1 + np.tanh(inner))
        return result
    return 0.5 * x * _erfc(x * -math.sqrt(0.5), run)


def _elu(x: Array, alpha: float) -> Array:
    return np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)


def _celu(x: Array, run: Run) -> Array:
    alpha = run.params["alpha"]
    result: Array = np.maximum(x, 0) + np.minimum(alpha * np.expm1(np.minimum(x / alpha, 700)), 0)
    return result


def _hard_sigmoid(x: Array, run: Run) -> Array:
    result: Array = np.maximum(np.minimum(x * run.params["alpha"] + run.params["beta"], 1), 0)
    return result


def _hard_swish(x: Array, run: Run) -> Array:
    del run
    result: Array = x * np.maximum(np.minimum(x / 6 + 0.5, 1), 0)
    return result


def _is_inf(x: Array, run: Run) -> Array:
    positive, negative = run.params.get("detect_positive", 1), run.params.get("detect_negative", 1)
    return (np.isposinf(x) & bool(positive)) | (np.isneginf(x) & bool(negative))


def _bitwise_not(x: Array, run: Run) -> Array:
    dtype = run.dtypes[0]
    if dtype is not None and dtype.kind is Kind.UNSIGNED:
        return dtype.maximum - x  # the carrier is wider than the type: ~x would leave its range
    return ~x


# -- error rules of their own --------------------------------------------------------------------------------


def _even(function: Callable[[Array], Array]) -> ErrorRule:
    """An even function that grows with |x|: its growth from |x| to |x| + e."""

    def rule(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
        return (0.0,) if is_exact(e[0]) else (function(np.abs(run[0]) + e[0]) - y[0],)

    return rule


def _tan_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Monotone between two poles; nothing is known across one."""
    if is_exact(e[0]):
        return (0.0,)
    x = run[0]
    above, below = x + e[0], x - e[0]
    ends = np.maximum(np.abs(np.tan(above) - y[0]), np.abs(y[0] - np.tan(below)))
    return (np.where(np.floor(above / np.pi + 0.5) == np.floor(below / np.pi + 0.5), ends, np.inf),)


def _reciprocal_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """|1/(x+d) - 1/x| <= e / (|x| (|x| - e)) as long as 0 stays outside."""
    if is_exact(e[0]):
        return (0.0,)
    size = np.abs(run[0])
    return (np.where(size > e[0], e[0] * np.abs(y[0]) / (size - e[0]), np.inf),)


def _threshold_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The input or 0, and either where x lies within its error of the threshold."""
    del y
    if is_exact(e[0]):
        return (0.0,)
    x = run[0]
    either = np.abs(x - run.params["alpha"]) <= e[0]
    return (np.where(either, np.abs(x) + e[0], np.where(x > run.params["alpha"], e[0], 0.0)),)


def _shrink(x: Array, run: Run) -> Array:
    """In the operand's own type: where that is an integer, a fraction of ``bias`` would be lost before or after."""
    edge, bias = run.params["lambd"], run.params["bias"]
    if x.dtype.kind in "iu":
        if not float(bias).is_integer():
            raise NotCovered("Shrink of integers by a fraction")
        edge, bias = math.floor(edge), int(bias)
    return np.where(x < -edge, x + bias, np.where(x > edge, x - bias, np.zeros_like(x)))


def _shrink_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The input's, and the bias's in a narrower type; anything near where x lies within its error of an edge."""
    lost, moved = held_loss(run, "bias"), e[0] + held_loss(run, "lambd")
    if is_exact(moved) and not lost:
        return (0.0,)
    size, bias = np.abs(run[0]), abs(run.params["bias"])
    either = (np.abs(size - run.params["lambd"]) <= moved) & (np.asarray(moved) > 0)
    inside = (y[0] == 0) & ~either & (size <= run.params["lambd"])
    return (np.where(either, size + e[0] + 2 * (bias + lost), np.where(inside, 0.0, e[0] + lost)),)


def propose_shrink(s: Scope) -> Call:
    """Edges and biases that every type holds; whole numbers for integers, of which the text does not say more."""
    x = s.tensor(kinds=NUMBER)
    params: dict[str, Any] = {}
    fractions = x.type.dtype.is_float
    if s.coin(0.7):
        params["lambd"] = s.pick((0.0, 0.25, 0.5, 1.0, 1.5) if fractions else (0.0, 1.0, 2.0, 3.0))
    if s.coin(0.7):
        params["bias"] = s.pick((0.0, 0.25, 1.0, 1.5, -0.5) if fractions else (0.0, 1.0))
    return Call((x,), params)


def _class_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """IsNaN and IsInf: certain while the input's bound is finite."""
    del run
    return (0.0 if is_exact(e[0]) else tainted(y[0], np.isinf(e[0])),)


# -- operators that do not fit the table ---------------------------------------------------------------------


def propose_clip(s: Scope) -> Call:
    """Bounds about the operand's own range, either of them left out now and then; never min > max (H2.11)."""
    x = s.tensor(kinds=NUMBER)
    dtype = x.type.dtype
    first, second = s.integer(-16, 16), s.integer(-16, 16)
    low, high = min(first, second), max(first, second)
    if dtype.kind is Kind.UNSIGNED:
        low, high = abs(low) % 8, 8 + abs(high)
    params: dict[str, Any] = {}
    if s.coin(0.8):
        params["min"] = low / 4 if dtype.is_float else low
    if s.coin(0.8):
        params["max"] = high / 4 if dtype.is_float else high
    return Call((x,), params)


def _clip(x: Array, run: Run) -> Array:
    low, high = run.params.get("min"), run.params.get("max")
    if isinstance(low, tuple) or isinstance(high, tuple):
        raise NotCovered("Clip with a bound that is no scalar")
    y = x if low is None else np.maximum(x, low)
    return y if high is None else np.minimum(y, high)


_clip_moved = monotone(_clip)


def _clip_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The input's error where it lies inside; the bounds' own where their type is held in a narrower one."""
    loss = held_loss(run, "min", "max")
    if not loss:
        return _clip_moved(run, y, e)
    return (np.broadcast_to(np.maximum(e[0], loss), y[0].shape),)


def propose_dropout(s: Scope) -> Call:
    """Inference mode: with a ratio or without, with the mask or without (H7.14)."""
    x = s.tensor(kinds=FLOAT)
    params: dict[str, Any] = {"ratio": s.pick((0.0, 0.25, 0.5))} if s.coin(0.5) else {}
    if s.coin(0.2):
        params["training_mode"] = False
    return Call((x,), params, outputs=s.pick((1, 1, 2)), stored=s.stored("T1") if "ratio" in params else {})


def _dropout(run: Run) -> tuple[Array, ...]:
    if run.params.get("training_mode", False) and run.params.get("ratio", 0.5) != 0:
        raise NotCovered("Dropout that trains is random")
    return run[0], np.ones(run[0].shape, dtype=np.bool_)


def _dropout_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    del run, y
    return e[0], 0.0


# -- the table: name, function, and where it is kept: inside its domain, where its slope is moderate ---------
# Bounds are binary fractions, so that a Clip in any type holds them. H2.9: no poles, no large arguments.

_UNIT = Domain(-0.9375, 0.9375)
_LEAK = optional(alpha=(0.01, 0.1, 0.25, 1.0, 1.5, -0.5))
_ALPHA = optional(alpha=(0.25, 0.5, 1.0, 2.0))
_SLOPE_GELU, _SLOPE_MISH, _SLOPE_SWISH = 1.13, 1.09, 1.1  # steepest slopes, rounded up

OPERATORS: tuple[Operator, ...] = (
    unary("Relu", lambda x, _: np.maximum(x, 0), kinds=SIGNED, exact=True),
    unary("Abs", lambda x, _: np.abs(x), kinds=NUMBER, error=lipschitz(1.0), exact=True),
    unary("Neg", lambda x, _: -x, kinds=SIGNED, error=lipschitz(1.0), exact=True),
    unary("Sqrt", lambda x, _: np.sqrt(x), domain=Domain(low=0.0)),
    unary("Exp", lambda x, _: np.exp(x), domain=Domain(-16.0, 8.0)),
    unary("Log", lambda x, _: np.log(x), domain=Domain(low=2.0**-6)),
    unary("Sin", lambda x, _: np.sin(x), domain=Domain(-1e4, 1e4), error=lipschitz(1.0)),
    unary("Cos", lambda x, _: np.cos(x), domain=Domain(-1e4, 1e4), error=lipschitz(1.0)),
    unary("Tan", lambda x, _: np.tan(x), domain=Domain(-1.375, 1.375), error=_tan_error),
    unary("Asin", lambda x, _: np.arcsin(x), domain=_UNIT),
    unary("Acos", lambda x, _: np.arccos(x), domain=_UNIT),
    unary("Atan", lambda x, _: np.arctan(x)),
    unary("Sinh", lambda x, _: np.sinh(x), domain=Domain(-7.0, 7.0)),
    unary("Cosh", lambda x, _: np.cosh(x), domain=Domain(-7.0, 7.0), error=_even(np.cosh)),
    unary("Tanh", lambda x, _: np.tanh(x)),
    unary("Asinh", lambda x, _: np.arcsinh(x)),
    unary("Acosh", lambda x, _: np.arccosh(x), domain=Domain(low=1.0625)),
    unary("Atanh", lambda x, _: np.arctanh(x), domain=_UNIT),
    unary("Erf", erf),
    unary("Reciprocal", lambda x, _: 1 / x, domain=Domain(away=0.0625), error=_reciprocal_error),
    unary("Sigmoid", lambda x, _: sigmoid(x)),
    unary("Softplus", lambda x, _: softplus(x)),
    unary("Softsign", lambda x, _: x / (1 + np.abs(x))),
    unary("LeakyRelu", lambda x, r: np.where(x < 0, x * r.params["alpha"], x), error=bent(
        lambda x, r: np.where(x < 0, x * r.params["alpha"], x)), attributes=_LEAK),
    unary("Elu", lambda x, r: _elu(x, r.params["alpha"]), error=bent(lambda x, r: _elu(x, r.params["alpha"])),
          attributes=_ALPHA),
    unary("Selu", lambda x, r: r.params["gamma"] * _elu(x, r.params["alpha"]), error=bent(
        lambda x, r: r.params["gamma"] * _elu(x, r.params["alpha"])),
        attributes=optional(alpha=(0.5, 1.0, 1.75), gamma=(0.5, 1.0, 1.25))),
    unary("Celu", _celu, attributes=_ALPHA),
    unary("ThresholdedRelu", lambda x, r: np.where(x > r.params["alpha"], x, 0), error=_threshold_error,
          attributes=optional(alpha=(-0.5, 0.0, 0.25, 1.0)), steps=lambda x, r: x - r.params["alpha"],
          exact=True),
    unary("HardSigmoid", _hard_sigmoid,
          attributes=optional(alpha=(0.125, 0.25, 1.0, -0.5), beta=(0.0, 0.25, 0.5))),
    unary("HardSwish", _hard_swish, error=lipschitz(1.5)),
    unary("Mish", lambda x, _: x * np.tanh(softplus(x)), error=lipschitz(_SLOPE_MISH)),
    unary("Gelu", gelu, error=lipschitz(_SLOPE_GELU),
          attributes=lambda s: {"approximate": s.pick((b"none", b"tanh"))} if s.coin(0.7) else {}),
    unary("Swish", lambda x, r: x * sigmoid(x * r.params.get("alpha", 1.0)), error=lipschitz(_SLOPE_SWISH),
          attributes=optional(alpha=(0.5, 1.0, 1.5))),
    unary("Ceil", lambda x, _: np.ceil(x), exact=True, steps=lambda x, _: x - np.rint(x)),
    unary("Floor", lambda x, _: np.floor(x), exact=True, steps=lambda x, _: x - np.rint(x)),
    unary("Round", lambda x, _: np.rint(x), exact=True, steps=lambda x, _: x - np.floor(x) - 0.5),
    unary("Sign", lambda x, _: np.sign(x), kinds=NUMBER, exact=True, steps=lambda x, _: x),
    unary("Not", lambda x, _: ~x, kinds=None, error=lipschitz(1.0), weight=2.0),
    unary("BitwiseNot", _bitwise_not, kinds=WHOLE, error=lipschitz(1.0)),
    unary("IsNaN", lambda x, _: np.isnan(x), variable="T1", error=_class_error, weight=0.5),
    unary("IsInf", _is_inf, variable="T1", error=_class_error, weight=0.5, attributes=lambda s: {
        name: s.integer(0, 1) for name in ("detect_negative", "detect_positive") if s.coin(0.5)}),
    Operator("Clip", propose_clip, same_shape, lambda run: (_clip(run[0], run),), _clip_error,
             parameters=("min", "max"), exact=True, weight=0.5),
    Operator("Dropout", propose_dropout, same_shape, _dropout, _dropout_error,
             parameters=("ratio", "training_mode"), exact=True, weight=0.5),
    Operator("Shrink", propose_shrink, same_shape, lambda run: (_shrink(run[0], run),), _shrink_error, weight=0.5,
             defined=lambda run: apart(np.abs(run[0]) - run.params["lambd"], run[0])),
)  # fmt: skip
