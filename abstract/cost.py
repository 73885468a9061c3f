"""What a graph costs at given sizes: arithmetic operations and bytes moved, node by node.

No prediction of a time: constants cancel where one size is compared with another, so a row need only grow as an honest
kernel does. Formulas are the operators' definitions counted out; a multiplication with its addition is two operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import onnx
import onnx.helper
import onnx.shape_inference

from abstract.inference import infer_types

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["ROWS", "Application", "Cost", "Uncountable", "growth", "node_costs"]

Sizes = tuple[int, ...]


class Uncountable(Exception):
    """A shape is not known before the model runs, or an operator's work depends on values (If, Loop, Scan)."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Arithmetic operations, and bytes read and written."""

    operations: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Application:
    """One node as a row sees it: attributes, and the shapes of inputs (None where absent) and outputs."""

    operator: str
    attributes: Mapping[str, Any]
    inputs: tuple[Sizes | None, ...]
    outputs: tuple[Sizes, ...]

    def __getitem__(self, position: int) -> Sizes:
        """The shape of an input. Raises Uncountable where it is absent."""
        shape = self.inputs[position] if position < len(self.inputs) else None
        if shape is None:
            raise Uncountable(f"{self.operator} lacks input {position}")
        return shape

    @property
    def out(self) -> int:
        """Elements of all outputs."""
        return sum(map(prod, self.outputs))

    @property
    def read(self) -> int:
        """Elements of all inputs."""
        return sum(prod(shape) for shape in self.inputs if shape is not None)


def _elements(node: Application) -> int:
    return max(node.out, node.read)


def _times(factor: int) -> Callable[[Application], int]:
    return lambda node: factor * _elements(node)


def _convolution(weights: int) -> Callable[[Application], int]:
    """Each output element is a dot product with one filter, of shape [C/group, *kernel]."""
    return lambda node: 2 * prod(node.outputs[0]) * prod(node[weights][1:])


def _transposed_convolution(node: Application) -> int:
    """Each input element is spread over one filter."""
    return 2 * prod(node[0]) * prod(node[1][1:])


def _product(node: Application) -> int:
    depth = (node[0] or (1,))[-1]
    return 2 * prod(node.outputs[0]) * depth


def _gemm(node: Application) -> int:
    depth = node[0][0 if node.attributes.get("transA") else -1]
    return 2 * prod(node.outputs[0]) * depth + prod(node.outputs[0])


def _window(node: Application) -> int:
    return prod(node.outputs[0]) * int(prod(node.attributes.get("kernel_shape", ())))


def _neighbours(node: Application) -> int:
    return prod(node.outputs[0]) * int(node.attributes.get("size", 1))


def _sorted(node: Application) -> int:
    """A comparison sort of everything: more than any axis needs."""
    return _elements(node) * max(prod(node[0]).bit_length(), 1)


def _recurrent(gates: int) -> Callable[[Application], int]:
    """Per step and direction W [gates*hidden, input] and R [gates*hidden, hidden] times a vector for each of a batch.

    X is [steps, batch, input].
    """

    def row(node: Application) -> int:
        steps, batch = node[0][:2]
        directions, rows, width = node[1]
        return 2 * steps * batch * directions * (rows * width + rows * node[2][2]) + gates * steps * batch * rows

    return row


def _einsum(node: Application) -> int:
    """The product of the sizes of all letters; an ellipsis is bounded by the largest operand's elements."""
    equation = node.attributes["equation"]
    text = equation.decode() if isinstance(equation, bytes) else str(equation)
    sizes: dict[str, int] = {}
    hidden = 1
    for term, shape in zip(text.partition("->")[0].replace(" ", "").split(","), node.inputs, strict=False):
        if "." in term:
            hidden = max(hidden, prod(shape or ()))
        else:
            sizes.update(zip(term, shape or (), strict=False))
    return 2 * prod(sizes.values()) * hidden


def _attention(node: Application) -> int:
    """Q times K transposed, and the weights times V: twice two operations for each element of Q and row of K."""
    return 4 * prod(node[0]) * node[1][-2] + 5 * node.out


def _cube(node: Application) -> int:
    return prod(node[0]) * (node[0] or (1,))[-1]


def _pairs_of_boxes(node: Application) -> int:
    return prod(node[1]) * node[0][1]


_SAMPLES = {"nearest": 1, "linear": 16, "cubic": 64}


def _resize(node: Application) -> int:
    mode = node.attributes.get("mode", b"nearest")
    return node.out * _SAMPLES.get(mode.decode() if isinstance(mode, bytes) else str(mode), 64)


