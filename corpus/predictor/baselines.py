"""What a predictor has to beat: a line through the operations, and a graph network without this one's choices."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

from corpus.graphs.computation import GraphError
from corpus.predictor.network import Settings
from corpus.predictor.target import Target, fitted, value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corpus.graphs.computation import ComputationGraph

__all__ = ["PLAIN", "Line", "line", "operations"]

PLAIN = Settings(gnn="GCNConv")
"""The plain GCN: GCNConv in place of GraphConv, all else as published."""


@dataclass(frozen=True, slots=True)
class Line:
    """A label as a linear function of the logarithm of the operations, of a cost its logarithm."""

    target: Target
    slope: float
    middle: float

    def predict(self, graphs: Sequence[ComputationGraph]) -> list[float]:
        """The label that the line says for each graph."""
        return [self.target.told(self.slope * (log(operations(graph)) - self.middle)) for graph in graphs]


def line(label: str, graphs: Sequence[ComputationGraph]) -> Line:
    """The line of least squares through these graphs. Raises GraphError."""
    target = fitted(label, graphs, sums=False)
    x = [log(operations(graph)) for graph in graphs]
    y = [target.learned(value(graph, label)) for graph in graphs]
    middle = sum(x) / len(x)
    spread = sum((one - middle) ** 2 for one in x)
    slope = sum((one - middle) * other for one, other in zip(x, y, strict=True)) / spread if spread else 0.0
    return Line(target, slope, middle)


def operations(graph: ComputationGraph) -> float:
    """Operations of one run, at least 1. Raises GraphError where a size is not fixed."""
    found = graph.labels.get("flops", graph.flops())
    if not isinstance(found, int | float):
        raise GraphError(f"graph {graph.name} has a size that is not fixed: its operations cannot be counted")
    return max(float(found), 1.0)
