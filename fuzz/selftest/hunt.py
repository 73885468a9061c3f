"""How long the fuzzer takes to find each planted fault, and whether a fixed tolerance would have found it.

All faults walk through the same seeds. A case that a fault does not show in is what it is on the clean target, so it
is generated, run and judged once for all faults, and its cost counts for each as if it had been alone.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from backends.faults.table import FAULTS
from fuzz.execute.target import parse_target
from fuzz.generate.support import joint_support
from fuzz.judge.verdict import FINDINGS, Word
from fuzz.selftest.examine import examine
from fuzz.selftest.station import Station
from fuzz.selftest.subject import agrees, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from fuzz.execute.target import Target
    from fuzz.execute.worker import Limits
    from fuzz.generate.settings import Settings
    from fuzz.selftest.subject import Subject

__all__ = ["MEMORY", "Hunt", "Trail", "faulty"]

MEMORY = 1536 << 20
"""Bytes of resident memory that a worker may have: a leak is to be seen soon."""

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


def faulty(target: Target, fault: str) -> Target:
    """The same target with a fault planted in it."""
    name, colon, options = target.canonical.partition(":")
    options, at, device = options.partition("@")
    if not colon:
        name, at, device = name.partition("@")
    joined = f"{options},fault={fault}" if options else f"fault={fault}"
    return parse_target(f"{name}:{joined}{at}{device}")


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
        """Found by both; numbers alone are worth a longer search by ``allclose``."""
        compared = trail.close is not None or trail.right != Word.WRONG.value
        return trail.seconds >= self.seconds or (trail.found is not None and compared)

    def run(self, progress: Callable[[int], None] = lambda _: None) -> Iterator[Trail]:
        """Search until each fault is found or its time is up; yields trails as they end.

        Raises TargetError, and ValueError where the target has no support table.
        """
        supports = joint_support(self.settings.targets)
        with Station(self.target, self.limits) as clean:
            while self.open():
                subjects = [
                    prepare(seed, self.settings, supports, clean) for seed in range(self.seed, self.seed + self.chunk)
                ]
                for trail in self.open():
                    self._follow(trail, subjects)
                    if self._ended(trail):
                        yield trail
                self.seed += self.chunk
                self.chunk = min(2 * self.chunk, _LAST_CHUNK)
                progress(len(subjects))

    def _follow(self, trail: Trail, subjects: Sequence[Subject]) -> None:
        """One fault through some cases; its worker is started for the first that it shows in."""
        from backends.faults.backend import shows

        with ExitStack() as stack:
            station: Station | None = None
            for subject in subjects:
                if self._ended(trail):
                    return
                trail.cases += 1
                if subject.word in _SPENT or not shows(trail.fault, subject.model):
                    trail.seconds += subject.cost
                else:
                    if station is None:
                        station = stack.enter_context(Station(faulty(self.target, trail.fault), self.limits))
                    self._look(trail, subject, station)

    def _look(self, trail: Trail, subject: Subject, station: Station) -> None:
        """One case that the fault shows in."""
        examined = examine(subject, station, trail.shown)
        trail.shown += 1
        trail.seconds += subject.making + examined.seconds
        mark = {"seconds": round(trail.seconds, 3), "cases": trail.cases}
        if trail.found is None and examined.word in FINDINGS:
            if examined.word.value == trail.right:
                trail.found = {
                    **mark, "seed": subject.seed, "verdict": examined.word.value, "oracle": examined.oracle,
                }  # fmt: skip
            else:
                trail.other = trail.other or {}
                trail.other[examined.word.value] = trail.other.get(examined.word.value, 0) + 1
        if trail.close is None and not agrees(examined.attempt, subject.clean):
            trail.close = mark
