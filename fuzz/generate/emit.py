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
from fuzz.generate.chain import Chain, Sources, draw_style
from fuzz.generate.hints import declared, numbers
from fuzz.generate.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abstract.constraints import Constraints
    from abstract.graph import Node, Value
    from abstract.types import Shape

__all__ = ["Emitted", "emit", "stored_type"]

_INT64, _FLOAT = dtype("int64"), dtype("float")


@dataclass(slots=True)
class Emitted:
    """A model as bytes, the symbols of its inputs that stay open (none if it is static), and its count of nodes."""

    model: bytes
    open: list[Symbol] = field(default_factory=list)
    nodes: int = 0


def emit(graph: Graph, *, dynamic: bool, computed: int = 0) -> Emitted:
    """The model of a graph; if ``dynamic``, symbols stay open unless initializers, attributes or constants pin them.

    ``computed`` is the seed of a style (``fuzz.generate.chain``) in which parameters that hold open symbols are
    computed in the model; by 0 they are constants, which pins the symbols.
    """
    said = Parameters(graph, draw_style(computed) if dynamic and computed else None)
    opened = _open_symbols(graph, said) if dynamic else set()
    model = _Emitter(graph, opened, said).model()
    own = [s for s in graph.store.unbound() if s in opened]
    return Emitted(model.SerializeToString(deterministic=True), own, len(model.graph.node))


def _open_symbols(graph: Graph, said: Parameters) -> set[Symbol]:
    resolve = graph.store.resolve
    opened = {s for v in graph.inputs for d in v.type.shape for s in symbols(resolve(d))}
    return opened - _pinned(graph, said) - graph.store.chained()


def _pinned(graph: Graph, said: Parameters) -> set[Symbol]:
    """The symbols whose value stands in the graph, or in a body in it."""
    resolve = graph.store.resolve
    pinned = {s for v in graph.initializers for d in v.type.shape for s in symbols(resolve(d))}
    for node in graph.nodes:
        for body in node.bodies:
            pinned |= _pinned(body, said)
        for dim in numbers(node):
            pinned.update(symbols(resolve(dim)))
        for name, given in node.params.items():
            for item in said.pinning(node, name, given):
                pinned.update(symbols(resolve(item)))
    return pinned


@cache
def _ir_version(opset: int) -> int:
    """The oldest ir_version that knows an opset, by onnx's own table of releases."""
    return int(onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid("", opset)]))


