"""A real model as the graph that windows are cut from: nodes with a specification, the sizes of all that they read.

Sizes are worked out by the specifications themselves, node by node, from those of the model's inputs; what they need
of numbers (the target of a Reshape that the model computes from a Shape) is computed on the way.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.inliner
from google.protobuf.message import DecodeError

from abstract.constraints import Constraints, Infeasible
from abstract.contributed import qualified
from abstract.dtypes import BY_CODE, DType
from abstract.operator import NotCovered, Run, Typing
from abstract.program import parameter, parse
from abstract.reference import Float64
from fuzz.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from abstract.operator import Array, Operator
    from abstract.program import Program, Step

__all__ = ["Edge", "Net", "Place", "read_net"]

SMALL = 64
"""Elements of a constant that keeps its numbers; a larger one is a weight, of which the sizes alone are kept."""

_OPEN = 4  # what an open size of an input is where no data set says
_COUNTED = 5  # what a size is taken for that the values decide: nobody runs the model here
_BY_SHAPE = ("Shape", "Size")  # their operand's numbers do not matter


@dataclass(frozen=True, slots=True)
class Edge:
    """A value between nodes: its type, its sizes, its numbers where it is a small constant."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    array: Array | None = None
    weight: bool = False

    @property
    def kind(self) -> str:
        """What it is to a window: "input" (another node computed it), "weight", or "constant"."""
        return "weight" if self.weight else "input" if self.array is None else "constant"


def _held(name: str, dtype: DType, array: Array) -> Edge:
    """A constant. Of those of more than one element only integers keep their numbers: they may be positions."""
    return Edge(name, dtype, array.shape, array, weight=array.size > 1 and not dtype.is_integer)


@dataclass(frozen=True, slots=True)
class Place:
    """A node that can be in a window: what it reads (None where absent), its parameters, what it makes."""

    operator: str
    row: Operator
    inputs: tuple[Edge | None, ...]
    params: Mapping[str, Any]
    outputs: tuple[Edge, ...]
    absent: tuple[int, ...]


@dataclass(slots=True)
class Net:
    """The nodes of a model in order; ``left`` says why others are not among them, ``exposed`` names its outputs."""

    name: str
    places: list[Place] = field(default_factory=list)
    exposed: frozenset[str] = frozenset()
    left: Counter[str] = field(default_factory=Counter)


def read_net(path: Path, name: str) -> Net:
    """A model's graph; data beside it is not read. Raises UsageError where it is no model."""
    try:
        model = onnx.load(path, load_external_data=False)
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
        sizes = _data_sizes(path, model)
        program = parse(_without_weights(model))
    except (OSError, DecodeError, ValueError, KeyError, onnx.checker.ValidationError) as error:
        raise UsageError(f"{path} cannot be read as an ONNX model: {str(error).splitlines()[0][:120]}") from None
    return _Reader(name, program, sizes).net()


