"""What windows of real models add: distinct features of artefacts of the same number of cases, seeded and not.

    python benchmarks/seeds.py [--backend TARGET ...] [--count N] [--series N] [--seeds corpus|FILE]

A feature is what `fuzz run --novelty` steers by: an operator, pass, kernel or edge that shows in what a compiler made
of a model. Both arms have the settings of `fuzz gen --for TARGET`, the same seeds and the same number of cases; a case
that the target does not run shows nothing. Windows come on top of a model's nodes, so a third arm is unseeded with
as many nodes a case. Printed beside are nodes a case and the CPU milliseconds that a case takes
to generate. Only counts and CPU time are compared, so that load does not matter.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import dataclass, field
from statistics import mean

from figure import machine

from backends.frame import Frame, encode
from backends.protocol import Outcome
from fuzz.cli.generator import Wishes, read_settings
from fuzz.execute.attempt import Limits
from fuzz.execute.target import parse_target
from fuzz.generate.choices import Seeded
from fuzz.generate.graph import NothingFits
from fuzz.generate.run import generate_case
from fuzz.generate.support import joint_support
from fuzz.novelty.features import features_of
from fuzz.selftest.station import Station

_LIMITS = Limits(20.0, 2 << 30)
_NODES = 20  # at most, beside those of windows
_APART = 1_000_003  # seeds between two series


@dataclass(slots=True)
class Arm:
    """One arm: what its cases showed, and what they cost to make."""

    features: set[str] = field(default_factory=set)
    cases: int = 0
    ran: int = 0
    nodes: int = 0
    windows: int = 0
    seconds: float = 0.0

    def row(self) -> str:
        """As the table has it."""
        kinds = Counter(feature.partition(" ")[0] for feature in self.features)
        told = ", ".join(f"{kinds[kind]} {kind}" for kind in sorted(kinds))
        return (f"{len(self.features)} features ({told}) of {self.ran} cases that ran of {self.cases}, "
                f"{self.nodes / self.cases:.1f} nodes and {self.windows / self.cases:.2f} windows a case, "
                f"{1000 * self.seconds / self.cases:.2f} ms")  # fmt: skip


def drive(target: str, seeds: tuple[str, ...], count: int, first: int, most: int = _NODES) -> Arm:
    """So many cases of up to ``most`` nodes on a target, each asked for its artefacts."""
    wishes: Wishes = {
        "nodes": (1, most), "opset": None, "ops": None, "domains": None, "dtypes": None, "rank": None, "empty": 0.025,
        "dynamic": "never", "targets": (target,), "bait": None, "structure": None, "nonfinite": False, "seeds": seeds,
    }  # fmt: skip
    settings = read_settings(wishes)
    supports = joint_support(settings.targets)
    arm = Arm()
    with Station(parse_target(target), _LIMITS) as station:
        for seed in range(first, first + count):
            start = time.process_time()
            try:
                made = generate_case(Seeded(seed), settings, supports)
            except NothingFits:
                continue
            arm.seconds += time.process_time() - start
            arm.cases += 1
            arm.nodes += made.nodes
            arm.windows += len(made.record.get("windows", ()))
            values = [list(data_set.inputs.values()) for data_set in made.data_sets]
            attempt = station.execute(encode(Frame("execute", {"folder": None, "keep": True}, values, made.model)))
            if attempt.outcome is not Outcome.OK:
                continue
            arm.ran += 1
            shown = station.execute(encode(Frame("reveal")))
            arm.features |= features_of({str(r.fields["file"]): bytes(r.values[0].data) for r in shown.reports})
    return arm


def main() -> None:
    """Print a line an arm, and by how much they differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", action="append", metavar="TARGET")
    parser.add_argument("--count", type=int, default=500, metavar="N")
    parser.add_argument("--series", type=int, default=1, metavar="N")
    parser.add_argument("--seeds", action="append", metavar="corpus|FILE")
    asked = parser.parse_args()
    print(machine())
    chosen = tuple(asked.seeds or ["corpus"])
    for target in asked.backend or ["onnxruntime", "tvm"]:
        ratios = []
        for series in range(asked.series):
            arms: list[Arm] = []
            most = _NODES
            for name, seeds in (("unseeded", ()), ("seeded", chosen), ("unseeded, as many nodes", ())):
                if len(arms) == 2:
                    most = round(_NODES * arms[1].nodes / arms[0].nodes)
                arms.append(drive(target, seeds, asked.count, series * _APART, most))
                print(f"{target} {series} {name}: {arms[-1].row()}", flush=True)
            ratios.append(len(arms[1].features) / len(arms[0].features))
            alone = len(arms[1].features - arms[0].features)
            print(f"{target} {series}: seeded / unseeded {ratios[-1]:.2f}, {alone} of them shown by no unseeded case; "
                  f"of as many nodes {len(arms[1].features) / len(arms[2].features):.2f}, "
                  f"{len(arms[1].features - arms[2].features)}", flush=True)  # fmt: skip
        print(f"{target}: mean {mean(ratios):.2f}", flush=True)


if __name__ == "__main__":
    main()
