"""A batch in two parts: where every node acts on each index of the leading axis by itself, the parts must agree.

Whether it does is decided node by node. A value is *batched* when its leading axis is the batch and index i of it
hangs on index i of the inputs alone; a value that hangs on no input is constant. A rule says under which conditions a
node's outputs are batched; an operator without a rule, or outside of its conditions, ends it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.dtypes import BY_NAME
from backends.tensor import Tensor
from fuzz.relations.site import Site, drawer
from fuzz.relations.variant import Variant, View

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import onnx

    from abstract.operator import Array
    from fuzz.relations.variant import Original

__all__ = ["BATCHED", "batch_variants", "batched_outputs"]


@dataclass
class _Graph:
    """What the rules ask: which values are batched, sizes on the first data set, constants, attributes."""

    site: Site
    shapes: Mapping[str, tuple[int, ...]]
    constants: Mapping[str, Array]
    size: int
    batched: set[str] = field(default_factory=set)
    targets: dict[str, list[int]] = field(default_factory=dict)

    def rank(self, name: str) -> int:
        return len(self.shapes[name])

    def attribute(self, node: onnx.NodeProto, name: str, default: Any = None) -> Any:
        return self.site.attribute(node, name, default)

    def fixed(self, names: Any) -> bool:
        """Whether all of these are constant (or absent)."""
        return not any(name in self.batched for name in names)

    def integers(self, node: onnx.NodeProto, position: int, attribute: str = "") -> list[int] | None:
        """A parameter, be it an attribute or a constant input; None where it is absent or computed."""
        given = self.attribute(node, attribute) if attribute else None
        if given is not None:
            return [given] if isinstance(given, int) else list(given)
        if position >= len(node.input) or node.input[position] not in self.constants:
            return None
        return [int(v) for v in np.asarray(self.constants[node.input[position]]).ravel()]


def _pointwise(graph: _Graph, node: onnx.NodeProto) -> bool:
    """Broadcasting must not bring another axis in front of the batch, nor a constant with a batch of its own."""
    rank = graph.rank(node.output[0])
    for name in filter(None, node.input):
        own = graph.rank(name)
        if name in graph.batched and own != rank:
            return False
        if name not in graph.batched and own == rank and graph.shapes[name][0] != 1:
            return False
    return True


def _first_alone(graph: _Graph, node: onnx.NodeProto) -> bool:
    """The first input is the batch, weights are constant: convolutions, pooling, normalisation per image."""
    return node.input[0] in graph.batched and graph.fixed(node.input[1:])


def _inference(graph: _Graph, node: onnx.NodeProto) -> bool:
    """In training the statistics are those of the batch."""
    return _first_alone(graph, node) and not graph.attribute(node, "training_mode", 0)


def _max_pool(graph: _Graph, node: onnx.NodeProto) -> bool:
    """Its indices count through the whole tensor, the batch included."""
    return _first_alone(graph, node) and len(node.output) == 1


def _axis_behind(default: int) -> Callable[[_Graph, onnx.NodeProto], bool]:
    """The operator works along one axis, which must not be the batch's; other inputs are constant."""

    def rule(graph: _Graph, node: onnx.NodeProto) -> bool:
        rank = graph.rank(node.input[0])
        if not _first_alone(graph, node) or graph.attribute(node, "axis", default) % rank == 0:
            return False
        weights = filter(None, node.input[1:])
        return all(graph.rank(name) < rank or graph.shapes[name][0] == 1 for name in weights)

    return rule


def _reduce(graph: _Graph, node: onnx.NodeProto) -> bool:
    axes, rank = graph.integers(node, 1, "axes"), graph.rank(node.input[0])
    return node.input[0] in graph.batched and bool(axes) and all(axis % rank for axis in axes or ())


def _concat(graph: _Graph, node: onnx.NodeProto) -> bool:
    rank = graph.rank(node.input[0])
    return all(n in graph.batched for n in node.input) and graph.attribute(node, "axis") % rank != 0


def _gather_elements(graph: _Graph, node: onnx.NodeProto) -> bool:
    rank = graph.rank(node.input[0])
    return all(n in graph.batched for n in node.input) and graph.attribute(node, "axis", 0) % rank != 0


def _slice(graph: _Graph, node: onnx.NodeProto) -> bool:
    axes = graph.integers(node, 3)
    rank = graph.rank(node.input[0])
    return _first_alone(graph, node) and axes is not None and all(axis % rank for axis in axes)


def _pad(graph: _Graph, node: onnx.NodeProto) -> bool:
    pads, axes, rank = graph.integers(node, 1), graph.integers(node, 3), graph.rank(node.input[0])
    if not _first_alone(graph, node) or pads is None or (len(node.input) > 3 and node.input[3] and axes is None):
        return False
    places = [axis % rank for axis in axes] if axes is not None else list(range(rank))
    return not any(pad for axis, pad in zip(places * 2, pads, strict=True) if axis == 0)


