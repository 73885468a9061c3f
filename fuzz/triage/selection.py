"""Some nodes of a model as a model of their own: what the others computed it is given, as it is due."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import onnx

from abstract.capture import read
from abstract.dtypes import BY_NAME
from backends.graph import graphs
from backends.tensor import Tensor
from fuzz.triage.candidate import Candidate
from fuzz.values import encode_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from backends.tensor import Value
    from fuzz.triage.assessment import Known
    from fuzz.triage.candidate import Feed

__all__ = ["Whole", "declared", "reads"]


def reads(node: onnx.NodeProto) -> list[str]:
    """The names that a node reads, those that its bodies take from outside included; each once, in order."""
    names = dict.fromkeys(name for name in node.input if name)
    for attribute in node.attribute:
        for body in (attribute.g, *attribute.graphs):
            made = {name for graph in graphs(body) for n in graph.node for name in n.output}
            made |= {i.name for graph in graphs(body) for i in (*graph.input, *graph.initializer)}
            names.update(dict.fromkeys(name for name in read(body) if name and name not in made))
    return list(names)


@dataclass(frozen=True)
class Whole:
    """A candidate with what is known of its values: smaller models are made of its nodes.

    Nodes are named by their position among ``nodes``, which leaves Constant out: constants are given as such.
    """

    candidate: Candidate
    known: Known
    proto: onnx.ModelProto
    nodes: tuple[onnx.NodeProto, ...]
    constants: Mapping[str, onnx.TensorProto]
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, candidate: Candidate, known: Known) -> Whole:
        """The nodes of a candidate."""
        proto = candidate.proto()
        constants = {tensor.name: tensor for tensor in proto.graph.initializer}
        values = known.values[0] if known.values else {}
        nodes = []
        for node in proto.graph.node:
            value = values.get(node.output[0]) if node.op_type == "Constant" and not node.domain else None
            if isinstance(value, Tensor):
                constants[node.output[0]] = _constant(node.output[0], value)
            else:
                nodes.append(node)
        return cls(candidate, known, proto, tuple(nodes), constants, tuple(o.name for o in proto.graph.output))

    def producers(self, at: int) -> list[int]:
        """The positions of the nodes that a node reads from."""
        names = set(reads(self.nodes[at]))
        return [i for i in range(at) if names.intersection(self.nodes[i].output)]

    def consumers(self, at: int) -> list[int]:
        """The positions of the nodes that read from a node."""
        names = {name for name in self.nodes[at].output if name}
        return [i for i in range(at + 1, len(self.nodes)) if names.intersection(reads(self.nodes[i]))]

    def making(self, names: Iterable[str]) -> list[int]:
        """The positions of the nodes that are needed for these values, in order."""
        wanted, todo = set(), list(names)
        makers = {name: at for at, node in enumerate(self.nodes) for name in node.output if name}
        while todo:
            at = makers.get(todo.pop())
            if at is not None and at not in wanted:
                wanted.add(at)
                todo.extend(reads(self.nodes[at]))
        return sorted(wanted)

    def only(
        self, keep: Iterable[int], *, exposing: bool = False, outputs: Sequence[str] | None = None,
        frozen: bool = False,
    ) -> Candidate | None:  # fmt: skip
        """The model of some nodes alone; None where a node reads what is not known.

        Its outputs are what no node in it reads; ``exposing``: and what others read, or the whole model returns; or
        those named in ``outputs``. What comes from left-out nodes becomes an input, or a constant where it is a
        parameter (backends want to know shapes beforehand) or all is ``frozen``.
        """
        kept = sorted(set(keep))
        nodes = [self.nodes[at] for at in kept]
        made = {name for node in nodes for name in node.output if name}
        wanted = list(dict.fromkeys(name for node in nodes for name in reads(node) if name not in made))
        ends = list(outputs) if outputs is not None else self._ends(kept, exposing=exposing)
        proto = onnx.ModelProto()
        proto.CopyFrom(self.proto)
        graph = proto.graph
        for field in ("node", "input", "output", "initializer", "sparse_initializer", "quantization_annotation"):
            graph.ClearField(field)
        infos = [info for info in self.proto.graph.value_info if info.name in made and info.name not in ends]
        graph.ClearField("value_info")
        graph.value_info.extend(infos)
        graph.node.extend(nodes)
        feeds: list[Feed] = [{} for _ in self.known.values]
        if not all(self.give(graph, feeds, name, frozen=frozen) for name in wanted):
            return None
        for name in ends:
            graph.output.append(self._info(name))
        if not nodes or not ends:
            return None
        _trim_functions(proto)
        return Candidate(proto.SerializeToString(deterministic=True), tuple(feeds))

    def _ends(self, keep: Sequence[int], *, exposing: bool) -> list[str]:
        kept = set(keep)
        inside = {name for at in kept for name in reads(self.nodes[at])}
        wanted = {name for at, node in enumerate(self.nodes) if at not in kept for name in reads(node)}
        wanted.update(self.outputs)
        made = [name for at in keep for name in self.nodes[at].output if name]
        ends = [name for name in made if name not in inside or (exposing and name in wanted)]
        return [name for name in ends if name in wanted] or ends

    def give(
        self, graph: onnx.GraphProto, feeds: Sequence[Feed], name: str, *, frozen: bool = False
    ) -> bool:
        """Make a value of this model known in another graph: what is constant stays it, as do sparse constants.

        What is computed becomes an input, or a constant where it is a parameter or all is ``frozen``. False where it
        is not known.
        """
        sparse = next((s for s in self.proto.graph.sparse_initializer if s.values.name == name), None)
        if name in self.constants:
            graph.initializer.append(self.constants[name])
            return True
        if sparse is not None:
            graph.sparse_initializer.append(sparse)
            return True
        values = [row.get(name) for row in self.known.values]
        if not values or any(value is None for value in values):
            return False
        first = values[0]
        asked = any(port.name == name for port in self.proto.graph.input)
        constant = frozen or (not asked and name in self.known.parameters)
        if constant and isinstance(first, Tensor) and all(value == first for value in values):
            graph.initializer.append(_constant(name, first))
            return True
        graph.input.append(self._info(name))
        for feed, value in zip(feeds, values, strict=True):
            feed[name] = value
        return True

    def _info(self, name: str) -> onnx.ValueInfoProto:
        """The declaration of a value: as the model or ONNX's inference has it, else as its values are."""
        known = self.known.infos.get(name)
        info = onnx.ValueInfoProto.FromString(known) if known is not None else onnx.ValueInfoProto(name=name)
        return declared(info, [row.get(name) for row in self.known.values])


