"""A parsed ONNX model as the reference runs it: steps over names, with parameters set apart from data.

Reading works on any model, ours or a stranger's. What a step's operator row does not cover, and nodes that have no
row, are kept as ONNX nodes: those that stand for others (control flow, functions) for ``abstract/body.py``, the others
for ``abstract/fallback.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import onnx
import onnx.defs
import onnx.helper
import onnx.numpy_helper

from abstract.constraints import Constraints
from abstract.contributed import CONTRIBUTED, qualified
from abstract.dtypes import BY_CODE, DType
from abstract.operator import Array, NotCovered, Operator, Typing
from abstract.operators import TABLE
from abstract.schema import Signature, signature

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from abstract.bounded import Bounded

__all__ = ["Inside", "Program", "Step", "attribute", "late_types", "parameter", "parse", "parse_body", "to_carrier",
           "typed"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """One node.

    ``inputs`` are the names of data operands (None where absent), ``late`` the parameters that are computed in the
    graph, by formal name.
    """

    node: onnx.NodeProto
    row: Operator | None
    opset: int
    inputs: tuple[str | None, ...]
    params: Mapping[str, Any]
    late: Mapping[str, str]
    input_dtypes: tuple[DType | None, ...]
    outputs: tuple[str, ...]
    output_dtypes: tuple[DType | None, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """A model or a body in it: inputs that must be fed, initial values in carrier types, steps in order, output names.

    ``model`` holds the opsets and functions that the steps mean; ``folder`` is where its external data lies.
    ``arguments`` belongs to the body of a function: what each formal input, and each output (``results``), is called
    in the graph that calls it.
    """

    model: onnx.ModelProto
    inputs: tuple[str, ...]
    constants: Mapping[str, Array]
    steps: tuple[Step, ...]
    outputs: tuple[str, ...]
    dtypes: Mapping[str, DType]
    folder: str = ""
    arguments: Mapping[str, str] | None = None
    results: Mapping[str, str] = field(default_factory=dict)


Inside: TypeAlias = "Callable[[Program, dict[str, Bounded]], Mapping[str, Bounded]]"
"""Runs a body on the values that it may read, as the interpreter runs the model; all values by name."""


def to_carrier(array: Array, dtype: DType) -> Array:
    """A tensor in its storage type, as the reference holds it."""
    if array.dtype == dtype.carrier:
        return array
    with np.errstate(invalid="ignore", over="ignore"):
        result: Array = array.astype(dtype.carrier)
    return result


_LISTS = frozenset({"axes", "ends", "k", "pads", "repeats", "scales", "shape", "sizes", "split", "starts", "steps"})
"""Parameters that are 1-D by the specification; ONNX's own function bodies pass scalars for some."""


def parameter(name: str, array: Array) -> Any:
    """A parameter input as rules read it: a tuple for a 1-D tensor, a number for a scalar."""
    if array.ndim == 0 and name in _LISTS:
        return (array.item(),)
    return tuple(array.tolist()) if array.ndim else array.item()


def attribute(proto: onnx.AttributeProto) -> Any:
    """An attribute's value, lists as tuples."""
    value = onnx.helper.get_attribute_value(proto)
    return tuple(value) if isinstance(value, list) else value


def _constant(node: onnx.NodeProto, folder: str) -> tuple[Array, DType] | None:
    """The value of a Constant node, or None where it is of no kind that we know."""
    (proto,) = node.attribute
    if proto.name == "value":
        return _initializer(proto.t, folder)
    if proto.name == "sparse_value":
        return _dense(proto.sparse_tensor, folder)
    value = onnx.helper.get_attribute_value(proto)
    code = {"value_float": 1, "value_floats": 1, "value_int": 7, "value_ints": 7, "value_string": 8,
            "value_strings": 8}.get(proto.name)  # fmt: skip
    if code is None:
        return None
    dtype = BY_CODE[code]
    if code == 8:
        texts = [v.decode() for v in value] if isinstance(value, list) else value.decode()
        return np.array(texts, dtype=object), dtype
    return np.array(value, dtype=dtype.carrier), dtype


def _initializer(tensor: onnx.TensorProto, folder: str) -> tuple[Array, DType]:
    dtype = BY_CODE[tensor.data_type]
    return to_carrier(onnx.numpy_helper.to_array(tensor, base_dir=folder), dtype), dtype


def _dense(sparse: onnx.SparseTensorProto, folder: str) -> tuple[Array, DType]:
    """A sparse tensor in full (onnx.proto3, SparseTensorProto): values at linear or n-dimensional indices, else 0."""
    values, own = _initializer(sparse.values, folder)
    at = onnx.numpy_helper.to_array(sparse.indices, base_dir=folder)
    dense = np.zeros(tuple(sparse.dims), own.carrier)
    if own.name == "string":
        dense[...] = ""
    if at.ndim == 1:
        dense.reshape(-1)[at] = values
    else:
        dense[tuple(at.T)] = values
    return dense, own


