"""A computation graph as numbers: a row a node, the edges, and what is to be predicted.

A row is what GENNAPE (github.com/Ascend-Research/GENNAPE, AAAI 2023) gives its predictor of a node: its label, one-hot
over the vocabulary with the labels in reserve and the one of what has none; height, width and channels, before and
after, heights and widths over 256 and channels over 512; of a weighted node its kernel's shape and whether it has a
bias. ``costs`` appends what a node computes, gives and keeps, as logarithms: a network that adds cannot multiply
sizes out of its inputs.
"""

from __future__ import annotations

from math import log2, prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from corpus.graphs.vocabulary import UNKNOWN, VOCABULARY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from corpus.graphs.computation import ComputationGraph, Node

__all__ = ["FEATURES", "encoded", "row", "width"]

_SIDE, _CHANNELS, _WINDOW = 256.0, 512.0, 8.0
_LOGARITHM = 4.0
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
    sizes = [dim for dim in node.shape or () if isinstance(dim, int)]
    given = prod(sizes) if node.shape is not None and len(sizes) == len(node.shape) else 0
    counts = (node.operations() or 0, given, sum(map(prod, node.weights)))
    return _published(node) + [log2(1 + count) / _LOGARITHM for count in counts]


FEATURES: Mapping[str, Callable[[Node], list[float]]] = MappingProxyType({"published": _published, "costs": _costs})
"""The kinds of rows: ``published``, and ``costs``, which is that with three logarithms behind it."""
_WIDTHS = MappingProxyType({"published": len(VOCABULARY) + 13, "costs": len(VOCABULARY) + 16})


def width(features: str) -> int:
    """Numbers in a row of this kind."""
    return _WIDTHS[features]


def row(node: Node, features: str = "published") -> list[float]:
    """What a predictor sees of a node; `width` numbers, 0 for what is not known."""
    return FEATURES[features](node)


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
