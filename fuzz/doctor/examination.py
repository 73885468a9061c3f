"""Tests executed on targets, each in its own workers, and judged: what became of each."""

from __future__ import annotations

import enum
import os
import re
from collections import Counter
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from fuzz.errors import UsageError
from fuzz.execute.run import execute
from fuzz.judge.judge import Oracle
from fuzz.judge.run import judge_cases
from fuzz.judge.verdict import REFERENCE, Word
from fuzz.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from fuzz.case import Case
    from fuzz.execute.execution import Execution
    from fuzz.execute.target import Target
    from fuzz.judge.verdict import Verdict

__all__ = ["FAILING", "Examined", "Result", "Settings", "Tested", "examine"]


class Result(enum.StrEnum):
    """What becomes of a test on a target: a closed set, so that its counts add up to the number of tests.

    ``pass``: the outputs are within the reference's bound. ``suspect``: just beyond it. ``undecidable``: the reference
    has no bound for them (random numbers, what the specification leaves open). ``dispute``: not what the reference
    gives, but what ONNX's test expects. ``error``: fuzz itself failed, which is never the backend's fault.
    """

    PASSED = "pass"
    SUSPECT = "suspect"
    UNDECIDABLE = "undecidable"
    DISPUTE = "dispute"
    UNSUPPORTED = "unsupported"
    WRONG = "wrong"
    REJECTED = "rejected"
    CRASH = "crash"
    TIMEOUT = "timeout"
    OOM = "oom"
    ERROR = "error"


FAILING = frozenset({Result.WRONG, Result.REJECTED, Result.CRASH, Result.TIMEOUT, Result.OOM})
"""What is the backend's own fault."""

_RESULTS: Mapping[str, Result] = MappingProxyType({
    Word.OK.value: Result.PASSED, **{result.value: result for result in Result if result is not Result.PASSED},
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tested:
    """One test on one target: what became of it, in the backend's words or the judge's, and its seconds of CPU time."""

    name: str
    result: Result
    message: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Examined:
    """All tests of one target, in the order of their names."""

    target: Target
    tests: tuple[Tested, ...]

    @property
    def counts(self) -> dict[Result, int]:
        """How many tests have each result; every result is there."""
        found = Counter(test.result for test in self.tests)
        return {result: found[result] for result in Result}

    @property
    def seconds(self) -> float:
        """CPU time of all tests together: compiling and running, not the judge."""
        return sum(test.seconds for test in self.tests)

    def of(self, *results: Result) -> tuple[Tested, ...]:
        """The tests that have one of some results."""
        return tuple(test for test in self.tests if test.result in results)


@dataclass(frozen=True, slots=True)
class Settings:
    """Seconds and MiB that one test may take on one target; worker processes (None: one a core); what to do anew."""

    timeout: float = 60.0
    memory: int = 4096
    jobs: int | None = None
    force: bool = False
    rejudge: bool = False


def examine(
    root: Path, cases: Sequence[Case], targets: Sequence[Target], settings: Settings = Settings(), *,
    executed: Callable[[int], None] = lambda _: None, judged: Callable[[int], None] = lambda _: None,
) -> list[Examined]:  # fmt: skip
    """Execute and judge what the root's store does not hold yet; each target is judged by itself.

    ``executed`` and ``judged`` are told of progress.

    Raises:
        KeyboardInterrupt: it was stopped; what was finished is in the store.
        TargetError: a worker cannot be started.
        StorageError: the store cannot be written.
        UsageError: the store's newest executions are of another version of a target.
    """
    with Store.open(root, create=True) as store:
        summary = execute(
            cases, targets, store=store, timeout=settings.timeout, memory=settings.memory, jobs=settings.jobs,
            force=settings.force, progress=lambda _target, _outcome: executed(1),
        )  # fmt: skip
        if summary.interrupted:
            raise KeyboardInterrupt
        wanted = cases if settings.rejudge else _unjudged(store, cases, targets)
        judged(len(cases) - len(wanted))
        jobs = settings.jobs or len(os.sched_getaffinity(0))
        oracle = Oracle(apart=True, only=tuple(target.canonical for target in targets))
        for verdicts in judge_cases(root, wanted, oracle, jobs=jobs, progress=judged):
            store.record_verdicts(verdicts)
        return _collect(store, cases, targets)


def _unjudged(store: Store, cases: Sequence[Case], targets: Sequence[Target]) -> list[Case]:
    known = {(verdict.case, verdict.target) for verdict in store.verdicts() if verdict.oracle == REFERENCE}
    return [case for case in cases if any((case.id, target.canonical) not in known for target in targets)]


def _collect(store: Store, cases: Sequence[Case], targets: Iterable[Target]) -> list[Examined]:
    verdicts = {(v.case, v.target): v for v in store.verdicts() if v.oracle == REFERENCE}
    tests: dict[str, list[Tested]] = {target.canonical: [] for target in targets}
    versions = {target.canonical: target.version for target in targets}
    for case in cases:
        for execution in store.executions(case.id):
            version = versions.get(execution.target)
            if version is None:
                continue
            if version != execution.version:
                raise UsageError(
                    f"the root has newer results of {execution.target} {execution.version}, and {version} is asked "
                    "for: run it again with --force, or give another --root"
                )
            tests[execution.target].append(_tested(execution, verdicts[case.id, execution.target]))
    return [Examined(target, tuple(sorted(tests[target.canonical], key=lambda t: t.name))) for target in targets]


def _tested(execution: Execution, verdict: Verdict) -> Tested:
    result = _RESULTS[verdict.verdict]
    message = "" if result is Result.PASSED else told(verdict.message or execution.message, verdict)
    return Tested(execution.case, result, message, execution.cpu_seconds)


_LENGTH = 200
_CHANGES = (
    (re.compile(r" ?\[the model is valid: [^\[\]]*\]$"), ""),
    (re.compile(r"\b0x[0-9a-fA-F]{4,}\b"), "ADDRESS"),
    # What is not the same on another machine: where things are installed, temporary folders.
    (re.compile(r"(?:/[\w.+@~=-]+){2,}/(?=[\w.+-])"), ""),
    (re.compile(r"\s+"), " "),
)


def told(message: str, verdict: Verdict) -> str:
    """One line on a test: the message without what changes from run to run, and the worst element of a wrong answer."""
    text = message.strip()
    for pattern, word in _CHANGES:
        text = pattern.sub(word, text)
    text = text[:_LENGTH].strip()
    if verdict.output is None or (verdict.expected is None and verdict.actual is None):
        return text
    place = "" if verdict.index is None else str(list(verdict.index))
    element = f"{verdict.output}{place} is {verdict.actual}, {verdict.expected} is due"
    if verdict.bound:
        element += f" ± {verdict.bound:.2g}"
    return f"{element}; {text}" if text else element
