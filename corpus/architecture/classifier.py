"""A classifier of architectures: what type a model is, by its n-grams alone.

The settings are those that DARA was published with: four fully connected layers, 512, 256, 128 and one output a class,
ReLU and dropout 0.5 between them; cross entropy, learning rate 1e-3 with a step schedule, 40 epochs, batches of 256
(32 to evaluate), 5 folds, so that each is trained on 80 % and tested on 20 %. Not published are the optimiser (Adam
here), the steps of the schedule, and what is done to counts: here they are taken as log(1 + n).

The same seed gives the same probabilities: no generator of the process is used or changed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from corpus.architecture.features import Vocabulary
from corpus.architecture.noise import likely

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["GRID", "OTHERS", "Classifier", "Fold", "Settings", "classes", "cross_validate", "grid_search", "train"]

OTHERS = "Others"
"""The class of all models whose class has too few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How it is trained.

    ``epochs_a_step`` and ``factor`` are the schedule of the learning rate; ``least`` in how many models of the training
    set an n-gram must occur to be in the vocabulary; ``noise`` which share of the training set the Gaussian mixture
    filters out (0: none).
    """

    widths: tuple[int, ...] = (512, 256, 128)
    dropout: float = 0.5
    epochs: int = 40
    rate: float = 1e-3
    epochs_a_step: int = 20
    factor: float = 0.5
    batch: int = 256
    batch_of_evaluation: int = 32
    folds: int = 5
    least: int = 2
    noise: float = 0.0
    seed: int = 0


GRID: Mapping[str, tuple[Any, ...]] = {
    "rate": (3e-4, 1e-3, 3e-3), "dropout": (0.2, 0.5), "batch": (64, 256), "widths": ((512, 256, 128), (256, 128)),
}  # fmt: skip
"""What `grid_search` tries, each with each."""


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold: the models that were tested, by place; the probability of each class, [tested, classes]."""

    tested: tuple[int, ...]
    probabilities: NDArray[np.float32]
    accuracy: float
    filtered: int


@dataclass(frozen=True, slots=True)
class Classifier:
    """What `train` made: the network, with what turns counts into its input."""

    vocabulary: Vocabulary
    names: tuple[str, ...]
    network: Any
    settings: Settings
    filtered: int = 0

    def probabilities(self, counts: Sequence[Mapping[str, int]]) -> NDArray[np.float32]:
        """The probability of each class, [models, classes]."""
        import numpy as np
        import torch

        inputs = torch.from_numpy(self._inputs(counts))
        size = self.settings.batch_of_evaluation
        with torch.no_grad():
            parts = [self.network(inputs[at : at + size]).softmax(dim=1) for at in range(0, len(inputs), size)]
        empty = np.zeros((0, len(self.names)), dtype=np.float32)
        return np.concatenate([part.numpy() for part in parts]) if parts else empty

    def _inputs(self, counts: Sequence[Mapping[str, int]]) -> NDArray[np.float32]:
        import numpy as np

        return np.log1p(self.vocabulary.matrix(counts))


def classes(labels: Sequence[str], least: int = 20) -> list[str]:
    """The label of each model, `OTHERS` where fewer than ``least`` have it."""
    often = Counter(labels)
    return [label if often[label] >= least else OTHERS for label in labels]


def train(counts: Sequence[Mapping[str, int]], labels: Sequence[str], settings: Settings) -> Classifier:
    """A classifier of these models. Raises ValueError where there are none."""
    import numpy as np
    import torch

    if not labels:
        raise ValueError("there is no model to learn from")
    vocabulary = Vocabulary.of(counts, least=settings.least)
    names = tuple(sorted(set(labels)))
    inputs = np.log1p(vocabulary.matrix(counts))
    filtered = 0
    wanted = np.array([names.index(label) for label in labels])
    if settings.noise:
        kept = likely(inputs, min(len(names), 32), settings.noise, settings.seed)
        filtered = int((~kept).sum())
        inputs, wanted = inputs[kept], wanted[kept]
    # Initial weights and dropout come from torch's own generator: it is put back.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = _network(vocabulary.length, len(names), settings)
        _fit(network, torch.from_numpy(inputs), torch.from_numpy(wanted), settings)
    return Classifier(vocabulary, names, network.eval(), settings, filtered)


