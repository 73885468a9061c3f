"""A model that is about to be rewritten: its nodes as a list, what is known of its values, a deterministic choice."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnx
import onnx.defs
import onnx.helper
import onnx.numpy_helper
import onnx.shape_inference

from abstract.contributed import qualified
from abstract.dtypes import BY_CODE, DType
from abstract.inference import infer_types
from abstract.operators import TABLE
from abstract.schema import signature
from backends.tensor import from_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from abstract.operator import Array
    from backends.tensor import Tensor, Value

__all__ = ["Base", "Edge", "Site", "ValueType", "drawer", "read_base"]

Dim = int | str | None
_RESERVED = "relation_"


class ValueType(NamedTuple):
    """Element type and shape of a tensor; a dim is a number, a symbol, or None where nothing is known of it."""

    dtype: DType
    shape: tuple[Dim, ...]

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def static(self) -> tuple[int, ...] | None:
        """The sizes, where all of them are known."""
        sizes = tuple(d for d in self.shape if isinstance(d, int))
        return sizes if len(sizes) == self.rank else None


@dataclass(frozen=True)
class Base:
    """A model to derive others from: parsed, its external data taken in, with the types that inference gives.

    ``inputs`` are the values of its first data set, by name.
    """

    model: onnx.ModelProto
    types: Mapping[str, ValueType]
    inputs: Mapping[str, Value] = field(default_factory=dict)

    @cached_property
    def opset(self) -> int:
        """The version of the default domain; 0 where the model imports none."""
        return max((o.version for o in self.model.opset_import if o.domain in ("", "ai.onnx")), default=0)

    @cached_property
    def initializers(self) -> Mapping[str, onnx.TensorProto]:
        """The initializers that no caller may override."""
        inputs = {i.name for i in self.model.graph.input}
        return {t.name: t for t in self.model.graph.initializer if t.name not in inputs}

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name of a value or node of the main graph."""
        found = {name for node in self.model.graph.node for name in (*node.input, *node.output, node.name)}
        return frozenset(found | {i.name for i in self.model.graph.input} | set(self.initializers))


def read_base(model: onnx.ModelProto, inputs: Mapping[str, Value] = MappingProxyType({})) -> Base:
    """The types of a model's values, by strict inference.

    Raises onnx.shape_inference.InferenceError, or what protobuf raises, where the model is not valid.
    """
    inferred = infer_types(model, strict=True, data_prop=True)
    types: dict[str, ValueType] = {}
    for info in (*inferred.graph.value_info, *inferred.graph.output, *inferred.graph.input):
        tensor = info.type.tensor_type
        if tensor.elem_type in BY_CODE and tensor.HasField("shape"):
            types[info.name] = ValueType(BY_CODE[tensor.elem_type], tuple(map(_dim, tensor.shape.dim)))
    for constant in model.graph.initializer:
        types[constant.name] = ValueType(BY_CODE[constant.data_type], tuple(constant.dims))
    return Base(model, types, inputs)


def _dim(dim: onnx.TensorShapeProto.Dimension) -> Dim:
    return dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None


def drawer(*parts: object) -> Callable[[int], int]:
    """A sequence of numbers below n that the parts alone decide: sha256 in counter mode."""
    key = "\0".join(map(str, parts)).encode("utf-8", "surrogateescape")
    count = 0

    def draw(n: int) -> int:
        nonlocal count
        count += 1
        return int.from_bytes(hashlib.sha256(key + count.to_bytes(4, "little")).digest()[:8], "little") % n

    return draw


class Edge(NamedTuple):
    """A place where a value is read by a node, or (position -1) where a node makes a graph output."""

    value: str
    node: onnx.NodeProto
    position: int

    def __str__(self) -> str:
        what = f"{self.node.op_type} {self.node.name or self.node.output[0]!r}"
        return f"behind {what}" if self.position < 0 else f"between {self.value!r} and {what}"


