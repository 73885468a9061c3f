"""A network made to fit labels, and what it then says of other graphs.

Deterministic: batches are drawn by a generator of their own, and one thread computes, since sums over threads differ.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import cos, pi
from statistics import fmean
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch_geometric.data import Batch

from corpus.predictor.encoding import encoded
from corpus.predictor.network import NetworkError, build
from corpus.predictor.recipe import SCHEDULES
from corpus.predictor.target import fitted as learned
from corpus.predictor.target import value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from corpus.graphs.computation import ComputationGraph
    from corpus.predictor.network import Network, Settings
    from corpus.predictor.target import Target

__all__ = ["Course", "Epoch", "Fitted", "fit", "fresh", "predict"]

_STEEPEST = 5.0  # norm to which gradients are cut, as published
_TOGETHER = 64  # graphs of one batch where nothing is learned


@dataclass(frozen=True, slots=True)
class Course:
    """How a network is trained: Adam on the squared error; the defaults are the published ones."""

    epochs: int = 40
    batch: int = 32
    rate: float = 1e-4
    schedule: str = "constant"

    def __post_init__(self) -> None:
        """Raise NetworkError where there is no such schedule."""
        if self.schedule not in SCHEDULES:
            raise NetworkError(f"there is no schedule {self.schedule!r}: {', '.join(SCHEDULES)}")

    def factor(self, step: int, steps: int) -> float:
        """Of the learning rate at a step, from 0, of all."""
        return 1.0 if self.schedule == "constant" else (1 + cos(pi * step / steps)) / 2


@dataclass(frozen=True, slots=True)
class Epoch:
    """What an epoch, from 1, came to.

    ``loss`` is the mean squared error in the units that are learned, ``held_back`` the same on the graphs that were
    held back, None where there are none; ``best`` says that it is the least so far.
    """

    number: int
    loss: float
    held_back: float | None
    best: bool


@dataclass(slots=True)
class Fitted:
    """A network that predicts a target; ``families`` are those that it has seen."""

    network: Network
    target: Target
    epochs: int = 0
    families: tuple[str, ...] = ()


def fresh(settings: Settings, label: str, graphs: Sequence[ComputationGraph], seed: int) -> Fitted:
    """A new network for a label, in the units in which these graphs' are learned best. Raises GraphError.

    One that sums over nodes says the right mean of them before it has learned anything.
    """
    made = Fitted(build(settings, seed), learned(label, graphs, sums=settings.sums))
    if settings.sums:
        batches = _encoded(made, graphs)
        made.network.standardise(torch.cat([batch.x for batch in batches]))
        with _one_thread():
            told = _predicted(made, batches)
        off = fmean(
            made.target.learned(value(graph, label)) - made.target.learned(one)
            for graph, one in zip(graphs, told, strict=True)
        )
        made.target = replace(made.target, offset=made.target.offset + off)
    return made


def fit(
    fitted: Fitted, train: Sequence[ComputationGraph], held_back: Sequence[ComputationGraph], course: Course, seed: int,
    hear: Callable[[Epoch], None] = lambda _: None,
) -> None:  # fmt: skip
    """Train the network in place; ``hear`` is told of each epoch and may keep what there is.

    What was held back tells the target's bias and spread, too. Raises GraphError where a graph lacks the label.
    """
    network, target = fitted.network, fitted.target
    items = [encoded(graph, network.settings.features, target.learned(value(graph, target.label))) for graph in train]
    others = _encoded(fitted, held_back)
    labels = [value(graph, target.label) for graph in held_back]
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(network.parameters(), lr=course.rate)
    steps = course.epochs * -(-len(items) // course.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: course.factor(step, steps))
    least: float | None = None
    with _one_thread():
        for _ in range(course.epochs):
            network.train()
            total = sum(
                _step(network, optimiser, schedule, batch) for batch in _batches(items, course.batch, generator)
            )
            fitted.epochs += 1
            found = _error(fitted, others, labels) if labels else None
            best = found is None or least is None or found < least
            least = found if best else least
            hear(Epoch(fitted.epochs, total / len(items), found, best))


def predict(fitted: Fitted, graphs: Sequence[ComputationGraph]) -> list[float]:
    """The label that the network says for each graph."""
    with _one_thread():
        return _predicted(fitted, _encoded(fitted, graphs))


def _encoded(fitted: Fitted, graphs: Sequence[ComputationGraph]) -> list[Any]:
    """Without labels, in batches."""
    items = [encoded(graph, fitted.network.settings.features) for graph in graphs]
    return [Batch.from_data_list(items[begin : begin + _TOGETHER]) for begin in range(0, len(items), _TOGETHER)]


def _predicted(fitted: Fitted, batches: Sequence[Any]) -> list[float]:
    fitted.network.eval()
    with torch.no_grad():
        return [fitted.target.told(number) for batch in batches for number in fitted.network(batch).tolist()]


def _step(network: Network, optimiser: Any, schedule: Any, batch: Any) -> float:
    """One step; the sum of squared errors before it."""
    loss = nn.functional.mse_loss(network(batch), batch.y)
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), _STEEPEST)
    optimiser.step()
    schedule.step()
    return float(loss.detach()) * int(batch.num_graphs)


def _batches(items: Sequence[Any], size: int, generator: Any) -> Iterator[Any]:
    order = torch.randperm(len(items), generator=generator).tolist()
    for begin in range(0, len(order), size):
        yield Batch.from_data_list([items[place] for place in order[begin : begin + size]])


def _error(fitted: Fitted, batches: Sequence[Any], labels: Sequence[float]) -> float:
    told = _predicted(fitted, batches)
    target = fitted.target = fitted.target.judged(labels, told)
    return fmean((target.learned(one) - target.learned(label)) ** 2 for one, label in zip(told, labels, strict=True))


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
