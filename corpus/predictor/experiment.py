"""Train on some families, test on others, before and after fine-tuning on a few of their graphs.

The protocol is GENNAPE's: the training families are split 80/10/10; of a test family ``#50`` graphs are for
fine-tuning, at a batch of one, and all the others for the test, the same for every predictor.
"""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from corpus.graphs.computation import GraphError
from corpus.predictor.baselines import PLAIN, line
from corpus.predictor.checkpoint import load, save
from corpus.predictor.metrics import score, spearman
from corpus.predictor.network import Settings
from corpus.predictor.target import Target, is_cost, known, value
from corpus.predictor.training import Course, Epoch, Fitted, fit, fresh, predict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from corpus.graphs.cache import Cache
    from corpus.graphs.computation import ComputationGraph
    from corpus.predictor.metrics import Scores

__all__ = ["SHARES", "Foreign", "Plan", "ceiling", "foreign", "run"]

SHARES = (80, 10, 10)
"""Of a training family: to train, to choose the best epoch, to test."""
_FOREIGN = re.compile(r"([^#]+)(?:#([0-9]{1,9}))?")
_TUNED = "{}_tuned"
_FEWEST = 2  # graphs of which a correlation can be said


@dataclass(frozen=True, slots=True)
class Foreign:
    """A family to test on; ``tune`` of its graphs are for fine-tuning."""

    family: str
    tune: int = 0


def foreign(text: str) -> Foreign:
    """``hiaml#50`` or ``hiaml``. Raises GraphError."""
    match = _FOREIGN.fullmatch(text)
    if match is None:
        raise GraphError(f"{text!r} is no family to test on: write hiaml, or hiaml#50 to fine-tune on 50 of its graphs")
    return Foreign(match[1], int(match[2] or 0))


@dataclass(frozen=True, slots=True)
class Plan:
    """What is trained and tested; ``folder`` is where log and checkpoints go, ``start`` a checkpoint to begin with."""

    name: str
    folder: Path
    train: tuple[str, ...] = ()
    test: tuple[Foreign, ...] = ()
    label: str = "latency_ms"
    settings: Settings = field(default_factory=Settings)
    course: Course = field(default_factory=Course)
    tuning: Course = field(default_factory=lambda: Course(epochs=100, batch=1))
    seed: int = 0
    start: Path | None = None
    baselines: bool = True

    def checkpoint(self, which: str) -> Path:
        """The file of the ``best`` or the ``last`` epoch, or of a family's fine-tuning."""
        return self.folder / f"{self.name}_seed{self.seed}_{which}.safetensors"

    @property
    def log(self) -> Path:
        """The file of the log."""
        return self.folder / "logs" / f"{self.name}_seed{self.seed}.txt"


@dataclass(slots=True)
class _Entrant:
    """One that takes part: what it was trained to, and how it goes on. Without a ``plan`` it is the line."""

    name: str
    fitted: Fitted | None = None


