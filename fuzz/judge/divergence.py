"""Where a wrong answer begins: intermediate values exposed, the first node whose output parts from the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import onnx
from onnx import helper

from abstract.capture import captured
from abstract.dtypes import BY_CODE, BY_NAME
from abstract.inference import infer_types
from abstract.program import parse
from backends.tensor import Tensor
from fuzz.judge.compare import Comparison, compare
from fuzz.judge.judge import reference_values
from fuzz.judge.verdict import Word

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from abstract.program import Step
    from backends.tensor import Value

__all__ = ["Divergence", "Exposed", "alone", "as_inputs", "cuts", "expose", "first_divergence", "parts", "reads"]

_BAD = frozenset({Word.WRONG, Word.SUSPECT})


@dataclass(frozen=True, slots=True)
class Exposed:
    """A model with its intermediate tensors as outputs; ``names`` are its outputs in topological order.

    ``inputs`` are the names of its inputs where they are not those of the case.
    """

    model: bytes
    names: tuple[str, ...]
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first node, in topological order, with an output that the bound does not allow.

    ``hidden`` says that with all intermediates exposed the target answers correctly, so the fault lies in an
    optimisation that exposing them prevents; the node is then the first at which the model, cut off behind it, is
    wrong, or, where no cut shows the fault, the one that computes the wrong output of the ``entire`` model; empty where
    neither was found. ``alone`` is whether the node by itself is wrong on the inputs that it
    had; None where that was not tried. ``gone`` says that the model as it was, run again, gives the right answer.
    ``dtypes`` are the element types of the node's inputs. ``needs`` are the other nodes without which it is right, if
    there are any: operator and name. ``after`` says that it also needs the data sets that ran before.
    """

    node: str
    operator: str
    output: str
    comparison: Comparison | None
    hidden: bool = False
    alone: bool | None = None
    gone: bool = False
    dtypes: tuple[str, ...] = ()
    needs: tuple[tuple[str, str], ...] = ()
    after: bool = False
    entire: bool = False

    def __str__(self) -> str:
        if self.gone:
            return "none: run again, the answer is right"
        where = f"{self.operator} {self.node!r}, output {self.output!r}".replace("  ", " ")
        if self.hidden:
            cause = "with all intermediate values exposed the answer is right; an optimisation is at fault"
            part = "of the model as a whole" if self.entire else "of the model cut off behind it"
            return f"{where}, {part}{self._context}: {cause}" if self.operator else f"none: {cause}"
        if self.alone is None:
            return where
        return where + ("; the node alone is wrong too" if self.alone else f"; the node alone is right{self._context}")

    @property
    def _context(self) -> str:
        others = " and ".join(f"{operator} {name!r}" for operator, name in self.needs)
        words = [f"together with {others}"] if others else []
        words += ["after other data sets"] if self.after else []
        return f", wrong only {' '.join(words)}" if words else ""


def expose(model: bytes, folder: str = "") -> Exposed:
    """Make every tensor that a node of the main graph computes an output, in front of the outputs that were there.

    Raises what ``abstract.program.parse`` raises for a model that cannot be read.
    """
    proto = onnx.ModelProto.FromString(model)
    program = parse(proto, folder)
    have = {o.name: o for o in proto.graph.output}
    inferred = {v.name: v for v in infer_types(proto, data_prop=True).graph.value_info}
    names: list[str] = []
    for step in program.steps:
        for name, dtype in zip(step.outputs, step.output_dtypes, strict=False):
            # What control flow and sequences give has no type but the one that ONNX infers.
            known = name in have or dtype is not None or (name in inferred and _is_tensor(inferred[name]))
            if name and known and name not in names:
                names.append(name)
    del proto.graph.output[:]
    for name in names:
        info = have.get(name)
        if info is None:
            # The checker asks for the shape of an output; where inference does not know it, runtimes still run.
            info = inferred.get(name) or onnx.ValueInfoProto(name=name)
            if name in program.dtypes:
                info.type.tensor_type.elem_type = program.dtypes[name].code
        proto.graph.output.append(info)
    return Exposed(proto.SerializeToString(deterministic=True), tuple(names))


def _is_tensor(info: onnx.ValueInfoProto) -> bool:
    return info.type.HasField("tensor_type") and info.type.tensor_type.elem_type in BY_CODE


