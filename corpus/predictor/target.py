"""What is predicted: a label, in which units a network learns it, and how far off it was found to be."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import exp, isfinite, log
from statistics import fmean, median, pstdev
from typing import TYPE_CHECKING, Any

from corpus.graphs.computation import GraphError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from corpus.graphs.computation import ComputationGraph

__all__ = ["Target", "fitted", "is_cost", "known", "value"]

_COSTS = ("latency", "flops", "parameters", "memory")
_MAD = 1.4826  # times the median absolute deviation is the standard deviation of a normal distribution
_FARTHEST = 700.0  # e to more is infinite


def is_cost(label: str) -> bool:
    """Whether of this label less is better and ratios count: latency, operations, parameters, memory."""
    return label.startswith(_COSTS)


@dataclass(frozen=True, slots=True)
class Target:
    """A label as a network learns it: the logarithm of a cost, anything else as it is, less ``offset``, over ``scale``.

    ``bias`` and ``spread`` are the median of (learned − predicted) on graphs that were held back, and its standard
    deviation by way of the median absolute deviation; None before they were looked at.
    """

    label: str
    offset: float = 0.0
    scale: float = 1.0
    bias: float | None = None
    spread: float | None = None

    def learned(self, label: float) -> float:
        """The number that a network learns for a label."""
        return ((log(label) if is_cost(self.label) else label) - self.offset) / self.scale

    def told(self, number: float) -> float:
        """The label that a network's number stands for."""
        plain = number * self.scale + self.offset
        return exp(max(min(plain, _FARTHEST), -_FARTHEST)) if is_cost(self.label) else plain

    def judged(self, labels: Sequence[float], predicted: Sequence[float]) -> Target:
        """The same with what these graphs, which were held back, say of its error."""
        off = [self.learned(label) - self.learned(told) for label, told in zip(labels, predicted, strict=True)]
        middle = median(off)
        return replace(self, bias=middle, spread=_MAD * median(abs(one - middle) for one in off))

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> Target:
        """What `to_json` gave. Raises GraphError."""
        try:
            made = Target(**content)
        except TypeError:
            raise GraphError(f"this is no target of a predictor: {sorted(content)}") from None
        numbers = [made.offset, made.scale, *(one for one in (made.bias, made.spread) if one is not None)]
        # A file of a stranger's may hold anything in their place.
        if type(made.label) is not str or any(type(one) is not float or not isfinite(one) for one in numbers):
            raise GraphError("this is no target of a predictor: a label, and numbers")
        return made


def fitted(label: str, graphs: Sequence[ComputationGraph], *, sums: bool) -> Target:
    """The units in which these graphs' labels are learned best.

    Mean 0 and standard deviation 1; where the network ``sums`` over nodes, mean 0 alone: parts that add know of no
    scale. Raises GraphError where a network that sums is to learn what is no cost.
    """
    plain = Target(label)
    values = [plain.learned(value(graph, label)) for graph in graphs]
    if sums:
        if not is_cost(label):
            raise GraphError(f"a label that is no cost, {label!r}, is no sum over nodes: take the readout mean")
        return replace(plain, offset=fmean(values))
    return replace(plain, offset=fmean(values), scale=pstdev(values) or 1.0)


def known(graphs: Iterable[ComputationGraph], label: str) -> tuple[ComputationGraph, ...]:
    """The graphs that have this label."""
    return tuple(graph for graph in graphs if label in graph.labels)


def value(graph: ComputationGraph, label: str) -> float:
    """A label as a number. Raises GraphError where it is none, or a cost that is not above 0."""
    found = graph.labels.get(label)
    if not isinstance(found, int | float) or isinstance(found, bool) or not isfinite(found):
        raise GraphError(f"graph {graph.name} has no number as its label {label!r}")
    if is_cost(label) and found <= 0:
        raise GraphError(f"graph {graph.name}: {label} is {found}, and a cost is above 0")
    return float(found)
