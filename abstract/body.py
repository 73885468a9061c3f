"""Nodes that stand for others (If, Loop, Scan, SequenceMap, Gradient, functions), interpreted as the model is.

Each node of a body has its own rule and bound, whatever the depth, and a state that is carried from trip to trip
carries its bound. Where a condition or a number of trips errs, not even the shape of what follows is sure.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from abstract.bounded import Bounded
from abstract.capture import read
from abstract.dtypes import BY_CODE, DType, dtype
from abstract.gradient import gradient
from abstract.program import Inside, Program, Step, parse_body, to_carrier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from abstract.operator import Array

__all__ = ["TooLarge", "Work", "has_body", "run_body"]

_ABSENT = Bounded(None, 0.0, None)
_INT64, _BOOL = dtype("int64"), dtype("bool")


class TooLarge(Exception):
    """A tensor of the model has more elements than the caller allows, or its loops take more work."""


class Work:
    """What may still be done inside of bodies, counted and not timed, so that it is the same on every machine.

    A node costs 1, and 1 more for each 1,024 elements that it makes: 2**18 take some 20 seconds.
    """

    def __init__(self, limit: int = 2**18) -> None:
        self.limit = self.left = limit

    def spend(self, result: Bounded) -> None:
        """Count one output. Raises TooLarge where nothing is left."""
        self.left -= 1 + np.size(result.value) // 1024 if isinstance(result.value, np.ndarray) else 1
        if self.left < 0:
            raise TooLarge(f"its loops evaluate more than {self.limit:,} nodes")


def has_body(program: Program, node: onnx.NodeProto) -> bool:
    """Whether a node is one of those that ``run_body`` runs."""
    return (node.domain, node.op_type) in _RUN or _function(program, node) is not None


def run_body(program: Program, step: Step, values: Mapping[str, Bounded], inside: Inside) -> Iterator[Bounded]:
    """The outputs of a node, given every value so far.

    Raises ValueError where the node is not defined (a scan output of no trip whose shape is not declared), and what
    ``inside`` raises.
    """
    function = _function(program, step.node)
    if function is not None:
        results = _call(program, step, function, values, inside)
    else:
        results = _RUN[step.node.domain, step.node.op_type](program, step, values, inside)
    return iter(results)


# -- functions ---------------------------------------------------------------------------------------------------


def _function(program: Program, node: onnx.NodeProto) -> onnx.FunctionProto | None:
    known = program.model.functions
    return next((f for f in known if (f.domain, f.name) == (node.domain, node.op_type)), None) if known else None


def _call(
    program: Program, step: Step, function: onnx.FunctionProto, values: Mapping[str, Bounded], inside: Inside
) -> list[Bounded]:
    """A function of the model: a scope of its own, with the opsets that it names."""
    model = onnx.ModelProto(ir_version=program.model.ir_version)
    model.opset_import.extend(function.opset_import)
    model.functions.extend(program.model.functions)
    given = dict(zip(function.input, step.node.input, strict=False))
    scope = {formal: values[name] for formal, name in given.items() if name}
    given_attributes = {a.name: a for a in (*function.attribute_proto, *step.node.attribute)}
    graph = onnx.GraphProto(name=function.name)
    graph.node.extend(function.node)
    _fill(graph, given_attributes, frozenset(function.input) - set(scope))
    body = parse_body(replace(program, model=model), graph, _dtypes(scope))
    made = dict(zip(function.output, step.node.output, strict=False))
    results = inside(replace(body, arguments=given, results=made), scope)
    return [results[name] for name in function.output[: len(step.node.output)]]


def _fill(graph: onnx.GraphProto, attributes: Mapping[str, onnx.AttributeProto], absent: frozenset[str]) -> None:
    """Put the attributes of a call where a function's nodes refer to them, and nothing for what it leaves out."""
    for node in graph.node:
        for position, name in enumerate(node.input):
            if name in absent:
                node.input[position] = ""
        kept = []
        for attribute in node.attribute:
            if attribute.ref_attr_name:
                if attribute.ref_attr_name in attributes:
                    filled = onnx.AttributeProto()
                    filled.CopyFrom(attributes[attribute.ref_attr_name])
                    filled.name = attribute.name
                    kept.append(filled)
                continue
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    _fill(inner, attributes, absent)
            kept.append(attribute)
        copies = [onnx.AttributeProto.FromString(a.SerializeToString()) for a in kept]
        del node.attribute[:]
        node.attribute.extend(copies)


# -- control flow ------------------------------------------------------------------------------------------------


