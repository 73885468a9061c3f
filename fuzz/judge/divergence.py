"""Where a wrong answer begins: intermediate values exposed, the first node whose output parts from the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import onnx
import onnx.shape_inference

from abstract.program import Program, parse
from fuzz.judge.compare import Comparison, compare
from fuzz.judge.judge import reference_values
from fuzz.judge.verdict import Word

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backends.tensor import Value

__all__ = ["Divergence", "Exposed", "expose", "first_divergence"]


@dataclass(frozen=True, slots=True)
class Exposed:
    """The same model with every intermediate tensor as an output; ``names`` are its outputs in topological order."""

    model: bytes
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first node, in topological order, with an output that the bound does not allow.

    ``hidden`` says that there is none: with its intermediates exposed the target answers correctly, so the fault lies
    in an optimisation that exposing them prevents.
    """

    node: str
    operator: str
    output: str
    comparison: Comparison | None
    hidden: bool = False

    def __str__(self) -> str:
        if self.hidden:
            return "none: with all intermediate values exposed the answer is right; an optimisation is at fault"
        return f"{self.operator} {self.node!r}, output {self.output!r}".replace("  ", " ")


def expose(model: bytes, folder: str = "") -> Exposed:
    """Make every tensor that a node of the main graph computes an output, in front of the outputs that were there.

    Raises what ``abstract.program.parse`` raises for a model that cannot be read.
    """
    proto = onnx.ModelProto.FromString(model)
    program = parse(proto, folder)
    have = {o.name: o for o in proto.graph.output}
    inferred = {v.name: v for v in onnx.shape_inference.infer_shapes(proto, data_prop=True).graph.value_info}
    names: list[str] = []
    for step in program.steps:
        for name, dtype in zip(step.outputs, step.output_dtypes, strict=False):
            if name and (name in have or dtype is not None) and name not in names:
                names.append(name)
    del proto.graph.output[:]
    for name in names:
        info = have.get(name)
        if info is None:
            # The checker asks for the shape of an output; where inference does not know it, runtimes still run.
            info = inferred.get(name) or onnx.ValueInfoProto(name=name)
            info.type.tensor_type.elem_type = program.dtypes[name].code
        proto.graph.output.append(info)
    return Exposed(proto.SerializeToString(deterministic=True), tuple(names))


def first_divergence(
    exposed: Exposed, inputs: Mapping[str, Value], outputs: Sequence[Value], target: str, folder: str = ""
) -> Divergence:
    """The node at which a target's exposed values first part from the reference.

    ``outputs`` are what the target gave for the exposed model on ``inputs``, in the order of ``exposed.names``.
    """
    program: Program = parse(onnx.ModelProto.FromString(exposed.model), folder)
    values = reference_values(program, inputs, target)
    answers = dict(zip(exposed.names, outputs, strict=True))
    for step in program.steps:
        for name in step.outputs:
            if name not in answers:
                continue
            found = compare(answers[name], values[name])
            if found.word in (Word.WRONG, Word.SUSPECT):
                return Divergence(step.node.name, step.node.op_type, name, found)
    return Divergence("", "", "", None, hidden=True)
