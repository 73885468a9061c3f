"""A computation graph as numbers: a row a node, the edges, and what is to be predicted.

A row is what GENNAPE (github.com/Ascend-Research/GENNAPE, AAAI 2023) gives its predictor of a node: its label, one-hot
over the vocabulary with the labels in reserve and the one of what has none; height, width and channels, before and
after, heights and widths over 256 and channels over 512; of a weighted node its kernel's shape and whether it has a
bias. ``costs`` appends whether the channels fill whole vectors, and what a node computes, gives, takes and keeps, as
logarithms: a network that adds cannot multiply sizes out of its inputs.
"""

from __future__ import annotations

from math import gcd, log, log2, prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from corpus.graphs.counting import elements
from corpus.graphs.vocabulary import UNKNOWN, VOCABULARY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from corpus.graphs.computation import ComputationGraph, Node

__all__ = ["COSTS", "encoded", "logarithms", "row", "width"]

_SIDE, _CHANNELS, _WINDOW = 256.0, 512.0, 8.0
COSTS = ("operations", "given", "taken", "weights")
"""The counts behind a row of ``costs``: operations, elements of what the node gives and takes, and of its weights."""
_VECTOR = 16  # float32 of the widest vector: kernels are written for channels that fill them
_SCALE = 4.0  # of a base-2 logarithm: 2^32 operations are 8
_PLACES = MappingProxyType({label: place for place, label in enumerate(VOCABULARY)})


def _published(node: Node) -> list[float]:
    label = [0.0] * len(VOCABULARY)
    label[_PLACES.get(node.operator, _PLACES[UNKNOWN])] = 1.0
    regular, weighted = node.regular, node.weighted
    sizes = [0.0] * 7
    if regular is not None:
        sides, channels = regular[:4], regular[4:]
        sizes = [1.0, *(side / _SIDE for side in sides), *(count / _CHANNELS for count in channels)]
    kernel = [0.0] * 6
    if weighted is not None:
        before, after, high, wide = weighted
        kernel = [1.0, before / _CHANNELS, after / _CHANNELS, high / _WINDOW, wide / _WINDOW, float(node.bias)]
    return label + sizes + kernel


def _costs(node: Node) -> list[float]:
    taken = sum(elements(shape) or 0 for shape in node.shapes_in)
    counts = (node.operations() or 0, elements(node.shape) or 0, taken, sum(map(prod, node.weights)))
    channels = (node.channels_in, node.channels_out)
    return [*_published(node), *map(_aligned, channels), *(log2(1 + count) / _SCALE for count in counts)]


def _aligned(channels: int | None) -> float:
    """How far 2 divides the channels, from 0, where they are odd, to 1, where they fill whole vectors."""
    return log2(gcd(channels, _VECTOR)) / log2(_VECTOR) if channels else 1.0


_ROWS: Mapping[str, Callable[[Node], list[float]]] = MappingProxyType({"published": _published, "costs": _costs})
_WIDTHS = MappingProxyType({"published": len(VOCABULARY) + 13, "costs": len(VOCABULARY) + 15 + len(COSTS)})


def width(features: str) -> int:
    """Numbers in a row of this kind."""
    return _WIDTHS[features]


def row(node: Node, features: str = "published") -> list[float]:
    """What a predictor sees of a node; `width` numbers, 0 for what is not known."""
    return _ROWS[features](node)


def logarithms(rows: Any) -> Any:
    """Of rows of ``costs``, [nodes, width], the natural logarithms of 1 + each of `COSTS`, [nodes, 4]."""
    return rows[:, -len(COSTS) :] * (_SCALE * log(2))


def encoded(graph: ComputationGraph, features: str = "published", target: float | None = None) -> Any:
    """A graph as a ``torch_geometric.data.Data``: the same for the same graph.

    ``x`` is float32 [nodes, width], ``edge_index`` int64 [2, edges], sorted, an edge that is there twice once; ``y``,
    where there is a target, float32 [1].
    """
    import torch
    from torch_geometric.data import Data

    pairs: Sequence[tuple[int, int]] = sorted({(edge.source, edge.target) for edge in graph.edges})
    x = torch.tensor([row(node, features) for node in graph.nodes], dtype=torch.float32)
    edges = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).t().contiguous()
    y = None if target is None else torch.tensor([target], dtype=torch.float32)
    return Data(x=x, edge_index=edges, y=y)
