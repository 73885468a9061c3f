"""What the models of a root are like beside their operators: how many of them have each structural trait."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import onnx
import onnx.defs
import onnx.numpy_helper
from google.protobuf.message import DecodeError

from abstract.capture import captured
from abstract.dtypes import BY_CODE
from fuzz.case import find_cases, read_inputs
from fuzz.errors import CaseError
from fuzz.reach import element
from fuzz.signature import read_signature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from fuzz.case import Case

__all__ = ["TRAITS", "View", "counted", "traits"]


class View:
    """A model as traits look at it: its graph, all nodes wherever they are, who makes and reads what."""

    def __init__(self, model: onnx.ModelProto, overridden: bool = False) -> None:
        self.model = model
        self.graph = model.graph
        self.overridden = overridden
        self.initializers = {t.name: t for t in model.graph.initializer}
        self.inputs = {i.name: i for i in model.graph.input if i.name not in self.initializers}
        self.outputs = {o.name: o for o in model.graph.output}
        self.calls = Counter((n.domain, n.op_type) for n in self.nodes)

    @cached_property
    def nodes(self) -> list[onnx.NodeProto]:
        """All nodes, in bodies and functions too."""
        return [node for graph in (self.graph, *self.model.functions) for node in _all(graph.node)]

    @cached_property
    def bodies(self) -> list[onnx.GraphProto]:
        """All graphs inside of nodes."""
        return [a.g for node in self.nodes for a in node.attribute if a.HasField("g")]

    @cached_property
    def read(self) -> Counter[str]:
        """How often each value of the main graph is read there, in bodies too."""
        return Counter(n for node in self.graph.node for n in (*node.input, *captured(node)) if n)

    @cached_property
    def depth(self) -> int:
        """The nodes on the longest path of the main graph."""
        length: dict[str, int] = {}
        for node in self.graph.node:
            longest = 1 + max((length.get(n, 0) for n in (*node.input, *captured(node))), default=0)
            length.update((n, longest) for n in node.output)
        return max(length.values(), default=0)

    @cached_property
    def parts(self) -> int:
        """How many groups of nodes there are of which none shares a value with another."""
        groups: list[set[str]] = []
        for node in self.graph.node:
            near = {n for n in (*node.input, *captured(node), *node.output) if n}
            joined = [group for group in groups if group & near]
            groups = [group for group in groups if not group & near] + [near.union(*joined)]
        return len(groups)

    @cached_property
    def joins(self) -> bool:
        """Whether a node reads two values that come of one and the same: a diamond."""
        above: dict[str, frozenset[str]] = {}
        for node in self.graph.node:
            names = list(dict.fromkeys(n for n in node.input if n in above))
            sets = [above[n] for n in names]
            if any(a & b for i, a in enumerate(sets) for b in sets[:i]):
                return True
            whole = frozenset().union(*sets, names, (n for n in node.input if n in self.inputs))
            above.update((n, whole) for n in node.output)
        return False

    @cached_property
    def arities(self) -> list[int]:
        """The numbers of operands of operators that take any number."""
        return [len(node.input) for node in self.nodes if not node.domain and _is_variadic(node.op_type)]

    @cached_property
    def shapes(self) -> list[Sequence[onnx.TensorShapeProto.Dimension]]:
        """Those of inputs and outputs."""
        ports = (*self.graph.input, *self.graph.output)
        return [p.type.tensor_type.shape.dim for p in ports if p.type.HasField("tensor_type")]

    @cached_property
    def types(self) -> frozenset[str]:
        """The element types of inputs, outputs and initializers, and of what Casts make, in bodies too."""
        graphs = (self.graph, *self.bodies)
        codes = {t.data_type for graph in graphs for t in graph.initializer}
        codes |= {element(p.type) for graph in graphs for p in (*graph.input, *graph.value_info, *graph.output)}
        codes |= {a.i for node in self.nodes if node.op_type == "Cast" for a in node.attribute if a.name == "to"}
        return frozenset(BY_CODE[code].name for code in codes if code in BY_CODE)

    def has(self, *operators: str) -> bool:
        """Whether one of ONNX's own operators is called."""
        return any(self.calls["", name] for name in operators)

    def typed(self, ports: Mapping[str, onnx.ValueInfoProto], kind: str) -> bool:
        """Whether a port is a container of this kind."""
        return any(port.type.WhichOneof("value") == kind for port in ports.values())


