"""A model that is about to be broken, with what shape inference knows of its values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import onnx.shape_inference

from backends.tensor import ONNX_NUMBERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Array = np.ndarray[Any, np.dtype[Any]]

__all__ = ["FLOATS", "INTEGERS", "Draft", "Site", "Type", "rewritten"]

_NAMES = {number: name for name, number in ONNX_NUMBERS.items()}
_UNGUARDED = frozenset({"EyeLike", "RegexFullMatch"})  # those that targets with faults are given
_NOWHERE = "nowhere"
FLOATS = frozenset({"float", "double", "float16", "bfloat16"})
INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})


@dataclass(frozen=True, slots=True)
class Type:
    """Element type and shape of a value; a dim that is open is None, as is the shape where the rank is unknown."""

    element: str
    shape: tuple[int | None, ...] | None


@dataclass(slots=True)
class Draft:
    """A copy of a model to change; ``types`` and ``constants`` are those of the model as it was."""

    model: onnx.ModelProto
    types: Mapping[str, Type]
    constants: Mapping[str, onnx.TensorProto]

    @staticmethod
    def read(model: onnx.ModelProto) -> Draft:
        """A model with the types of its values; they are few where shape inference fails."""
        constants = {t.name: t for t in model.graph.initializer}
        for node in model.graph.node:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
                constants[node.output[0]] = node.attribute[0].t
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        return Draft(copy, _types(model, strict=False), constants)

    def copy(self) -> Draft:
        """Another copy."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        return Draft(model, self.types, self.constants)

    def is_sound(self) -> bool:
        """Whether it is a valid model still, in which every value that it had has the type that it had."""
        try:
            types = _types(self.model, strict=True)
        except (onnx.shape_inference.InferenceError, ValueError):
            return False
        return all(_fits(types[name], own) for name, own in self.types.items() if name in types)


def _fits(new: Type, old: Type) -> bool:
    if new.element != old.element:
        return False
    if new.shape is None or old.shape is None:
        return True
    return len(new.shape) == len(old.shape) and all(
        a is None or b is None or a == b for a, b in zip(new.shape, old.shape, strict=True)
    )


def _types(model: onnx.ModelProto, *, strict: bool) -> dict[str, Type]:
    try:
        inferred = _inferred(model, strict=strict)
    except (onnx.shape_inference.InferenceError, ValueError):
        if strict:
            raise
        inferred = model
    types = {t.name: Type(_NAMES.get(t.data_type, ""), tuple(t.dims)) for t in model.graph.initializer}
    for info in (*inferred.graph.input, *inferred.graph.output, *inferred.graph.value_info):
        tensor = info.type.tensor_type
        shape = None
        if tensor.HasField("shape"):
            shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim)
        if info.type.HasField("tensor_type"):
            types[info.name] = Type(_NAMES.get(tensor.elem_type, ""), shape)
    return types


def _inferred(model: onnx.ModelProto, *, strict: bool) -> onnx.ModelProto:
    """The model with its types. Raises as ONNX's inference, which does not outlive some nodes behind one that fails.

    It reads the type of their operand without a look whether there is one (docs/disputes.md).
    """

    def infer(one: onnx.ModelProto) -> onnx.ModelProto:
        return onnx.shape_inference.infer_shapes(one, check_type=strict, strict_mode=strict, data_prop=True)

    operands = [node.input[0] for node in model.graph.node if node.op_type in _UNGUARDED]
    if not operands:
        return infer(model)
    without = onnx.ModelProto()
    without.CopyFrom(model)
    without.opset_import.add(domain=_NOWHERE, version=1)
    for node in without.graph.node:
        if node.op_type in _UNGUARDED:
            node.domain = _NOWHERE
    found = infer(without)
    graph = found.graph
    known = {i.name for i in (*graph.input, *graph.value_info, *graph.output)} | {t.name for t in graph.initializer}
    return infer(model) if known.issuperset(operands) else found


