"""Whether steering finds more: distinct bugs after the same CPU time with it and without, several faults planted.

python benchmarks/steering.py --seconds 300     docs/notes/steering.json; goes on where it was (build/steering)
python benchmarks/steering.py --models 300      no compilers: how many models show faults where the noisy one is known

The two campaigns take turns of some seconds, so that a busy machine slows down both. CPU seconds are those that the
store has of generator, judge, targets and reductions. A planted fault counts as found when the reduced case of some
finding shows it (the backend with this fault alone treats the case otherwise than one without) with the right verdict.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands import fuzz
from figure import commit, machine, write_json

from backends.faults.backend import shows
from backends.faults.table import FAULTS
from fuzz.campaign.ledger import LEDGER_NAME
from fuzz.generate.choices import Seeded
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.generate.support import joint_demands, joint_support
from fuzz.reach import drawn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NOISY = "dropped-activation"
"""Wrong in most models of these operators."""
OTHERS = (
    "shifted-slice", "concat-order", "wrong-triangle", "ignored-exclusive", "last-of-equals", "half-away-from-zero",
    "xor-as-or", "floor-division", "inverted-where", "swapped-comparison", "remainder-sign", "lost-last-element",
    "crash-at-fusion",
)  # fmt: skip
OPERATORS = (
    "Relu,Sigmoid,Tanh,Elu,LeakyRelu,Clip,Add,Mul,Slice,Concat,Trilu,CumSum,ArgMax,Round,Xor,Div,Where,Less,Mod,ReduceSum"
)
ACTIVATIONS = frozenset({
    "Relu", "Sigmoid", "Tanh", "Elu", "LeakyRelu", "Clip", "HardSigmoid", "HardSwish", "Selu", "Softplus", "Softsign",
    "Gelu", "Mish", "Celu", "ThresholdedRelu", "Swish", "Erf", "PRelu",
})  # fmt: skip
ASKED = (
    "--backend", f"onnxruntime:fault={'+'.join((NOISY, *OTHERS))}", "--for", "onnxruntime", "--ops", OPERATORS,
    "--dtypes", "float,int32,bool", "--nodes", "3-8", "--jobs", "1",
)  # fmt: skip
NOTE = Path(__file__).parents[1] / "docs" / "notes" / "steering.json"
WAYS = ("--steer", "--no-steer")

_SPENT = """
SELECT (SELECT coalesce(sum(generate_seconds + judge_seconds), 0) FROM "case")
    + (SELECT coalesce(sum(cpu_seconds), 0) FROM answer) + (SELECT coalesce(sum(cpu_seconds), 0) FROM failure)