def declared(info: onnx.ValueInfoProto, values: Sequence[Value]) -> onnx.ValueInfoProto:
    """A declaration with what it leaves open filled in, from the values that it is of."""
    result = onnx.ValueInfoProto()
    result.CopyFrom(info)
    tensors = [value for value in values if isinstance(value, Tensor)]
    if tensors and result.type.WhichOneof("value") in {None, "tensor_type"}:
        _complete(result, tensors)
    return result


def _complete(info: onnx.ValueInfoProto, values: Sequence[Tensor]) -> None:
    """Sizes that are the same in all data sets are fixed."""
    kind = info.type.tensor_type
    kind.elem_type = kind.elem_type or BY_NAME[values[0].element_type].code
    if any(len(value.shape) != len(values[0].shape) for value in values):
        return
    if not kind.HasField("shape") or len(kind.shape.dim) != len(values[0].shape):
        kind.ClearField("shape")
        kind.shape.SetInParent()
        for _ in values[0].shape:
            kind.shape.dim.add()
    for axis, dim in enumerate(kind.shape.dim):
        sizes = {value.shape[axis] for value in values}
        if dim.WhichOneof("value") is None and len(sizes) == 1:
            dim.dim_value = sizes.pop()


def _constant(name: str, value: Tensor) -> onnx.TensorProto:
    tensor: onnx.TensorProto = onnx.TensorProto.FromString(encode_value(name, value))
    return tensor


def _trim_functions(proto: onnx.ModelProto) -> None:
    """Drop the functions that nothing calls."""
    called: set[tuple[str, str]] = set()
    todo: list[onnx.GraphProto | onnx.FunctionProto] = [proto.graph]
    functions = {(f.domain, f.name): f for f in proto.functions}
    while todo:
        for graph in graphs(todo.pop()):
            for node in graph.node:
                key = (node.domain, node.op_type)
                if key in functions and key not in called:
                    called.add(key)
                    todo.append(functions[key])
    kept = [f for f in proto.functions if (f.domain, f.name) in called]
    if len(kept) < len(proto.functions):
        copies = [onnx.FunctionProto.FromString(f.SerializeToString()) for f in kept]
        del proto.functions[:]
        proto.functions.extend(copies)