@dataclass(slots=True)
class Site:
    """One node of a draft. What reads its values and changes the graph about it."""

    draft: Draft
    node: onnx.NodeProto
    _tail: int = field(default=0)

    # --- what is known ----------------------------------------------------------------------------------------------

    @property
    def operator(self) -> str:
        """The operator's name."""
        return str(self.node.op_type)

    @property
    def output(self) -> str:
        """The name of the first output."""
        return str(self.node.output[0])

    def input(self, position: int) -> str:
        """The name of an input, empty where it is absent."""
        return str(self.node.input[position]) if position < len(self.node.input) else ""

    def element(self, name: str) -> str:
        """The element type of a value, empty where it is not known."""
        found = self.draft.types.get(name)
        return "" if found is None else found.element

    def is_float(self, name: str) -> bool:
        """Whether a value is known to be of floats."""
        return self.element(name) in FLOATS

    def is_integer(self, name: str) -> bool:
        """Whether a value is known to be of integers."""
        return self.element(name) in INTEGERS

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of a value where all of it is known."""
        found = self.draft.types.get(name)
        if found is None or found.shape is None or None in found.shape:
            return None
        return tuple(size for size in found.shape if size is not None)

    def rank(self, name: str) -> int | None:
        """The rank of a value."""
        found = self.draft.types.get(name)
        return None if found is None or found.shape is None else len(found.shape)

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute's value."""
        found = [a for a in self.node.attribute if a.name == name]
        return onnx.helper.get_attribute_value(found[0]) if found else default

    def constant(self, position: int) -> Array | None:
        """The value of an input that is a constant."""
        found = self.draft.constants.get(self.input(position))
        return None if found is None else onnx.numpy_helper.to_array(found)

    def integers(self, position: int) -> list[int] | None:
        """The numbers of an input that is a constant of integers."""
        found = self.constant(position)
        return None if found is None else [int(n) for n in found.ravel()]

    def producer(self, name: str) -> onnx.NodeProto | None:
        """The node that computes a value."""
        nodes: Iterator[onnx.NodeProto] = (n for n in self.draft.model.graph.node if name in n.output)
        return next(nodes, None) if name else None

    def earlier(self) -> Iterator[str]:
        """The names of all values that can be read at this node, the newest first."""
        nodes = list(self.draft.model.graph.node)
        for node in reversed(nodes[: nodes.index(self.node)]):
            yield from (name for name in node.output if name)
        yield from (info.name for info in self.draft.model.graph.input)

    # --- what can be changed ----------------------------------------------------------------------------------------

    def set(self, name: str, value: Any) -> bool:
        """Give an attribute a value, None takes it away; True, as what a rewrite returns that changed something."""
        kept = [a for a in self.node.attribute if a.name != name]
        del self.node.attribute[:]
        self.node.attribute.extend(kept if value is None else [*kept, onnx.helper.make_attribute(name, value)])
        return True

    def make(self, array: Any, element: str = "int64") -> str:
        """The name of a new constant."""
        graph = self.draft.model.graph
        name = f"planted{len(graph.initializer)}"
        tensor = onnx.numpy_helper.from_array(np.asarray(array, dtype=onnx.helper.tensor_dtype_to_np_dtype(
            ONNX_NUMBERS[element])), name)  # fmt: skip
        graph.initializer.append(tensor)
        return name

    def before(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """A new node in front of this one; the name of its output."""
        return self._insert(list(self.draft.model.graph.node).index(self.node), operator, inputs, attributes, "")

    def detach(self, position: int = 0) -> str:
        """Give an output another name, so that nodes behind can make the old one from it; the new name."""
        name = f"planted_{self.node.output[position]}"
        self.node.output[position] = name
        return name

    def behind(self, operator: str, inputs: Sequence[str], into: str = "", **attributes: Any) -> str:
        """A new node behind this one and those put there before; the name of its output (``into`` where given)."""
        self._tail += 1
        at = list(self.draft.model.graph.node).index(self.node) + self._tail
        return self._insert(at, operator, inputs, attributes, into)

    def become(self, operator: str, inputs: Sequence[str], **attributes: Any) -> bool:
        """Turn the node into another one."""
        self.node.op_type = operator
        del self.node.input[:], self.node.attribute[:]
        self.node.input.extend(inputs)
        self.node.attribute.extend(onnx.helper.make_attribute(k, v) for k, v in attributes.items())
        return True

    def drop_inputs(self, start: int) -> bool:
        """Leave out the inputs from a position on; whether there was one."""
        there = any(self.node.input[start:])
        del self.node.input[start:]
        return there

    def slice(self, name: str, start: int, end: int, axis: int, *, ahead: bool = True) -> str:
        """A part of a value along an axis, in front of the node or behind it."""
        bounds = [self.make([n]) for n in (start, end, axis)]
        return (self.before if ahead else self.behind)("Slice", [name, *bounds])

    def _insert(
        self, at: int, operator: str, inputs: Sequence[str], attributes: Mapping[str, Any], into: str
    ) -> str:
        graph = self.draft.model.graph
        name = into or f"planted_{operator}{len(graph.node)}"
        label = f"planted_{len(graph.node)}"
        graph.node.insert(at, onnx.helper.make_node(operator, inputs, [name], name=label, **attributes))
        return name


def rewritten(model: onnx.ModelProto, rewrite: Callable[[Site], bool]) -> onnx.ModelProto | None:
    """The model with a fault at every node that can have it; None where none can.

    A change that leaves no valid model, or gives a value another type, is taken back: compilers that make such a
    mistake stop at it themselves.
    """
    draft = Draft.read(model)
    changed = False
    for output in [node.output[0] for node in model.graph.node if node.output and not node.domain]:
        trial = draft.copy()
        node = next((n for n in trial.model.graph.node if n.output and n.output[0] == output), None)
        if node is None:
            continue
        try:
            done = rewrite(Site(trial, node))
        except (LookupError, TypeError, ValueError):  # a node that is not made as the rewrite takes it to be
            continue
        if done and trial.is_sound():
            draft, changed = trial, True
    return draft.model if changed else None