def run(plan: Plan, cache: Cache, hear: Callable[[str], None], step: Callable[[int], None]) -> dict[str, Any]:
    """Do it all; what was found, as plain data.

    ``hear`` is told each line of the log, ``step`` how many epochs more are done.

    Raises GraphError, NetworkError, OSError. After a Ctrl-C the last whole epoch is in its checkpoint.
    """
    parts = _parts(plan, cache)
    strangers = {one: _stranger(plan, cache, one) for one in plan.test}
    made = _started(plan, plan.start) if plan.start else fresh(plan.settings, plan.label, parts[0], plan.seed)
    settings = made.network.settings.to_json()
    words = " ".join(f"{key}={value}" for key, value in settings.items())
    hear(f"{plan.name}, seed {plan.seed}: {words}; {'+'.join(plan.train) or 'nothing'} to train on")
    entrants = [_Entrant("predictor", _trained(plan, made, parts, hear, step))]
    if plan.baselines and parts[0]:
        entrants.append(_Entrant("flops"))
        hear("plain GCN")
        plain = fresh(PLAIN, plan.label, parts[0], plan.seed)
        fit(plain, parts[0], (), plan.course, plan.seed, lambda _: step(1))
        entrants.append(_Entrant("gcn", plain))
    result: dict[str, Any] = {
        "name": plan.name, "seed": plan.seed, "label": plan.label, "settings": settings,
        "train": {"families": list(plan.train), "graphs": [len(part) for part in parts]}, "families": [],
    }  # fmt: skip
    if parts[2]:
        result["test"] = {
            one.name: _scored(plan, _predicted(one, plan, parts[0], parts[2]), parts[2]).to_json() for one in entrants
        }
        result["ceiling"] = ceiling(parts[2], plan.label)
        hear(f"test: {_line(result['test'], result['ceiling'])}")
    for one, (tune, test) in strangers.items():
        result["families"].append(_tested(plan, entrants, one, (parts[0], tune, test), hear, step))
    written = [*(("best", "last") if parts[0] else ()), *(_TUNED.format(one.family) for one in strangers if one.tune)]
    return {**result, "log": str(plan.log), "checkpoints": [str(plan.checkpoint(which)) for which in written]}


# --- data --------------------------------------------------------------------------------------------------------


def _parts(plan: Plan, cache: Cache) -> tuple[list[ComputationGraph], ...]:
    parts: tuple[list[ComputationGraph], ...] = ([], [], [])
    for family in plan.train:
        for part, graphs in zip(parts, cache.load(family).split(SHARES, plan.seed), strict=True):
            part.extend(known(graphs, plan.label))
    if plan.train and not parts[0]:
        raise GraphError(_unlabelled(plan, "+".join(plan.train)))
    return parts


def _stranger(plan: Plan, cache: Cache, one: Foreign) -> tuple[tuple[ComputationGraph, ...], ...]:
    if one.family in plan.train:
        raise GraphError(f"family {one.family} is trained on: it cannot be tested on as one that was never seen")
    family = cache.load(one.family)
    graphs = known(family.sample(len(family), plan.seed), plan.label)
    if not graphs:
        raise GraphError(_unlabelled(plan, one.family))
    if len(graphs) < one.tune + _FEWEST:
        raise GraphError(
            f"family {one.family} has {len(graphs)} graphs with a label {plan.label!r}: fine-tuning on {one.tune} "
            f"of them leaves fewer than {_FEWEST} to test on"
        )
    return graphs[: one.tune], graphs[one.tune :]


def _unlabelled(plan: Plan, family: str) -> str:
    return f"no graph of {family} has a label {plan.label!r}: `fuzz corpus measure` gives them labels"


# --- training ----------------------------------------------------------------------------------------------------


def _started(plan: Plan, path: Path) -> Fitted:
    made = load(path)
    if made.target.label != plan.label:
        theirs = made.target.label
        raise GraphError(f"{path} predicts {theirs}, not {plan.label}: give --label {theirs}")
    for one in plan.test:
        if one.family in made.families:
            raise GraphError(f"{path} was trained on {one.family}: it cannot be tested on it as on one never seen")
    return made


def _trained(
    plan: Plan, made: Fitted, parts: Sequence[Sequence[ComputationGraph]], hear: Callable[[str], None],
    step: Callable[[int], None],
) -> Fitted:  # fmt: skip
    """The network of the best epoch; what was given where there is nothing to train on."""
    train, held_back, _ = parts
    if not train:
        return made
    made.families = tuple(sorted({*made.families, *plan.train}))
    best = [deepcopy(made)]

    def keep(epoch: Epoch) -> None:
        found = "" if epoch.held_back is None else f", held back {epoch.held_back:.6g}"
        hear(f"epoch {epoch.number}: loss {epoch.loss:.6g}{found}{', best' if epoch.best else ''}")
        save(made, plan.checkpoint("last"))
        if epoch.best:
            save(made, plan.checkpoint("best"))
            best[0] = deepcopy(made)
        step(1)

    fit(made, train, held_back, plan.course, plan.seed, keep)
    return best[0]


