"""From cases to concrete models of their graphs: the whole of ``fuzz diversify``."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backends.tensor import Tensor
from fuzz.case import CASES, DataSet, find_cases, open_root, read_inputs, read_outputs, read_record, write_case
from fuzz.diversify.aim import AIMS, DIVISIONS, Situation
from fuzz.diversify.concrete import Concrete, Dropped, concrete
from fuzz.diversify.freedom import freedom
from fuzz.diversify.replay import CONCRETE, STRANGER, Unreplayable, replay
from fuzz.diversify.solution import Solutions
from fuzz.diversify.specialise import specialised
from fuzz.errors import UsageError, did_you_mean
from fuzz.generate.choices import Seeded
from fuzz.pool import process_pool
from fuzz.signature import read_signature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from abstract.graph import Graph
    from fuzz.case import Case
    from fuzz.generate.choices import Choices
    from fuzz.generate.run import Generated

__all__ = ["ELEMENTS", "Model", "Request", "Summary", "chosen", "concretes", "diversify", "diversify_case"]

ELEMENTS = 8192
"""The most elements of a tensor, as for those that the generator computes."""

_FEW = 16  # cases for which no processes are started
_TURNS = 3  # questions for each model that is asked for


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of each case: so many models at other sizes; static forms at the sizes of its own data sets.

    ``seed`` decides which sizes are tried; ``most`` is how many elements a tensor may have.
    """

    count: int
    seed: int = 0
    specialise: bool = False
    most: int = ELEMENTS


@dataclass(frozen=True, slots=True)
class Model:
    """A concrete model, the class of sizes that it was aimed at, and the sizes."""

    made: Concrete
    aim: str
    sizes: Mapping[str, int]


