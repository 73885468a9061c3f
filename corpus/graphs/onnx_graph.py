"""The computation graph of an ONNX model.

What depends on constants alone is a constant (a transposed weight, a shape that is known), and no node. A node with
bodies is one node, which reads what they read around them; functions of the model are inlined.
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import onnx.helper
import onnx.inliner
import onnx.numpy_helper
import onnx.shape_inference
from google.protobuf.message import DecodeError

from abstract.inference import infer_types
from corpus.graphs.assembly import Operation, Value, assemble
from corpus.graphs.computation import GraphError
from corpus.graphs.vocabulary import ONNX, UNKNOWN
from corpus.places import noted_modules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from corpus.graphs.computation import ComputationGraph, Shape

__all__ = ["from_onnx", "module_path"]

_SMALL = 1_024  # elements of a constant that inference may need the values of
_RANDOM = ("Random", "Multinomial", "Bernoulli")
_NOTHING = frozenset({"Identity", "Dropout"})
_LAYOUTS = frozenset({"Resize", "Upsample", "Pad", "Clip", "Reshape", "Range", "Slice", "Tile", "Expand"})
"""Operators whose constants say how, not with what: no parameters."""
_STATISTICS: Mapping[str, tuple[int, ...]] = {"BatchNormalization": (3, 4)}
"""Inputs that were counted in training, not learnt."""
_OPERAND: Mapping[str, int] = {"QLinearConv": 3, "QLinearMatMul": 3}
"""Which input the kernel of a weighted operator is, where it is not input 1."""
_BIAS: Mapping[str, int] = {"Conv": 2, "ConvTranspose": 2, "Gemm": 2, "QLinearConv": 8, "DeformConv": 3}
_LONGEST = 200  # characters of an attribute
_LISTS = frozenset({onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS, onnx.AttributeProto.STRINGS})
_BODIES = frozenset({onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS})


def from_onnx(
    model: onnx.ModelProto | str | Path,
    *,
    name: str = "",
    family: str = "",
    shapes: Mapping[str, Shape] | None = None,
    whole: bool = False,
) -> ComputationGraph:
    """The graph of a model, or of the file of one, whose weights are not read.

    ``shapes`` are those of inputs of which the model leaves dimensions open, ``whole`` keeps what computes nothing or
    leads nowhere. The name is the file's, or the graph's, where none is given. Raises GraphError where there is no
    reading the model, OSError as reading files does.
    """
    if isinstance(model, onnx.ModelProto):
        loaded, title = model, name or model.graph.name
    else:
        loaded, title = _load(Path(model)), name or _title(Path(model))
    known = _Typed(_light(loaded, shapes or {}), [tensor.name for tensor in loaded.graph.initializer])
    operations = [known.operation(node, place) for place, node in enumerate(known.graph.node)]
    inputs = [info.name for info in known.graph.input if info.name not in known.constants]
    outputs = [info.name for info in known.graph.output]
    kept = [one for one in operations if one is not None]
    graph = assemble((title, family), inputs, kept, outputs, known.values, whole=whole)
    kind = _root_class(loaded)
    return graph.labelled({"class": kind}) if kind else graph


def module_path(node: onnx.NodeProto) -> tuple[tuple[str, str], ...]:
    """The modules that PyTorch's exporter noted for a node, each as (path, class), outermost first; else none."""
    # The last of them is the operator itself, the first the model, without a path.
    return tuple((path, _class(kind)) for path, kind in noted_modules(node)[:-1] if path)


def _root_class(model: onnx.ModelProto) -> str:
    """The class of the whole model, as far as a node says it; empty where none does."""
    noted = (noted_modules(node) for node in model.graph.node)
    return next((_class(pairs[0][1]) for pairs in noted if len(pairs) > 1 and not pairs[0][0]), "")


def _class(kind: str) -> str:
    return kind.rpartition(".")[2]


