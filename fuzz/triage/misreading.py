"""Whether a wrong answer is the right one of a node that was misread: of other operands, or along another axis.

An operand may be taken for its neighbour (two constants of one shape, two buffers), or broadcast along an axis where it
is not 1. The reference computes the node in each such way; what comes out as the target's answer names the mistake,
whatever the operator is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx

from backends.tensor import Tensor, from_numpy, to_numpy
from fuzz.triage.assessment import know
from fuzz.triage.candidate import Candidate
from fuzz.triage.relation import ALONG, BROADCAST, EXCHANGED, relation
from fuzz.values import encode_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from backends.tensor import Value

__all__ = ["misread"]

_MOST = 4096  # elements of an operand that is looked at
_FEWEST = 4  # elements of an answer: fewer may agree by chance


def misread(candidate: Candidate, values: Mapping[str, Value], got: Sequence[Value]) -> str:
    """The misreading that explains the outputs of a model of one node on its first data set; empty where none does.

    ``values`` are what the reference computes, by name.
    """
    nodes = [node for node in candidate.proto().graph.node if node.op_type != "Constant"]
    if len(nodes) != 1 or not any(_telling(value) for value in got):
        return ""
    due = [values.get(output.name) for output in candidate.proto().graph.output]
    for how, changed in _misreadings(candidate, nodes[0], values):
        outputs = _computed(changed)
        if _same(outputs, got) and not _same(outputs, due):
            return how
    return ""


def _computed(candidate: Candidate) -> list[Value]:
    """The outputs of a model on its first data set; none where it means nothing."""
    try:
        found = know(candidate)
    except Exception:  # noqa: BLE001 - a node read so need not make sense
        return []
    return [found.values[0].get(output.name) for output in candidate.proto().graph.output]


def _telling(value: Value) -> bool:
    """Whether an answer has enough elements, and not all of them the same."""
    if not isinstance(value, Tensor) or value.element_type == "string":
        return False
    array = to_numpy(value).reshape(-1)
    return array.size >= _FEWEST and bool(np.any(array != array[0]))


def _same(one: Sequence[Value], other: Sequence[Value]) -> bool:
    return len(one) == len(other) and all(
        isinstance(a, Tensor) and isinstance(b, Tensor) and not relation(to_numpy(a), to_numpy(b))
        for a, b in zip(one, other, strict=True)
    )


def _misreadings(
    candidate: Candidate, node: onnx.NodeProto, values: Mapping[str, Value]
) -> Iterator[tuple[str, Candidate]]:
    operands = [values.get(name) if name else None for name in node.input]
    rank = max((len(value.shape) for value in operands if isinstance(value, Tensor)), default=0)
    for axis in [int(a.i) for a in node.attribute if a.name == "axis"]:
        for other in range(rank):
            if other != axis % rank:
                yield ALONG, _along(candidate, other)
    for at, own in enumerate(operands):
        if not isinstance(own, Tensor) or own.element_type == "string":
            continue
        for other, value in enumerate(operands):
            alike = isinstance(value, Tensor) and (value.element_type, value.shape) == (own.element_type, own.shape)
            if alike and value != own:
                yield EXCHANGED, _reading(candidate, at, node.input[other])
        array = to_numpy(own)
        for along in dict.fromkeys((array.ndim - 1, 0)) if 0 < array.size <= _MOST else ():
            if array.ndim and array.shape[along] > 1:
                first = np.broadcast_to(array.take([0], along), array.shape)
                yield BROADCAST, _reading(candidate, at, "misread", from_numpy(np.ascontiguousarray(first)))


def _along(candidate: Candidate, axis: int) -> Candidate:
    proto = candidate.proto()
    node = next(node for node in proto.graph.node if node.op_type != "Constant")
    next(a for a in node.attribute if a.name == "axis").i = axis
    return Candidate(proto.SerializeToString(deterministic=True), candidate.feeds[:1])


def _reading(candidate: Candidate, at: int, name: str, value: Tensor | None = None) -> Candidate:
    """The model with another operand at a position: a value that it has, or a new constant."""
    proto = candidate.proto()
    node = next(node for node in proto.graph.node if node.op_type != "Constant")
    node.input[at] = name
    if value is not None:
        proto.graph.initializer.append(onnx.TensorProto.FromString(encode_value(name, value)))
    return Candidate(proto.SerializeToString(deterministic=True), candidate.feeds[:1])
