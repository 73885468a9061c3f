"""Reductions in steps, and nodes that work in another layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.relations.rewrite import Rewrite

if TYPE_CHECKING:
    import onnx

    from fuzz.relations.site import Site, ValueType

__all__ = ["REDUCTION"]

_STEPWISE = {"ReduceSum", "ReduceProd", "ReduceMax", "ReduceMin", "ReduceL1"}
_SECOND_STEP = {"ReduceL1": "ReduceSum"}
_POINTWISE = (
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Cos", "Cosh", "Elu", "Erf", "Exp", "Floor",
    "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log", "Mish", "Neg", "Not", "Reciprocal", "Relu", "Round",
    "Selu", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Tan", "Tanh", "ThresholdedRelu",
    "Celu", "Cast", "IsNaN", "BitwiseNot",
)  # fmt: skip
_PAIRWISE = (
    "Add", "Sub", "Mul", "Div", "And", "Or", "Xor", "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual",
    "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Max", "Min",
)  # fmt: skip
_ALONG = ("Softmax", "LogSoftmax", "Hardmax", "CumSum", "Concat", "Split", "ArgMax", "ArgMin")


def _axes(site: Site, node: onnx.NodeProto) -> list[int]:
    """The axes that a reduction names, sorted and counted from the front; none where they are computed or default."""
    kind = site.type(node.input[0])
    given = site.attribute(node, "axes")
    axes = list(given) if given is not None else site.parameter(node, 1)
    if kind is None or not axes:
        return []
    return sorted({axis % kind.rank for axis in axes})


def _takes_axes(site: Site, operator: str) -> bool:
    """Whether the axes are an input at this opset."""
    return site.opset >= (13 if operator == "ReduceSum" else 18)


def _reduce(site: Site, operator: str, name: str, axes: list[int], keepdims: int) -> str:
    if _takes_axes(site, operator):
        return site.node(operator, [name, site.constant(axes)], keepdims=keepdims)
    return site.node(operator, [name], axes=axes, keepdims=keepdims)


def _in_steps(site: Site) -> bool:
    node = site.find(*sorted(_STEPWISE), accept=lambda n: len(_axes(site, n)) > 1)
    if node is None:
        return False
    axes, keep = _axes(site, node), site.attribute(node, "keepdims", 1)
    # The last axes first: those in front keep their numbers.
    name, operator = node.input[0], node.op_type
    for axis in reversed(axes):
        name = _reduce(site, operator, name, [axis], keep)
        operator = _SECOND_STEP.get(operator, operator)
    return site.substitute(node, [name])


def _mean_as_sum(site: Site) -> bool:
    def count(node: onnx.NodeProto) -> int:
        kind, axes, product = site.type(node.input[0]), _axes(site, node), 1
        if kind is None or not axes or not kind.dtype.is_float or not site.allows("ReduceSum", kind.dtype):
            return 0
        for axis in axes:
            size = kind.shape[axis]
            product *= size if isinstance(size, int) else 0
        return product

    node = site.find("ReduceMean", accept=lambda n: count(n) > 0)
    if node is None:
        return False
    kind, axes = site.known(node.input[0]), _axes(site, node)
    total = _reduce(site, "ReduceSum", node.input[0], axes, site.attribute(node, "keepdims", 1))
    return site.substitute(node, [site.node("Div", [total, site.constant(count(node), kind.dtype)])])


def _global_pool_as_reduction(site: Site) -> bool:
    def rank(node: onnx.NodeProto) -> int:
        kind = site.type(node.input[0])
        return kind.rank if kind is not None else 0

    node = site.find("GlobalAveragePool", "GlobalMaxPool", accept=lambda n: rank(n) > 2)
    if node is None:
        return False
    operator = "ReduceMean" if node.op_type == "GlobalAveragePool" else "ReduceMax"
    return site.substitute(node, [_reduce(site, operator, node.input[0], list(range(2, rank(node))), 1)])


# --- another layout ----------------------------------------------------------------------------------------------


def _kinds(site: Site, node: onnx.NodeProto) -> list[ValueType]:
    """The types of all inputs and outputs, where they are known, of one rank of at least 2, and may be transposed."""
    kinds = [site.type(name) for name in (*node.input, *node.output) if name]
    known = [k for k in kinds if k is not None]
    if len(known) != len(kinds) or len({k.rank for k in known}) != 1 or known[0].rank < 2:
        return []
    return known if all(site.allows("Transpose", k.dtype) for k in known) else []


def _attributes(site: Site, node: onnx.NodeProto, **changed: int) -> dict[str, object]:
    return {a.name: site.attribute(node, a.name) for a in node.attribute} | changed


def _sandwiched(site: Site, node: onnx.NodeProto, order: list[int], data: list[str], **changed: int) -> bool:
    """The node between Transposes: its data in another order of axes, its outputs back in their own."""
    operands = [site.node("Transpose", [name], perm=order) if name in data else name for name in node.input]
    inner = site.multiple(node.op_type, operands, len(node.output), **_attributes(site, node, **changed))
    back = [order.index(i) for i in range(len(order))]
    return site.substitute(node, [site.node("Transpose", [name], perm=back) for name in inner])


def _transposed_pointwise(site: Site) -> bool:
    node = site.find(*_POINTWISE, *_PAIRWISE, accept=lambda n: bool(_kinds(site, n)))
    if node is None:
        return False
    kinds = _kinds(site, node)
    return _sandwiched(site, node, site.permutation(kinds[0].rank), list(node.input))


def _along(site: Site, node: onnx.NodeProto) -> list[ValueType]:
    """The types of a node with an axis whose data inputs and outputs share one rank."""
    if node.op_type == "CumSum" and site.parameter(node, 1) is None:
        return []
    if node.op_type in ("ArgMax", "ArgMin") and not site.attribute(node, "keepdims", 1):
        return []
    names = [*(node.input if node.op_type == "Concat" else node.input[:1]), *node.output]
    kinds = [site.type(name) for name in names]
    known = [k for k in kinds if k is not None]
    if len(known) != len(kinds) or known[0].rank < 2 or not all(site.allows("Transpose", k.dtype) for k in known):
        return []
    return known


def _transposed_along(site: Site) -> bool:
    """An operator that works along an axis, in another layout: the axis moves with it."""
    node = site.find(*_ALONG, accept=lambda n: bool(_along(site, n)))
    if node is None:
        return False
    kinds = _along(site, node)
    rank = kinds[0].rank
    order = site.permutation(rank)
    data = list(node.input if node.op_type == "Concat" else node.input[:1])
    if node.op_type == "CumSum":
        axis = (site.parameter(node, 1) or [0])[0] % rank
        operands = [site.node("Transpose", data, perm=order), site.constant(order.index(axis))]
        inner = site.node("CumSum", operands, **_attributes(site, node))
        return site.substitute(node, [site.node("Transpose", [inner], perm=[order.index(i) for i in range(rank)])])
    default = {"Softmax": -1, "LogSoftmax": -1, "Hardmax": -1}.get(node.op_type, 0)
    axis = site.attribute(node, "axis", default) % rank
    return _sandwiched(site, node, order, data, axis=order.index(axis))


def _flattened_pointwise(site: Site) -> bool:
    """An elementwise operator on the flat tensor."""

    def accept(node: onnx.NodeProto) -> bool:
        kinds = [site.type(name) for name in (*node.input, *node.output)]
        shapes = {k.static if k is not None else None for k in kinds}
        return len(shapes) == 1 and all(shape and 0 not in shape for shape in shapes)

    node = site.find(*_POINTWISE, *_PAIRWISE, accept=accept)
    if node is None:
        return False
    kind = site.known(node.output[0])
    flat = [site.node("Reshape", [name, site.constant([-1])]) for name in node.input]
    inner = site.node(node.op_type, flat, **_attributes(site, node))
    return site.substitute(node, [site.node("Reshape", [inner, site.constant(list(kind.shape))])])


REDUCTION = (
    Rewrite(
        "reduced-in-steps", "a reduction over several axes, one after the other", _in_steps, exact=False,
        operators=tuple(sorted(_STEPWISE)),
    ),
    Rewrite(
        "mean-as-sum", "ReduceMean(x) = ReduceSum(x) / n", _mean_as_sum, exact=False, operators=("ReduceMean",)
    ),
    Rewrite(
        "global-pool-as-reduction", "GlobalAveragePool, GlobalMaxPool = ReduceMean, ReduceMax",
        _global_pool_as_reduction, exact=False, operators=("GlobalAveragePool", "GlobalMaxPool"),
    ),
    Rewrite("pointwise-transposed", "f(x) = Transpose(f(Transpose(x)))", _transposed_pointwise),
    Rewrite("pointwise-flattened", "f(x) = Reshape(f(Reshape(x, [-1])))", _flattened_pointwise),
    Rewrite(
        "axis-transposed", "Softmax, CumSum, Concat, ... along an axis that is moved", _transposed_along, exact=False,
        operators=_ALONG,
    ),
)  # fmt: skip