def _load(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load(path, load_external_data=False)
    except (DecodeError, ValueError) as problem:
        raise GraphError(f"{path} is no ONNX model: {str(problem).partition(chr(10))[0]}") from None


def _title(path: Path) -> str:
    return path.parent.name if path.stem == "model" and path.parent.name else path.stem


def _light(model: onnx.ModelProto, shapes: Mapping[str, Shape]) -> onnx.ModelProto:
    """A copy with types inferred, in which large constants are inputs: their values are of no use here."""
    light = onnx.ModelProto(ir_version=model.ir_version)
    light.opset_import.extend(model.opset_import)
    light.functions.extend(model.functions)
    graph = light.graph
    graph.name = model.graph.name
    graph.node.extend(model.graph.node)
    graph.output.extend(model.graph.output)
    graph.value_info.extend([] if shapes else model.graph.value_info)
    for info in model.graph.input:
        graph.input.append(_resized(info, shapes[info.name]) if info.name in shapes else info)
    present = {info.name for info in graph.input}
    for tensor in model.graph.initializer:
        if prod(tensor.dims) <= _SMALL and tensor.data_location != onnx.TensorProto.EXTERNAL:
            graph.initializer.append(tensor)
        elif tensor.name not in present:
            graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    try:
        flat = onnx.inliner.inline_local_functions(light) if light.functions else light
        return infer_types(flat, data_prop=True)
    except (ValueError, RuntimeError, onnx.shape_inference.InferenceError) as problem:
        raise GraphError(f"its types cannot be inferred: {' '.join(str(problem).split())[:200]}") from None


def _resized(info: onnx.ValueInfoProto, shape: Shape) -> onnx.ValueInfoProto:
    kind = info.type.tensor_type.elem_type
    return onnx.helper.make_tensor_value_info(info.name, kind, list(shape))


class _Typed:
    """A model with its types, read node by node: each is a constant or an operation."""

    def __init__(self, model: onnx.ModelProto, initializers: Iterable[str]) -> None:
        self.graph = model.graph
        self.values = {info.name: _value(info) for info in _infos(model.graph)}
        for tensor in model.graph.initializer:
            self.values[tensor.name] = Value(tuple(tensor.dims), _type_name(tensor.data_type))
        # Constants, and which parameter each of them is made of.
        self.constants = {name: name for name in initializers}
        self._small = {tensor.name: tensor for tensor in model.graph.initializer}

    def operation(self, node: onnx.NodeProto, place: int) -> Operation | None:
        """What a node computes; None where that is a constant."""
        attributes = {one.name: one for one in node.attribute}
        bodies = any(one.type in _BODIES for one in node.attribute)
        own = node.domain in {"", "ai.onnx"}
        if own and not bodies and self._is_constant(node):
            self._keep_constant(node)
            return None
        reads = tuple(name for name in node.input if name and name not in self.constants)
        if bodies:
            captured = dict.fromkeys(name for body in _bodies(node) for name in _free_names(body))
            reads += tuple(name for name in captured if name not in self.constants and name not in reads)
        label = ONNX.get(node.op_type, UNKNOWN) if own else UNKNOWN
        if node.op_type == "Clip" and own and self._limits(node, attributes) == (0.0, 6.0):
            label = "ReLU6"
        learnt = self._parameters(node) if own else []
        weights = [_turned(shape, node, attributes, position) for position, _, shape in learnt]
        first = _OPERAND.get(node.op_type, 1)
        learnt_kernel = bool(learnt) and learnt[0][0] == first
        if label == "Conv" and learnt_kernel and _is_depthwise(weights[0], attributes):
            label = "Depthwise"
        return Operation(
            name=node.name or next(filter(None, node.output), f"node_{place}"),
            operator=label,
            source=node.op_type if own else f"{node.domain}::{node.op_type}",
            reads=reads,
            gives=tuple(filter(None, node.output)),
            kernel=_kernel(label, weights if learnt_kernel else [], attributes),
            bias=any(position == _BIAS.get(node.op_type) for position, _, _ in learnt),
            weights=tuple(weights),
            parameters=tuple(name for _, name, _ in learnt),
            modules=module_path(node),
            # Sorted: exporters write attributes in any order.
            arguments=tuple(sorted((one.name, _text(one)) for one in node.attribute if one.type not in _BODIES)),
            nothing=own and node.op_type in _NOTHING,
        )

    def _is_constant(self, node: onnx.NodeProto) -> bool:
        if node.op_type.startswith(_RANDOM):
            return False
        if node.op_type in {"Shape", "Size"}:
            shape = self.values.get(node.input[0], Value()).shape
            return shape is not None and all(isinstance(dim, int) for dim in shape)
        return all(name in self.constants for name in node.input if name)

    def _keep_constant(self, node: onnx.NodeProto) -> None:
        made_of = [self.constants[name] for name in node.input if name in self.constants]
        # A weight that is turned or scaled is still that weight: the operand of the largest rank.
        made_of.sort(key=lambda name: -len(self.values.get(name, Value()).shape or ()))
        for name in filter(None, node.output):
            self.constants[name] = made_of[0] if made_of else name
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            self._small[node.output[0]] = node.attribute[0].t

    def _parameters(self, node: onnx.NodeProto) -> list[tuple[int, str, tuple[int, ...]]]:
        """Position, name and shape of each parameter that a node reads, the kernel first."""
        if node.op_type in _LAYOUTS:
            return []
        result = []
        first = _OPERAND.get(node.op_type, 1)
        for position, name in enumerate(node.input):
            value = self.values.get(name, Value())
            if name not in self.constants or position in _STATISTICS.get(node.op_type, ()):
                continue
            shape = tuple(dim for dim in value.shape or () if isinstance(dim, int))
            learnt = "float" in value.type or value.type == "double" or (position == first and "8" in value.type)
            if learnt and prod(shape) != 1 and value.shape == shape and shape:
                result.append((position, self.constants[name], shape))
        return sorted(result, key=lambda one: (one[0] != first, one[0]))

    def _limits(self, node: onnx.NodeProto, attributes: Mapping[str, onnx.AttributeProto]) -> tuple[float, ...]:
        """The limits of a Clip, as inputs or (before opset 11) attributes; empty where they are not constants."""
        if "min" in attributes and "max" in attributes:
            return attributes["min"].f, attributes["max"].f
        names = list(node.input[1:3])
        if len(names) < 2 or not all(name in self._small for name in names):
            return ()
        arrays = [onnx.numpy_helper.to_array(self._small[name]) for name in names]
        return tuple(float(array.ravel()[0]) for array in arrays if array.size == 1)


def _text(attribute: onnx.AttributeProto) -> str:
    """An attribute's value in words: a text as it is, a tensor by its sizes."""
    if attribute.type == onnx.AttributeProto.TENSOR:
        return f"tensor {list(attribute.t.dims)}"
    if attribute.ref_attr_name:
        return attribute.ref_attr_name
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")[:_LONGEST]
    return str([one.decode("utf-8", "replace") if isinstance(one, bytes) else one for one in value] if
               attribute.type in _LISTS else value)[:_LONGEST]  # fmt: skip


def _infos(graph: onnx.GraphProto) -> Iterator[onnx.ValueInfoProto]:
    yield from graph.input
    yield from graph.value_info
    yield from graph.output


def _value(info: onnx.ValueInfoProto) -> Value:
    tensor = info.type.tensor_type
    if not info.type.HasField("tensor_type"):
        return Value(None, info.type.WhichOneof("value") or "")
    dims = tuple(_dim(dim) for dim in tensor.shape.dim) if tensor.HasField("shape") else None
    return Value(dims, _type_name(tensor.elem_type))


def _dim(dim: onnx.TensorShapeProto.Dimension) -> int | str:
    if dim.HasField("dim_value") and dim.dim_value >= 0:
        return dim.dim_value
    # Inference names what it does not know in the order in which it comes to it: no name to keep.
    return dim.dim_param if dim.dim_param and not dim.dim_param.startswith("unk__") else "?"


def _type_name(number: int) -> str:
    known = onnx.TensorProto.DataType.values()
    return onnx.TensorProto.DataType.Name(number).lower() if number in known and number else ""


def _turned(
    shape: tuple[int, ...], node: onnx.NodeProto, attributes: Mapping[str, onnx.AttributeProto], position: int
) -> tuple[int, ...]:
    """A matrix as [in, out]."""
    if node.op_type == "Gemm" and position == 1 and attributes.get("transB", onnx.AttributeProto()).i:
        return shape[::-1]
    return shape


def _is_depthwise(weight: tuple[int, ...], attributes: Mapping[str, onnx.AttributeProto]) -> bool:
    return "group" in attributes and attributes["group"].i > 1 and len(weight) > 2 and weight[1] == 1


def _kernel(
    label: str, weights: list[tuple[int, ...]], attributes: Mapping[str, onnx.AttributeProto]
) -> tuple[int, ...]:
    if label not in {"Conv", "Depthwise", "Maxpool", "Avgpool"}:
        return ()
    if "kernel_shape" in attributes:
        return tuple(attributes["kernel_shape"].ints)
    return weights[0][2:] if weights else ()


def _bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def _free_names(body: onnx.GraphProto) -> Iterator[str]:
    """Values that a body reads around it."""
    own = {tensor.name for tensor in body.initializer} | {info.name for info in body.input}
    for node in body.node:
        yield from (name for name in node.input if name and name not in own)
        for inner in _bodies(node):
            yield from (name for name in _free_names(inner) if name not in own)
        own.update(node.output)
    yield from (info.name for info in body.output if info.name not in own)