def _data_sizes(path: Path, model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """The sizes of the inputs in the first data set beside the model, where there is one."""
    held = {tensor.name for tensor in model.graph.initializer}
    found: dict[str, tuple[int, ...]] = {}
    for number, info in enumerate(i for i in model.graph.input if i.name not in held):
        file = path.parent / "test_data_set_0" / f"input_{number}.pb"
        if file.is_file():
            tensor = onnx.TensorProto()
            tensor.ParseFromString(file.read_bytes())
            found[info.name] = tuple(tensor.dims)
    return found


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its large constants as inputs: nobody asks for their numbers."""
    graph = model.graph
    declared = {info.name for info in graph.input}
    kept = []
    for tensor in graph.initializer:
        if prod(tensor.dims) <= SMALL and tensor.data_location != onnx.TensorProto.EXTERNAL:
            kept.append(tensor)
        elif tensor.name not in declared:
            graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
            graph.input[-1].doc_string = _WEIGHT
    del graph.initializer[:]
    graph.initializer.extend(kept)
    nodes = []
    for node in graph.node:
        held = next((a.t for a in node.attribute if a.name == "value" and a.HasField("t")), None)
        if node.op_type == "Constant" and not node.domain and held is not None and prod(held.dims) > SMALL:
            graph.input.append(onnx.helper.make_tensor_value_info(node.output[0], held.data_type, held.dims))
            graph.input[-1].doc_string = _WEIGHT
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    return model


_WEIGHT = "weight"


class _Reader:
    def __init__(self, name: str, program: Program, sizes: Mapping[str, tuple[int, ...]]) -> None:
        self.program = program
        self.edges: dict[str, Edge] = {}
        graph = program.model.graph
        self.declared = {info.name: info for info in (*graph.value_info, *graph.output)}
        self.result = Net(name, exposed=frozenset(info.name for info in graph.output))
        named: dict[str, int] = {}
        for info in graph.input:
            shape = sizes.get(info.name) or _closed(info, named)
            if shape is not None and info.type.tensor_type.elem_type in BY_CODE:
                dtype = BY_CODE[info.type.tensor_type.elem_type]
                self.edges[info.name] = Edge(info.name, dtype, shape, weight=info.doc_string == _WEIGHT)
        for constant, array in program.constants.items():
            if constant in program.dtypes:
                self.edges[constant] = _held(constant, program.dtypes[constant], array)

    def net(self) -> Net:
        for step in self.program.steps:
            problem = self.step(step)
            if problem:
                self.result.left[problem] += 1
                self.declare(step)
        return self.result

    def declare(self, step: Step) -> None:
        """What the model itself says of the outputs of a node that is not understood."""
        for name in filter(None, step.outputs):
            info = self.declared.get(name)
            shape = None if info is None else _closed(info, None)
            if info is not None and shape is not None and info.type.tensor_type.elem_type in BY_CODE:
                self.edges[name] = Edge(name, BY_CODE[info.type.tensor_type.elem_type], shape)

    def step(self, step: Step) -> str:
        """Take a node in; else why it cannot be, in words."""
        operator, row = qualified(step.node.domain, step.node.op_type), step.row
        if row is None:
            return f"no specification of {operator} here"
        inputs = tuple(None if name is None else self.edges.get(name) for name in step.inputs)
        if any(edge is None and name for edge, name in zip(inputs, step.inputs, strict=True)):
            return "an operand's sizes are not known"
        params = dict(step.params)
        for name, source in step.late.items():
            held = self.edges.get(source)
            if held is None or held.array is None:
                return "a parameter is computed from data"
            params[name] = parameter(name, held.array)
        dtypes = tuple(None if edge is None else edge.dtype for edge in inputs)
        if any(d is None for d in step.output_dtypes):
            return "an output's type is not known"
        return self.take(step, row, operator, params, inputs, dtypes)

    def take(
        self, step: Step, row: Operator, operator: str, params: Mapping[str, Any], inputs: tuple[Edge | None, ...],
        dtypes: tuple[DType | None, ...],
    ) -> str:  # fmt: skip
        """Take in a node whose operands and parameters are known; else why it cannot be."""
        shapes = _shapes(row, params, inputs, len(step.outputs))
        if shapes is None:
            return f"the specification does not cover this {operator}"
        named = [(n, d, s) for n, d, s in zip(step.outputs, step.output_dtypes, shapes, strict=True) if d is not None]
        numbers = self.folded(row, operator, params, inputs, dtypes, step)
        if numbers is not None:
            held = [_held(name, dtype, array) for (name, dtype, _), array in zip(named, numbers, strict=False)]
            self.edges.update((edge.name, edge) for edge in held)
            return ""
        outputs = tuple(Edge(*each) for each in named)
        self.edges.update((edge.name, edge) for edge in outputs if edge.name)
        written = {a.name for a in step.node.attribute} | set(row.parameters)
        kept = {name: value for name, value in params.items() if name in written}
        absent = tuple(i for i, name in enumerate(step.outputs) if not name)
        self.result.places.append(Place(operator, row, inputs, kept, outputs, absent))
        return ""

    def folded(
        self, row: Operator, operator: str, params: Mapping[str, Any], inputs: Sequence[Edge | None],
        dtypes: tuple[DType | None, ...], step: Step,
    ) -> list[Array] | None:  # fmt: skip
        """The numbers that a node gives whose operands are small constants; None where they are not."""
        arrays: list[Array | None] = []
        for edge in inputs:
            if edge is not None and edge.array is None and operator not in _BY_SHAPE:
                return None
            arrays.append(_numbers(edge))
        run = Run(params, tuple(arrays), dtypes, tuple(d for d in step.output_dtypes if d is not None), Float64())
        try:
            made = [np.asarray(array) for array in row.evaluate(run)]
        except (NotCovered, Infeasible, ValueError, IndexError, KeyError, TypeError, ArithmeticError):
            return None
        return made if all(array.size <= SMALL for array in made) else None


def _numbers(edge: Edge | None) -> Array | None:
    if edge is None:
        return None
    return np.broadcast_to(np.zeros((), edge.dtype.carrier), edge.shape) if edge.array is None else edge.array


def _closed(info: onnx.ValueInfoProto, named: dict[str, int] | None) -> tuple[int, ...] | None:
    """The declared sizes; open ones of inputs get a number a name, without ``named`` there must be none."""
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    shape = []
    for dim in tensor.shape.dim:
        if dim.HasField("dim_value"):
            shape.append(dim.dim_value)
        elif named is None:
            return None
        else:
            shape.append(named.setdefault(dim.dim_param, _OPEN + 2 * len(named)))
    return tuple(shape)


def _shapes(
    row: Operator, params: Mapping[str, Any], inputs: Sequence[Edge | None], outputs: int
) -> list[tuple[int, ...]] | None:
    """The sizes of the outputs; None where the row has no answer."""
    typing = Typing(
        params,
        tuple(None if edge is None else edge.shape for edge in inputs),
        tuple(None if edge is None else edge.dtype for edge in inputs),
        outputs,
        Constraints(),
    )
    try:
        made = row.shape(typing)
    except (NotCovered, Infeasible, ValueError, IndexError, KeyError, TypeError, ArithmeticError):
        return None
    result = []
    for sizes in made[:outputs]:
        if not isinstance(sizes, tuple):
            return None
        result.append(tuple(_COUNTED if d is None else typing.store.value(d) for d in sizes))
    return result if len(result) == outputs else None
