"""Labels of computation graphs: how long a target takes for each, measured twice, and what follows from the graph.

Each of two passes has workers of its own and goes over all networks several times, each time in another order. A
shared machine drifts by a tenth within seconds: a yardstick, one network of the family, is sampled in turns with each,
and a figure counts beside the yardstick's. What a pass says of a network is the median over its rounds. The label is
the mean of both; how well they agree is the ceiling of any predictor. Each figure is written to a journal as it is
taken, and the next run goes on behind it.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from corpus.graphs.counting import elements
from fuzz.case import Case, data_sets_of, read_inputs
from fuzz.collection.latency import against
from fuzz.errors import CaseError, UsageError
from fuzz.performance.timer import Refused, Subject, Timer
from fuzz.signature import read_signature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from threading import Event

    from corpus.graphs.cache import Cache
    from corpus.graphs.computation import ComputationGraph
    from fuzz.execute.target import Target
    from fuzz.execute.worker import Limits

__all__ = ["PASSES", "Figure", "Journal", "Order", "computed", "label", "measure", "measured", "memory"]

PASSES = 2
Key = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Order:
    """What is measured: the target, the label's name, rounds of a pass, samples of a round."""

    target: Target
    label: str = "latency_ms"
    rounds: int = 3
    samples: int = 16

    def work(self, names: Sequence[str]) -> Iterator[Key]:
        """Pass, round and network, from 1: in each round all of them, by a hash."""
        for number in range(1, PASSES + 1):
            for turn in range(1, self.rounds + 1):
                for name in sorted(names, key=lambda one: sha256(f"{number}/{turn}/{one}".encode()).digest()):
                    yield number, turn, name


@dataclass(frozen=True, slots=True)
class Figure:
    """How many times as long as the yardstick a network took, and milliseconds of the yardstick."""

    ratio: float
    yardstick: float


@dataclass(slots=True)
class Journal:
    """The figures of a family so far, a line each; None where the target refused the model.

    ``yardstick`` is the network that all are beside, "" before there is one: a family that grows keeps its own.
    """

    path: Path
    target: str
    yardstick: str = ""
    figures: dict[Key, Figure | None] = field(default_factory=dict)

    @staticmethod
    def read(cache: Cache, family: str, order: Order) -> Journal:
        """What is there. Raises UsageError where it is of another target."""
        made = Journal(cache.folder / f"{family}.{order.label}.measured.jsonl", order.target.canonical)
        if not made.path.is_file():
            return made
        text = made.path.read_text(encoding="utf-8", errors="replace")
        for line in text.splitlines():
            with suppress(ValueError, KeyError, TypeError):  # of the last one there may be half, after a kill
                made._take(json.loads(line), order.label)
        if text and not text.endswith("\n"):
            with made.path.open("a", encoding="utf-8") as file:
                file.write("\n")
        return made

    def _take(self, row: Mapping[str, Any], name: str) -> None:
        if row["target"] != self.target:
            raise UsageError(
                f"{self.path} was measured on {row['target']}, not {self.target}: give --label NAME for another label, "
                f"such as {name}_{self.target.partition(':')[0]}, or remove it"
            )
        key, ratio, beside = (int(row["pass"]), int(row["round"]), str(row["name"])), row["ratio"], row["yardstick"]
        if ratio is None:
            self.figures[key] = None
            return
        figure = Figure(float(ratio), float(row["yardstick_ms"]))
        self.yardstick = self.yardstick or str(beside)
        if beside == self.yardstick:
            self.figures[key] = figure

    def add(self, key: Key, figure: Figure | None) -> None:
        """Note a figure, here and in the file. Raises OSError."""
        number, turn, name = key
        row = {
            "pass": number, "round": turn, "name": name, "target": self.target,
            "ratio": figure and figure.ratio, "yardstick_ms": figure and figure.yardstick, "yardstick": self.yardstick,
        }  # fmt: skip
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, sort_keys=True) + "\n")
        self.figures[key] = figure

    def ratios(self, name: str, order: Order) -> list[float] | None:
        """What each pass says of a network, in yardsticks; None where one is not done, or the target refused it."""
        found: list[float] = []
        for number in range(1, PASSES + 1):
            taken = [self.figures.get((number, turn, name)) for turn in range(1, order.rounds + 1)]
            some = [one.ratio for one in taken if one is not None]
            if len(some) < len(taken):
                return None
            found.append(median(some))
        return found


