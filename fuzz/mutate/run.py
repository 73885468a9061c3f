"""The whole of ``fuzz mutate``: one mutant a seed, written as soon as it is made.

Models of strangers are read in processes of their own, under a memory limit: one that dies costs its mutant.
"""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fuzz.case import open_root, write_case
from fuzz.generate.choices import Seeded
from fuzz.generate.run import case_id
from fuzz.mutate.draw import pick
from fuzz.mutate.kinds import KINDS, Kind
from fuzz.mutate.parent import Parent, Unfit, read_parent
from fuzz.pool import MODEL_MEMORY, process_pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fuzz.case import Case
    from fuzz.generate.choices import Choices
    from fuzz.mutate.mutant import Mutant

__all__ = ["Made", "Mutated", "Nursery", "mutant_of", "mutate"]

_TRIES = 8  # for one mutant
_PARTNERS = 16  # looked at for one try
_CHUNK = 16


@dataclass(frozen=True, slots=True)
class Made:
    """What came of one seed: the kind, the reason of each try that failed, whether the last one gave a mutant."""

    seed: int
    kind: str
    refused: tuple[str, ...]
    made: bool


@dataclass(slots=True)
class Tally:
    """How one kind fared: mutants, tries, and why the other tries gave none."""

    made: int = 0
    tries: int = 0
    refused: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Mutated:
    """What a run made: cases in ``root``, by kind how they came about, the seeds that gave nothing."""

    root: str
    cases: int = 0
    kinds: dict[str, Tally] = field(default_factory=dict)
    unmade: list[int] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, done: Made) -> None:
        """Count what came of a seed."""
        tally = self.kinds.setdefault(done.kind, Tally())
        tally.made += done.made
        tally.tries += done.made + len(done.refused)
        tally.refused.update(done.refused)
        self.cases += done.made
        if not done.made:
            self.unmade.append(done.seed)


class Nursery:
    """The parents of a root, each read once in this process."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.cases = cases
        self._read: dict[int, Parent | Unfit] = {}

    def parent(self, number: int) -> Parent:
        """The parent at a position. Raises Unfit where it is not to be used."""
        known = self._read.get(number)
        if known is None:
            try:
                known = read_parent(self.cases[number])
            except Unfit as error:
                known = error
            self._read[number] = known
        if isinstance(known, Unfit):
            raise known
        return known


def mutant_of(nursery: Nursery, seed: int, kinds: Sequence[str]) -> tuple[Made, Mutant | None, dict[str, object]]:
    """What a seed gives: a parent in turn, a kind of those asked for, and so many tries."""
    count = len(nursery.cases)
    choices = Seeded(seed)
    refused: list[str] = []
    kind = kinds[0]
    try:
        parent = nursery.parent(seed % count)
        kind = pick(choices, [name for name in kinds if KINDS[name].fits(parent)] or kinds)
    except Unfit as error:
        return Made(seed, kind, (_reason(error),), made=False), None, {}
    for _ in range(_TRIES):
        try:
            other = _partner(nursery, KINDS[kind], parent, choices)
            with np.errstate(all="ignore"):  # what leaves its type is looked at afterwards, and refused
                mutant = _try(nursery, kind, parent, other, choices)
        except Unfit as error:
            refused.append(_reason(error))
            continue
        record: dict[str, object] = {**mutant.record, "parent": parent.id, "kind": kind, "seed": seed}
        if other is not None:
            record["second_parent"] = nursery.cases[other].id
        return Made(seed, kind, tuple(refused), made=True), mutant, record
    return Made(seed, kind, tuple(refused), made=False), None, {}


def _partner(nursery: Nursery, kind: Kind, parent: Parent, choices: Choices) -> int | None:
    """A second parent for a kind that needs one, the first of a few drawn with which it may work."""
    if kind.joins is None:
        return None
    for _ in range(_PARTNERS):
        other = choices.integer(0, len(nursery.cases) - 1)
        try:
            if kind.joins(parent, nursery.parent(other)):
                return other
        except Unfit:
            continue
    raise Unfit("no partner: none of those looked at has an opset in common and an input")


def _try(nursery: Nursery, kind: str, parent: Parent, other: int | None, choices: Choices) -> Mutant:
    row = KINDS[kind]
    if row.join is not None and other is not None:
        return row.join(parent, nursery.parent(other), choices)
    if row.make is None:
        raise ValueError(f"{kind} has no maker")
    return row.make(parent, choices)


def _reason(error: Unfit) -> str:
    return str(error).partition(":")[0]


def _write(cases: Sequence[Case], kinds: Sequence[str], root: str, seeds: Sequence[int]) -> list[Made]:
    nursery = Nursery(cases)
    result = []
    for seed in seeds:
        made, mutant, record = mutant_of(nursery, seed, kinds)
        if mutant is not None:
            write_case(Path(root), case_id(seed), mutant.model, mutant.data_sets, record)
        result.append(made)
    return result


def mutate(
    cases: Sequence[Case], kinds: Sequence[str], root: Path, seeds: Sequence[int], *, jobs: int = 1,
    progress: Callable[[int], None] = lambda _cases: None,
) -> Mutated:  # fmt: skip
    """Write one mutant a seed under ``root``; ``progress`` is told how many seeds more are done.

    Raises StorageError.
    """
    start = time.perf_counter()
    open_root(root)
    result = Mutated(str(root))
    for part in _results(cases, kinds, str(root), seeds, jobs):
        for made in part:
            result.add(made)
        progress(len(part))
    result.unmade.sort()
    result.seconds = round(time.perf_counter() - start, 3)
    return result


def _results(
    cases: Sequence[Case], kinds: Sequence[str], root: str, seeds: Sequence[int], jobs: int
) -> Iterator[list[Made]]:
    """The seeds in parts, those of one parent together, for reading it is half of the work."""
    ordered = sorted(seeds, key=lambda seed: (seed % len(cases), seed))
    size = max(1, min(_CHUNK, -(-len(ordered) // max(jobs, 1))))
    chunks = [ordered[i : i + size] for i in range(0, len(ordered), size)]
    broken: list[int] = []
    with process_pool(jobs, memory=MODEL_MEMORY) as pool:
        pending: dict[Future[list[Made]], Sequence[int]] = {
            pool.submit(_write, cases, kinds, root, chunk): chunk for chunk in chunks
        }
        for done in as_completed(pending):
            try:
                yield done.result()
            except BrokenProcessPool:
                broken.extend(pending[done])
    for seed in sorted(broken):
        yield [_alone(cases, kinds, root, seed)]


def _alone(cases: Sequence[Case], kinds: Sequence[str], root: str, seed: int) -> Made:
    """A seed whose chunk lost its process, in a process of its own; if that dies too, its parent did it."""
    with process_pool(1, memory=MODEL_MEMORY) as pool:
        try:
            return pool.submit(_write, cases, kinds, root, [seed]).result()[0]
        except BrokenProcessPool:
            return Made(seed, kinds[0], ("the process that read the parent ended",), made=False)