"""


def main() -> int:
    """Run both ways for so many CPU seconds each, and write what came of it."""
    parser = argparse.ArgumentParser(description="Distinct findings with steering and without.")
    parser.add_argument("--seconds", type=float, default=300.0, metavar="S", help="CPU seconds for each way")
    parser.add_argument("--turn", type=float, default=20.0, metavar="S", help="wall seconds of a turn")
    parser.add_argument("--place", default="build/steering", metavar="DIR", help="of the campaigns")
    parser.add_argument("--out", default=str(NOTE), metavar="FILE", help="where the result goes")
    parser.add_argument("--models", type=int, metavar="N", help="generate so many models each way, and run none")
    parser.add_argument("--fresh", action="store_true", help="forget what was run before")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    place = Path(options.place)
    if options.models:
        for noisy in (NOISY, "bfloat16-intermediate"):
            print(json.dumps(masked(noisy, options.models)), flush=True)
        return 0
    if options.fresh:
        shutil.rmtree(place, ignore_errors=True)
    curves = run(place, options.seconds, options.turn)
    result = {"commit": commit(), "machine": machine(), "noisy": NOISY, "others": list(OTHERS), **summary(curves)}
    write_json(Path(options.out), result)
    for way in WAYS:
        last = result["ways"][way]
        print(f"{way}: {last['bugs']} of {len(OTHERS) + 1} faults, {last['findings']} findings, {last['cases']} cases "
              f"in {last['seconds']:.0f} CPU s")  # fmt: skip
    print(f"ratio of faults found: {result['ratio']}")
    return 0


def run(place: Path, seconds: float, turn: float) -> dict[str, list[dict[str, Any]]]:
    """What each way had come to after each of its turns."""
    curves: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    while any(not curve or curve[-1]["seconds"] < seconds for curve in curves.values()):
        for way, curve in curves.items():
            if curve and curve[-1]["seconds"] >= seconds:
                continue
            root = place / way.strip("-")
            told = fuzz("run", "--root", root, *ASKED, way, "--time", str(turn))
            found = told["findings"]
            curve.append({
                "seconds": spent(root), "cases": told["cases"], "findings": len(found), "bugs": bugs(root, found),
            })  # fmt: skip
            print(way, curve[-1], flush=True)
    return curves


def masked(noisy: str, count: int) -> dict[str, Any]:
    """Of the models that settings for ONNX Runtime make: percent that show a noisy fault, and that show only others.

    ``rested`` is after all that the noisy fault begins at has come to rest, ``plain`` before. A case that shows both is
    most often told as the noisy one.
    """
    plain = joint_demands(("onnxruntime",), Settings(targets=("onnxruntime",), bait=("all",), structure=("all",)))
    supports = joint_support(plain.targets)
    sites: set[str] = set()
    result: dict[str, Any] = {"noisy": noisy, "models": count}
    for way in ("plain", "rested"):
        settings = plain if way == "plain" else replace(plain, rests=(f"1 {' '.join(sorted(sites))}",))
        start, shown = time.process_time(), []
        for seed in range(count):
            made = generate_case(Seeded(seed), settings, supports)
            shown.append({fault for fault in (noisy, *OTHERS) if shows(fault, made.model)})
            if way == "plain" and noisy in shown[-1]:
                sites |= {f"{name}:{dtype}" for name, dtype in drawn(made.graph) if begins(noisy, name, dtype)}
        result[way] = {
            "noisy": round(100 * sum(noisy in one for one in shown) / count, 1),
            "others_alone": round(100 * sum(bool(one) and noisy not in one for one in shown) / count, 1),
            "others_distinct": len(set().union(*(one for one in shown if noisy not in one))),
            "cpu_seconds": round(time.process_time() - start, 1),
        }
    return result


def begins(noisy: str, operator: str, dtype: str) -> bool:
    """Whether a noisy fault shows at an operator on a type: what a campaign learns of it."""
    if noisy == "bfloat16-intermediate":
        return dtype == "float"
    return operator in ACTIVATIONS


def spent(root: Path) -> float:
    """CPU seconds that a campaign has taken."""
    with closing(sqlite3.connect(root / LEDGER_NAME)) as connection:
        return float(connection.execute(_SPENT).fetchone()[0])


def bugs(root: Path, findings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The planted faults that findings show.

    What the noisy fault changes as well counts for the noisy one alone: it may be what was seen.
    """
    found = set()
    for finding in findings:
        model = (root / "findings" / finding["id"] / "model.onnx").read_bytes()
        word = finding["signature"].split(" ")[0]
        alike = {fault for fault in (NOISY, *OTHERS) if FAULTS[fault].verdict == word and shows(fault, model)}
        found |= {NOISY} if NOISY in alike else alike
    return sorted(found)


def summary(curves: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Both curves, what each ended with, and the ratio of faults found at the CPU time that both reached."""
    ends = {way: curve[-1] for way, curve in curves.items()}
    common = min(end["seconds"] for end in ends.values())
    counts = {
        way: max((len(row["bugs"]) for row in curve if row["seconds"] <= common), default=0)
        for way, curve in curves.items()
    }
    ratio = round(counts[WAYS[0]] / counts[WAYS[1]], 2) if counts[WAYS[1]] else None
    return {
        "common_seconds": common, "at_common": counts, "ratio": ratio,
        "ways": {way: {**end, "bugs": len(end["bugs"])} for way, end in ends.items()}, "curves": curves,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