@dataclass
class Site:
    """A copy of a model to change.

    ``place`` says in words where it was changed, once it was. ``lifted`` are inputs that it has on top, with their
    values; ``frozen`` those that it no longer has; ``copies`` names the outputs that it has a second time, at the end.
    """

    base: Base
    draw: Callable[[int], int]
    place: str = ""
    added: list[onnx.TensorProto] = field(default_factory=list)
    lifted: dict[str, Tensor] = field(default_factory=dict)
    frozen: set[str] = field(default_factory=set)
    copies: list[str] = field(default_factory=list)
    _pending: list[onnx.NodeProto] = field(default_factory=list)
    _names: int = 0

    def __post_init__(self) -> None:
        """Copy what will change."""
        self.model = onnx.ModelProto()
        self.model.CopyFrom(self.base.model)
        self.nodes: list[onnx.NodeProto] = list(self.model.graph.node)

    def finished(self) -> onnx.ModelProto:
        """The changed model, its old notes on intermediate types taken away."""
        graph = onnx.GraphProto()
        graph.node.extend(self.nodes)
        del self.model.graph.node[:], self.model.graph.value_info[:]
        self.model.graph.node.extend(graph.node)
        self.model.graph.initializer.extend(self.added)
        return self.model

    # --- what is known ----------------------------------------------------------------------------------------------

    @property
    def opset(self) -> int:
        """The version of the default domain."""
        return self.base.opset

    def type(self, name: str) -> ValueType | None:
        """The type of a value of the original, None where inference does not know it."""
        return self.base.types.get(name)

    def known(self, name: str) -> ValueType:
        """The type of a value of which inference knows it."""
        return self.base.types[name]

    def allows(self, operator: str, *dtypes: DType) -> bool:
        """Whether an operator's first input may have these element types at this opset."""
        try:
            sign = signature(operator, self.opset)
        except onnx.defs.SchemaError:
            return False
        return all(dtype in sign.types[sign.inputs[0].variable] for dtype in dtypes)

    def values(self, name: str) -> Array | None:
        """The elements of an initializer; None for any other value."""
        tensor = self.base.initializers.get(name)
        return None if tensor is None else onnx.numpy_helper.to_array(tensor)

    def parameter(self, node: onnx.NodeProto, position: int) -> list[int] | None:
        """The numbers of a constant input of a node; None where it is absent or computed."""
        if position >= len(node.input) or not node.input[position]:
            return None
        array = self.values(node.input[position])
        return None if array is None else [int(v) for v in array.ravel()]

    def attribute(self, node: onnx.NodeProto, name: str, default: Any = None) -> Any:
        """A node's attribute, or what it is by default."""
        found = [a for a in node.attribute if a.name == name]
        return onnx.helper.get_attribute_value(found[0]) if found else default

    # --- choices ----------------------------------------------------------------------------------------------------

    def pick(self, options: Sequence[Any]) -> Any:
        """One of several; None of none."""
        return options[self.draw(len(options))] if options else None

    def permutation(self, rank: int) -> list[int]:
        """An order of axes other than the given one; the rank is at least 2."""
        order = list(range(rank))
        for i in reversed(range(1, rank)):
            j = self.draw(i + 1)
            order[i], order[j] = order[j], order[i]
        return order if order != list(range(rank)) else [*range(1, rank), 0]

    # --- changes ----------------------------------------------------------------------------------------------------

    def name(self) -> str:
        """A name that the model does not have."""
        while True:
            self._names += 1
            name = f"{_RESERVED}{self._names}"
            if name not in self.base.names:
                return name

    def constant(self, content: Any, dtype: DType | None = None) -> str:
        """A new initializer; int64 unless a type is given."""
        name = self.name()
        array = np.asarray(content, dtype=np.int64 if dtype is None else dtype.numpy)
        code = onnx.TensorProto.INT64 if dtype is None else dtype.code
        data = from_numpy(array).data
        self.added.append(onnx.TensorProto(name=name, data_type=code, dims=array.shape, raw_data=data))
        return name

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """A new node with one output; its name is that of the output."""
        return self.multiple(operator, inputs, 1, **attributes)[0]

    def multiple(self, operator: str, inputs: Sequence[str], outputs: int, **attributes: Any) -> list[str]:
        """A new node with several outputs."""
        names = [self.name() for _ in range(outputs)]
        self.add(onnx.helper.make_node(operator, inputs, names, name=names[0], **attributes))
        return names

    def add(self, node: onnx.NodeProto) -> None:
        """A new node, which goes where the change is made."""
        self._pending.append(node)

    def wrap(self, accept: Callable[[ValueType], bool], build: Callable[[str, ValueType], str | None]) -> bool:
        """Let ``build`` put nodes upon one of the edges whose type is accepted; False where there is none.

        ``build`` returns the name that the edge has from there on, or None where it finds no use for this edge.
        """
        edges = [edge for edge in self.edges() if (kind := self.type(edge.value)) is not None and accept(kind)]
        edge = self.pick(edges)
        if edge is None:
            return False
        place = str(edge)
        if edge.position < 0:
            inner = self.name()
            after = build(inner, self.base.types[edge.value])
            if after is None:
                return False
            self._rename([edge.node], edge.value, inner)
            self._rename(self._pending, after, edge.value)
            at = self.nodes.index(edge.node) + 1
        else:
            after = build(edge.value, self.base.types[edge.value])
            if after is None:
                return False
            edge.node.input[edge.position] = after
            at = self.nodes.index(edge.node)
        self._insert(at, place)
        return True

    def edges(self) -> Iterator[Edge]:
        """Every edge that carries data: parameters in all but name (axes, shapes, ...) stay as they are."""
        outputs = {o.name for o in self.model.graph.output}
        for node in self.nodes:
            yield from (Edge(name, node, -1) for name in node.output if name in outputs)
            yield from (Edge(name, node, i) for i, name in enumerate(node.input) if name and self._is_data(node, i))

    def _is_data(self, node: onnx.NodeProto, position: int) -> bool:
        name = qualified(node.domain, node.op_type)
        row = TABLE.get(name)
        if row is None:
            return position == 0 and name not in ("If", "Loop", "Scan")
        return signature(name, self.opset).formal(position).name not in row.parameters

    def data_constants(self) -> list[str]:
        """The initializers that are read as data alone, and are no output."""
        data = {edge.value for edge in self.edges() if edge.position >= 0}
        read = [(node, i, name) for node in self.nodes for i, name in enumerate(node.input) if name]
        params = {name for node, i, name in read if not self._is_data(node, i)}
        outputs = {o.name for o in self.model.graph.output}
        return [name for name in self.base.initializers if name in data - params - outputs]

    def find(self, *operators: str, accept: Callable[[onnx.NodeProto], bool] = lambda _: True) -> Any:
        """A node of one of these operators of the default domain, None where there is none."""
        fitting = [n for n in self.nodes if not n.domain and (not operators or n.op_type in operators) and accept(n)]
        return self.pick(fitting)

    def substitute(self, node: onnx.NodeProto, outputs: Sequence[str]) -> bool:
        """Put the nodes made since in a node's place; ``outputs`` are the names that stand for its own."""
        for new, old in zip(outputs, node.output, strict=True):
            if old:
                self._rename(self._pending, new, old)
        at = self.nodes.index(node)
        del self.nodes[at]
        self._insert(at, f"in place of {node.op_type} {node.name or node.output[0]!r}")
        return True

    def before(self, node: onnx.NodeProto) -> None:
        """Put the nodes made since in front of a node."""
        self._insert(self.nodes.index(node), f"before {node.op_type} {node.name or node.output[0]!r}")

    def at_end(self, place: str) -> None:
        """Put the nodes made since behind all others."""
        self._insert(len(self.nodes), place)

    def _insert(self, at: int, place: str) -> None:
        self.nodes[at:at] = self._pending
        self._pending = []
        self.place = place

    def drop_initializers(self, names: Collection[str]) -> None:
        """Take initializers away."""
        kept = onnx.GraphProto()
        kept.initializer.extend(t for t in self.model.graph.initializer if t.name not in names)
        del self.model.graph.initializer[:]
        self.model.graph.initializer.extend(kept.initializer)

    @staticmethod
    def _rename(nodes: Sequence[onnx.NodeProto], old: str, new: str) -> None:
        for node in nodes:
            for names in (node.input, node.output):
                for i, name in enumerate(names):
                    if name == old:
                        names[i] = new