ROWS: Mapping[str, Callable[[Application], int]] = MappingProxyType({
    "Conv": _convolution(1), "ConvInteger": _convolution(1), "QLinearConv": _convolution(3),
    "DeformConv": _convolution(1), "ConvTranspose": _transposed_convolution,
    "MatMul": _product, "MatMulInteger": _product, "QLinearMatMul": _product, "Gemm": _gemm,
    "Einsum": _einsum, "Attention": _attention, "Det": _cube, "NonMaxSuppression": _pairs_of_boxes,
    "AveragePool": _window, "MaxPool": _window, "LpPool": _window, "LRN": _neighbours,
    "TopK": _sorted, "Unique": _sorted, "DFT": _sorted, "STFT": _sorted,
    "RNN": _recurrent(1), "GRU": _recurrent(3), "LSTM": _recurrent(4), "Resize": _resize, "GridSample": _times(64),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax", "LayerNormalization", "InstanceNormalization",
                     "GroupNormalization", "RMSNormalization", "BatchNormalization", "LpNormalization",
                     "MeanVarianceNormalization"), _times(5)),
})  # fmt: skip
"""Operators that do more than touch each element of their inputs and outputs once."""

_OPEN = frozenset({"If", "Loop", "Scan", "SequenceMap"})


def node_costs(model: onnx.ModelProto, shapes: Mapping[str, Sizes]) -> tuple[Cost, ...]:
    """The cost of each node of a model whose graph inputs have these shapes.

    Raises:
        Uncountable: a shape is not known, an operator runs a body or is none of ONNX's own.
    """
    known = _inferred(model, shapes)
    return tuple(_cost(node, known) for node in model.graph.node if node.op_type != "Constant")


def _inferred(model: onnx.ModelProto, shapes: Mapping[str, Sizes]) -> dict[str, tuple[Sizes, int]]:
    """Shape and bytes an element of every value, by ONNX's own shape inference at these input shapes."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    del fixed.graph.value_info[:]
    for info in fixed.graph.output:
        info.type.tensor_type.ClearField("shape")
    for info in fixed.graph.input:
        if info.name in shapes:
            tensor = info.type.tensor_type
            tensor.shape.Clear()
            for size in shapes[info.name]:
                tensor.shape.dim.add(dim_value=size)
    try:
        graph = infer_types(fixed, data_prop=True).graph
    except onnx.shape_inference.InferenceError as problem:
        raise Uncountable(f"shapes cannot be inferred: {problem}") from None
    known = {t.name: (tuple(t.dims), _width(t.data_type)) for t in graph.initializer}
    known.update(_declared((*graph.input, *graph.value_info, *graph.output)))
    return known


def _declared(infos: Iterable[onnx.ValueInfoProto]) -> dict[str, tuple[Sizes, int]]:
    result = {}
    for info in infos:
        tensor = info.type.tensor_type
        if tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in tensor.shape.dim):
            result[info.name] = (tuple(dim.dim_value for dim in tensor.shape.dim), _width(tensor.elem_type))
    return result


def _width(element_type: int) -> int:
    """Bytes of an element; a string counts as 8."""
    dtype = onnx.helper.tensor_dtype_to_np_dtype(element_type) if element_type else None
    return 8 if dtype is None or dtype.hasobject else dtype.itemsize


def _cost(node: onnx.NodeProto, known: Mapping[str, tuple[Sizes, int]]) -> Cost:
    if node.domain not in {"", "ai.onnx"} or node.op_type in _OPEN:
        raise Uncountable(f"the work of {node.domain or 'ai.onnx'}::{node.op_type} is not known before it runs")
    missing = [name for name in (*node.input, *node.output) if name and name not in known]
    if missing:
        raise Uncountable(f"the shape of {missing[0]!r} is not known before it runs")
    inputs = tuple(known[name][0] if name else None for name in node.input)
    outputs = tuple(known[name][0] for name in node.output if name)
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    row = ROWS.get(node.op_type, _elements)
    moved = sum(prod(known[name][0]) * known[name][1] for name in (*node.input, *node.output) if name)
    return Cost(row(Application(node.op_type, attributes, inputs, outputs)), moved)


def growth(before: Iterable[Cost], after: Iterable[Cost]) -> float:
    """By how much the time may grow from one size to another: the factor of the node that grows most.

    A graph's time is a sum of its nodes' operations and bytes, each at some rate of its own that nobody knows; whatever
    the rates are, the sum grows by no more than its fastest growing part.
    """
    factors = [1.0]
    for old, new in zip(before, after, strict=True):
        factors += [b / max(a, 1) for a, b in ((old.operations, new.operations), (old.bytes, new.bytes))]
    return max(factors)
