"""Novelty as steering, on against off: the same CPU seconds, the same seeds, one after the other in one run.

    python benchmarks/novelty.py [--backend TARGET] [--seconds N] [--series N] [--arm SHARE/EVERY ...]
    python benchmarks/novelty.py --costs N --backend TARGET [--backend TARGET ...]

An arm makes SHARE of a hundred cases of kept ones and asks for artefacts in one case of EVERY. Its clock runs while
cases are generated, executed and judged, and while artefacts are asked for and read as often as the arm asks. What is
counted stands outside of the clock: the features of all cases, and which of the faults that rewrite a model would have
been found (`backends/faults`), their right verdict included. ``--costs`` takes N cases of each target instead, and
tells what they cost to generate, to execute, to show, and to read for features.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from statistics import mean, median
from typing import TYPE_CHECKING

import numpy as np
import onnx
from figure import machine

from backends.faults.backend import REWRITES
from backends.faults.draft import rewritten
from backends.faults.table import FAULTS
from backends.frame import Frame, encode
from backends.protocol import Outcome
from fuzz.campaign.epochs import epoch_of
from fuzz.execute.attempt import Limits
from fuzz.execute.target import parse_target
from fuzz.generate.choices import Seeded
from fuzz.generate.graph import NothingFits
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.generate.support import joint_support
from fuzz.judge.verdict import Word
from fuzz.novelty.features import features_of
from fuzz.novelty.mutation import Continued
from fuzz.novelty.state import Shown, State, advance, origin_of
from fuzz.selftest.station import Station, request
from fuzz.selftest.subject import Subject

if TYPE_CHECKING:
    from fuzz.execute.worker import Attempt

_APART = 1_000_003  # seeds between two series
_LAG = 2
_LIMITS = Limits(20.0, 2 << 30)
_CALM = frozenset({Word.OK, Word.UNDECIDABLE, Word.SUSPECT})


@dataclass(slots=True)
class Arm:
    """One way to steer, and what came of it in one series."""

    share: int
    every: int
    seconds: float = 0.0
    asking: float = 0.0
    cases: int = 0
    mutants: int = 0
    features: set[str] = field(default_factory=set)
    found: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As the table calls it."""
        return f"{self.share} % mutants, 1 in {self.every} shown" if self.share else "off"

    def row(self) -> dict[str, float]:
        """What is compared."""
        kinds = [feature.partition(" ")[0] for feature in self.features]
        return {
            "cases/s": self.cases / self.seconds, "asking %": 100 * self.asking / self.seconds,
            "mutants %": 100 * self.mutants / max(self.cases, 1), "features": len(self.features),
            "ops": kinds.count("op"), "edges": kinds.count("edge"), "passes": kinds.count("pass"),
            "contributed": sum(feature.startswith("op com.microsoft") for feature in self.features),
            "faults": len(self.found), "median s": median(self.found.values()) if self.found else float("nan"),
        }  # fmt: skip


class Drive:
    """One arm on one series of seeds."""

    def __init__(self, arm: Arm, target: str, settings: Settings, first: int) -> None:
        self.arm, self.target, self.settings, self.first = arm, target, settings, first
        self.supports = joint_support(settings.targets)
        self.state = State()
        self.shown: dict[int, list[Shown]] = {}

    def run(self, seconds: float) -> Arm:
        """Until the arm's clock has run so long."""
        with Station(parse_target(self.target), _LIMITS) as station:
            place = 0
            while self.arm.seconds < seconds:
                self.case(station, place)
                place += 1
        return self.arm

    def case(self, station: Station, place: int) -> None:
        """One seed: its case, executed, judged, asked what it shows; then what does not count."""
        epoch, seed = epoch_of(place), self.first + place
        start, before = time.process_time(), station.spent
        while (ready := min(self.shown, default=epoch)) <= epoch - _LAG:
            self.state = advance(self.state, ready, self.shown.pop(ready))
        subject = self.make(epoch, seed)
        if subject is None:
            self.arm.seconds += time.process_time() - start
            return
        frame = Frame("execute", {"folder": None, "keep": True}, subject.values(), subject.model)
        attempt = station.execute(encode(frame))
        word = Word(subject.verdict(attempt, self.target).verdict)
        self.arm.seconds += time.process_time() - start + station.spent - before
        self.arm.cases += 1
        if attempt.outcome is Outcome.OK:
            self.ask(station, subject, epoch)
            if word in _CALM:
                self.break_(station, subject)

    def make(self, epoch: int, seed: int) -> Subject | None:
        """The case of a seed: of a kept one, or a fresh one."""
        origin = origin_of(self.state, epoch, seed, self.arm.share)
        try:
            choices = Seeded(seed) if origin is None else Continued(origin.choices, origin.seed)
            made = generate_case(choices, self.settings, self.supports)
        except NothingFits:
            return None
        self.arm.mutants += origin is not None
        values = [list(data_set.inputs.values()) for data_set in made.data_sets]
        return Subject(seed, made.model, made.data_sets, made.record, request(made.model, values), 0.0)

    def ask(self, station: Station, subject: Subject, epoch: int) -> None:
        """Its features: all count, but the arm knows and pays for those that it asked for."""
        start, before = time.process_time(), station.spent
        attempt = station.execute(encode(Frame("reveal")))
        files = {str(each.fields["file"]): _content(each) for each in attempt.reports}
        found = features_of(files)
        spent = time.process_time() - start + station.spent - before
        self.arm.features |= found
        if self.arm.share and subject.seed % self.arm.every == 0:
            self.arm.seconds += spent
            self.arm.asking += spent
            told = Shown(subject.seed, {self.target: found}, tuple(subject.record["choices"]))
            self.shown.setdefault(epoch, []).append(told)

    def break_(self, station: Station, subject: Subject) -> None:
        """Whether each fault that was not found before would have been found by this case."""
        for fault in REWRITES:
            if fault in self.arm.found:
                continue
            with np.errstate(all="ignore"):
                broken = rewritten(onnx.ModelProto.FromString(subject.model), REWRITES[fault])
            if broken is not None:
                answer: Attempt = station.execute(request(broken.SerializeToString(), subject.values()))
                if subject.verdict(answer, self.target).verdict == FAULTS[fault].verdict:
                    self.arm.found[fault] = self.arm.seconds


