"""How a predictor is made: the network and its training, by name. Nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FEATURES", "LAYERS", "READOUTS", "RECIPES", "SCHEDULES", "Recipe"]

LAYERS = ("GraphConv", "GCNConv", "GINConv", "GATConv", "GATv2Conv", "SAGEConv", "TAGConv", "ResGatedGraphConv",
          "TransformerConv")  # fmt: skip
"""Layers of torch_geometric that take a width before, a width after and nothing else (GINConv a network of both)."""
FEATURES = ("published", "costs")
"""The kinds of rows that a node may be (`corpus.predictor.encoding`)."""
READOUTS = ("mean", "shares", "roofline")
"""How nodes become a graph's number: ``mean`` as published, the others as a sum over them."""
SCHEDULES = ("constant", "cosine")
"""How the learning rate goes on: as it is, as published, or to 0 along half a cosine."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A network and its training; the defaults are GENNAPE's."""

    gnn_type: str = "GraphConv"
    features: str = "published"
    readout: str = "mean"
    epochs: int = 40
    batch: int = 32
    learning_rate: float = 1e-4
    schedule: str = "constant"
    fine_tune_epochs: int = 100
    fine_tune_batch: int = 1


RECIPES: Mapping[str, Recipe] = MappingProxyType({
    "published": Recipe(),
    "roofline": Recipe(
        features="costs", readout="roofline", epochs=60, learning_rate=1e-2, schedule="cosine", fine_tune_epochs=50,
        fine_tune_batch=8,
    ),
})  # fmt: skip
"""``published``, and ``roofline``, which is made for costs (docs/notes/predictor.md)."""
