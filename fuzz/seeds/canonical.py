"""What a window looks like apart from names, sizes and the order in which a file lists its nodes.

Two windows are alike where operators, wiring, classes of attributes, element types and ranks are: their keys are equal.
A key is made as Weisfeiler and Leman colour graphs (1968): each node's label takes in those of its neighbours, with the
positions of the edges. Windows that colouring cannot tell apart count as alike.
"""

from __future__ import annotations

import hashlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import onnx

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fuzz.seeds.net import Edge, Place

__all__ = ["attributes", "digest", "key", "label"]

_DIGITS = 16

# Parameters that hold sizes or counts: of each number only whether it is negative, 0, 1 or more is told.
_SIZES: Mapping[str, bool] = MappingProxyType(dict.fromkeys((
    "shape", "split", "starts", "ends", "pads", "kernel_shape", "sizes", "scales", "output_shape", "repeats", "group",
    "K", "hidden_size", "depth", "start", "limit", "delta", "input", "k", "num_outputs", "num_groups", "blocksize",
), True))  # fmt: skip


def digest(parts: Iterable[Any]) -> str:
    """A short text that stands for these parts."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:_DIGITS]


def label(place: Place) -> str:
    """What one node looks like: operator, class of its attributes, types, ranks and kinds of operands."""
    params = attributes(place)
    operands = [None if edge is None else _look(edge) for edge in place.inputs]
    return digest((place.operator, params, operands, [_look(edge) for edge in place.outputs], place.absent))


def attributes(place: Place) -> list[tuple[str, Any]]:
    """A node's parameters by name, of each the class that tells it from another one."""
    return [(name, _class(name, value)) for name, value in sorted(place.params.items())]


def _look(edge: Edge) -> tuple[Any, ...]:
    ones = "".join("1" if size == 1 else "n" for size in edge.shape)  # a size of 1 broadcasts
    return edge.dtype.name, ones, edge.kind


def _class(name: str, value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_class(name, item) for item in value)
    if isinstance(value, float):
        return value if value in (0.0, 1.0, -1.0) else "number"
    if name in _SIZES and isinstance(value, int):
        return value if value in (0, 1) else "negative" if value < 0 else "more"
    if isinstance(value, onnx.TensorProto):
        return value.data_type
    return value


def key(places: Sequence[Place]) -> str:
    """The key of some nodes in an order in which each stands behind what it reads."""
    made = {edge.name: (i, at) for i, place in enumerate(places) for at, edge in enumerate(place.outputs) if edge.name}
    labels = [label(place) for place in places]
    shared: dict[str, list[tuple[int, int]]] = {}
    edges: list[tuple[int, int, int, int]] = []
    for i, place in enumerate(places):
        for at, edge in enumerate(place.inputs):
            if edge is not None and edge.name in made:
                edges.append((*made[edge.name], i, at))
            elif edge is not None:
                shared.setdefault(edge.name, []).append((i, at))
    for _ in range(len(places) // 2 + 1):  # from either end of a chain that reaches the other half
        near: list[list[str]] = [[] for _ in places]
        for source, out, sink, at in edges:
            near[sink].append(f"from {out} {at} {labels[source]}")
            near[source].append(f"to {out} {at} {labels[sink]}")
        for readers in shared.values():
            told = sorted(f"{at} {labels[i]}" for i, at in readers)
            for i, at in readers if len(readers) > 1 else ():
                near[i].append(f"shares {at} {told}")
        labels = [digest((own, *sorted(each))) for own, each in zip(labels, near, strict=True)]
    return digest(sorted(labels))
