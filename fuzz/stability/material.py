"""What a case is varied with, made in a process apart: other inputs and other weights, and how far results may part.

What a stranger's model holds is parsed here and in workers, never in the driver.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.numpy_helper

from abstract.dtypes import BY_CODE
from abstract.fallback import Unrunnable
from abstract.hazards.detection import Trace
from abstract.program import parse, to_carrier
from abstract.reference import TooLarge, interpret
from backends.tensor import Tensor, from_numpy, to_numpy
from fuzz.judge.hazards import told
from fuzz.judge.judge import reference_values
from fuzz.judge.run import samples_of
from fuzz.stability.difference import beyond

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from abstract.operator import Array
    from abstract.program import Program
    from backends.tensor import Value
    from fuzz.case import Case
    from fuzz.stability.difference import Place

__all__ = ["Material", "gather", "left_open", "parted"]

_INPUTS = 3  # `once` runs this many sets of inputs at least, where it finds them
_LIMIT = 2**24  # elements of a tensor
_LIMITS = (Unrunnable, TooLarge, ValueError, IndexError, ArithmeticError, MemoryError)
_RANDOM = frozenset({"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
                     "RandomUniformLike"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Material:
    """What a case gives.

    Attributes:
        random: the operator that draws random numbers, so that no two runs need agree; empty where there is none.
        mutants: inputs on which the model is defined as well, made of those of the first data set.
        weights: the model with its floating-point weights in another order; None where there are none to move.
    """

    random: str = ""
    mutants: tuple[tuple[Value, ...], ...] = ()
    weights: bytes | None = None


def gather(case: Case, *, mutants: bool, weights: bool) -> Material:
    """Make what is asked for of a case; nothing of a model that the reference does not cover.

    Raises CaseError, OSError, and what onnx raises for a model that it cannot read.
    """
    model = onnx.ModelProto.FromString(case.model_path.read_bytes())
    random = _random(model)
    if random or not (mutants or weights):
        return Material(random)
    program = parse(model, str(case.folder))
    samples = samples_of(case)
    if not samples or any(step.row is None for step in program.steps):
        return Material()
    inputs = samples[0].inputs
    made = _mutants(program, inputs, _INPUTS - len(samples)) if mutants else ()
    other = _reweighted(model) if weights else None
    if other is not None and not _is_defined(parse(other, str(case.folder)), inputs):
        other = None
    return Material("", made, None if other is None else other.SerializeToString(deterministic=True))


def parted(
    case: Case, target: str, number: int, expected: Sequence[Value], actual: Sequence[Value]
) -> tuple[Place | None, str]:
    """Where two results of a data set are further apart than the case's bound on a target lets both err.

    With why nothing can be said, where the reference does not say what is due; the place is None then.
    """
    program = parse(onnx.ModelProto.FromString(case.model_path.read_bytes()), str(case.folder))
    try:
        values = reference_values(program, samples_of(case)[number].inputs, target)
        known = [values[name] for name in program.outputs]
    except _LIMITS as problem:
        return None, f"the reference cannot run the model: {problem}".split("\n", 1)[0][:200]
    return beyond(expected, actual, known), ""


def left_open(case: Case, target: str, number: int) -> str:
    """Why whatever comes of a data set is legal (an index out of range, say); empty where nothing is known against it.

    Such a node may read memory that is not its own, or trap.
    """
    program = parse(onnx.ModelProto.FromString(case.model_path.read_bytes()), str(case.folder))
    trace = Trace()
    with suppress(*_LIMITS):
        reference_values(program, samples_of(case)[number].inputs, target, trace=trace)
    return told([arising for arising in trace.arisings if arising.stops])


def _random(model: onnx.ModelProto) -> str:
    """The first operator that draws random numbers, in the graph, its subgraphs and the model's functions."""
    pending: list[Any] = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    flags = (t for t in model.graph.initializer if BY_CODE[t.data_type].name == "bool")
    off = {t.name for t in flags if not onnx.numpy_helper.to_array(t).any()} | {""}
    while pending:
        node = pending.pop()
        # A Dropout may be in training mode, unless its third input is known to be false.
        training = node.op_type == "Dropout" and len(node.input) > 2 and node.input[2] not in off
        if node.op_type in _RANDOM or training:
            return str(node.op_type)
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                pending.extend(graph.node)
    return ""


def _is_defined(program: Program, inputs: Mapping[str, Value]) -> bool:
    """Whether every operator is defined on the values that it gets."""
    try:
        carried = {name: _carried(program, name, value) for name, value in inputs.items()}
        interpret(program, carried, limit=_LIMIT, strict=True)
    except _LIMITS:
        return False
    return True


def _carried(program: Program, name: str, value: Value) -> Any:
    if not isinstance(value, Tensor):
        raise Unrunnable("no tensor")
    dtype = program.dtypes.get(name)
    array = to_numpy(value)
    return array if dtype is None else to_carrier(array, dtype)


def _mutants(program: Program, inputs: Mapping[str, Value], count: int) -> tuple[tuple[Value, ...], ...]:
    """Up to `count` sets of inputs: the elements of each tensor backwards, moved on by one, or negated."""
    found: list[tuple[Value, ...]] = []
    for change in (_backwards, _moved_on, _negated):
        changed = {name: _changed(value, change) for name, value in inputs.items()}
        mutant = tuple(changed.values())
        new = mutant != tuple(inputs.values()) and mutant not in found
        if len(found) < count and new and _is_defined(program, changed):
            found.append(mutant)
    return tuple(found)


def _changed(value: Value, change: Callable[[Array], Array]) -> Value:
    return from_numpy(change(to_numpy(value))) if isinstance(value, Tensor) else value


def _backwards(array: Array) -> Array:
    return array.reshape(-1)[::-1].reshape(array.shape)


def _moved_on(array: Array) -> Array:
    return np.roll(array, 1)


def _negated(array: Array) -> Array:
    return -array if array.dtype.kind == "f" else array


def _reweighted(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """The same structure with the elements of its floating-point weights backwards; None where none would change."""
    other = onnx.ModelProto()
    other.CopyFrom(model)
    constants = [a.t for n in other.graph.node if n.op_type == "Constant" for a in n.attribute if a.name == "value"]
    moved = False
    for tensor in (*other.graph.initializer, *constants):
        if not BY_CODE[tensor.data_type].is_float or tensor.external_data:
            continue
        array = onnx.numpy_helper.to_array(tensor)
        turned = np.ascontiguousarray(_backwards(array))
        if turned.tobytes() != array.tobytes():
            moved = True
            tensor.CopyFrom(onnx.numpy_helper.from_array(turned, tensor.name))
    return other if moved else None
