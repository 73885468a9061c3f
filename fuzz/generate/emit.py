"""From a graph to an ONNX model: attributes or inputs as the schema of the opset has them, dims open or closed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.helper

from abstract.contributed import unqualified
from abstract.dims import Dim, Expr, Symbol, symbols
from abstract.dtypes import DType, Kind, dtype
from abstract.graph import Graph
from abstract.operators import TABLE
from abstract.schema import Signature, signature
from abstract.types import Container, ContainerType
from backends.tensor import from_numpy

if TYPE_CHECKING:
    from collections.abc import Callable

    from abstract.constraints import Constraints
    from abstract.graph import Node, Value
    from abstract.types import Shape

__all__ = ["Emitted", "emit", "stored_type"]

_INT64, _FLOAT = dtype("int64"), dtype("float")


@dataclass(slots=True)
class Emitted:
    """A model as bytes, and the symbols of its input shapes that stay open (none in a static model)."""

    model: bytes
    open: list[Symbol] = field(default_factory=list)


def emit(graph: Graph, *, dynamic: bool) -> Emitted:
    """The model of a graph; if ``dynamic``, symbols stay open unless initializers, attributes or constants pin them."""
    opened = _open_symbols(graph) if dynamic else set()
    return Emitted(_Emitter(graph, opened).model(), [s for s in graph.store.unbound() if s in opened])


def _open_symbols(graph: Graph) -> set[Symbol]:
    resolve = graph.store.resolve
    opened = {s for v in graph.inputs for d in v.type.shape for s in symbols(resolve(d))}
    return opened - _pinned(graph) - graph.store.chained()


def _pinned(graph: Graph) -> set[Symbol]:
    """The symbols whose value stands in the graph, or in a body in it."""
    resolve = graph.store.resolve
    pinned = {s for v in graph.initializers for d in v.type.shape for s in symbols(resolve(d))}
    for node in graph.nodes:
        for body in node.bodies:
            pinned |= _pinned(body)
        for name, given in node.params.items():
            encoded = _relative(node, name, given, resolve)
            for item in encoded if isinstance(encoded, tuple) else (encoded,):
                if isinstance(item, Expr):
                    pinned.update(symbols(resolve(item)))
    return pinned


def _relative(node: Node, name: str, given: Any, resolve: Callable[[Dim], Dim]) -> Any:
    """A target shape said without its symbols where the operator has a way to: 0 and -1 in Reshape, 1 in Expand."""
    if name != "shape" or node.operator not in ("Reshape", "Expand") or not isinstance(given, tuple):
        return given
    operand = node.inputs[0]
    if operand is None:
        return given
    have = operand.type.shape
    result = list(given)
    if node.operator == "Expand":
        shift = len(have) - len(given)
        for i, dim in enumerate(given):
            if isinstance(dim, Expr) and i + shift >= 0 and resolve(dim) == resolve(have[i + shift]):
                result[i] = 1
        return tuple(result)
    copies = min(len(have), len(given)) if not node.params.get("allowzero", 0) else 0
    for i, dim in enumerate(given[:copies]):
        if isinstance(dim, Expr) and resolve(dim) == resolve(have[i]):
            result[i] = 0
    left = [i for i, dim in enumerate(result) if isinstance(dim, Expr) and not isinstance(resolve(dim), int)]
    if len(left) == 1 and -1 not in [d for d in given if isinstance(d, int)]:
        result[left[0]] = -1
    return tuple(result)


@cache
def _ir_version(opset: int) -> int:
    """The oldest ir_version that knows an opset, by onnx's own table of releases."""
    return int(onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid("", opset)]))