def measure(
    cache: Cache, family: str, models: Path, order: Order, *, limits: Limits, stop: Event,
    step: Callable[[int], None] = lambda _: None,
) -> Journal:  # fmt: skip
    """Measure what the journal lacks. Raises TargetError, UsageError, GraphError, CaseError, OSError."""
    names = cache.load(family).names
    journal = Journal.read(cache, family, order)
    missing = [name for name in names if not (models / name / "model.onnx").is_file()]
    if missing:
        raise UsageError(
            f"{models} lacks the models of {len(missing)} of {len(names)} graphs of {family}, such as "
            f"{missing[0]}/model.onnx: `fuzz corpus families sample {family} --out {cache.folder} --onnx {models}`"
        )
    timer, other = (Timer(order.target, limits, stop) for _ in range(2))
    current = 1
    try:
        left = any(key not in journal.figures for key in order.work(names))
        yardstick = _yardstick(other, models, names, journal) if left else None
        for key in order.work(names):
            if key not in journal.figures:
                if key[0] != current:
                    timer.close()
                    other.close()
                    current = key[0]
                journal.add(key, _figure(timer, _subject(models / key[2]), other, yardstick, order.samples))
            step(1)
    finally:
        timer.close()
        other.close()
    return journal


def _figure(
    timer: Timer, subject: Subject, other: Timer, yardstick: Subject | None, samples: int
) -> Figure | None:  # fmt: skip
    found = None if yardstick is None else against(timer, subject, other, yardstick, samples)
    return None if found is None else Figure(found[0], 1e3 * found[1])


def _yardstick(timer: Timer, models: Path, names: Sequence[str], journal: Journal) -> Subject | None:
    """That of the journal, else the first network by a hash that the target runs, which it is from now on.

    None where the target runs none. Raises UsageError where that of the journal is not there, or is refused.
    """
    known = [journal.yardstick] if journal.yardstick else []
    for name in known or sorted(names, key=lambda one: sha256(one.encode()).digest()):
        with suppress(Refused, FileNotFoundError):
            subject = _subject(models / name)
            timer.load(subject)
            journal.yardstick = name
            return subject
    if known:
        raise UsageError(f"{journal.path} was measured beside {known[0]}, which does not run from {models}: remove it")
    return None


def _subject(folder: Path) -> Subject:
    path = folder / "model.onnx"
    case = Case(folder.name, folder, path, data_sets_of(folder))
    if not case.data_sets:
        raise CaseError(f"{folder} has no test_data_set_0: there is nothing to run its model on")
    inputs = read_inputs(case, case.data_sets[0], read_signature(path))
    return Subject(path.read_bytes(), (inputs,), str(folder.resolve()))


# --- labels ------------------------------------------------------------------------------------------------------


def label(cache: Cache, family: str, labels: Mapping[str, Mapping[str, float | str]]) -> int:
    """Put labels, by name of graph, beside those that the graphs have; how many graphs changed. Raises OSError."""
    graphs = list(cache.load(family))
    made = [one.labelled(labels.get(one.name, {})) for one in graphs]
    changed = sum(one.labels != other.labels for one, other in zip(graphs, made, strict=True))
    if changed:
        cache.replace(family, made)
    return changed


def computed(graph: ComputationGraph) -> dict[str, float | str]:
    """What follows from the graph: ``parameters``, and where its sizes are fixed ``flops`` and ``memory``."""
    counts = {"parameters": graph.parameters(), "flops": graph.flops(), "memory": memory(graph)}
    return {name: number for name, number in counts.items() if number is not None}


def memory(graph: ComputationGraph) -> int | None:
    """Bytes that a run needs at least, in the graph's order: parameters, and the most that is alive at a time.

    A value lives from its node to the last that reads it; four bytes a number. None where a size is not fixed.
    """
    last = {place: place for place in range(len(graph.nodes))}
    for edge in graph.edges:
        last[edge.source] = max(last[edge.source], edge.target)
    sizes: list[int] = []
    for node in graph.nodes:
        size = elements(node.shape)
        if size is None:
            return None
        # The output node names a value, it makes none.
        sizes.append(0 if node.operator == "Output" else size)
    alive = most = 0
    ending: dict[int, list[int]] = {}
    for place, size in enumerate(sizes):
        alive += size
        ending.setdefault(last[place], []).append(size)
        most = max(most, alive)
        alive -= sum(ending.pop(place, ()))
    return 4 * (graph.parameters() + most)


def measured(journal: Journal, order: Order, names: Iterable[str]) -> dict[str, dict[str, float | str]]:
    """The labels that a journal gives: the mean of both passes in ms, each pass, and the target.

    They are those of a machine on which the yardstick always takes as long as it does in the median.
    """
    taken = [one.yardstick for one in journal.figures.values() if one is not None]
    pace = median(taken) if taken else 0.0
    found: dict[str, dict[str, float | str]] = {}
    for name in names:
        ratios = journal.ratios(name, order)
        if ratios is not None:
            passes = [pace * one for one in ratios]
            found[name] = {f"{order.label}_{number}": one for number, one in enumerate(passes, 1)}
            found[name] |= {order.label: fmean(passes), f"{order.label}_target": journal.target}
    return found
