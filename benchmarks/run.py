"""`make bench`: the figures of docs/benchmarks.md, each with its target.

python benchmarks/run.py                     all of them, some minutes
python benchmarks/run.py help generation     some of them
python benchmarks/run.py --quick             small counts: does it work at all
python benchmarks/run.py identity --python PATH     the same bytes on that Python as on this one?
python benchmarks/run.py --json              one object {machine, figures: [{name, value, unit, target, ...}]}
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import commands
import diversify
import generation
import identity
import judge
import loop
import reference
import regress
import report
import scripts
import sharpness
import workers
from figure import Figure, Scale, machine, print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

BENCHMARKS: Mapping[str, tuple[Callable[[Scale], Iterator[Figure]], ...]] = {
    "help": (commands.help_latency,),
    "generation": (generation.cost, generation.growth, generation.diversity),
    "diversify": (diversify.cost, diversify.vectors, diversify.questions),
    "reference": (reference.cost, reference.growth),
    "validity": (generation.validity, commands.refusals),
    "identity": (identity.identity,),
    "judge": (judge.null_runs, judge.planted_faults),
    "sharpness": (sharpness.bounds, sharpness.undecidable, sharpness.injected),
    "throughput": (commands.throughput,),
    "loop": (loop.budget,),
    "reach": (commands.reach,),
    "reach-alone": (commands.reach_alone,),
    "workers": (workers.message, workers.restart, workers.side_by_side),
    "report": (report.large,),
    "regress": (regress.gate,),
    "scripts": (scripts.overhead,),
    "conformance": (commands.conformance,),
}


def main() -> int:
    """Measure and print; exit status 1 where a target is not met."""
    parser = argparse.ArgumentParser(description="Measure the figures of docs/benchmarks.md.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="small counts: figures are rough")
    parser.add_argument("--place", default="build/bench", metavar="DIR", help="where cases go (default: %(default)s)")
    parser.add_argument(
        "--python", action="append", default=[], metavar="PATH",
        help="for `identity`: another Python, with the project's dependencies installed; may be given again",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"unknown benchmark {unknown[0]!r}: there is {', '.join(BENCHMARKS)}")
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    about = machine()
    place = Path(options.place) / str(os.getpid())
    scale = Scale(place, options.quick, options.python)
    figures: list[Figure] = []
    for name in options.names or BENCHMARKS:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        for benchmark in BENCHMARKS[name]:
            figures.extend(benchmark(scale))
    shutil.rmtree(place, ignore_errors=True)
    about["load_after"] = round(os.getloadavg()[0], 2)
    if options.json:
        print(json.dumps({"machine": about, "figures": [figure.to_json() for figure in figures]}))
    else:
        print(", ".join(f"{key} {value}" for key, value in about.items()) + "\n")
        print_table(figures)
    return 1 if any(figure.met is False for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