def _judged(made: Fitted, graphs: Sequence[ComputationGraph]) -> Target:
    labels = [value(graph, made.target.label) for graph in graphs]
    return made.target.judged(labels, predict(made, graphs))


# --- testing -----------------------------------------------------------------------------------------------------


def _tested(
    plan: Plan, entrants: Sequence[_Entrant], one: Foreign,
    graphs: tuple[Sequence[ComputationGraph], Sequence[ComputationGraph], Sequence[ComputationGraph]],
    hear: Callable[[str], None], step: Callable[[int], None],
) -> dict[str, Any]:  # fmt: skip
    train, tune, test = graphs
    zero = {each.name: _scored(plan, _predicted(each, plan, train, test), test).to_json() for each in entrants}
    found: dict[str, Any] = {
        "family": one.family, "fine_tune": len(tune), "tested": len(test), "zero_shot": zero, "fine_tuned": None,
        "ceiling": ceiling(test, plan.label),
    }  # fmt: skip
    hear(f"{one.family}, never seen: {_line(zero, found['ceiling'])}")
    if not tune:
        return found
    tuned = {}
    for each in entrants:
        own = _tuned(each, plan, tune, step)
        if own.fitted is not None and each.name == "predictor":
            # Its error is that on the graphs which it is tested on: no others are left that it has not seen.
            own.fitted.target = _judged(own.fitted, test)
            own.fitted.families = tuple(sorted({*own.fitted.families, one.family}))
            save(own.fitted, plan.checkpoint(_TUNED.format(one.family)))
        tuned[each.name] = _scored(plan, _predicted(own, plan, tune, test), test).to_json()
    hear(f"{one.family}, fine-tuned on {len(tune)}: {_line(tuned, found['ceiling'])}")
    return {**found, "fine_tuned": tuned}


def _tuned(one: _Entrant, plan: Plan, tune: Sequence[ComputationGraph], step: Callable[[int], None]) -> _Entrant:
    if one.fitted is None:
        return one
    own = deepcopy(one.fitted)
    fit(own, tune, (), plan.tuning, plan.seed, lambda _: step(1))
    return _Entrant(one.name, own)


def _predicted(
    one: _Entrant, plan: Plan, seen: Sequence[ComputationGraph], graphs: Sequence[ComputationGraph]
) -> list[float]:
    """Of a network its predictions; the line is drawn through what was seen last."""
    return line(plan.label, seen).predict(graphs) if one.fitted is None else predict(one.fitted, graphs)


def _scored(plan: Plan, predicted: Sequence[float], graphs: Sequence[ComputationGraph]) -> Scores:
    labels = [value(graph, plan.label) for graph in graphs]
    return score(labels, predicted, less_is_better=is_cost(plan.label))


def ceiling(graphs: Sequence[ComputationGraph], label: str) -> float | None:
    """Spearman's correlation of two measurements of a label, ``LABEL_1`` and ``LABEL_2``.

    A predictor cannot be expected to do much better. None where the label was not measured twice.
    """
    both = [[graph.labels.get(f"{label}_{number}") for graph in graphs] for number in (1, 2)]
    first, second = ([one for one in side if isinstance(one, int | float)] for side in both)
    return spearman(first, second) if len(first) == len(second) == len(graphs) else None


def _line(rows: Mapping[str, Mapping[str, Any]], limit: float | None) -> str:
    told = ", ".join(f"{name} {_figure(row['spearman'])}" for name, row in rows.items())
    return f"Spearman {told}; test-retest {_figure(limit)}"


def _figure(number: float | None) -> str:
    return "-" if number is None else f"{number:.3f}"
