"""The whole of ``fuzz diff``: every executed case of a root judged, on as many processes as asked.

Models and results of strangers are read in these processes alone, under a memory limit: one that dies costs its case
a verdict (``error``), never the run.
"""

from __future__ import annotations

from concurrent.futures import Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fuzz.case import Case, find_cases, read_inputs, read_outputs, read_record
from fuzz.errors import FuzzError, RootError, UsageError
from fuzz.judge.judge import Oracle, Sample, judge
from fuzz.judge.verdict import FINDINGS, REFERENCE, Verdict, Word
from fuzz.pool import MODEL_MEMORY, process_pool
from fuzz.signature import read_signature
from fuzz.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fuzz.execute.execution import Execution

__all__ = ["Judgement", "judge_alone", "judge_cases", "judge_executions", "judge_root", "samples_of"]

_CHUNK = 16


@dataclass(frozen=True, slots=True)
class Judgement:
    """All verdicts of a root: ``counts`` by target and verdict, ``findings`` the verdicts that make exit status 1.

    What other oracles than the reference said of the root's cases before is among them.
    """

    cases: int
    verdicts: tuple[Verdict, ...]

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """How many cases have each verdict, by target; every word of the set is there.

        Other oracles than the reference have rows of their own: the target's name, then theirs, without what stands
        behind a colon (the rewrite of a metamorphic relation).
        """
        result: dict[str, dict[str, int]] = {}
        for verdict in self.verdicts:
            oracle = verdict.oracle.partition(":")[0]
            row = verdict.target if oracle == REFERENCE else f"{verdict.target} {oracle}"
            words = result.setdefault(row, {word.value: 0 for word in Word})
            words[verdict.verdict] += 1
        return dict(sorted(result.items()))

    @property
    def findings(self) -> tuple[Verdict, ...]:
        """The verdicts that are findings."""
        return tuple(v for v in self.verdicts if Word(v.verdict) in FINDINGS)


def samples_of(case: Case) -> list[Sample]:
    """The data sets of a case; its expected outputs are a second opinion unless we have made them.

    The record of a case says that: of the generator, of `fuzz mutate`, of a finding that `fuzz regress --add` copied.
    """
    ours = not {"choices", "parent", "finding"}.isdisjoint(read_record(case))
    ports = read_signature(case.model_path)
    names = [p.name for p in (*ports.inputs, *ports.defaults)]
    samples = []
    for data_set in case.data_sets:
        inputs = dict(zip(names, read_inputs(case, data_set, ports), strict=False))
        samples.append(Sample(inputs, () if ours else read_outputs(case, data_set), not ours))
    return samples


def _judge_case(case: Case, store: Store, oracle: Oracle) -> list[Verdict]:
    executions = [e for e in store.executions(case.id) if not oracle.only or e.target in oracle.only]
    return judge_executions(case, executions, oracle) if executions else []


def judge_executions(case: Case, executions: Sequence[Execution], oracle: Oracle) -> list[Verdict]:
    """One verdict for each execution of a case; ``error`` where the case cannot be read or judged.

    It parses the model, which is a stranger's: call it in a process apart.
    """
    try:
        model = case.model_path.read_bytes()
        samples = samples_of(case)
    except (FuzzError, OSError) as error:
        return _errors(case, executions, str(error))
    try:
        return judge(case.id, model, str(case.folder), samples, executions, oracle)
    except Exception as error:  # noqa: BLE001 - a stranger's case must not end the run; the verdict says what happened
        return _errors(case, executions, f"judging failed: {type(error).__name__}: {error}".split("\n", 1)[0])


def _errors(case: Case, executions: Sequence[Execution], message: str) -> list[Verdict]:
    return [Verdict(case.id, e.target, 0, Word.ERROR.value, message=message) for e in executions]


def _judge_chunk(root: str, cases: Sequence[Case], oracle: Oracle) -> list[Verdict]:
    with Store.open(Path(root)) as store:
        return [verdict for case in cases for verdict in _judge_case(case, store, oracle)]


def judge_root(
    root: Path, oracle: Oracle, *, jobs: int = 1, progress: Callable[[int], None] = lambda _cases: None
) -> Judgement:
    """Judge every executed case; the verdicts go into the store as well.

    Raises RootError (no root, nothing executed), UsageError (``against`` names a target that was not executed).
    """
    cases = find_cases(root)
    with Store.open(root) as store:
        known = [name for name, _ in store.targets()]
        if oracle.against is not None and oracle.against not in known:
            raise UsageError(f"--against {oracle.against}: nothing was executed on it; there is {', '.join(known)}")
        executed = set(store.cases())
        wanted = [case for case in cases if case.id in executed]
        if not wanted:
            raise RootError(f"nothing has been executed in {root}: run `fuzz exec --root {root} --backend TARGET`")
        verdicts = [v for part in judge_cases(root, wanted, oracle, jobs=jobs, progress=progress) for v in part]
        store.record_verdicts(verdicts)
        judged = {case.id for case in cases}
        verdicts.extend(v for v in store.verdicts() if v.oracle != REFERENCE and v.case in judged)
        verdicts.sort(key=lambda v: (v.case, v.target))
    return Judgement(len(wanted), tuple(verdicts))


def judge_cases(
    root: Path, cases: Sequence[Case], oracle: Oracle, *, jobs: int = 1,
    progress: Callable[[int], None] = lambda _cases: None,
) -> Iterator[list[Verdict]]:  # fmt: skip
    """The verdicts on some cases, in parts as they come; they are not put into the store."""
    chunks = [cases[i : i + _CHUNK] for i in range(0, len(cases), _CHUNK)]
    broken: list[Case] = []
    with process_pool(jobs, memory=MODEL_MEMORY) as pool:
        pending: dict[Future[list[Verdict]], Sequence[Case]] = {
            pool.submit(_judge_chunk, str(root), chunk, oracle): chunk for chunk in chunks
        }
        for done in as_completed(pending):
            try:
                yield done.result()
                progress(len(pending[done]))
            except BrokenProcessPool:
                broken.extend(pending[done])
    for case in broken:
        yield judge_alone(root, case, oracle)
        progress(1)


def judge_alone(root: Path, case: Case, oracle: Oracle) -> list[Verdict]:
    """A case whose chunk lost its process, in a process of its own; if that dies too, the case did it."""
    with process_pool(1, memory=MODEL_MEMORY) as pool:
        try:
            return pool.submit(_judge_chunk, str(root), [case], oracle).result()
        except BrokenProcessPool:
            with Store.open(root) as store:
                executions = store.executions(case.id)
            return _errors(case, executions, "judging this case ended the process that did it")