class _Emitter:
    def __init__(self, graph: Graph, opened: set[Symbol], said: Parameters) -> None:
        self.graph = graph
        self.store: Constraints = graph.store
        self.opened = opened
        self.said = said
        self.sources = Sources(graph.store, frozenset(opened), signature("Shape", graph.opset).types["T"])
        self.constants = self.nodes = 0
        self.domains: set[str] = set()

    def model(self) -> onnx.ModelProto:
        proto = onnx.ModelProto()
        proto.ir_version = _ir_version(self.graph.opset)
        proto.producer_name = "dnnfuzz"
        proto.opset_import.add(version=self.graph.opset)
        self.whole(self.graph, proto.graph, "graph")
        for domain in sorted(self.domains):
            proto.opset_import.add(domain=domain, version=1)
        return proto

    def whole(self, graph: Graph, proto: onnx.GraphProto, name: str) -> None:
        """A graph, or a body: nodes, initializers, inputs and outputs."""
        proto.name = name
        style = self.said.style if self.opened else None
        chain = None if style is None else Chain(style, self.sources, _Into(self, proto), graph.opset)
        # What a body has may differ from run to run of it: its chains read what is around it.
        read = chain is not None and graph is self.graph
        if read:
            self.sources.add(graph.inputs)
        for node in graph.nodes:
            self.node(node, graph, proto, chain)
            if read:
                self.sources.add(v for v in node.outputs if v not in graph.omitted)
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

    def node(self, node: Node, graph: Graph, into: onnx.GraphProto, chain: Chain | None) -> None:
        sign = signature(node.operator, self.graph.opset)
        given = self.said.said(node, self.sources)
        names = self.operands(node, sign, given, into, chain)
        while len(names) > sign.least and not names[-1]:
            names.pop()
        domain, operator = unqualified(node.operator)
        proto = into.node.add(op_type=operator, name=f"n{self.nodes}")
        if domain:
            proto.domain = domain
            self.domains.add(domain)
        self.nodes += 1
        proto.input.extend(names)
        proto.output.extend("" if v in graph.omitted else v.name for v in node.outputs)
        while not proto.output[-1]:
            proto.output.pop()
        for operand in declared(node, graph):
            if operand.name not in {info.name for info in into.value_info}:
                self.info(operand, into.value_info.add(), given=False)
        for name, value in given.items():
            if isinstance(value, Graph):
                attribute = proto.attribute.add(name=name, type=onnx.AttributeProto.GRAPH)
                self.whole(value, attribute.g, f"n{self.nodes - 1}_{name}")
            else:
                _set(proto.attribute.add(name=name), value)

    def operands(
        self, node: Node, sign: Signature, given: dict[str, Any], into: onnx.GraphProto, chain: Chain | None
    ) -> list[str]:
        """The names of a node's inputs. What is given as an input is no attribute then: it is taken out."""
        row, data = TABLE[node.operator], iter(node.inputs)
        names: list[str] = []
        for formal in sign.inputs:
            if formal.name in row.parameters:
                said = given.pop(formal.name, None)
                if chain is not None and _symbolic(said):
                    kind = _parameter_type(node, sign, formal.variable, said)
                    names.append(chain.write(said, kind, node.inputs[0] if node.inputs else None))
                    if _takes_zero(node, sign, said) and chain.style.coin(4):
                        given["allowzero"] = 1
                else:
                    names.append(self.parameter(node, sign, formal.variable, said, into))
            elif formal.variadic:
                names.extend(v.name if v is not None else "" for v in data)
            else:
                operand = next(data, None)
                names.append(operand.name if operand is not None else "")
        return names

    def parameter(self, node: Node, sign: Signature, variable: str, given: Any, into: onnx.GraphProto) -> str:
        """A parameter that is an input at this opset: a constant of the type that the schema asks for."""
        if given is None:
            return ""
        return self.constant(np.asarray(given), _parameter_type(node, sign, variable, given), into)

    def constant(self, array: Any, kind: DType, into: onnx.GraphProto) -> str:
        """An initializer; its name."""
        self.constants += 1
        name = f"c{self.constants}"
        _tensor(into, name, array, kind)
        return name


@dataclass(frozen=True, slots=True)
class _Into:
    """One graph or body of a model, as the sink of chains."""

    emitter: _Emitter
    proto: onnx.GraphProto

    def link(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        number = self.emitter.nodes
        self.emitter.nodes += 1
        node = self.proto.node.add(op_type=operator, name=f"n{number}", input=inputs, output=[f"s{number}"])
        for name, value in attributes.items():
            _set(node.attribute.add(name=name), value)
        return str(node.output[0])

    def fixed(self, array: Any, kind: DType, *, node: bool) -> str:
        if not node:
            return self.emitter.constant(array, kind, self.proto)
        tensor = onnx.TensorProto(data_type=kind.code, dims=array.shape)
        tensor.raw_data = array.astype(kind.numpy).tobytes()
        return self.link("Constant", (), value=tensor)


def _symbolic(said: Any) -> bool:
    """Whether a parameter is to be computed: it still holds a symbol."""
    return any(isinstance(item, Expr) for item in said) if isinstance(said, tuple) else isinstance(said, Expr)


def _takes_zero(node: Node, sign: Signature, said: tuple[Dim, ...]) -> bool:
    """Whether a computed target of Reshape may say that 0 means 0, as it does to exporters of open sizes."""
    if node.operator != "Reshape" or "allowzero" not in sign.attributes or "allowzero" in node.params:
        return False
    return all(not isinstance(dim, int) or dim > 0 for dim in said)


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
    return node.stored.get(variable) or stored_type(sign.types[variable], given)


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

