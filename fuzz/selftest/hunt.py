"""How long the fuzzer takes to find each planted fault, and whether a fixed tolerance would have found it.

All faults walk through the same seeds. A case that a fault does not show in is what it is on the clean target, so it
is generated, run and judged once for all faults, and its cost counts for each as if it had been alone.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from backends.faults.table import FAULTS
from fuzz.generate.support import joint_support
from fuzz.judge.verdict import FINDINGS, Word
from fuzz.selftest.examine import Examiner
from fuzz.selftest.station import varied
from fuzz.selftest.subject import agrees, make

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from fuzz.execute.target import Target
    from fuzz.execute.worker import Limits
    from fuzz.generate.settings import Settings
    from fuzz.selftest.examine import Examined
    from fuzz.selftest.subject import Subject

__all__ = ["COMPARED", "MEMORY", "Hunt", "Trail"]

MEMORY = 1536 << 20
"""Bytes of resident memory that a worker may have: a leak is to be seen soon."""

COMPARED = frozenset({Word.WRONG.value, Word.NONDETERMINISTIC.value})
"""Right verdicts of faults that other numbers show: those are worth a longer search by ``allclose``."""

_FIRST_CHUNK, _LAST_CHUNK = 8, 128
_SPENT = FINDINGS | {Word.UNSUPPORTED, Word.ERROR}
"""Verdicts of the clean target after which nothing can be said of a fault."""


@dataclass(slots=True)
class Trail:
    """One fault, and how far the search for it has come.

    ``shown``: cases of those seen that it shows in. ``seconds`` is CPU time (see ``Station.spent``). ``found`` holds
    seconds, cases, seed, verdict and oracle of the finding; ``close`` seconds and cases until allclose(1e-2, 1e-3)
    against the clean target differs. ``other`` counts findings with another verdict than the right one.
    """

    fault: str
    right: str
    seconds: float = 0.0
    cases: int = 0
    shown: int = 0
    found: dict[str, Any] | None = None
    close: dict[str, Any] | None = None
    other: dict[str, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """As ``--json`` and the state file have it."""
        return asdict(self)


class Hunt:
    """The search for some faults on one target.

    ``seconds``: CPU seconds for each fault. A hunt can be stopped after any chunk and go on from its ``state``.
    """

    def __init__(
        self, target: Target, faults: Sequence[str], settings: Settings, *, seconds: float, limits: Limits,
        first_seed: int = 0,
    ) -> None:  # fmt: skip
        self.target = target
        self.settings = settings
        self.limits = limits
        self.seconds = seconds
        self.seed = first_seed
        self.chunk = _FIRST_CHUNK
        self.trails = {name: Trail(name, FAULTS[name].verdict) for name in faults}

    @property
    def state(self) -> dict[str, Any]:
        """All that is needed to go on."""
        return {"seed": self.seed, "chunk": self.chunk, "trails": [t.to_json() for t in self.trails.values()]}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; faults that are not in it begin at its seed with nothing spent."""
        self.seed, self.chunk = state["seed"], state["chunk"]
        for fields in state["trails"]:
            if fields["fault"] in self.trails:
                self.trails[fields["fault"]] = Trail(**fields)

    def open(self) -> list[Trail]:
        """The trails that are worth going on with."""
        return [t for t in self.trails.values() if not self._ended(t)]

    def _ended(self, trail: Trail) -> bool:
        """Out of time, or found by both where both can find it."""
        compared = trail.close is not None or trail.right not in COMPARED
        return trail.seconds >= self.seconds or (trail.found is not None and compared)

    def run(self, progress: Callable[[int], None] = lambda _: None) -> Iterator[Trail]:
        """Search until each fault is found or its time is up; yields trails as they end.

        Raises TargetError, and ValueError where the target has no support table.
        """
        supports = joint_support(self.settings.targets)
        with Examiner(self.target, self.limits) as clean:
            while self.open():
                seeds = range(self.seed, self.seed + self.chunk)
                subjects = [make(seed, self.settings, supports) for seed in seeds]
                known = [(subject, clean.examine(subject, subject.seed)) for subject in subjects]
                for trail in self.open():
                    self._follow(trail, known)
                    if self._ended(trail):
                        yield trail
                self.seed += self.chunk
                self.chunk = min(2 * self.chunk, _LAST_CHUNK)
                progress(len(subjects))

    def _follow(self, trail: Trail, known: Sequence[tuple[Subject, Examined]]) -> None:
        """One fault through some cases; its worker is started for the first that it shows in."""
        from backends.faults.backend import shows

        with ExitStack() as stack:
            examiner: Examiner | None = None
            for subject, clean in known:
                if self._ended(trail):
                    return
                trail.cases += 1
                if clean.word in _SPENT or not shows(trail.fault, subject.model):
                    trail.seconds += subject.making + clean.seconds
                    continue
                if examiner is None:
                    broken = varied(self.target, "fault", trail.fault)
                    examiner = stack.enter_context(Examiner(broken, self.limits))
                _note(trail, subject, clean, examiner.examine(subject, subject.seed))


def _note(trail: Trail, subject: Subject, clean: Examined, found: Examined) -> None:
    """One case that the fault shows in."""
    trail.shown += 1
    trail.seconds += subject.making + found.seconds
    mark = {"seconds": round(trail.seconds, 3), "cases": trail.cases}
    if trail.found is None and found.word in FINDINGS:
        if found.word.value == trail.right:
            trail.found = {**mark, "seed": subject.seed, "verdict": found.word.value, "oracle": found.oracle}
        else:
            trail.other = trail.other or {}
            trail.other[found.word.value] = trail.other.get(found.word.value, 0) + 1
    if trail.close is None and not agrees(found.attempt, clean.attempt):
        trail.close = mark