def output_dtypes(
    row: Operator | None, sign: Signature, params: Mapping[str, Any], dtypes: Sequence[DType | None], count: int,
    bound: Mapping[str, DType],
) -> tuple[DType | None, ...]:  # fmt: skip
    """The element types of a node's outputs: as the row says, else by the schema's type variables."""
    if row is not None and row.output_dtypes is not None:
        typing = Typing(params, (), tuple(dtypes), count, Constraints())
        return tuple(row.output_dtypes(typing, sign))[:count]
    result: list[DType | None] = []
    for position in range(count):
        formal = sign.outputs[min(position, len(sign.outputs) - 1)]
        allowed = sign.types[formal.variable]
        known = None if formal.mixed else bound.get(formal.variable)
        result.append(known or (allowed[0] if len(allowed) == 1 else None))
    return tuple(result)


_SINCE: Mapping[str, int] = MappingProxyType({
    name: opset
    for opset, names in {
        1: "ArgMax ArgMin AveragePool Conv ConvTranspose DepthToSpace Flatten Gather GlobalAveragePool GlobalMaxPool "
           "Identity LRN MatMul MaxPool MaxRoiPool Not ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax "
           "ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Shape Size Slice Softplus Softsign "
           "SpaceToDepth Squeeze Transpose Unsqueeze",
        2: "Split",
        4: "Concat",
        5: "Reshape",
        6: "Abs Cast Ceil Elu Exp Floor HardSigmoid InstanceNormalization LeakyRelu Log Neg Reciprocal Relu Selu "
           "Sigmoid Sqrt Tanh Tile",
        7: "Acos Add And Asin Atan Cos Div Equal GRU Gemm Greater LSTM Less Mul Or PRelu Pow RNN Sin Sub Tan Xor",
        8: "Expand Max Mean Min Sum",
        9: "Acosh Asinh Atanh BatchNormalization ConstantOfShape Cosh Erf EyeLike IsNaN MaxUnpool NonZero OneHot "
           "Shrink Sign Sinh TfIdfVectorizer Where",
        10: "ConvInteger DequantizeLinear IsInf MatMulInteger Mod QLinearConv QLinearMatMul QuantizeLinear RoiAlign "
            "StringNormalizer ThresholdedRelu TopK",
        11: "BitShift Clip CumSum Det DynamicQuantizeLinear GatherElements GatherND NonMaxSuppression Pad Range "
            "Resize Round ScatterElements ScatterND Unique",
        12: "Celu Einsum GreaterOrEqual LessOrEqual NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss",
    }.items()
    for name in names.split()
})  # fmt: skip
"""The opset from which an operator means what its row says, where that is below 13 (ONNX, Changelog.md).

What changed since is an attribute that became an input of the same name, or a type or an attribute that was added.
Below these the text differs: other broadcasting (Add below 7), other defaults (Concat below 4), attributes that other
inputs replaced (Clip and Pad below 11), an axis that flattens (Softmax below 13).
"""


def _row(node: onnx.NodeProto, opset: int) -> Operator | None:
    """The row that says what a node means, if there is one for its version."""
    name = qualified(node.domain, node.op_type)
    return TABLE.get(name) if name in CONTRIBUTED or opset >= _SINCE.get(name, 13) else None