def _network(inputs: int, outputs: int, settings: Settings) -> Any:
    from torch import nn

    parts: list[Any] = []
    for width in settings.widths:
        parts += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(settings.dropout)]
        inputs = width
    return nn.Sequential(*parts, nn.Linear(inputs, outputs))


def _fit(network: Any, inputs: Any, wanted: Any, settings: Settings) -> None:
    import torch

    optimiser = torch.optim.Adam(network.parameters(), lr=settings.rate)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, settings.epochs_a_step, settings.factor)
    loss = torch.nn.CrossEntropyLoss()
    for _ in range(settings.epochs):
        for batch in torch.randperm(len(inputs)).split(settings.batch):
            optimiser.zero_grad()
            loss(network(inputs[batch]), wanted[batch]).backward()
            optimiser.step()
        schedule.step()


def parts(
    count: int, settings: Settings, together: Sequence[str] | None = None
) -> Iterator[tuple[list[int], list[int]]]:
    """The folds of so many models, shuffled: which are learnt from, and which are tested.

    Models with the same text in ``together`` are in the same fold, so that none is learnt from while another is tested.
    """
    import numpy as np

    groups: dict[str, list[int]] = {}
    for place in range(count):
        groups.setdefault(together[place] if together else str(place), []).append(place)
    members = list(groups.values())
    order = np.random.default_rng(settings.seed).permutation(len(members)).tolist()
    for fold in range(settings.folds):
        tested = {place for group in order[fold :: settings.folds] for place in members[group]}
        if tested:
            yield [place for place in range(count) if place not in tested], sorted(tested)


def cross_validate(
    counts: Sequence[Mapping[str, int]],
    labels: Sequence[str],
    settings: Settings,
    progress: Callable[[int], object] = lambda _: None,
    without: Collection[int] = (),
    together: Sequence[str] | None = None,
) -> tuple[tuple[str, ...], list[Fold]]:
    """Train on all folds but one and test on that one, for each; the classes, and the folds.

    ``without`` are models that are tested, and never learnt from; ``together`` is that of `parts`. A class that no
    model of a training set has gets probability 0.
    """
    import numpy as np

    names = tuple(sorted(set(labels)))
    folds = []
    for rest, tested in parts(len(labels), settings, together):
        learnt = [place for place in rest if place not in without]
        made = train([counts[place] for place in learnt], [labels[place] for place in learnt], settings)
        found = np.zeros((len(tested), len(names)), dtype=np.float32)
        found[:, [names.index(name) for name in made.names]] = made.probabilities([counts[place] for place in tested])
        right = [names[best] == labels[place] for best, place in zip(found.argmax(axis=1), tested, strict=True)]
        folds.append(Fold(tuple(tested), found, sum(right) / len(right) if right else 0.0, made.filtered))
        progress(1)
    return names, folds


def grid_search(
    counts: Sequence[Mapping[str, int]],
    labels: Sequence[str],
    settings: Settings,
    grid: Mapping[str, Sequence[Any]] = GRID,
    progress: Callable[[int], object] = lambda _: None,
) -> list[tuple[Settings, float]]:
    """The mean accuracy over the folds for each combination of a grid, the best first; progress is told each fold."""
    found = []
    for values in product(*grid.values()):
        tried = replace(settings, **dict(zip(grid, values, strict=True)))
        _, folds = cross_validate(counts, labels, tried, progress)
        found.append((tried, sum(fold.accuracy for fold in folds) / len(folds)))
    return sorted(found, key=lambda one: -one[1])
