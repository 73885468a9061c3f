"""What was ruled out of a finding: the model, the reference, the process, other targets, the backend's switches."""

from __future__ import annotations

import platform
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fuzz.errors import FuzzError
from fuzz.execute.target import parse_target
from fuzz.execute.variant import varied
from fuzz.judge.verdict import FINDINGS, Word
from fuzz.repro.due import dues
from fuzz.triage.assessment import invalid
from fuzz.triage.laboratory import Laboratory
from fuzz.triage.predicate import VerdictPredicate
from fuzz.triage.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzz.execute.attempt import Limits
    from fuzz.execute.nursery import Nursery
    from fuzz.execute.target import Target
    from fuzz.repro.due import Due
    from fuzz.triage.candidate import Candidate
    from fuzz.triage.observation import Observation

__all__ = ["Evidence", "Ruling", "gather", "platform_text", "variants", "versions_of"]

_VARIANTS = 3
"""The most switches that are tried, each of which starts a worker."""
_SEVERAL = frozenset({"mode", "off"})
"""Options whose values turn different things off; of others the first is the most that can be turned off."""
_TOLD = 200
_VERSIONS = """
import platform, sys
from importlib import metadata
print("python", platform.python_version())
for name in sys.argv[1:]:
    try:
        print(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        pass
"""


@dataclass(frozen=True, slots=True)
class Ruling:
    """One thing that was asked beside the finding: who, what it was found to be, and in whose words."""

    what: str
    verdict: str
    said: str = ""

    @property
    def right(self) -> bool:
        """Whether it does what is due."""
        return self.verdict in {Word.OK, "accepts"}


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of a finding.

    Attributes:
        last: what the case does in a fresh worker.
        due: for each data set what is due; empty where the reference cannot tell.
        rulings: what was asked beside it.
    """

    last: Observation
    due: tuple[tuple[Due, ...], ...]
    rulings: tuple[Ruling, ...]

    def ruling(self, what: str) -> Ruling | None:
        """What was found of one thing, None if it was not asked."""
        return next((ruling for ruling in self.rulings if ruling.what == what), None)


def variants(target: Target) -> tuple[str, ...]:
    """The target with each of its optimisations turned off; of lists of passes none is tried here."""
    options = dict(target.options)
    pairs = [
        (knob.option, value, knob.default)
        for knob in target.entry.knobs if knob.option != "disable" and not knob.counted
        for value in (knob.values if knob.option in _SEVERAL else knob.values[:1])
    ]  # fmt: skip
    return tuple(
        varied(target.canonical, options={option: value})
        for option, value, default in pairs if options.get(option, default) != value
    )[:_VARIANTS]


def gather(
    case: Candidate, target: Target, limits: Limits, others: Sequence[str] = (), sandbox: Sandbox | None = None,
    nursery: Nursery | None = None,
) -> Evidence:  # fmt: skip
    """Run the case on its target in a fresh worker, then beside it on what may tell whose fault it is.

    ``sandbox`` has processes that parse models; without it they are started here, as workers are without ``nursery``.
    Raises TargetError where no worker of the target starts.
    """
    with ExitStack() as held:
        shared = held.enter_context(Sandbox()) if sandbox is None else sandbox
        with Laboratory(VerdictPredicate(target, limits, nursery=nursery), sandbox=shared) as laboratory:
            last = laboratory.fresh(case)
            found = laboratory.apart(dues, case, target.canonical) if last.fit else None
            checked = laboratory.apart(invalid, case.model)
        rulings = [Ruling("onnx.checker", "accepts" if checked == "" else "refuses", checked or "")]
        if "fault" not in dict(target.options):
            asked = dict.fromkeys((*variants(target), *others, *_EVALUATOR))
            rulings += [_ruled(case, text, limits, shared, nursery) for text in asked if text != target.canonical]
    return Evidence(last, found or (), tuple(rulings))


_EVALUATOR = ("reference",)
"""ONNX's own evaluator is always asked: it is what a maintainer will ask first."""


def _ruled(case: Candidate, text: str, limits: Limits, sandbox: Sandbox, nursery: Nursery | None) -> Ruling:
    try:
        with Laboratory(VerdictPredicate(parse_target(text), limits, nursery=nursery), sandbox=sandbox) as laboratory:
            seen = laboratory.fresh(case)
    except FuzzError as problem:
        return Ruling(text, "not asked", str(problem)[:_TOLD])
    word = seen.signature.word if seen.fit or seen.signature.word not in FINDINGS else Word.UNDECIDABLE
    said = seen.said if word != Word.OK else ""
    if seen.verdict is not None and word == Word.WRONG:
        said = f"{seen.verdict.actual} where {seen.verdict.expected} is due" if seen.verdict.index is not None else ""
        said = said or seen.verdict.message
    return Ruling(text, word, said.strip().split("\n", 1)[0][:_TOLD])


# --- where it was seen ------------------------------------------------------------------------------------------------


def versions_of(target: Target, distributions: Sequence[str]) -> dict[str, str]:
    """The versions of Python and of these distributions, and of numpy and onnx, where the target runs."""
    names = list(dict.fromkeys((*distributions, *target.entry.distributions, "onnx", "numpy", "ml-dtypes")))
    done = subprocess.run(
        [target.python, "-I", "-c", _VERSIONS, *names], capture_output=True, text=True, timeout=60, check=False
    )
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def platform_text() -> str:
    """Operating system, processor: what a maintainer asks for."""
    return f"{platform.system()} {platform.machine()}, {_processor()}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - a line of it is all that is read
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "an unknown processor"