class _Body:
    """A subgraph of a node, with what it reads from outside."""

    def __init__(self, program: Program, graph: onnx.GraphProto, values: Mapping[str, Bounded], inside: Inside) -> None:
        self.graph = graph
        self.inputs = [i.name for i in graph.input]
        self.inside = inside
        self.captured = {name: values[name] for name in read(graph) if name in values}
        self.outer = program
        self.program: Program | None = None

    def run(self, inputs: Sequence[Bounded]) -> list[Bounded]:
        """Its outputs. What a formal input is called inside hides a value of that name outside."""
        scope = {**self.captured, **dict(zip(self.inputs, inputs, strict=False))}
        if self.program is None:
            self.program = parse_body(self.outer, self.graph, _dtypes(scope))
        values = self.inside(self.program, scope)
        return [values[name] for name in self.program.outputs]


def _dtypes(values: Mapping[str, Bounded]) -> dict[str, DType]:
    return {name: value.dtype for name, value in values.items() if value.dtype is not None}


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def _operands(step: Step, values: Mapping[str, Bounded]) -> list[Bounded]:
    return [values[name] if name else _ABSENT for name in step.node.input]


def _sure(value: Bounded) -> bool:
    return value.shaped and not np.any(value.bound)


def _scalar(value: Bounded) -> Any:
    """The one element of a tensor. Raises ValueError where it has another number of them."""
    return np.asarray(value.value).item()


def _unsure(result: Bounded) -> Bounded:
    return Bounded(result.value, np.inf, result.dtype, shaped=False)


def _settled(results: Sequence[Bounded], sure: bool) -> list[Bounded]:
    return list(results) if sure else [_unsure(result) for result in results]


def _if(program: Program, step: Step, values: Mapping[str, Bounded], inside: Inside) -> list[Bounded]:
    """One of two bodies."""
    condition = values[step.node.input[0]]
    chosen = _attributes(step.node)["then_branch" if _scalar(condition) else "else_branch"]
    return _settled(_Body(program, chosen, values, inside).run(()), _sure(condition))


def _loop(program: Program, step: Step, values: Mapping[str, Bounded], inside: Inside) -> list[Bounded]:
    """Trips while there are any left and the condition holds; an absent condition is true.

    Operators.md, Loop: ``input (trip_count, ""): for (int i=0; i < trip_count; ++i) { cond = ...; // ignored }``.
    Runtimes obey the condition that the body returns all the same: where it says stop, nothing is sure. Without a
    number of trips as well, the text has no end to the loop.
    """
    limit, condition, *state = (*_operands(step, values), _ABSENT, _ABSENT)[: max(2, len(step.node.input))]
    body = _Body(program, _attributes(step.node)["body"], values, inside)
    trips = count() if limit.value is None else range(_scalar(limit))
    ignored = condition.value is None
    going = Bounded(np.ones((), bool), 0.0, _BOOL) if ignored else condition
    sure = _sure(limit) and _sure(going)
    scanned: list[list[Bounded]] = []
    for trip in trips:
        if not _scalar(going):
            break
        results = body.run((Bounded(np.array(trip), 0.0, _INT64), going, *state))
        state = results[1 : 1 + len(state)]
        scanned.append(results[1 + len(state) :])
        sure = sure and _sure(results[0])
        if not ignored:
            going = results[0]
        elif not _scalar(results[0]):
            sure = False
            if limit.value is None:
                break
    outputs = [o.type.tensor_type for o in body.graph.output[1 + len(state) :]]
    scans = [_stacked([row[k] for row in scanned], 0, declared) for k, declared in enumerate(outputs)]
    return _settled([*state, *scans], sure)


def _scan(program: Program, step: Step, values: Mapping[str, Bounded], inside: Inside) -> list[Bounded]:
    """A trip for each slice of the scanned inputs; before opset 9 for each element of a batch."""
    attributes = _attributes(step.node)
    body = _Body(program, attributes["body"], values, inside)
    operands = _operands(step, values)
    if step.opset >= 9:
        return _scanned(body, operands, attributes)
    lengths, *operands = operands
    most = _extent(operands[-1], 1)
    batch = [
        _scanned(body, [_taken(x, b, 0) for x in operands], attributes, most if lengths.value is None else int(n))
        for b, n in enumerate(np.broadcast_to(most if lengths.value is None else np.asarray(lengths.value),
                                              _extent(operands[-1], 0)))
    ]  # fmt: skip
    first = len(operands) - attributes["num_scan_inputs"]
    rows = [[x if k < first else _padded(x, most) for k, x in enumerate(row)] for row in batch]
    return _settled([_stacked(list(column), 0, None) for column in zip(*rows, strict=True)], _sure(lengths))