@dataclass(slots=True)
class Summary:
    """What a run of ``fuzz diversify`` did.

    ``cases`` were used; ``skipped`` were not, by reason. ``models`` were written, by aim in ``aims``; ``dropped`` are
    sizes that satisfy all constraints but give no model, by reason; ``unanswered`` questions were given up by z3.
    """

    root: str
    cases: int = 0
    models: int = 0
    aims: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    seconds: float = 0.0

    def add(self, other: Summary) -> None:
        """Count in what was done for other cases."""
        self.cases += other.cases
        self.models += other.models
        self.unanswered += other.unanswered
        self.aims += other.aims
        self.skipped += other.skipped
        self.dropped += other.dropped

    def to_json(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {name: dict(v) if isinstance(v := getattr(self, name), Counter) else v for name in self.__slots__}


def concretes(
    graph: Graph, choices: Choices, count: int, tally: Summary, most: int = ELEMENTS
) -> Iterator[Model]:
    """Up to ``count`` models of one graph at sizes that differ from the witness and from one another.

    ``tally`` is told what was dropped. Without a free symbol there are none.
    """
    free = freedom(graph)
    if not free.dims:
        tally.skipped["no size of it is free"] += 1
        return
    solutions = Solutions(graph.store, free.symbols, most)
    now = Situation(graph, free, choices, most)
    names = [name for name in AIMS if free.quotients or name not in DIVISIONS]
    seen = {tuple(graph.store.witness(symbol) for symbol in free.symbols)}
    first = choices.integer(0, len(names) - 1)
    found = 0
    for turn in range(_TURNS * count):
        if found == count:
            break
        name = names[(first + turn) % len(names)]
        aim = AIMS[name](now)
        sizes = solutions.answer(aim)
        if sizes is None or (key := tuple(sizes.values())) in seen:
            continue
        seen.add(key)
        try:
            made = concrete(graph, sizes, most)
        except Dropped as dropped:
            tally.dropped[dropped.reason] += 1
            continue
        found += 1
        tally.aims[name] += 1
        yield Model(made, name, {symbol.name: size for symbol, size in sizes.items()})
    tally.unanswered += solutions.unanswered


def _decisions(record: Mapping[str, Any], seed: int) -> Choices:
    """A source of decisions that hangs on the case's content and the seed alone."""
    text = json.dumps([record["settings"], record["choices"], seed], sort_keys=True)
    return Seeded(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little"))


def diversify_case(root: Path, case: Case, request: Request) -> Summary:
    """Write the concrete models of one case beside it: ``ID-1``, ``ID-2``, ...; static forms as ``ID-static0``, ..."""
    tally = Summary(str(root))
    record = read_record(case)
    try:
        origin = replay(record, case.model_path.read_bytes())
    except Unreplayable as why:
        tally.skipped[str(why)] += 1
        return tally
    kept = {**{key: record[key] for key in ("settings", "choices")}, CONCRETE: case.id}
    if request.specialise:
        _specialise(root, case, origin, kept, tally)
    if request.count:
        made = concretes(origin.graph, _decisions(record, request.seed), request.count, tally, request.most)
        for number, model in enumerate(made, 1):
            own = {**kept, "aim": model.aim, "sizes": model.sizes}
            write_case(root, f"{case.id}-{number}", model.made.model, [model.made.data_set], own)
            tally.models += 1
    tally.cases += not tally.skipped
    return tally


def _specialise(root: Path, case: Case, origin: Generated, kept: Mapping[str, Any], tally: Summary) -> None:
    """Write the static forms of a dynamic case, each with the data that it is of, outputs and all."""
    ports = read_signature(case.model_path)
    for number, folder in enumerate(case.data_sets if origin.open else ()):
        names = [port.name for port in (*ports.inputs, *ports.defaults)]
        inputs = dict(zip(names, read_inputs(case, folder, ports), strict=False))
        outputs = dict(zip((p.name for p in ports.outputs), read_outputs(case, folder), strict=False))
        shapes = {name: value.shape for name, value in inputs.items() if isinstance(value, Tensor)}
        try:
            model = specialised(origin.graph, origin.open, shapes)
        except Dropped as dropped:
            tally.dropped[dropped.reason] += 1
            continue
        write_case(root, f"{case.id}-static{number}", model, [DataSet(inputs, outputs)], {**kept, "data_set": number})
        tally.aims["static"] += 1
        tally.models += 1


def diversify(
    root: Path, request: Request, *, jobs: int = 1, only: Sequence[str] = (),
    progress: Callable[[int], None] = lambda _cases: None,
) -> Summary:  # fmt: skip
    """Write concrete models of each generated case of a root, or of those named alone, into the root.

    ``progress`` is told how many more cases were seen to.

    Raises RootError, StorageError, CaseError, UsageError (a name that no case has).
    """
    start = time.perf_counter()
    cases = chosen(root, only)
    total = Summary(str(root))
    if (root / CASES).is_dir():
        open_root(root)
    else:  # a folder of test cases that is no root of ours gets none of ours either
        total.skipped[STRANGER] += len(cases)
        cases = []
    for part in _results(root, cases, request, jobs):
        total.add(part)
        progress(1)
    total.seconds = round(time.perf_counter() - start, 3)
    return total


def chosen(root: Path, only: Sequence[str]) -> list[Case]:
    """The cases of a root; of these names alone where there are any.

    Raises RootError, UsageError.
    """
    cases = {case.id: case for case in find_cases(root)}
    for name in only:
        if name not in cases:
            raise UsageError(f"{root} has no case {name!r}{did_you_mean(name, cases)}")
    return [cases[name] for name in dict.fromkeys(only)] if only else list(cases.values())


def _results(root: Path, cases: Sequence[Case], request: Request, jobs: int) -> Iterable[Summary]:
    if jobs <= 1 or len(cases) < _FEW:
        for case in cases:
            yield diversify_case(root, case, request)
        return
    with process_pool(jobs) as pool:
        pending = [pool.submit(diversify_case, root, case, request) for case in cases]
        for done in as_completed(pending):
            yield done.result()
