"""What a fault needs around it: the other nodes without which a node that is wrong is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx

from abstract.program import parse
from backends.tensor import Tensor, from_numpy
from fuzz.judge.divergence import Exposed, as_inputs, reads
from fuzz.judge.judge import reference_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from abstract.program import Program
    from backends.tensor import Value

__all__ = ["Context", "context", "only"]


@dataclass(frozen=True, slots=True)
class Context:
    """A model's nodes (operator and name), the place among them of the one in question, and what is due.

    ``known`` holds, for each set of inputs, those and every tensor that the reference computes from them.
    """

    nodes: tuple[tuple[str, str], ...]
    at: int
    known: tuple[dict[str, Value], ...]


def context(
    exposed: Exposed, sets: Sequence[Mapping[str, Value]], output: str, target: str, folder: str = ""
) -> Context:
    """What is needed to leave nodes out around the one that computes a tensor.

    Raises what ``abstract.program.parse`` raises, and what the reference cannot do.
    """
    proto = onnx.ModelProto.FromString(exposed.model)
    program = parse(proto, folder)
    nodes = proto.graph.node
    at = next(index for index, node in enumerate(nodes) if output in node.output)
    known = tuple(_due(program, inputs, target) for inputs in sets)
    return Context(tuple((node.op_type, node.name) for node in nodes), at, known)


def _due(program: Program, inputs: Mapping[str, Value], target: str) -> dict[str, Value]:
    """Every tensor that the reference computes, as a target would hold it, and the inputs."""
    values = reference_values(program, inputs, target)
    found = dict(inputs)
    for name, value in values.items():
        dtype = program.dtypes.get(name)
        if name not in found and dtype is not None and isinstance(value.value, np.ndarray) and dtype.bits:
            with np.errstate(all="ignore"):
                found[name] = from_numpy(value.value.astype(dtype.numpy))
    return found


def only(
    exposed: Exposed, keep: Sequence[int], known: Sequence[Mapping[str, Value]]
) -> tuple[Exposed, list[list[Value]]] | None:
    """The model of some nodes alone and its inputs; what the others computed it is given, as it is due.

    ``keep`` are indices of nodes. None where a node reads what is not known as a tensor.
    """
    proto = onnx.ModelProto.FromString(exposed.model)
    nodes = [proto.graph.node[index] for index in keep]
    made = {name for node in nodes for name in node.output if name}
    constants = {constant.name for constant in proto.graph.initializer}
    # Inputs stay, be they read or not: backends match shapes of inputs, and keep what they saw in them.
    wanted = [info.name for info in proto.graph.input if info.name not in constants]
    read = dict.fromkeys(name for node in nodes for name in reads(node))
    wanted += [name for name in read if name not in {*wanted, *made, *constants}]
    tensors = [{name: v for name in wanted if isinstance(v := values.get(name), Tensor)} for values in known]
    if any(len(row) != len(wanted) for row in tensors):
        return None
    outputs = [output for output in proto.graph.output if output.name in made]
    inputs = as_inputs(proto.graph, tensors[-1])
    del proto.graph.input[:], proto.graph.node[:], proto.graph.output[:], proto.graph.value_info[:]
    proto.graph.node.extend(nodes)
    proto.graph.output.extend(outputs)
    proto.graph.input.extend(inputs)
    names = tuple(output.name for output in outputs)
    piece = Exposed(proto.SerializeToString(deterministic=True), names, tuple(wanted))
    return piece, [list(row.values()) for row in tensors]
