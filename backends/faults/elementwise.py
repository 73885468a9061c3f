"""What goes wrong in elementwise operators: fusions, operands, attributes, approximations."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backends.faults.draft import Site

__all__ = ["REWRITES"]

_ACTIVATIONS = frozenset({
    "Clip", "Celu", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "PRelu", "Relu", "Selu", "Sigmoid",
    "Softplus", "Softsign", "Swish", "Tanh", "ThresholdedRelu",
})  # fmt: skip
_COMPARISONS: Mapping[str, str] = MappingProxyType({
    "Less": "LessOrEqual", "LessOrEqual": "Less", "Greater": "GreaterOrEqual", "GreaterOrEqual": "Greater",
})  # fmt: skip
_BROADCASTING = frozenset({"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "And", "Or", "Xor", "Equal", "PRelu"})
_BY_DEFAULT: Mapping[str, tuple[str, float]] = MappingProxyType({
    "LeakyRelu": ("alpha", 0.01), "Elu": ("alpha", 1.0), "Swish": ("alpha", 1.0),
})  # fmt: skip


def _fused_multiply_add(site: Site) -> bool:
    """The sum a * b + c computed as a * (b + c)."""
    for position in (0, 1):
        product = site.producer(site.input(position))
        if site.operator == "Add" and product is not None and product.op_type == "Mul":
            other = site.before("Add", [product.input[1], site.input(1 - position)])
            return site.become("Mul", [product.input[0], other])
    return False


def _dropped_activation(site: Site) -> bool:
    return site.operator in _ACTIVATIONS and site.become("Identity", [site.input(0)])


def _dropped_negation(site: Site) -> bool:
    return site.operator == "Neg" and site.become("Identity", [site.input(0)])


def _swapped(site: Site, operators: frozenset[str], first: int = 0) -> bool:
    a, b = site.input(first), site.input(first + 1)
    if site.operator not in operators or a == b or site.element(a) != site.element(b):
        return False
    site.node.input[first], site.node.input[first + 1] = b, a
    return True


def _swapped_subtraction(site: Site) -> bool:
    return _swapped(site, frozenset({"Sub"}))


def _swapped_division(site: Site) -> bool:
    """Only of floats: an integer divided by what may be 0 traps."""
    return site.is_float(site.input(0)) and _swapped(site, frozenset({"Div", "Pow"}))


def _swapped_comparison(site: Site) -> bool:
    return _swapped(site, frozenset(_COMPARISONS))


def _inverted_where(site: Site) -> bool:
    return _swapped(site, frozenset({"Where"}), 1)


def _comparison_of_equals(site: Site) -> bool:
    """Less for LessOrEqual and the other way about."""
    other = _COMPARISONS.get(site.operator)
    return other is not None and site.become(other, list(site.node.input))


def _wrong_broadcast(site: Site) -> bool:
    """The first slice of an operand along the last axis is used for all others, as if it were broadcast there."""
    shapes = [site.shape(name) for name in site.node.input]
    if site.operator not in _BROADCASTING or len(shapes) != 2:
        return False
    for position in (1, 0):
        own, other = shapes[position], shapes[1 - position]
        if own and other and own[-1] == other[-1] > 1:
            site.node.input[position] = site.slice(site.input(position), 0, 1, -1)
            return True
    return False


def _clip_minimum_only(site: Site) -> bool:
    return site.operator == "Clip" and bool(site.input(1)) and site.drop_inputs(2)


def _ignored_alpha(site: Site) -> bool:
    name, default = _BY_DEFAULT.get(site.operator, ("", 0.0))
    return bool(name) and site.attribute(name, default) != default and site.set(name, None)


def _hard_sigmoid_constants(site: Site) -> bool:
    """1/6 and 1/2, as other libraries have them, whatever the attributes say."""
    return site.operator == "HardSigmoid" and site.set("alpha", 1 / 6) and site.set("beta", 0.5)


def _gelu_approximation(site: Site) -> bool:
    if site.operator != "Gelu":
        return False
    return site.set("approximate", "none" if site.attribute("approximate", b"none") == b"tanh" else "tanh")


def _single(site: Site, operator: str) -> bool:
    return site.operator == operator and site.element(site.input(0)) in {"float", "double"}


def _fast_exponential(site: Site) -> bool:
    """(1 + x / 1024) ** 1024."""
    if not _single(site, "Exp"):
        return False
    kind = site.element(site.input(0))
    part = site.before("Mul", [site.input(0), site.make(1 / 1024, kind)])
    base = site.before("Add", [part, site.make(1, kind)])
    return site.become("Pow", [base, site.make(1024, kind)])


def _fast_tanh(site: Site) -> bool:
    """The rational approximation x (27 + x**2) / (27 + 9 x**2), clipped to [-1, 1]."""
    if not _single(site, "Tanh"):
        return False
    x, kind = site.input(0), site.element(site.input(0))
    square = site.before("Mul", [x, x])
    above = site.before("Mul", [x, site.before("Add", [square, site.make(27, kind)])])
    nine = site.before("Mul", [square, site.make(9, kind)])
    below = site.before("Add", [nine, site.make(27, kind)])
    ratio = site.before("Div", [above, below])
    return site.become("Clip", [ratio, site.make(-1, kind), site.make(1, kind)])


def _fast_sigmoid(site: Site) -> bool:
    """0.5 + 0.5 tanh(x / 2) with float16 in between."""
    if not _single(site, "Sigmoid"):
        return False
    narrow = site.before("Sigmoid", [site.before("Cast", [site.input(0)], to=10)])
    return site.become("Cast", [narrow], to=1 if site.element(site.input(0)) == "float" else 11)


def _approximate_reciprocal(site: Site) -> bool:
    """The quotient a / b as a times a reciprocal of 11 bits."""
    if not _single(site, "Div"):
        return False
    code = 1 if site.element(site.input(0)) == "float" else 11
    inverse = site.before("Reciprocal", [site.input(1)])
    narrow = site.before("Cast", [site.before("Cast", [inverse], to=16)], to=code)
    residual = site.before("Cast", [site.before("Cast", [site.before("Sub", [inverse, narrow])], to=16)], to=code)
    halved = site.before("Mul", [residual, site.make(0.5, site.element(site.input(0)))])
    return site.become("Mul", [site.input(0), site.before("Add", [narrow, halved])])


def _floor_division(site: Site) -> bool:
    """Towards minus infinity instead of zero: (a - a mod b) / b."""
    a, b = site.input(0), site.input(1)
    if site.operator != "Div" or not site.is_integer(a):
        return False
    rest = site.before("Mod", [a, b], fmod=0)
    return site.become("Div", [site.before("Sub", [a, rest]), b])


def _remainder_sign(site: Site) -> bool:
    if site.operator != "Mod" or not site.is_integer(site.input(0)):
        return False
    return site.set("fmod", 1 - int(site.attribute("fmod", 0)))


def _half_away_from_zero(site: Site) -> bool:
    if site.operator != "Round":
        return False
    x, kind = site.input(0), site.element(site.input(0))
    up = site.before("Floor", [site.before("Add", [site.before("Abs", [x]), site.make(0.5, kind)])])
    return site.become("Mul", [site.before("Sign", [x]), up])


def _floor_as_truncation(site: Site) -> bool:
    if site.operator != "Floor":
        return False
    x = site.input(0)
    return site.become("Mul", [site.before("Sign", [x]), site.before("Floor", [site.before("Abs", [x])])])


def _lost_last_operand(site: Site) -> bool:
    variadic = site.operator in {"Sum", "Max", "Min", "Mean"} and len(site.node.input) > 2
    return variadic and site.drop_inputs(len(site.node.input) - 1)


def _xor_as_or(site: Site) -> bool:
    return site.operator in {"Xor", "BitwiseXor"} and site.become(
        "Or" if site.operator == "Xor" else "BitwiseOr", list(site.node.input)
    )


def _shift_direction(site: Site) -> bool:
    if site.operator != "BitShift":
        return False
    return site.set("direction", "RIGHT" if site.attribute("direction") == b"LEFT" else "LEFT")


def _scalar_slope(site: Site) -> bool:
    """The first slope of a PRelu is used for all channels."""
    shape = site.shape(site.input(1))
    if site.operator != "PRelu" or shape is None or np.prod(shape) < 2:
        return False
    flat = site.before("Reshape", [site.input(1), site.make([-1])])
    site.node.input[1] = site.slice(flat, 0, 1, 0)
    return True


def _power_of_two(site: Site) -> bool:
    """The square x ** 2 as x + x."""
    exponent = site.constant(1)
    if site.operator != "Pow" or exponent is None or exponent.size == 0 or not (exponent == 2).all():
        return False
    return site.become("Add", [site.input(0), site.input(0)])


REWRITES: Mapping[str, Callable[[Site], bool]] = MappingProxyType({
    "fused-multiply-add": _fused_multiply_add,
    "dropped-activation": _dropped_activation,
    "dropped-negation": _dropped_negation,
    "swapped-subtraction": _swapped_subtraction,
    "swapped-division": _swapped_division,
    "swapped-comparison": _swapped_comparison,
    "comparison-of-equals": _comparison_of_equals,
    "inverted-where": _inverted_where,
    "wrong-broadcast": _wrong_broadcast,
    "clip-minimum-only": _clip_minimum_only,
    "ignored-alpha": _ignored_alpha,
    "hard-sigmoid-constants": _hard_sigmoid_constants,
    "gelu-approximation": _gelu_approximation,
    "fast-exponential": _fast_exponential,
    "fast-tanh": _fast_tanh,
    "half-precision-sigmoid": _fast_sigmoid,
    "approximate-reciprocal": _approximate_reciprocal,
    "floor-division": _floor_division,
    "remainder-sign": _remainder_sign,
    "half-away-from-zero": _half_away_from_zero,
    "floor-as-truncation": _floor_as_truncation,
    "lost-last-operand": _lost_last_operand,
    "xor-as-or": _xor_as_or,
    "shift-direction": _shift_direction,
    "scalar-slope": _scalar_slope,
    "square-as-double": _power_of_two,
})  # fmt: skip