def _scanned(
    body: _Body, operands: Sequence[Bounded], attributes: Mapping[str, Any], trips: int | None = None
) -> list[Bounded]:
    """The final states and the scan outputs, along the axes and in the directions that the attributes say."""
    number = attributes["num_scan_inputs"]
    first = len(operands) - number
    state, scanned = list(operands[:first]), operands[first:]
    axes = attributes.get("scan_input_axes") or [0] * number
    back = attributes.get("scan_input_directions") or attributes.get("directions") or [0] * number
    extent = _extent(scanned[0], axes[0])
    trips = extent if trips is None else trips
    made: list[list[Bounded]] = []
    for trip in range(trips):
        slices = [_taken(x, trips - 1 - trip if r else trip, a) for x, a, r in zip(scanned, axes, back, strict=True)]
        results = body.run((*state, *slices))
        state = results[:first]
        made.append(results[first:])
    outputs = body.graph.output[first:]
    axes = attributes.get("scan_output_axes") or [0] * len(outputs)
    back = attributes.get("scan_output_directions") or [0] * len(outputs)
    return [*state, *(
        _stacked([row[k] for row in (reversed(made) if back[k] else made)], axes[k], port.type.tensor_type)
        for k, port in enumerate(outputs)
    )]  # fmt: skip


def _map(program: Program, step: Step, values: Mapping[str, Bounded], inside: Inside) -> list[Bounded]:
    """The body for each part of the first sequence, and of the others; a tensor is the same for all."""
    body = _Body(program, _attributes(step.node)["body"], values, inside)
    operands = _operands(step, values)
    first = operands[0].value
    if not isinstance(first, list):
        raise ValueError("SequenceMap goes over a sequence")  # noqa: TRY004 - what a model's data brings about
    rows = [body.run([_part(x, k) for x in operands]) for k in range(len(first))]
    outputs = len(body.graph.output)
    return [_listed([row[k] for row in rows], operands[0].shaped) for k in range(outputs)]


def _part(x: Bounded, index: int) -> Bounded:
    """One tensor of a sequence."""
    if not isinstance(x.value, list):
        return x
    part = np.asarray(x.value[index])
    value = part if x.dtype is None else to_carrier(part, x.dtype)
    return Bounded(value, x.parts[index] if x.parts is not None else x.bound, x.dtype, x.shaped)


def _listed(parts: Sequence[Bounded], shaped: bool) -> Bounded:
    """A sequence of tensors with their bounds."""
    own = parts[0].dtype if parts else None
    bounds = tuple(part.bound for part in parts)
    exact = not any(np.any(bound) for bound in bounds)
    sure = shaped and all(part.shaped for part in parts)
    return Bounded([part.value for part in parts], 0.0 if exact else np.inf, own, sure, bounds)


# -- slices of bounded tensors -----------------------------------------------------------------------------------


def _tensor(x: Bounded) -> Array:
    if not isinstance(x.value, np.ndarray):
        raise ValueError("a loop scans and stacks tensors alone")  # noqa: TRY004 - what a model's data brings about
    return x.value


def _extent(x: Bounded, axis: int) -> int:
    return int(_tensor(x).shape[axis])


def _taken(x: Bounded, index: int, axis: int) -> Bounded:
    """One slice along an axis, which goes."""
    value = np.asarray(_tensor(x).take(index, axis))
    bound = x.bound
    if not isinstance(bound, float):
        bound = np.broadcast_to(bound, _tensor(x).shape).take(index, axis)
    return replace(x, value=value, bound=bound)


def _stacked(parts: Sequence[Bounded], axis: int, declared: onnx.TypeProto.Tensor | None) -> Bounded:
    """Slices on a new axis; of no slice the shape is what the body's output declares."""
    if not parts:
        shape = None if declared is None or not declared.HasField("shape") else declared.shape.dim
        if declared is None or shape is None or not all(d.HasField("dim_value") for d in shape):
            raise ValueError("a scan output of no trip has no shape: the body's output declares none")
        own = BY_CODE[declared.elem_type]
        dims = [d.dim_value for d in shape]
        dims.insert(axis % (len(dims) + 1), 0)
        return Bounded(np.zeros(dims, own.carrier), 0.0, own)
    shaped = all(part.shaped for part in parts)
    value = np.stack([_tensor(part) for part in parts], axis=axis)
    if all(isinstance(part.bound, float) and part.bound == 0.0 for part in parts):
        return Bounded(value, 0.0, parts[0].dtype, shaped)
    bounds = [np.broadcast_to(np.asarray(part.bound), _tensor(part).shape) for part in parts]
    return Bounded(value, np.stack(bounds, axis=axis), parts[0].dtype, shaped)


def _padded(x: Bounded, extent: int) -> Bounded:
    """Zeros after the last slice, up to an extent of the first axis."""
    value = _tensor(x)
    more = [(0, extent - value.shape[0])] + [(0, 0)] * (value.ndim - 1)
    bound = x.bound if isinstance(x.bound, float) else np.pad(np.broadcast_to(x.bound, value.shape), more)
    return replace(x, value=np.pad(value, more), bound=bound)


_RUN: Mapping[
    tuple[str, str], Callable[[Program, Step, Mapping[str, Bounded], Inside], list[Bounded]]
] = MappingProxyType({
    ("", "If"): _if, ("", "Loop"): _loop, ("", "Scan"): _scan, ("", "SequenceMap"): _map,
    ("ai.onnx.preview.training", "Gradient"): gradient,
})  # fmt: skip
