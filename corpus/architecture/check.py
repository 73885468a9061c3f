"""Models whose label does not fit their architecture.

A classifier that never saw a model says what it looks like (each is tested in the fold that it was not learnt in);
where that is another class than its label, with enough probability, the label is suspect. It is asked twice: a wrong
label teaches what is wrong of models like it, so that those in doubt are not learnt from the second time. The evidence
is counted, not derived from the classifier: n-grams that the model has as that other class has them and its label's do
not, n-grams that it lacks, and other models with exactly its n-grams. Where no n-gram sets the two classes apart that
clearly, nothing is reported, however sure the classifier is.

Nothing is said about classes of too few models, nor inside a group of classes whose graphs are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from corpus.architecture.classifier import OTHERS, classes, cross_validate, grid_search, train
from corpus.architecture.twins import grouped, pairs, twins

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from corpus.architecture.classifier import Fold, Settings
    from corpus.architecture.collection import Sample

__all__ = ["EVIDENCE", "THRESHOLD", "Checked", "Shares", "Suspect", "check", "tuned"]

THRESHOLD = 0.5
"""The least probability of another class that makes a label suspect."""
EVIDENCE = 0.6
"""By how much the shares of the two classes must differ for one n-gram: what cannot be shown is not reported."""
_EVIDENCE = 4


@dataclass(frozen=True, slots=True)
class Shares:
    """An n-gram, and in how many of the models of two classes it occurs."""

    text: str
    of_label: float
    of_other: float

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"text": self.text, "of_label": round(self.of_label, 3), "of_other": round(self.of_other, 3)}


@dataclass(frozen=True, slots=True)
class Suspect:
    """A model, its label, what it looks like with which probability (and that of its label), and why.

    ``has`` it shares with most of the other class, ``lacks`` with few of its label; ``twins`` are the labels of other
    models with exactly its n-grams.
    """

    name: str
    label: str
    looks_like: str
    probability: float
    of_label: float
    has: tuple[Shares, ...]
    lacks: tuple[Shares, ...]
    twins: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "name": self.name, "label": self.label, "looks_like": self.looks_like,
            "probability": round(self.probability, 4), "of_label": round(self.of_label, 4),
            "has": [one.to_json() for one in self.has], "lacks": [one.to_json() for one in self.lacks],
            "twins": dict(self.twins),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Checked:
    """The result: accuracy of each fold, groups of classes that are the same, suspects, the likeliest first.

    ``unchecked`` models have no label, or one that too few have. Without folds the known models were learnt from.
    """

    key: str
    models: int
    unchecked: int
    classes: tuple[str, ...]
    groups: tuple[str, ...]
    accuracies: tuple[float, ...]
    suspects: tuple[Suspect, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "label": self.key, "models": self.models, "unchecked": self.unchecked, "classes": list(self.classes),
            "groups": list(self.groups), "accuracies": [round(one, 4) for one in self.accuracies],
            "suspects": [one.to_json() for one in self.suspects],
        }  # fmt: skip


def check(
    samples: Sequence[Sample], key: str, settings: Settings, *, known: Sequence[Sample] = (), least: int = 20,
    threshold: float = THRESHOLD, progress: Callable[[int], object] = lambda _: None,
) -> Checked:  # fmt: skip
    """Check the labels of models.

    Args:
        samples: the models.
        key: which label, ``model_type`` or ``architecture``.
        settings: of the classifier.
        known: models whose labels are taken as right: learnt from in place of the others of ``samples``.
        least: how many models a class must have.
        threshold: the least probability of another class.
        progress: told each fold.

    Raises:
        ValueError: one line that says how to mend it, where there are fewer than two classes to tell apart.
    """
    base, counts, groups, labels = _lesson(known or samples, key, least)
    raw = [one.labels[key] for one in base]
    found = sorted(set(labels) - {OTHERS})
    accuracies: tuple[float, ...] = ()
    if known:
        tested = [one for one in samples if groups.get(one.labels.get(key, "")) in found]
        made = train(counts, labels, settings)
        shares = made.probabilities([one.features.counts() for one in tested])
        rows = list(zip(tested, shares, strict=True))
    else:
        at, accuracies = _doubted(counts, labels, settings, threshold, progress)
        rows = [(base[place], at[place]) for place in sorted(at) if labels[place] in found]
    names, suspects = tuple(sorted(set(labels))), []
    for sample, row in rows:
        label, best = groups[sample.labels[key]], int(row.argmax())
        if names[best] in {label, OTHERS} or row[best] < threshold:
            continue
        others = [place for place, one in enumerate(base) if one != sample]
        has, lacks = _why(sample, [(counts[place], labels[place]) for place in others], label, names[best])
        if any(abs(one.of_other - one.of_label) >= EVIDENCE for one in (*has, *lacks)):
            told = [raw[place] for place in others]
            near = twins([counts[place] for place in others], told, sample.features.counts())
            suspects.append(Suspect(
                sample.name, sample.labels[key], names[best], float(row[best]), float(row[names.index(label)]),
                has, lacks, near,
            ))  # fmt: skip
    suspects.sort(key=lambda one: (-one.probability, one.name))
    same = tuple(sorted({group for group in groups.values() if "|" in group}))
    return Checked(key, len(samples), len(samples) - len(rows), tuple(found), same, accuracies, tuple(suspects))


def tuned(
    samples: Sequence[Sample], key: str, settings: Settings, grid: Mapping[str, Sequence[Any]], *, least: int = 20,
    progress: Callable[[int], object] = lambda _: None,
) -> list[tuple[Settings, float]]:  # fmt: skip
    """How well labels are predicted with each combination of a grid of settings, the best first. Raises as `check`."""
    _, counts, _, labels = _lesson(samples, key, least)
    return grid_search(counts, labels, settings, grid, progress)


def _lesson(
    samples: Sequence[Sample], key: str, least: int
) -> tuple[list[Sample], list[dict[str, int]], dict[str, str], list[str]]:
    """What is learnt from: models with a label, their n-grams, the group of each label, the class of each model."""
    base = [one for one in samples if one.labels.get(key)]
    if not base:
        raise ValueError(f"none of {len(samples)} models has a label {key}: give them one, or check another")
    raw = [one.labels[key] for one in base]
    counts = [one.features.counts() for one in base]
    groups = grouped(pairs(counts, raw), raw)
    labels = classes([groups[label] for label in raw], least)
    if len(found := set(labels) - {OTHERS}) < 2:
        raise ValueError(
            f"{len(found)} of {len(set(raw))} values of {key} are those of {least} models or more, and two are needed: "
            "add models, or lower --least"
        )
    return base, counts, groups, labels


def _doubted(
    counts: Sequence[Mapping[str, int]], labels: Sequence[str], settings: Settings, threshold: float,
    progress: Callable[[int], object],
) -> tuple[dict[int, NDArray[np.float32]], tuple[float, ...]]:  # fmt: skip
    """The probabilities of each model where those in doubt are not learnt from; the accuracies where they are."""
    names, folds = cross_validate(counts, labels, settings, progress)
    doubted = {
        place for place, row in _rows(folds).items()
        if names[int(row.argmax())] != labels[place] and row.max() >= threshold
    }  # fmt: skip
    again = cross_validate(counts, labels, settings, progress, doubted)[1]
    return _rows(again), tuple(fold.accuracy for fold in folds)


def _rows(folds: Sequence[Fold]) -> dict[int, NDArray[np.float32]]:
    """The probabilities of each model."""
    return {place: row for fold in folds for place, row in zip(fold.tested, fold.probabilities, strict=True)}


def _why(
    sample: Sample, models: Sequence[tuple[Mapping[str, int], str]], label: str, other: str
) -> tuple[tuple[Shares, ...], tuple[Shares, ...]]:
    """The n-grams that a model has and lacks which differ most between its label's models and those of the other."""
    own = sample.features.counts()
    of_label = [one for one, name in models if name == label]
    of_other = [one for one, name in models if name == other]
    texts = sorted({text for one in (*of_label, *of_other, own) for text in one})
    shares = [Shares(text, _share(text, of_label), _share(text, of_other)) for text in texts]
    has = sorted((one for one in shares if one.text in own), key=lambda one: one.of_label - one.of_other)
    lacks = sorted((one for one in shares if one.text not in own), key=lambda one: one.of_other - one.of_label)
    return (
        tuple(one for one in has[:_EVIDENCE] if one.of_other > one.of_label),
        tuple(one for one in lacks[:_EVIDENCE] if one.of_label > one.of_other),
    )


def _share(text: str, models: Sequence[Mapping[str, int]]) -> float:
    return sum(text in one for one in models) / len(models) if models else 0.0
