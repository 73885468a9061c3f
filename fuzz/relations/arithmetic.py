"""Algebra that holds in every arithmetic that a model may ask for, element by element."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from abstract.dtypes import Kind
from fuzz.relations.rewrite import Rewrite

if TYPE_CHECKING:
    import onnx

    from fuzz.relations.site import Site, ValueType

__all__ = ["ARITHMETIC"]

_COMMUTING = ("Add", "Mul", "And", "Or", "Xor", "Equal", "BitwiseAnd", "BitwiseOr", "BitwiseXor")
_TURNED = {
    "Less": "Greater", "Greater": "Less", "LessOrEqual": "GreaterOrEqual", "GreaterOrEqual": "LessOrEqual",
}  # fmt: skip
_OPPOSITE = {
    "Less": "GreaterOrEqual", "Greater": "LessOrEqual", "LessOrEqual": "Greater", "GreaterOrEqual": "Less",
}  # fmt: skip


def _neutral(site: Site, operator: str, neutral: int, *, floats: bool = True, first: bool = False) -> bool:
    """``x op neutral`` on an edge; ``first`` allows the constant for the first operand as well."""

    def accept(kind: ValueType) -> bool:
        return site.allows(operator, kind.dtype) and (floats or kind.dtype.is_integer)

    def build(name: str, kind: ValueType) -> str:
        constant = site.constant(np.full((1,) * site.draw(kind.rank + 1), neutral), kind.dtype)
        pair = [name, constant]
        return site.node(operator, pair[::-1] if first and site.draw(2) else pair)

    return site.wrap(accept, build)


def _times_one(site: Site) -> bool:
    return _neutral(site, "Mul", 1, first=True)


def _plus_zero(site: Site) -> bool:
    return _neutral(site, "Add", 0, floats=False, first=True)


def _minus_zero(site: Site) -> bool:
    return _neutral(site, "Sub", 0)


def _over_one(site: Site) -> bool:
    return _neutral(site, "Div", 1)


def _xor_zero(site: Site) -> bool:
    return _neutral(site, "BitwiseXor", 0, floats=False, first=True)


def _negated_twice(site: Site) -> bool:
    def accept(kind: ValueType) -> bool:
        return site.allows("Neg", kind.dtype)

    return site.wrap(accept, lambda name, _: site.node("Neg", [site.node("Neg", [name])]))


def _not_twice(site: Site) -> bool:
    return site.wrap(
        lambda kind: kind.dtype.kind is Kind.BOOL, lambda name, _: site.node("Not", [site.node("Not", [name])])
    )


def _bitwise_not_twice(site: Site) -> bool:
    return site.wrap(
        lambda kind: site.allows("BitwiseNot", kind.dtype),
        lambda name, _: site.node("BitwiseNot", [site.node("BitwiseNot", [name])]),
    )


def _commuted(site: Site) -> bool:
    node = site.find(*_COMMUTING, accept=lambda n: n.input[0] != n.input[1])
    if node is None:
        return False
    return site.substitute(node, [site.node(node.op_type, [node.input[1], node.input[0]])])


def _turned(site: Site) -> bool:
    node = site.find(*_TURNED)
    if node is None:
        return False
    return site.substitute(node, [site.node(_TURNED[node.op_type], [node.input[1], node.input[0]])])


def _negated_comparison(site: Site) -> bool:
    node = site.find(*_OPPOSITE, accept=lambda n: _is_integer(site, n))
    if node is None:
        return False
    opposite = site.node(_OPPOSITE[node.op_type], list(node.input))
    return site.substitute(node, [site.node("Not", [opposite])])


def _is_integer(site: Site, node: onnx.NodeProto) -> bool:
    kind = site.type(node.input[0])
    return kind is not None and kind.dtype.is_integer


def _where_turned(site: Site) -> bool:
    node = site.find("Where")
    if node is None:
        return False
    condition, one, other = node.input
    return site.substitute(node, [site.node("Where", [site.node("Not", [condition]), other, one])])


def _extreme_as_where(site: Site, operator: str, comparison: str) -> bool:
    """Max(a, b) = Where(a > b, a, b); a NaN in ``a`` is taken as well, so that NaN comes out either way."""
    node = site.find(operator, accept=lambda n: len(n.input) == 2 and site.type(n.input[0]) is not None)
    kind = site.type(node.input[0]) if node is not None else None
    if node is None or kind is None or not site.allows(comparison, kind.dtype):
        return False
    a, b = node.input
    taken = site.node(comparison, [a, b])
    if kind.dtype.is_float:
        taken = site.node("Or", [taken, site.node("IsNaN", [a])])
    return site.substitute(node, [site.node("Where", [taken, a, b])])


def _max_as_where(site: Site) -> bool:
    return _extreme_as_where(site, "Max", "Greater")


def _min_as_where(site: Site) -> bool:
    return _extreme_as_where(site, "Min", "Less")


def _shift_as_product(site: Site) -> bool:
    """X << s = x * 2**s for constant s, in the width of the type."""

    def accept(node: onnx.NodeProto) -> bool:
        kind, by = site.type(node.input[0]), site.values(node.input[1])
        left = site.attribute(node, "direction") == b"LEFT"
        return left and kind is not None and by is not None and bool(np.all(by < kind.dtype.bits))

    node = site.find("BitShift", accept=accept)
    if node is None:
        return False
    by = np.asarray(site.values(node.input[1]))
    factor = np.left_shift(np.ones_like(by), by)
    dtype = site.known(node.input[0]).dtype
    return site.substitute(node, [site.node("Mul", [node.input[0], site.constant(factor, dtype)])])


def _double(site: Site) -> bool:
    """X = 2x - x holds in integers that wrap, which x = 2x / 2 does not."""

    def accept(kind: ValueType) -> bool:
        return kind.dtype.is_integer and kind.dtype.bits >= 32 and site.allows("Add", kind.dtype)

    def build(name: str, kind: ValueType) -> str:
        if kind.dtype.kind is Kind.UNSIGNED and site.allows("BitShift", kind.dtype):
            twice = site.node("BitShift", [name, site.constant(1, kind.dtype)], direction="LEFT")
        else:
            twice = site.node("Mul", [name, site.constant(2, kind.dtype)])
        return site.node("Sub", [twice, name])

    return site.wrap(accept, build)


def _sum_as_additions(site: Site) -> bool:
    node = site.find("Sum", accept=lambda n: len(n.input) > 1)
    if node is None:
        return False
    total = node.input[0]
    for name in node.input[1:]:
        total = site.node("Add", [total, name])
    return site.substitute(node, [total])


def _reassociated(site: Site) -> bool:
    """(a + b) + c = a + (b + c), and the same for Mul."""
    makers = {name: n for n in site.nodes if not n.domain and n.op_type in ("Add", "Mul") for name in n.output}

    def accept(node: onnx.NodeProto) -> bool:
        inner = makers.get(node.input[0])
        return inner is not None and inner.op_type == node.op_type

    node = site.find("Add", "Mul", accept=accept)
    if node is None:
        return False
    a, b = makers[node.input[0]].input
    return site.substitute(node, [site.node(node.op_type, [a, site.node(node.op_type, [b, node.input[1]])])])


def _difference_as_sum(site: Site) -> bool:
    def accept(node: onnx.NodeProto) -> bool:
        kind = site.type(node.input[1])
        return kind is not None and site.allows("Neg", kind.dtype)

    node = site.find("Sub", accept=accept)
    if node is None:
        return False
    return site.substitute(node, [site.node("Add", [node.input[0], site.node("Neg", [node.input[1]])])])


def _clip_as_extremes(site: Site) -> bool:
    node = site.find("Clip", accept=lambda n: all(len(n.input) > i and n.input[i] for i in (1, 2)))
    if node is None:
        return False
    x, low, high = node.input
    return site.substitute(node, [site.node("Min", [site.node("Max", [x, low]), high])])


def _relu_as_max(site: Site) -> bool:
    def accept(node: onnx.NodeProto) -> bool:
        kind = site.type(node.input[0])
        return kind is not None and site.allows("Max", kind.dtype)

    node = site.find("Relu", accept=accept)
    if node is None:
        return False
    kind = site.known(node.input[0])
    return site.substitute(node, [site.node("Max", [node.input[0], site.constant(0, kind.dtype)])])


def _absolute_as_max(site: Site) -> bool:
    def accept(node: onnx.NodeProto) -> bool:
        kind = site.type(node.input[0])
        return kind is not None and site.allows("Neg", kind.dtype) and site.allows("Max", kind.dtype)

    node = site.find("Abs", accept=accept)
    if node is None:
        return False
    x = node.input[0]
    return site.substitute(node, [site.node("Max", [x, site.node("Neg", [x])])])


def _quotient_as_product(site: Site) -> bool:
    def accept(node: onnx.NodeProto) -> bool:
        kind = site.type(node.input[1])
        return kind is not None and site.allows("Reciprocal", kind.dtype)

    node = site.find("Div", accept=accept)
    if node is None:
        return False
    return site.substitute(node, [site.node("Mul", [node.input[0], site.node("Reciprocal", [node.input[1]])])])


def _sigmoid_by_exp(site: Site) -> bool:
    node = site.find("Sigmoid", accept=lambda n: site.type(n.input[0]) is not None)
    if node is None:
        return False
    kind = site.known(node.input[0])
    power = site.node("Exp", [site.node("Neg", [node.input[0]])])
    total = site.node("Add", [site.constant(1, kind.dtype), power])
    return site.substitute(node, [site.node("Reciprocal", [total])])


def _hard_swish_as_product(site: Site) -> bool:
    def accept(node: onnx.NodeProto) -> bool:
        # An attribute holds 1/6 in 32 bits, which is too coarse for double.
        kind = site.type(node.input[0])
        return kind is not None and kind.dtype.precision <= 24

    node = site.find("HardSwish", accept=accept)
    if node is None:
        return False
    x = node.input[0]
    return site.substitute(
        node, [site.node("Mul", [x, site.node("HardSigmoid", [x], alpha=1.0 / 6.0, beta=0.5)])]
    )


def _and_by_de_morgan(site: Site) -> bool:
    node = site.find("And", "Or")
    if node is None:
        return False
    other = "Or" if node.op_type == "And" else "And"
    inner = site.node(other, [site.node("Not", [name]) for name in node.input])
    return site.substitute(node, [site.node("Not", [inner])])


def _xor_as_different(site: Site) -> bool:
    node = site.find("Xor")
    if node is None:
        return False
    return site.substitute(node, [site.node("Not", [site.node("Equal", list(node.input))])])


_LESS = tuple(_TURNED)

ARITHMETIC = (
    Rewrite("times-one", "x = x * 1", _times_one),
    Rewrite("plus-zero", "x = x + 0, integers", _plus_zero, operators=("Add", "Mul")),
    Rewrite("minus-zero", "x = x - 0", _minus_zero),
    Rewrite("over-one", "x = x / 1", _over_one),
    Rewrite("xor-zero", "x = x xor 0, integers", _xor_zero, operators=("BitwiseXor", "BitwiseAnd")),
    Rewrite("negated-twice", "x = -(-x)", _negated_twice),
    Rewrite("not-twice", "x = not not x", _not_twice, operators=("And", "Less", "Not")),
    Rewrite("bitwise-not-twice", "x = ~~x", _bitwise_not_twice, operators=("BitwiseNot", "BitwiseAnd")),
    Rewrite("commuted", "a op b = b op a", _commuted, operators=_COMMUTING),
    Rewrite("comparison-turned", "a < b = b > a", _turned, operators=_LESS),
    Rewrite("comparison-negated", "a < b = not (a >= b), integers", _negated_comparison, operators=_LESS),
    Rewrite("where-turned", "Where(c, a, b) = Where(not c, b, a)", _where_turned, operators=("Where", "Less")),
    Rewrite("max-as-where", "Max(a, b) = Where(a > b or a is NaN, a, b)", _max_as_where, operators=("Max",)),
    Rewrite("min-as-where", "Min(a, b) = Where(a < b or a is NaN, a, b)", _min_as_where, operators=("Min",)),
    Rewrite("shift-as-product", "x << s = x * 2**s", _shift_as_product, operators=("BitShift",)),
    Rewrite("doubled", "x = 2x - x, 2x by a shift where there is one, integers", _double, operators=("Add", "Mul")),
    Rewrite("sum-as-additions", "Sum(a, b, c) = a + b + c", _sum_as_additions, exact=False, operators=("Sum",)),
    Rewrite(
        "reassociated", "(a op b) op c = a op (b op c)", _reassociated, exact=False, operators=("Add", "Mul"),
    ),
    Rewrite("difference-as-sum", "a - b = a + (-b)", _difference_as_sum, operators=("Sub",)),
    Rewrite("clip-as-extremes", "Clip(x, l, h) = Min(Max(x, l), h)", _clip_as_extremes, operators=("Clip",)),
    Rewrite("relu-as-max", "Relu(x) = Max(x, 0)", _relu_as_max, operators=("Relu",)),
    Rewrite("absolute-as-max", "Abs(x) = Max(x, -x)", _absolute_as_max, operators=("Abs",)),
    Rewrite(
        "quotient-as-product", "a / b = a * Reciprocal(b), floats", _quotient_as_product, exact=False,
        operators=("Div",),
    ),
    Rewrite("sigmoid-by-exp", "Sigmoid(x) = 1 / (1 + Exp(-x))", _sigmoid_by_exp, exact=False, operators=("Sigmoid",)),
    Rewrite(
        "hard-swish-as-product", "HardSwish(x) = x * HardSigmoid(x)", _hard_swish_as_product, exact=False,
        operators=("HardSwish",),
    ),
    Rewrite("de-morgan", "a and b = not (not a or not b)", _and_by_de_morgan, operators=("And", "Or")),
    Rewrite("xor-as-different", "a xor b = not (a = b)", _xor_as_different, operators=("Xor",)),
)  # fmt: skip