def _transpose(graph: _Graph, node: onnx.NodeProto) -> bool:
    order = graph.attribute(node, "perm", list(reversed(range(graph.rank(node.input[0])))))
    return bool(order and order[0] == 0)


def _moved_axes(graph: _Graph, node: onnx.NodeProto) -> bool:
    """Squeeze and Unsqueeze behind the batch."""
    axes = graph.integers(node, 1, "axes")
    rank = max(graph.rank(node.input[0]), graph.rank(node.output[0]))
    return _first_alone(graph, node) and axes is not None and all(axis % rank for axis in axes)


def _flatten(graph: _Graph, node: onnx.NodeProto) -> bool:
    rank = graph.rank(node.input[0])
    return bool(graph.attribute(node, "axis", 1) % max(rank, 1) == 1)


def _reshape(graph: _Graph, node: onnx.NodeProto) -> bool:
    """The leading size is kept, whether it is copied (0), counted (-1) or written down."""
    target, have = graph.integers(node, 1), graph.shapes[node.input[0]]
    if not _first_alone(graph, node) or not target or len(have) == 0 or graph.attribute(node, "allowzero", 0):
        return False
    sizes = graph.shapes[node.output[0]]
    if not sizes or sizes[0] != graph.size or prod(sizes[1:]) != prod(have[1:]) or 0 in sizes:
        return False
    if target[0] == graph.size:
        # Written down: copied instead, so that it fits a part of the batch as well.
        graph.targets[node.output[0]] = [0, *target[1:]]
    return True


def _expand(graph: _Graph, node: onnx.NodeProto) -> bool:
    target, have = graph.integers(node, 1), graph.shapes[node.input[0]]
    if not _first_alone(graph, node) or target is None or len(target) > len(have):
        return False
    if len(target) == len(have) and target[0] == graph.size:
        graph.targets[node.output[0]] = [1, *target[1:]]
        return True
    return len(target) < len(have) or target[0] == 1


def _product(graph: _Graph, node: onnx.NodeProto) -> bool:
    """MatMul: the batch is the leading axis of a stack, or the rows of the first operand."""
    a, b = node.input
    ranks = graph.rank(a), graph.rank(b)
    if a in graph.batched and b not in graph.batched and ranks[0] == 2:
        return ranks[1] <= 2
    return max(ranks) >= 3 and all(
        rank == max(ranks) if name in graph.batched else rank < max(ranks) or graph.shapes[name][0] == 1
        for name, rank in zip((a, b), ranks, strict=True)
    )


def _gemm(graph: _Graph, node: onnx.NodeProto) -> bool:
    if node.input[0] not in graph.batched or node.input[1] in graph.batched or graph.attribute(node, "transA", 0):
        return False
    if len(node.input) < 3 or not node.input[2]:
        return True
    addend = node.input[2]
    if addend in graph.batched:
        return graph.rank(addend) == 2
    return graph.rank(addend) < 2 or graph.shapes[addend][0] == 1


def _gather(graph: _Graph, node: onnx.NodeProto) -> bool:
    data, indices = node.input
    axis = graph.attribute(node, "axis", 0) % graph.rank(data)
    if data in graph.batched:
        return indices not in graph.batched and axis != 0
    return axis == 0 and graph.rank(indices) > 0


def _tile(graph: _Graph, node: onnx.NodeProto) -> bool:
    repeats = graph.integers(node, 1)
    return _first_alone(graph, node) and bool(repeats) and (repeats or [0])[0] == 1


def _cumulated(graph: _Graph, node: onnx.NodeProto) -> bool:
    axis = graph.integers(node, 1)
    return _first_alone(graph, node) and axis is not None and axis[0] % graph.rank(node.input[0]) != 0


def _triangle(graph: _Graph, node: onnx.NodeProto) -> bool:
    return _first_alone(graph, node) and graph.rank(node.input[0]) > 2