def costs(target: str, count: int) -> str:
    """A row: mean CPU milliseconds of some cases that the target runs, and how many features they have."""
    settings = Settings(nodes=(10, 10), targets=(target,))
    supports = joint_support(settings.targets)
    spent = dict.fromkeys(("generate", "execute", "show", "read"), 0.0)
    known: set[str] = set()
    ran = seed = 0
    with Station(parse_target(target), _LIMITS) as station:
        while ran < count and seed < 4 * count:
            start = time.process_time()
            made = generate_case(Seeded(seed), settings, supports)
            making = time.process_time() - start
            seed += 1
            values = [list(data_set.inputs.values()) for data_set in made.data_sets]
            attempt = station.execute(encode(Frame("execute", {"folder": None, "keep": True}, values, made.model)))
            if attempt.outcome is not Outcome.OK:
                continue
            ran += 1
            shown = station.execute(encode(Frame("reveal")))
            start = time.process_time()
            known |= features_of({str(each.fields["file"]): _content(each) for each in shown.reports})
            spent["read"] += time.process_time() - start
            spent["generate"] += making
            spent["execute"] += attempt.cpu_seconds
            spent["show"] += shown.cpu_seconds
    cells = (f"{1000 * seconds / max(ran, 1):.3g}" for seconds in spent.values())
    return f"| {target} | {ran} | {' | '.join(cells)} | {len(known)} |"


def _content(report: Frame) -> bytes:
    return bytes(report.values[0].data)  # type: ignore[union-attr]


def main() -> int:
    """Measure and print a line for each arm and series, then means with the least and the most."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", action="append", metavar="TARGET", help="default: onnxruntime")
    parser.add_argument("--costs", type=int, metavar="N", help="what artefacts of N cases cost, and nothing else")
    parser.add_argument("--seconds", type=float, default=40.0, help="CPU seconds of each arm and series")
    parser.add_argument("--series", type=int, default=4, help="series of seeds")
    parser.add_argument("--bait", default="", help="fusion patterns to place, or 'all'")
    parser.add_argument("--arm", action="append", metavar="SHARE/EVERY", help="default: 0/1 25/4 50/4 50/1")
    given = parser.parse_args()
    print(machine(), flush=True)
    targets = given.backend or ["onnxruntime"]
    if given.costs:
        print("| target | cases | generate ms | execute | show | read | features |\n|---|" + "---:|" * 6)
        for target in targets:
            print(costs(target, given.costs), flush=True)
        return 0
    bait = tuple(filter(None, given.bait.split(",")))
    settings = Settings(nodes=(10, 10), targets=(targets[0],), bait=bait)
    arms: dict[str, list[dict[str, float]]] = {}
    for series in range(given.series):
        for text in given.arm or ("0/1", "25/4", "50/4", "50/1"):
            share, every = map(int, text.split("/"))
            done = Drive(Arm(share, every), targets[0], settings, series * _APART).run(given.seconds)
            arms.setdefault(done.name, []).append(done.row())
            print(series, done.name, {key: round(value, 1) for key, value in done.row().items()}, flush=True)
    keys = list(next(iter(arms.values()))[0])
    print("| arm | " + " | ".join(keys) + " |\n|---|" + "---:|" * len(keys))
    for name, rows in arms.items():
        print(f"| {name} | " + " | ".join(_spread([row[key] for row in rows]) for key in keys) + " |")
    return 0


def _spread(values: list[float]) -> str:
    low, middle, high = min(values), mean(values), max(values)
    return f"{middle:.4g} ({low:.4g}-{high:.4g})"


if __name__ == "__main__":
    sys.exit(main())