def cuts(exposed: Exposed) -> Iterator[Exposed]:
    """For each tensor in topological order the model that computes it alone, with its ancestors and nothing else."""
    whole = onnx.ModelProto.FromString(exposed.model)
    makers = {name: node for node in whole.graph.node for name in node.output if name}
    for output in whole.graph.output:
        wanted, todo = set(), [output.name]
        while todo:
            maker = makers.get(todo.pop())
            if maker is not None and id(maker) not in wanted:
                wanted.add(id(maker))
                todo.extend(reads(maker))
        proto = onnx.ModelProto()
        proto.CopyFrom(whole)
        kept = [node for node in whole.graph.node if id(node) in wanted]
        del proto.graph.node[:], proto.graph.output[:]
        proto.graph.node.extend(kept)
        proto.graph.output.append(output)
        yield Exposed(proto.SerializeToString(deterministic=True), (output.name,))


def reads(node: onnx.NodeProto) -> Iterator[str]:
    """The names that a node reads, those that its bodies capture included (and their own, which do no harm)."""
    return (name for name in (*node.input, *captured(node)) if name)


def parts(
    exposed: Exposed, inputs: Mapping[str, Value], outputs: Sequence[Value], target: str, folder: str = ""
) -> tuple[Step, str, Comparison] | None:
    """The first step and output at which a target's values part from the reference, None where none does."""
    program = parse(onnx.ModelProto.FromString(exposed.model), folder)
    values = reference_values(program, inputs, target)
    answers = dict(zip(exposed.names, outputs, strict=True))
    for step in program.steps:
        for name in step.outputs:
            if name not in answers:
                continue
            found = compare(answers[name], values[name])
            if found.word in _BAD:
                return step, name, found
    return None


def first_divergence(
    exposed: Exposed, inputs: Mapping[str, Value], outputs: Sequence[Value], target: str, folder: str = ""
) -> Divergence:
    """The node at which a target's exposed values first part from the reference.

    ``outputs`` are what the target gave for the exposed model on ``inputs``, in the order of ``exposed.names``.
    """
    found = parts(exposed, inputs, outputs, target, folder)
    if found is None:
        return Divergence("", "", "", None, hidden=True)
    step, name, comparison = found
    dtypes = tuple(d.name for d in step.input_dtypes if d is not None)
    return Divergence(step.node.name, step.node.op_type, name, comparison, dtypes=dtypes)


def alone(exposed: Exposed, output: str, known: Mapping[str, Value]) -> tuple[Exposed, dict[str, Value]] | None:
    """The node that computes a tensor as a model of its own, with its inputs; ``known`` are inputs and exposed values.

    Its inputs have the types that they had, sizes that were open stay open.

    None where the node reads what is not known as a tensor (a sequence, a value that a body captures).
    """
    proto = onnx.ModelProto.FromString(exposed.model)
    node = next(n for n in proto.graph.node if output in n.output)
    constants = {c.name: c for c in proto.graph.initializer}
    makers = [n for n in proto.graph.node if n.op_type == "Constant" and n.output[0] in node.input]
    have = {*constants, *(maker.output[0] for maker in makers)}
    wanted = [name for name in dict.fromkeys(reads(node)) if name not in have]
    if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
        return None
    feeds = {name: value for name in wanted if isinstance(value := known.get(name), Tensor)}
    if len(feeds) != len(wanted):
        return None
    outputs = [info for info in proto.graph.output if info.name in node.output]
    inputs = as_inputs(proto.graph, feeds)
    kept = [constants[name] for name in dict.fromkeys(node.input) if name in constants]
    del proto.graph.node[:], proto.graph.output[:], proto.graph.input[:], proto.graph.initializer[:]
    del proto.graph.value_info[:]
    proto.graph.node.extend([*makers, node])
    proto.graph.initializer.extend(kept)
    proto.graph.output.extend(outputs)
    proto.graph.input.extend(inputs)
    names = tuple(info.name for info in outputs)
    return Exposed(proto.SerializeToString(deterministic=True), names), dict(feeds)


def as_inputs(graph: onnx.GraphProto, values: Mapping[str, Tensor]) -> list[onnx.ValueInfoProto]:
    """Declarations of inputs for values of a graph: sizes are fixed where they are in the graph, and nowhere else."""
    told = {info.name: info for info in (*graph.output, *graph.input) if info.type.tensor_type.HasField("shape")}
    return [
        told.get(name)
        or helper.make_tensor_value_info(name, BY_NAME[value.element_type].code, [None] * len(value.shape))
        for name, value in values.items()
    ]
