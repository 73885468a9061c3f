"""The whole of ``fuzz relate``: variants made, executed beside their originals, compared, and put into the store.

What is executed lies in a root of its own, ``root/relations``: variants are cases there, and an interrupted run goes
on where it was. Those that agree are removed once they are judged.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from backends.protocol import Outcome
from fuzz.case import Case, DataSet, find_cases, open_root, write_case
from fuzz.errors import TargetError
from fuzz.execute.run import execute
from fuzz.execute.target import parse_target
from fuzz.judge.verdict import FINDINGS, Verdict, Word
from fuzz.pool import MODEL_MEMORY, process_pool
from fuzz.relations.judge import Pair, judge_pairs
from fuzz.relations.prepare import Note, Plan, Prepared, prepare
from fuzz.signature import signature
from fuzz.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import ProcessPoolExecutor
    from pathlib import Path

    from fuzz.check import Limits
    from fuzz.execute.target import Target
    from fuzz.relations.variant import Variant

__all__ = ["RELATIONS", "Related", "relate", "twins"]

RELATIONS = "relations"
_CHUNK = 64  # cases whose variants lie on disk at a time

T = TypeVar("T")


@dataclass(slots=True)
class Related:
    """What a run gave: verdicts, why relations were not used, and whether it was stopped."""

    cases: int = 0
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    interrupted: bool = False

    @property
    def counts(self) -> dict[str, dict[str, dict[str, int]]]:
        """How many pairs have each verdict, by target and family of relations."""
        result: dict[str, dict[str, dict[str, int]]] = {}
        for verdict in self.verdicts:
            families = result.setdefault(verdict.target, {})
            words = families.setdefault(verdict.oracle.partition(":")[0], {word.value: 0 for word in Word})
            words[verdict.verdict] += 1
        return {target: dict(sorted(families.items())) for target, families in sorted(result.items())}

    @property
    def findings(self) -> tuple[Verdict, ...]:
        """The verdicts that are findings."""
        return tuple(v for v in self.verdicts if Word(v.verdict) in FINDINGS)

    @property
    def unused(self) -> dict[str, dict[str, int]]:
        """How often each relation was not used, by the kind of reason."""
        counts = Counter((note.relation, note.reason.partition(":")[0]) for note in self.notes)
        result: dict[str, dict[str, int]] = {}
        for (relation, reason), count in sorted(counts.items()):
            result.setdefault(relation, {})[reason] = count
        return result


def relate(
    root: Path, targets: Sequence[Target], plan: Plan, *, limits: Limits, jobs: int,
    progress: Callable[[int], None] = lambda _cases: None,
) -> Related:  # fmt: skip
    """Compare every case of a root with its variants on each target; the verdicts go into the root's store.

    Raises RootError, StorageError, TargetError.
    """
    cases = find_cases(root)
    run = _Run(root, targets, plan, limits, jobs)
    try:
        for start in range(0, len(cases), _CHUNK):
            chunk = cases[start : start + _CHUNK]
            run.chunk(chunk)
            progress(len(chunk))
    except _Stopped:
        run.result.interrupted = True
    return run.result


def twins(target: Target, plan: Plan) -> dict[str, Target]:
    """The other targets on which the same model must give the same, by relation."""
    found: dict[str, Target] = {}
    for relation, option, value in _twin_options(target):
        if plan.asks(relation) and option not in dict(target.options):
            found[relation] = _with_option(target, option, value)
    return found


def _twin_options(target: Target) -> Iterator[tuple[str, str, str]]:
    knob = next((knob for knob in target.entry.knobs if knob.values), None)
    if knob is not None:
        yield "unoptimised", knob.option, knob.values[0]
    if target.entry.option("reload") is not None:
        yield "save:reload", "reload", "yes"


def _with_option(target: Target, option: str, value: str) -> Target:
    """The same target with one more option; what is not the backend's (version, interpreter, variables) stays."""
    head, at, device = target.canonical.partition("@")
    joined = f"{head}{',' if ':' in head else ':'}{option}={value}{at}{device}"
    try:
        return parse_target(joined)
    except TargetError:
        # A backend that is not in the table (a test's, a plug-in's) is not found there by its name.
        options = tuple(sorted((*target.options, (option, value))))
        return replace(target, canonical=joined, options=options)


class _Stopped(Exception):
    """Ctrl-C."""