_RULES: tuple[tuple[Callable[[Any, Any], bool], str], ...] = (
    (
        _pointwise,
        ("Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast"
         " CastLike Ceil Celu Clip Cos Cosh Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid"
         " HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu"
         " Pow Reciprocal Relu Round Selu Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Swish Tan Tanh"
         " ThresholdedRelu Where Xor"),
    ),
    (
        _first_alone,
        ("AveragePool Conv ConvTranspose DepthToSpace GlobalAveragePool GlobalLpPool GlobalMaxPool"
        " GroupNormalization InstanceNormalization LRN LpPool SpaceToDepth"),
    ),
    (_inference, "BatchNormalization"),
    (_max_pool, "MaxPool"),
    (
        _axis_behind(-1),
        "Hardmax LayerNormalization LogSoftmax LpNormalization RMSNormalization Softmax TopK",
    ),
    (_axis_behind(0), "ArgMax ArgMin Split"),
    (
        _reduce,
        ("ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum"
        " ReduceSumSquare"),
    ),
    (_concat, "Concat"),
    (_gather_elements, "GatherElements"),
    (_slice, "Slice"),
    (_pad, "Pad"),
    (_transpose, "Transpose"),
    (_moved_axes, "Squeeze Unsqueeze"),
    (_flatten, "Flatten"),
    (_reshape, "Reshape"),
    (_expand, "Expand"),
    (_product, "MatMul"),
    (_gemm, "Gemm"),
    (_gather, "Gather"),
    (_tile, "Tile"),
    (_cumulated, "CumSum CumProd"),
    (_triangle, "Trilu"),
)

BATCHED: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {name: rule for rule, names in _RULES for name in names.split()}
)
"""By operator: whether a node with some batched input has batched outputs."""


def batched_outputs(original: Original) -> dict[str, list[int]] | None:
    """What constants of Reshape and Expand have to become, by output; None where the graph has no batch."""
    size = _leading(original)
    if size is None or size < 2:
        return None
    values = original.values(0)
    shapes = {name: v.value.shape for name, v in values.items() if isinstance(v.value, np.ndarray)}
    site = Site(original.base, drawer())
    graph = _Graph(site, shapes, original.program.constants, size, set(original.data_sets[0]))
    for node in original.base.model.graph.node:
        if any(attribute.HasField("g") for attribute in node.attribute):
            return None  # a body may read values that are not among its node's inputs
        if graph.fixed(node.input):
            continue
        rule = BATCHED.get(node.op_type)
        known = all(name in shapes for name in (*node.input, *node.output) if name)
        if rule is None or node.domain or not known or not rule(graph, node):
            return None
        graph.batched.update(filter(None, node.output))
    return graph.targets if all(name in graph.batched for name in original.outputs) else None


def _leading(original: Original) -> int | None:
    """The size of the leading axis that all inputs share, on the first data set; None where they share none."""
    if not original.data_sets or not original.data_sets[0]:
        return None
    sizes = {
        value.shape[0] if isinstance(value, Tensor) and value.shape and _whole_bytes(value) else 0
        for value in original.data_sets[0].values()
    }
    if len(sizes) != 1 or not _declared_alike(original):
        return None
    return sizes.pop() or None


def _whole_bytes(value: Tensor) -> bool:
    return value.element_type != "string" and BY_NAME[value.element_type].bits >= 8


def _declared_alike(original: Original) -> bool:
    """Whether the declared leading dims are one number or one symbol that stands nowhere else."""
    kinds = [original.base.types.get(port.name) for port in original.base.model.graph.input]
    if any(kind is None or not kind.shape for kind in kinds):
        return False
    shapes = [kind.shape for kind in kinds if kind is not None]
    leading = {shape[0] for shape in shapes}
    if len(leading) != 1:
        return False
    symbol = leading.pop()
    return not isinstance(symbol, str) or all(symbol not in shape[1:] for shape in shapes)


def batch_variants(original: Original) -> Iterator[Variant]:
    """The model on the first and on the last part of its batch; the parts overlap where its size is odd."""
    targets = batched_outputs(original)
    if targets is None:
        return
    site = Site(original.base, drawer())
    for node in site.nodes:
        if node.output[0] in targets:
            node.input[1] = site.constant(targets[node.output[0]])
    static = isinstance(_declared(site), int)
    views: list[View] = []
    for number, inputs in enumerate(original.data_sets[:1] if static else original.data_sets):
        size = next(v.shape[0] for v in inputs.values() if isinstance(v, Tensor))
        part = (size + 1) // 2
        if 0 < part < size:
            views.extend(View(number, _rows(inputs, at, at + part), (at, at + part)) for at in (0, size - part))
    if not views:
        return
    model = site.finished()
    if static:
        first = views[0].rows or (0, 0)
        for port in (*model.graph.input, *model.graph.output):
            port.type.tensor_type.shape.dim[0].dim_value = first[1]
    yield Variant(
        "batch", "the first and the last part of the batch", model.SerializeToString(deterministic=True), tuple(views),
        original.same_outputs(),
    )  # fmt: skip


def _declared(site: Site) -> int | str | None:
    return site.known(site.model.graph.input[0].name).shape[0]


def _rows(inputs: Mapping[str, Any], first: int, last: int) -> dict[str, Any]:
    """The rows of every input."""
    rows = {}
    for name, value in inputs.items():
        size = len(value.data) // value.shape[0]
        data = value.data[first * size : last * size]
        rows[name] = Tensor(value.element_type, (last - first, *value.shape[1:]), data)
    return rows
