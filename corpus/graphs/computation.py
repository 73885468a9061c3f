"""A computation graph: typed nodes with what a predictor wants to know of each, and edges that lead forwards.

The features are GENNAPE's (github.com/Ascend-Research/GENNAPE, AAAI 2023): a regular node has its height, width and
channels before and after, a weighted one the shape of its kernel and whether it has a bias as well. How they are read
off a tensor's shape is said at `layout`. A file of graphs may be a stranger's: `ComputationGraph.from_json` takes
nothing on trust.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any

from corpus.graphs.vocabulary import CHANNELS_LAST, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ComputationGraph", "Dim", "Edge", "Features", "GraphError", "Node", "Resolution", "Shape", "layout"]

Dim = int | str
Shape = tuple[Dim, ...]
Resolution = tuple[int, int]
Features = tuple[int, int, int, int, int, int]


class GraphError(ValueError):
    """What was read is no computation graph, or none can be made of it; the text is one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node.

    ``operator`` is a label of `corpus.graphs.vocabulary`, ``source`` what the graph's own language calls it (``Conv``,
    ``aten.conv2d.default``, ``Conv2D``). ``shapes_in`` are those of the values that it reads, in the order of its
    edges, ``shape`` and ``type`` those of its (first) output: a size that is not fixed is its name, ``?`` where it has
    none; None a shape of which not even the rank is known. ``kernel`` is the window of a convolution or a pooling,
    ``weights`` the shapes of its parameters, the kernel first: of a convolution [out, in of a group, *window] (of a
    transposed one [in, out of a group, *window]), of a matrix [in, out]. ``parameters`` are their names, since two
    nodes may share one. ``modules`` is the way from the model to the module that the node stands in, each as (path,
    class), where the source keeps that, ``arguments`` what else the operator is told, each as (name, text).
    """

    name: str
    operator: str
    source: str
    resolution_in: Resolution | None = None
    resolution_out: Resolution | None = None
    channels_in: int | None = None
    channels_out: int | None = None
    kernel: tuple[int, ...] = ()
    bias: bool = False
    weights: tuple[tuple[int, ...], ...] = ()
    parameters: tuple[str, ...] = ()
    shapes_in: tuple[Shape | None, ...] = ()
    shape: Shape | None = None
    type: str = ""
    modules: tuple[tuple[str, str], ...] = ()
    arguments: tuple[tuple[str, str], ...] = ()

    @property
    def regular(self) -> Features | None:
        """GENNAPE's (height in, out, width in, out, channels in, out); None where one is not known."""
        if self.resolution_in is None or self.resolution_out is None:
            return None
        if self.channels_in is None or self.channels_out is None:
            return None
        (height_in, width_in), (height_out, width_out) = self.resolution_in, self.resolution_out
        return height_in, height_out, width_in, width_out, self.channels_in, self.channels_out

    @property
    def weighted(self) -> tuple[int, int, int, int] | None:
        """GENNAPE's (channels in, channels out, window height, window width) of a convolution or a matrix product.

        The channels in are those of a group; the window of a product is 0 by 0; None where the node has no kernel.
        """
        if not self.weights or self.operator not in _WEIGHTED:
            return None
        first = self.weights[0]
        if self.operator == "MatMul":
            return (first[-2], first[-1], 0, 0) if len(first) > 1 else None
        if len(first) < 3:
            return None
        return first[1], first[0], first[2], first[3] if len(first) > 3 else 1

    def operations(self) -> int | None:
        """Arithmetic operations of one run, as `corpus.graphs.counting` counts them; None where a size is not fixed."""
        from corpus.graphs.counting import operations

        return operations(self)


_WEIGHTED = frozenset({"Conv", "Depthwise", "MatMul"})


@dataclass(frozen=True, slots=True)
class Edge:
    """From one node to another, by their places; ``position`` is which of its values the reader reads it as."""

    source: int
    target: int
    position: int


@dataclass(frozen=True, slots=True)
class ComputationGraph:
    """A network: nodes in an order in which they can be computed, edges that all lead forwards.

    ``labels`` is what was measured or is known of it: ``latency_ms``, ``flops``, ``parameters``, ``memory``,
    ``accuracy``, ``model_type``, …
    """

    name: str
    family: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    labels: Mapping[str, float | str] = field(default_factory=dict)

    def parameters(self) -> int:
        """How many numbers its parameters have; one that several nodes read counts once."""
        sizes: dict[str, int] = {}
        unnamed = 0
        for node in self.nodes:
            if len(node.parameters) == len(node.weights):
                sizes.update(zip(node.parameters, map(prod, node.weights), strict=True))
            else:
                unnamed += sum(map(prod, node.weights))
        return sum(sizes.values()) + unnamed

    def flops(self) -> int | None:
        """Arithmetic operations of one run, None where a size is not fixed."""
        total = 0
        for node in self.nodes:
            count = node.operations()
            if count is None:
                return None
            total += count
        return total

    def labelled(self, labels: Mapping[str, float | str]) -> ComputationGraph:
        """The same graph with these labels beside those that it has, or in their place."""
        return replace(self, labels={**self.labels, **labels})

    def to_json(self) -> dict[str, Any]:
        """As plain data; what a node does not have is left out."""
        from corpus.graphs.form import graph_to_json

        return graph_to_json(self)

    @staticmethod
    def from_json(content: Any) -> ComputationGraph:
        """What `to_json` gave. Raises GraphError, of one line, where the content is anything else."""
        from corpus.graphs.form import graph_from_json

        return graph_from_json(content)


def layout(
    shape: Sequence[Dim] | None, operator: str = UNKNOWN, *, channels_last: bool = False
) -> tuple[Resolution | None, int | None]:
    """Height and width, and channels, that a tensor's shape has by this project's rule; None for what is not fixed.

    - 4 dimensions and more are [N, C, …, H, W], as in ONNX and PyTorch; so are 3, [N, C, H], of a convolution,
      a pooling or a batch normalisation, the width being 1.
    - What a matrix product reads and gives has its channels last at any rank: [N, H, W, C]; so has everything where
      ``channels_last`` says so, as in TensorFlow.
    - 3 dimensions of any other operator are [N, H, C], a sequence, the width being 1.
    - 2 dimensions are [N, C] and 1 is [C], height and width being 1 (GENNAPE's rule); a scalar is 1 by 1 by 1.
    """
    if shape is None:
        return None, None
    rank = len(shape)
    last = channels_last or operator in CHANNELS_LAST
    if rank < 3:
        return (1, 1), _fixed(shape[-1]) if rank else 1
    if rank == 3 and (last or operator not in _SPATIAL):
        return _pair(shape[1], 1), _fixed(shape[2])
    if last:
        return _pair(shape[-3], shape[-2]), _fixed(shape[-1])
    if rank == 3:
        return _pair(shape[2], 1), _fixed(shape[1])
    return _pair(shape[-2], shape[-1]), _fixed(shape[1])


_SPATIAL = frozenset({
    "Conv", "Depthwise", "BatchNorm", "Maxpool", "Avgpool", "Global", "SpacetoBatchND", "BatchtoSpaceND",
})  # fmt: skip


def _fixed(dim: Dim) -> int | None:
    return dim if isinstance(dim, int) else None


def _pair(height: Dim, width: Dim) -> Resolution | None:
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None
