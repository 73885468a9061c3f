"""What networks of a family are like as published: parameters, multiply-adds, layers; no weight is made."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from corpus.families.family import Family

__all__ = ["MEASURED", "Measures", "Statistics", "measures", "size_text", "statistics"]

MEASURED = Path(__file__).with_name("measured.json")
"""`Statistics` of the first twenty of each that seed 0 draws: `benchmarks/campaign_families.py table` writes them."""
_EXACT = 10**7  # a larger number of architectures is told to three digits


@dataclass(frozen=True, slots=True)
class Measures:
    """Of one network: learnt numbers, multiplications with an addition of convolutions and products, leaf modules."""

    parameters: int
    multiply_adds: int
    layers: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of a sample: least and most of each measure, and how many layers of each class there are in all."""

    networks: int
    parameters: tuple[int, int]
    multiply_adds: tuple[int, int]
    layers: tuple[int, int]
    classes: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def measures(make: Callable[[], nn.Module], side: int) -> Measures:
    """Of the network that ``make`` gives, for one image of ``side`` by ``side``; on PyTorch's meta device."""
    return _measured(_made(make), side)


def statistics(family: Family, *, count: int, seed: int, small: bool = False) -> Statistics:
    """Of the first networks that a seed draws, as published or small."""
    side = family.small if small else family.full
    found: list[Measures] = []
    classes: Counter[str] = Counter()
    for architecture in islice(family.samples(seed), count):
        choices = architecture.choices
        network = _made(lambda choices=choices: family.assemble(choices, small))  # type: ignore[misc]
        found.append(_measured(network, side))
        classes.update(type(part).__name__ for part in network.modules() if not list(part.children()))
    spans = {
        name: (min(values), max(values))
        for name in ("parameters", "multiply_adds", "layers")
        if (values := [getattr(one, name) for one in found])
    }
    return Statistics(len(found), classes=dict(sorted(classes.items())), **spans)


def size_text(size: int | None) -> str:
    """A number of architectures for people."""
    if size is None:
        return "not counted"
    return f"{size:,}" if size < _EXACT else f"{size:.2e}"


def _made(make: Callable[[], nn.Module]) -> nn.Module:
    import torch

    with torch.device("meta"):
        return make().eval()


def _measured(network: nn.Module, side: int) -> Measures:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(1, 3, side, side, device="meta"))
    return Measures(
        sum(parameter.numel() for parameter in network.parameters()),
        counter.get_total_flops() // 2,
        sum(not list(part.children()) for part in network.modules()),
    )