def _all(nodes: Sequence[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _all(attribute.g.node)


def _is_variadic(operator: str) -> bool:
    try:
        schema = onnx.defs.get_schema(operator)
    except onnx.defs.SchemaError:
        return False
    kinds = [formal.option for formal in schema.inputs]
    return operator not in _CONTROL and onnx.defs.OpSchema.FormalParameterOption.Variadic in kinds


_CONTROL = ("If", "Loop", "Scan", "SequenceMap")


def _branches_differ(v: View) -> bool:
    """Whether the two bodies of an If give other sizes."""
    for node in v.nodes:
        if node.op_type == "If" and len(node.attribute) == 2:
            ports = zip(*(a.g.output for a in node.attribute), strict=False)
            if any(one.type.tensor_type.shape != other.type.tensor_type.shape for one, other in ports):
                return True
    return False


def _idle(v: View) -> bool:
    """Whether a Loop is told to make no trip: by a constant number, or a constant condition."""
    known = {t.name: t for graph in (v.graph, *v.bodies) for t in graph.initializer}
    first = (name for node in v.nodes if node.op_type == "Loop" for name in node.input[:2])
    return any(name in known and not onnx.numpy_helper.to_array(known[name]).any() for name in first)


def _rounded(v: View) -> bool:
    """Whether something is quantised and dequantised again."""
    made = {name for node in v.nodes if node.op_type == "QuantizeLinear" for name in node.output}
    return any(name in made for node in v.nodes if node.op_type == "DequantizeLinear" for name in node.input[:1])


def _left_out(v: View) -> bool:
    """Whether an input is left out by an empty name, or because it is the last."""
    return any("" in node.input or _is_short(node) for node in v.nodes if not node.domain)


def _is_short(node: onnx.NodeProto) -> bool:
    try:
        return len(node.input) < onnx.defs.get_schema(node.op_type).max_input < 100
    except onnx.defs.SchemaError:
        return False


def _dead(v: View) -> bool:
    """Whether a node computes something that nobody reads and that is no output."""
    return any(n and n not in v.outputs and not v.read[n] for node in v.graph.node for n in node.output)


def _captures(v: View) -> bool:
    own = {n for node in v.graph.node for n in node.output} | set(v.inputs) | set(v.initializers)
    return any(name in own for node in v.graph.node for name in captured(node))


TRAITS: Mapping[str, Callable[[View], bool]] = MappingProxyType({
    "If": lambda v: v.has("If"),
    "If whose branches give other sizes": _branches_differ,
    "Loop": lambda v: v.has("Loop"),
    "Loop that is not entered": _idle,
    "Scan": lambda v: v.has("Scan"),
    "SequenceMap": lambda v: v.has("SequenceMap"),
    "a body in a body": lambda v: any(a.HasField("g") for b in v.bodies for n in b.node for a in n.attribute),
    "a value that a body captures": _captures,
    "RNN, LSTM or GRU": lambda v: v.has("RNN", "LSTM", "GRU"),
    "QuantizeLinear read by DequantizeLinear": _rounded,
    "a quantised operator (QLinearConv, ...)": lambda v: v.has("QLinearConv", "QLinearMatMul", "ConvInteger",
                                                               "MatMulInteger"),
    "functions": lambda v: bool(v.model.functions),
    "a function that is called twice": lambda v: any(v.calls[f.domain, f.name] > 1 for f in v.model.functions),
    "a function that calls another": lambda v: any(
        (n.domain, n.op_type) in {(f.domain, f.name) for f in v.model.functions}
        for f in v.model.functions for n in _all(f.node)),
    "a function with attributes": lambda v: any(f.attribute or f.attribute_proto for f in v.model.functions),
    "a function whose attributes have defaults": lambda v: any(f.attribute_proto for f in v.model.functions),
    "a function with several outputs": lambda v: any(len(f.output) > 1 for f in v.model.functions),
    "a long chain (8 nodes and more than half)": lambda v: v.depth >= max(8, len(v.graph.node) / 2),
    "a wide fan (a value read 6 times)": lambda v: max(v.read.values(), default=0) >= 6,
    "a diamond": lambda v: v.joins,
    "parts that share no value": lambda v: v.parts > 1,
    "variadic with 1 operand": lambda v: 1 in v.arities,
    "variadic with 2 to 4": lambda v: any(1 < n < 5 for n in v.arities),
    "variadic with 5 to 8": lambda v: any(4 < n < 9 for n in v.arities),
    "variadic with 9 and more": lambda v: any(n > 8 for n in v.arities),
    "an optional input left out": _left_out,
    "an optional output left out": lambda v: any("" in node.output for node in v.nodes),
    "an output of a node that nothing reads": _dead,
    "an input that is an output": lambda v: not v.inputs.keys().isdisjoint(v.outputs),
    "an initializer that is an output": lambda v: not v.initializers.keys().isdisjoint(v.outputs),
    "an output that is given twice": lambda v: any(
        n.op_type == "Identity" and n.output[0] in v.outputs and (n.input[0] in v.outputs or n.input[0] in v.inputs)
        for n in v.graph.node),
    "an input that nothing reads": lambda v: any(not v.read[n] and n not in v.outputs for n in v.inputs),
    "an initializer that nothing reads": lambda v: any(not v.read[n] and n not in v.outputs for n in v.initializers),
    "an initializer that is an input": lambda v: len(v.inputs) < len(v.graph.input),
    "a default that a data set overrides": lambda v: v.overridden,
    "an initializer that is read twice": lambda v: any(v.read[n] > 1 for n in v.initializers),
    "Constant nodes": lambda v: v.has("Constant"),
    "an initializer of 64 KiB and more": lambda v: any(len(t.raw_data) >= 1 << 16 for t in v.graph.initializer),
    "an initializer of 1 MiB and more": lambda v: any(len(t.raw_data) >= 1 << 20 for t in v.graph.initializer),
    "data in another file": lambda v: any(t.data_location for t in v.graph.initializer),
    "a sequence or an optional inside": lambda v: v.has("SequenceConstruct", "SequenceEmpty", "SplitToSequence",
                                                        "Optional", "SequenceInsert"),
    "a sequence that is built": lambda v: v.has("SequenceConstruct", "SequenceEmpty", "SplitToSequence"),
    "a sequence that is indexed": lambda v: v.has("SequenceAt"),
    "a sequence that is concatenated": lambda v: v.has("ConcatFromSequence"),
    "an optional that is built or read": lambda v: v.has("Optional", "OptionalHasElement", "OptionalGetElement"),
    "a sequence as output": lambda v: v.typed(v.outputs, "sequence_type"),
    "an optional as output": lambda v: v.typed(v.outputs, "optional_type"),
    "a sequence as input": lambda v: v.typed(v.inputs, "sequence_type"),
    "an optional as input": lambda v: v.typed(v.inputs, "optional_type"),
    "no input": lambda v: not v.inputs,
    "rank 0": lambda v: any(not dims for dims in v.shapes),
    "rank 6": lambda v: any(len(dims) == 6 for dims in v.shapes),
    "rank 7": lambda v: any(len(dims) == 7 for dims in v.shapes),
    "rank 8": lambda v: any(len(dims) == 8 for dims in v.shapes),
    "an empty tensor": lambda v: any(d.WhichOneof("value") == "dim_value" and not d.dim_value
                                     for dims in v.shapes for d in dims),
    "a dim with a name": lambda v: any(d.dim_param for dims in v.shapes for d in dims),
    "strings": lambda v: "string" in v.types,
    "complex numbers": lambda v: not v.types.isdisjoint({"complex64", "complex128"}),
    "bfloat16": lambda v: "bfloat16" in v.types,
    "floats of 8 bits": lambda v: any(name.startswith("float8") for name in v.types),
    "floats of 6 bits": lambda v: any(name.startswith("float6") for name in v.types),
    "floats of 4 bits": lambda v: any(name.startswith("float4") for name in v.types),
    "integers of 4 bits": lambda v: not v.types.isdisjoint({"int4", "uint4"}),
    "integers of 2 bits": lambda v: not v.types.isdisjoint({"int2", "uint2"}),
})  # fmt: skip
"""Every trait in words, and whether a model has it."""


def traits(view: View) -> list[str]:
    """The traits of one model."""
    return [name for name, has in TRAITS.items() if has(view)]


def counted(
    root: Path, progress: Callable[[int], None] = lambda _models: None
) -> tuple[int, Counter[str], list[str]]:
    """How many models of a root were read, how many of them have each trait, and the ids of those not to be read.

    Raises RootError.
    """
    found: Counter[str] = Counter()
    models, broken = 0, []
    for case in find_cases(root):
        try:
            found.update(traits(View(onnx.load(case.model_path, load_external_data=False), _overrides(case))))
            models += 1
        except (CaseError, DecodeError, OSError, RuntimeError, ValueError):
            broken.append(case.id)
        progress(1)
    return models, found, broken


def _overrides(case: Case) -> bool:
    """Whether a data set gives more than it must."""
    ports = read_signature(case.model_path)
    if not ports.defaults:
        return False
    return any(len(read_inputs(case, folder, ports)) > len(ports.inputs) for folder in case.data_sets)
