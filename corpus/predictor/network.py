"""The predictor's network: a k-GNN over the nodes, then one number a graph.

The published one is GENNAPE's: six GraphConv layers (k-GNN, arXiv 1810.02244), width 32, tanh, the mean over the
nodes, then linear layers. ``shares`` ends otherwise: each node is given a number, and the graph's is the logarithm of
the sum of their exponentials, so that a latency is a sum over nodes and each node has its share of it. ``roofline`` is
that with something to begin from: a node takes the time of its operations, of the elements that it moves and of its
call, each at a rate that is learned of its label (after Williams, Waterman and Patterson, Roofline, CACM 2009; a sum in
place of the maximum), and what the layers say of it is a factor, such as that of a ReLU which is fused.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch_geometric.nn as geometric
from torch import Tensor, nn
from torch_geometric.utils import scatter

from corpus.graphs.vocabulary import VOCABULARY
from corpus.predictor.encoding import logarithms, width
from corpus.predictor.recipe import FEATURES, LAYERS, READOUTS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Network", "NetworkError", "Settings", "build"]

_RATES = (3e7, 1e6, 1e3)  # operations, moved elements, calls in a millisecond, to begin with
_LEAST = 0.1  # of a standard deviation
_TIMID = 0.1  # factors begin near 1
_WIDEST, _DEEPEST = 512, 32  # a file may ask for as much


class NetworkError(ValueError):
    """Settings, or a file, of no such network; one line."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a network is made of; the defaults are the published ones."""

    gnn: str = "GraphConv"
    features: str = "published"
    readout: str = "mean"
    width: int = 32
    layers: int = 6

    def __post_init__(self) -> None:
        """Raise NetworkError where there is no such network."""
        for what, value, known in (
            ("GNN", self.gnn, LAYERS), ("features", self.features, FEATURES), ("readout", self.readout, READOUTS)
        ):  # fmt: skip
            if value not in known:
                raise NetworkError(f"there is no {what} {value!r}: {', '.join(known)}")
        for what, number, most in (("width", self.width, _WIDEST), ("layers", self.layers, _DEEPEST)):
            if type(number) is not int or not 0 < number <= most:
                raise NetworkError(f"{what} is a whole number from 1 to {most}, not {number!r}")
        if self.readout == "roofline" and self.features != "costs":
            raise NetworkError("the readout roofline needs the features costs")

    @property
    def sums(self) -> bool:
        """Whether a graph's number is a sum over its nodes, each with a share."""
        return self.readout != "mean"

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> Settings:
        """What `to_json` gave. Raises NetworkError."""
        try:
            return Settings(**content)
        except TypeError:
            raise NetworkError(f"these are no settings of a network: {sorted(content)}") from None


class Network(nn.Module):  # type: ignore[misc]  # torch has no types here
    """Layers over a batch of graphs; one number a graph."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        size, given = settings.width, width(settings.features)
        self.settings = settings
        self.embed = nn.Linear(given, size)
        self.layers = nn.ModuleList(_layer(settings.gnn, size) for _ in range(settings.layers))
        if settings.sums:
            self.head = nn.Sequential(nn.Linear(size + given, size), nn.ReLU(), nn.Linear(size, 1))
            self.register_buffer("middle", torch.zeros(given))
            self.register_buffer("spread", torch.ones(given))
        else:
            self.head = nn.Sequential(
                nn.Linear(size, size), nn.ReLU(), nn.Linear(size, size), nn.ReLU(), nn.Linear(size, 1)
            )
        if settings.readout == "roofline":
            with torch.no_grad():
                self.head[-1].weight.mul_(_TIMID)
            self.rates = nn.Parameter(-torch.tensor(_RATES).log().repeat(len(VOCABULARY), 1))

    def forward(self, batch: Any) -> Tensor:
        """Predictions, float32 [graphs], of a torch_geometric batch."""
        if self.settings.sums:
            scores = self.scores(batch)
            # The logarithm of a sum of exponentials; the largest is taken out first, or they overflow.
            most = scatter(scores.detach(), batch.batch, reduce="max")
            return most + scatter((scores - most[batch.batch]).exp(), batch.batch, reduce="sum").log()
        hidden = self._hidden(batch.x, batch.edge_index)
        pooled: Tensor = self.head(scatter(hidden, batch.batch, reduce="mean"))
        return pooled.squeeze(1)

    def standardise(self, rows: Tensor) -> None:
        """Where nodes are summed: learn in the units in which these rows, [nodes, width], have mean 0 and deviation 1.

        What nearly all rows have in common is no unit for a row that differs.
        """
        if self.settings.sums:
            self.middle.copy_(rows.mean(0))
            self.spread.copy_(rows.std(0).clamp(min=_LEAST))

    def scores(self, batch: Any) -> Tensor:
        """Where nodes are summed: the logarithm of each one's part, float32 [nodes]."""
        rows = (batch.x - self.middle) / self.spread
        found: Tensor = self.head(torch.cat([self._hidden(rows, batch.edge_index), rows], dim=1)).squeeze(1)
        return found + self._roof(batch.x) if self.settings.readout == "roofline" else found

    def _roof(self, rows: Tensor) -> Tensor:
        """The logarithm of what each node takes at the rates of its label, float32 [nodes]."""
        costs = logarithms(rows)
        counts = torch.stack([costs[:, 0], costs[:, 1:].logsumexp(1), torch.zeros_like(costs[:, 0])], dim=1)
        return (counts + rows[:, : len(VOCABULARY)] @ self.rates).logsumexp(1)

    def _hidden(self, rows: Tensor, edges: Tensor) -> Tensor:
        hidden: Tensor = self.embed(rows)
        for layer in self.layers:
            hidden = torch.tanh(layer(hidden, edges))
        return hidden


def build(settings: Settings, seed: int) -> Network:
    """A network with weights by PyTorch's defaults under a seed; the global generator stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network(settings)


def _layer(gnn: str, size: int) -> nn.Module:
    if gnn == "GINConv":
        return geometric.GINConv(nn.Sequential(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, size)))
    return getattr(geometric, gnn)(size, size)