class _Parser:
    def __init__(self, model: onnx.ModelProto, folder: str) -> None:
        self.model = model
        self.folder = folder
        self.opsets = {o.domain or "": o.version for o in model.opset_import}
        if "ai.onnx" in self.opsets:
            self.opsets.setdefault("", self.opsets["ai.onnx"])
        self.constants: dict[str, Array] = {}
        self.dtypes: dict[str, DType] = {}
        self.functions = {(f.domain, f.name) for f in model.functions}
        # An initializer that is an input as well is a default that the caller may override: not a constant.
        self.open: set[str] = set()

    def step(self, node: onnx.NodeProto) -> Step | None:
        if node.op_type == "Constant" and not node.domain:
            constant = _constant(node, self.folder)
            if constant is not None:
                self.constants[node.output[0]], self.dtypes[node.output[0]] = constant
                return None
        opset = self.opsets.get(node.domain, 1)
        sign = self._signature(node, opset)
        row = _row(node, opset)
        if sign is None or row is None or row.opaque:
            return self._opaque(node, sign, opset)
        return self._covered(node, row, sign, opset)

    def _signature(self, node: onnx.NodeProto, opset: int) -> Signature | None:
        if (node.domain, node.op_type) in self.functions:
            return None
        try:
            return signature(node.op_type, opset, node.domain)
        except onnx.defs.SchemaError:
            return None

    def _opaque(self, node: onnx.NodeProto, sign: Signature | None, opset: int) -> Step:
        names = tuple(name or None for name in node.input)
        dtypes = tuple(self.dtypes.get(n) if n else None for n in names)
        outputs: tuple[DType | None, ...] = (None,) * len(node.output)
        if sign is not None:
            bound = {sign.formal(i).variable: d for i, d in enumerate(dtypes) if d is not None and sign.inputs}
            outputs = output_dtypes(None, sign, {}, dtypes, len(node.output), bound)
        return Step(node, None, opset, names, {}, {}, dtypes, tuple(node.output), self._declare(node, outputs))

    def _covered(self, node: onnx.NodeProto, row: Operator, sign: Signature, opset: int) -> Step:
        params: dict[str, Any] = dict(sign.defaults)
        params.update((a.name, attribute(a)) for a in node.attribute)
        late: dict[str, str] = {}
        names: list[str | None] = []
        bound: dict[str, DType] = {}
        for position, name in enumerate(node.input):
            formal = sign.formal(position)
            if name in self.dtypes:
                bound.setdefault(formal.variable, self.dtypes[name])
            if formal.name in row.parameters:
                if name in self.constants and name not in self.open:
                    params[formal.name] = parameter(formal.name, self.constants[name])
                elif name:
                    late[formal.name] = name
                continue
            names.append(name or None)
        dtypes = tuple(self.dtypes.get(n) if n else None for n in names)
        if any(name and own is None for name, own in zip(names, dtypes, strict=True)):
            return self._opaque(node, sign, opset)  # read again once it is known: a rule might take it for another
        try:
            outputs = output_dtypes(row, sign, params, dtypes, len(node.output), bound)
        except NotCovered:
            return self._opaque(node, sign, opset)
        if any(d is None for d in outputs):
            return self._opaque(node, sign, opset)
        declared = self._declare(node, outputs)
        return Step(node, row, opset, tuple(names), params, late, dtypes, tuple(node.output), declared)

    def _declare(self, node: onnx.NodeProto, outputs: tuple[DType | None, ...]) -> tuple[DType | None, ...]:
        self.dtypes.update((n, d) for n, d in zip(node.output, outputs, strict=False) if n and d is not None)
        return outputs


def parse(model: onnx.ModelProto, folder: str = "") -> Program:
    """Read a model into steps. ``folder`` is where its external data lies.

    Raises ValueError or onnx.checker.ValidationError where a tensor in it is broken.
    """
    return _parsed(_Parser(model, folder), model.graph)


def parse_body(outer: Program, graph: onnx.GraphProto, dtypes: Mapping[str, DType]) -> Program:
    """Read a subgraph of a program. ``dtypes`` are those of the values that it reads from outside and of its inputs.

    Raises what ``parse`` raises.
    """
    parser = _Parser(outer.model, outer.folder)
    parser.dtypes.update(dtypes)
    return _parsed(parser, graph)


def late_types(step: Step, known: Callable[[str], DType | None]) -> dict[str, DType]:
    """The types of a step's operands, where the table has its operator and the model did not declare all of them."""
    row = TABLE.get(qualified(step.node.domain, step.node.op_type))
    if row is None or row.opaque:
        return {}
    declared = {name: own for name, own in zip(step.inputs, step.input_dtypes, strict=True) if name is not None}
    if None not in declared.values():
        return {}
    return {name: own for name in declared if (own := known(name)) is not None}


def typed(program: Program, step: Step, dtypes: Mapping[str, DType]) -> Step:
    """A step that has no row for want of types, read again with the types that its operands have turned out to be of.

    Nothing declares what a function, a body or a sequence gives; what follows those is known as it runs.
    """
    parser = _Parser(program.model, program.folder)
    # The node's own alone: this is done for each such node.
    parser.constants.update((name, program.constants[name]) for name in step.node.input if name in program.constants)
    parser.open.update(program.inputs)
    parser.dtypes.update(dtypes)
    return parser.step(step.node) or step


def _parsed(parser: _Parser, graph: onnx.GraphProto) -> Program:
    for tensor in graph.initializer:
        parser.constants[tensor.name], parser.dtypes[tensor.name] = _initializer(tensor, parser.folder)
    for sparse in graph.sparse_initializer:
        name = sparse.values.name
        parser.constants[name], parser.dtypes[name] = _dense(sparse, parser.folder)
    inputs = tuple(i.name for i in graph.input)
    parser.open.update(inputs)
    for info in graph.input:
        code = info.type.tensor_type.elem_type
        if code in BY_CODE:
            parser.dtypes[info.name] = BY_CODE[code]
    steps = [step for node in graph.node if (step := parser.step(node)) is not None]
    outputs = tuple(o.name for o in graph.output)
    return Program(parser.model, inputs, parser.constants, tuple(steps), outputs, parser.dtypes, parser.folder)