class _Emitter:
    def __init__(self, graph: Graph, opened: set[Symbol]) -> None:
        self.graph = graph
        self.store: Constraints = graph.store
        self.opened = opened
        self.constants = self.nodes = 0
        self.domains: set[str] = set()

    def model(self) -> bytes:
        proto = onnx.ModelProto()
        proto.ir_version = _ir_version(self.graph.opset)
        proto.producer_name = "dnnfuzz"
        proto.opset_import.add(version=self.graph.opset)
        self.whole(self.graph, proto.graph, "graph")
        for domain in sorted(self.domains):
            proto.opset_import.add(domain=domain, version=1)
        return bytes(proto.SerializeToString(deterministic=True))

    def whole(self, graph: Graph, proto: onnx.GraphProto, name: str) -> None:
        """A graph, or a body: nodes, initializers, inputs and outputs."""
        proto.name = name
        for node in graph.nodes:
            self.node(node, graph, proto)
        for value in graph.initializers:
            _tensor(proto, value.name, value.array, value.type.dtype)
        for value in (*graph.inputs, *graph.defaults):
            self.info(value, proto.input.add(), given=True)
        for value in graph.outputs:
            self.info(value, proto.output.add(), given=False)

    def info(self, value: Value, proto: onnx.ValueInfoProto, *, given: bool) -> None:
        """The type of an input (``given``) or output."""
        proto.name = value.name
        if isinstance(value.type, ContainerType):
            self.container(value.type, proto.type)
            return
        tensor = proto.type.tensor_type
        tensor.elem_type = value.type.dtype.code
        self.dims(value.type.shape, tensor.shape, given=given)

    def dims(self, shape: Shape, proto: onnx.TensorShapeProto, *, given: bool) -> None:
        """Sizes as numbers, or by name where they are open or the values decide them."""
        proto.SetInParent()
        for dim in shape:
            entry = proto.dim.add()
            resolved = self.store.resolve(dim)
            if any(map(self.store.counted, symbols(resolved))):
                entry.dim_param = str(resolved)
            elif not any(s in self.opened for s in symbols(resolved)):
                entry.dim_value = self.store.value(dim)
            elif given or (isinstance(resolved, Expr) and resolved.symbol is not None):
                entry.dim_param = str(resolved)

    def container(self, kind: ContainerType, proto: onnx.TypeProto) -> None:
        """A sequence or an optional of tensors; their shape where it is one and the same."""
        parts = kind.parts
        if parts.container is not Container.SEQUENCE:
            proto = proto.optional_type.elem_type
        if parts.container is not Container.OPTIONAL:
            proto = proto.sequence_type.elem_type
        proto.tensor_type.elem_type = kind.dtype.code
        resolved = {tuple(map(self.store.resolve, shape)) for shape in parts.shapes}
        if len(resolved) == 1:
            self.dims(parts.shapes[0], proto.tensor_type.shape, given=False)

    def node(self, node: Node, graph: Graph, into: onnx.GraphProto) -> None:
        sign = signature(node.operator, self.graph.opset)
        row = TABLE[node.operator]
        domain, operator = unqualified(node.operator)
        proto = into.node.add(op_type=operator, name=f"n{self.nodes}")
        if domain:
            proto.domain = domain
            self.domains.add(domain)
        self.nodes += 1
        data = iter(node.inputs)
        given = self.concrete(node)
        names: list[str] = []
        for formal in sign.inputs:
            if formal.name in row.parameters:
                names.append(self.parameter(node, sign, formal.variable, given.pop(formal.name, None), into))
            elif formal.variadic:
                names.extend(v.name if v is not None else "" for v in data)
            else:
                operand = next(data, None)
                names.append(operand.name if operand is not None else "")
        while len(names) > sign.least and not names[-1]:
            names.pop()
        proto.input.extend(names)
        proto.output.extend("" if v in graph.omitted else v.name for v in node.outputs)
        while not proto.output[-1]:
            proto.output.pop()
        for name, value in given.items():
            if isinstance(value, Graph):
                attribute = proto.attribute.add(name=name, type=onnx.AttributeProto.GRAPH)
                self.whole(value, attribute.g, f"n{self.nodes - 1}_{name}")
            else:
                _set(proto.attribute.add(name=name), value)

    def concrete(self, node: Node) -> dict[str, Any]:
        """Parameters as numbers: open symbols are said relatively, the rest by their witness."""
        result: dict[str, Any] = {}
        for name, given in node.params.items():
            said = _relative(node, name, given, self.store.resolve) if self.opened else given
            if isinstance(said, tuple):
                said = tuple(self.store.value(v) if isinstance(v, Expr) else v for v in said)
            elif isinstance(said, Expr):
                said = self.store.value(said)
            result[name] = said
        return result

    def parameter(self, node: Node, sign: Signature, variable: str, given: Any, into: onnx.GraphProto) -> str:
        """A parameter that is an input at this opset: a constant of the type that the schema asks for."""
        if given is None:
            return ""
        kind = _parameter_type(node, sign, variable, given)
        self.constants += 1
        name = f"c{self.constants}"
        _tensor(into, name, np.asarray(given), kind)
        return name


def _tensor(into: onnx.GraphProto, name: str, array: Any, kind: DType) -> None:
    proto = into.initializer.add(name=name, data_type=kind.code, dims=array.shape)
    if kind.kind is Kind.STRING:
        proto.string_data.extend(text.encode() for text in np.asarray(array).ravel())
        return
    stored = np.asarray(array).astype(kind.numpy)
    proto.raw_data = stored.tobytes() if kind.bits >= 8 else from_numpy(stored).data


def _parameter_type(node: Node, sign: Signature, variable: str, given: Any) -> DType:
    data = [f for f in sign.inputs if f.name not in TABLE[node.operator].parameters]
    for formal, operand in zip(data, node.inputs, strict=False):
        if formal.variable == variable and operand is not None:
            return operand.type.dtype
    return stored_type(sign.types[variable], given)


def stored_type(allowed: tuple[DType, ...], given: Any) -> DType:
    """The element type in which a parameter is written where no data operand shares its type variable.

    A number of one of numpy's integer types is written in that type.
    """
    first = given[0] if isinstance(given, tuple) and given else given
    for kind in allowed if isinstance(first, np.integer) else ():
        if kind.numpy == first.dtype:
            return kind
    wanted = _FLOAT if isinstance(first, float) else _INT64
    return wanted if wanted in allowed else allowed[0]


def _set(proto: onnx.AttributeProto, value: Any) -> None:
    """An attribute of the type that the Python value has."""
    if isinstance(value, bool | int):
        proto.type, proto.i = onnx.AttributeProto.INT, int(value)
    elif isinstance(value, float):
        proto.type, proto.f = onnx.AttributeProto.FLOAT, value
    elif isinstance(value, bytes):
        proto.type, proto.s = onnx.AttributeProto.STRING, value
    elif isinstance(value, onnx.TensorProto):
        proto.type = onnx.AttributeProto.TENSOR
        proto.t.CopyFrom(value)
    elif isinstance(value, onnx.SparseTensorProto):
        proto.type = onnx.AttributeProto.SPARSE_TENSOR
        proto.sparse_tensor.CopyFrom(value)
    elif value and isinstance(value[0], float):
        proto.type = onnx.AttributeProto.FLOATS
        proto.floats.extend(value)
    elif value and isinstance(value[0], bytes):
        proto.type = onnx.AttributeProto.STRINGS
        proto.strings.extend(value)
    else:
        proto.type = onnx.AttributeProto.INTS
        proto.ints.extend(value)