class _Run:
    """One run: the root of the variants, and what has come of the cases so far."""

    def __init__(self, root: Path, targets: Sequence[Target], plan: Plan, limits: Limits, jobs: int) -> None:
        self.root = root
        self.own = open_root(root / RELATIONS)
        self.targets = targets
        self.plan = plan
        self.limits = limits
        self.jobs = jobs
        self.result = Related()

    def chunk(self, cases: Sequence[Case]) -> None:
        """Some cases from beginning to end."""
        with Store.open(self.own, create=True) as store:
            self.execute(cases, self.targets, store)
            ran = {t: [c for c in cases if _outcome(store, c, t) is Outcome.OK] for t in self.targets}
            wanted = [case for case in cases if any(case in found for found in ran.values())]
            prepared = self.apart(_prepare, [(case, self.plan) for case in wanted], _failed)
            written = {p.case: [(variant, self.write(p.case, variant)) for variant in p.variants] for p in prepared}
            pairs: dict[str, list[Pair]] = {case.id: [] for case in wanted}
            for target, originals in ran.items():
                fitting = [(o, v, c) for o in originals for v, c in written[o.id] if _concerns(v, target)]
                self.execute([copy for _, _, copy in fitting], [target], store)
                for relation, twin in twins(target, self.plan).items():
                    self.execute(originals, [twin], store)
                    for case in originals:
                        pairs[case.id].append(
                            Pair(relation, target.canonical, case.id, twin.canonical, None, _is_saved(relation))
                        )
                for case, variant, copy in fitting:
                    pairs[case.id].append(
                        Pair(
                            variant.relation, target.canonical, copy.id, target.canonical, variant,
                            _is_saved(variant.relation),
                        )
                    )
        verdicts = self.judged(wanted, pairs)
        verdicts.extend(v for p in prepared for v in p.verdicts)
        with Store.open(self.root, create=True) as store:
            store.record_verdicts(verdicts)
        self.tidy(written, pairs, verdicts)
        self.result.cases += len(cases)
        self.result.verdicts.extend(verdicts)
        self.result.notes.extend(note for p in prepared for note in p.notes)

    def execute(self, cases: Sequence[Case], targets: Sequence[Target], store: Store) -> None:
        """Execute what is not in the store yet."""
        if not cases:
            return
        summary = execute(
            cases, targets, store=store, timeout=self.limits.timeout, memory=self.limits.memory, jobs=self.jobs
        )
        if summary.interrupted:
            raise _Stopped

    def write(self, case: str, variant: Variant) -> Case:
        """A variant as a case of the root of relations."""
        name = _name(case, variant)
        ports = signature(variant.model)
        names = [port.name for port in (*ports.inputs, *ports.defaults)]
        sets = [DataSet({n: view.inputs[n] for n in names if n in view.inputs}) for view in variant.views]
        record = {"case": case, "relation": variant.relation, "place": variant.place, "seed": self.plan.seed}
        written = write_case(self.own, name, variant.model, sets, record)
        for file, content in variant.files.items():
            (written.folder / file).write_bytes(content)
        return written

    def judged(self, cases: Sequence[Case], pairs: Mapping[str, Sequence[Pair]]) -> list[Verdict]:
        """The verdicts on all pairs."""
        tasks = [(str(self.own), case, pairs[case.id]) for case in cases if pairs[case.id]]
        return [v for part in self.apart(judge_pairs, tasks, _undone) for v in part]

    def apart(self, function: Callable[..., T], tasks: Sequence[tuple[object, ...]], lost: Callable[..., T]) -> list[T]:
        """Call a function that parses models in other processes; ``lost`` stands in where that ends the process."""
        results: list[T] = []
        broken: list[tuple[int, tuple[object, ...]]] = []
        with process_pool(self.jobs, memory=MODEL_MEMORY) as pool:
            for number, result in enumerate(_results(pool, function, tasks)):
                if result is None:
                    broken.append((number, tasks[number]))
                results.append(lost(*tasks[number]) if result is None else result)
        for number, task in broken:
            with process_pool(1, memory=MODEL_MEMORY) as pool:
                again = next(iter(_results(pool, function, [task])))
            if again is not None:
                results[number] = again
        return results

    def tidy(
        self, written: Mapping[str, Sequence[tuple[Variant, Case]]], pairs: Mapping[str, Sequence[Pair]],
        verdicts: Sequence[Verdict],
    ) -> None:  # fmt: skip
        """Remove the variants that no finding needs."""
        needed = {(v.case, v.oracle) for v in verdicts if Word(v.verdict) in FINDINGS | {Word.SUSPECT, Word.ERROR}}
        for case, copies in written.items():
            for variant, copy in copies:
                if pairs and (case, variant.relation) not in needed:
                    shutil.rmtree(copy.folder, ignore_errors=True)


def _results(
    pool: ProcessPoolExecutor, function: Callable[..., T], tasks: Sequence[tuple[object, ...]]
) -> Iterator[T | None]:
    for future in [pool.submit(function, *task) for task in tasks]:
        try:
            yield future.result()
        except BrokenProcessPool:
            yield None


def _prepare(case: Case, plan: Plan) -> Prepared:
    return prepare(case, plan)


def _failed(case: Case, _plan: Plan) -> Prepared:
    return Prepared(case.id, notes=[Note(case.id, "all", "making its variants ended the process")])


def _undone(_root: str, case: Case, pairs: Sequence[Pair]) -> list[Verdict]:
    message = "comparing this case ended the process that did it"
    return [Verdict(case.id, p.target, 0, Word.ERROR.value, message=message, oracle=p.relation) for p in pairs]


def _outcome(store: Store, case: Case, target: Target) -> Outcome | None:
    return next((e.outcome for e in store.executions(case.id) if e.target == target.canonical), None)


def _is_saved(relation: str) -> bool:
    """Whether a relation is between a program and the same program in another place."""
    return relation.startswith("save:")


def _concerns(variant: Variant, target: Target) -> bool:
    return not variant.backends or target.backend in variant.backends


def _name(case: str, variant: Variant) -> str:
    """A folder's name: the case, the relation, and what tells apart several variants of one relation.

    Two may have one model and differ in the data that they are run on.
    """
    views = repr([(view.data_set, view.rows) for view in variant.views])
    own = hashlib.sha256(variant.model + views.encode()).hexdigest()[:8]
    return f"{case.replace('/', '_')[-120:]}-{variant.relation.replace(':', '-')}-{own}"
