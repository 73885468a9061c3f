"""Whether steering finds more: distinct bugs after the same CPU time with it and without, several faults planted.

python benchmarks/steering.py --series 3 --seconds 600     docs/notes/steering.json; goes on (build/steering)
python benchmarks/steering.py --models 300      no compilers: how many models show faults where the noisy one is known

Models as ``fuzz run`` makes them by default, one fault in most of them and many that few models show. Each series has
seeds of its own. The two campaigns take turns, so that a busy machine slows down both. CPU seconds are those that the
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
"""Wrong in most models."""
OTHERS = (
    "half-away-from-zero", "fused-multiply-add", "remainder-sign", "full-byte-true", "repeat-for-tile",
    "integers-in-float", "unshifted-softmax", "epsilon-outside-root", "ignored-dilation", "shift-direction",
    "unbiased-variance", "pad-with-zero", "nearest-mode", "abort-at-depth", "approximate-reciprocal",
    "ignored-scatter-reduction", "depth-to-space-mode", "clamped-index", "narrowed-int64", "edge-as-reflect",
    "dropped-cast", "ignored-sequence-lengths", "saturating-cast", "ignored-ceiling", "one-pass-variance",
    "ignored-local-constants",
)  # fmt: skip
"""Each took ninety models or more to be found where it was the only one (docs/campaigns/faults.md)."""
ACTIVATIONS = frozenset({
    "Relu", "Sigmoid", "Tanh", "Elu", "LeakyRelu", "Clip", "HardSigmoid", "HardSwish", "Selu", "Softplus", "Softsign",
    "Gelu", "Mish", "Celu", "ThresholdedRelu", "Swish", "Erf", "PRelu",
})  # fmt: skip
ASKED = (
    "--backend", f"onnxruntime:fault={'+'.join((NOISY, *OTHERS))}", "--for", "onnxruntime", "--nodes", "5-10",
    "--jobs", "1",
)  # fmt: skip
NOTE = Path(__file__).parents[1] / "docs" / "notes" / "steering.json"
WAYS = ("--steer", "--no-steer")
SHARES = (0.1, 0.25, 0.5, 1.0)  # of the time, at which faults are counted
_APART = 1_000_000_000  # first seeds of two series

_SPENT = """
SELECT (SELECT coalesce(sum(generate_seconds + judge_seconds), 0) FROM "case")
    + (SELECT coalesce(sum(cpu_seconds), 0) FROM answer) + (SELECT coalesce(sum(cpu_seconds), 0) FROM failure)
"""


def main() -> int:
    """Run both ways for so many CPU seconds each, and write what came of it."""
    parser = argparse.ArgumentParser(description="Distinct findings with steering and without.")
    parser.add_argument("--seconds", type=float, default=600.0, metavar="S", help="CPU seconds for each campaign")
    parser.add_argument("--series", type=int, default=3, metavar="N", help="pairs of campaigns")
    parser.add_argument("--turn", type=float, default=60.0, metavar="S", help="wall seconds of a turn")
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
    series = [run(place / str(number), number, options.seconds, options.turn) for number in range(options.series)]
    result = {"commit": commit(), "machine": machine(), "noisy": NOISY, "others": list(OTHERS), **summary(series)}
    write_json(Path(options.out), result)
    for share, counts in result["faults"].items():
        print(f"{share} s: " + ", ".join(f"{way} {counted}" for way, counted in counts.items()))
    return 0


def run(place: Path, number: int, seconds: float, turn: float) -> dict[str, list[dict[str, Any]]]:
    """What each way had come to after each of its turns; those of earlier runs are in ``curves.json``."""
    file = place / "curves.json"
    curves: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    if file.exists():
        curves = json.loads(file.read_text("utf-8"))
    while any(not curve or curve[-1]["seconds"] < seconds for curve in curves.values()):
        for way, curve in curves.items():
            if curve and curve[-1]["seconds"] >= seconds:
                continue
            root = place / way.strip("-")
            told = fuzz("run", "--root", root, *ASKED, way, "--seed", str(number * _APART), "--time", str(turn))
            found = told["findings"]
            curve.append({
                "seconds": spent(root), "cases": told["cases"], "findings": len(found), "bugs": bugs(root, found),
            })  # fmt: skip
            write_json(file, curves)
            print(number, way, {**curve[-1], "bugs": len(curve[-1]["bugs"])}, flush=True)
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


def summary(series: Sequence[Mapping[str, Sequence[Mapping[str, Any]]]]) -> dict[str, Any]:
    """All curves, and how many planted faults each way had found by shares of the time that all campaigns reached.

    A list for each way, of one number a series. A campaign has at a moment what it had at the turn before.
    """
    common = min(curve[-1]["seconds"] for curves in series for curve in curves.values())
    counts = {
        round(share * common): {
            way: [
                max((len(row["bugs"]) for row in curves[way] if row["seconds"] <= share * common), default=0)
                for curves in series
            ]
            for way in WAYS
        }
        for share in SHARES
    }
    return {"common_seconds": common, "faults": counts, "series": list(series)}


if __name__ == "__main__":
    sys.exit(main())
