"""How small failing cases of 20 to 40 nodes get, how soon, and whether what is left is still the same bug.

python benchmarks/reduction.py run      reduces cases that planted faults fail; resumable (build/reduction.jsonl)
python benchmarks/reduction.py report   docs/campaigns/reduction.{json,md} from what was reduced so far

A planted fault is known, so a slip is known too: the reduced model does not show the fault, or fails in the same way
on the target without it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from figure import commit, machine, write_json

from backends.faults.backend import shows
from backends.faults.table import FAULTS
from fuzz.execute.attempt import Limits
from fuzz.execute.target import parse_target
from fuzz.generate.choices import Seeded
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.generate.support import joint_support
from fuzz.selftest.station import varied
from fuzz.triage.candidate import Candidate
from fuzz.triage.laboratory import Laboratory
from fuzz.triage.predicate import VerdictPredicate
from fuzz.triage.reduction import reduce_case

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fuzz.execute.target import Target

DOCS = Path(__file__).parents[1] / "docs" / "campaigns"
NODES = (20, 40)
_JUDGED = frozenset({"wrong", "crash", "rejected", "timeout", "oom"})  # what the reference's oracle says
_STOPPED = frozenset({"timeout", "oom"})
_FAILURES = 6  # cases that show a fault and do not fail, until it is given up


def main() -> int:
    """Do what is asked; exit status 1 where a figure is not reached."""
    parser = argparse.ArgumentParser(description="How well failing cases are reduced.")
    parser.add_argument("step", choices=["run", "report"])
    parser.add_argument("--backend", default="onnxruntime", metavar="TARGET", help="to break (default: %(default)s)")
    parser.add_argument("--fault", action="append", choices=FAULTS, metavar="NAME", help="this one alone; repeatable")
    parser.add_argument("--each", type=int, default=2, metavar="N", help="cases for each fault (default: 2)")
    parser.add_argument("--first-seed", type=int, default=0, metavar="N", help="begin there (default: 0)")
    parser.add_argument("--seeds", type=int, default=200, metavar="N", help="cases that are looked through")
    parser.add_argument("--place", default="build/reduction.jsonl", metavar="FILE", help="of what was reduced so far")
    parser.add_argument("--docs", default=str(DOCS), metavar="DIR", help="where the report goes")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    place = Path(options.place)
    if options.step == "report":
        return report(list(_rows(place)), Path(options.docs))
    place.parent.mkdir(parents=True, exist_ok=True)
    target = parse_target(options.backend)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    run(target, options.fault or list(FAULTS), options.each, seeds, place)
    return 0


def _rows(place: Path) -> Iterator[dict[str, Any]]:
    if place.exists():
        yield from map(json.loads, place.read_text("utf-8").splitlines())


# --- run ------------------------------------------------------------------------------------------------------------


def run(target: Target, faults: Sequence[str], each: int, seeds: range, place: Path) -> None:
    """Reduce ``each`` failing cases of each fault; what the file holds already is not done again."""
    rows = [row for row in _rows(place) if row["target"] == target.canonical]
    done = {row["fault"] for row in rows if row["seed"] in seeds}
    cases = list(_cases(target, seeds))
    with Laboratory(VerdictPredicate(target, _limits(""))) as clean:
        for fault in faults:
            if fault in done or FAULTS[fault].verdict not in _JUDGED or target.backend in FAULTS[fault].granted:
                continue
            made = list(_reduced(target, fault, cases, each, clean))
            with place.open("a", encoding="utf-8") as file:
                for row in made:
                    file.write(json.dumps(row, sort_keys=True) + "\n")
            told = [(row["nodes"], row["executions"], round(row["seconds"], 1)) for row in made]
            sys.stderr.write(f"{fault}: {told}\n")


def _limits(verdict: str) -> Limits:
    return Limits(3.0, 1 << 30) if verdict in _STOPPED else Limits(20.0, 2 << 30)


def _cases(target: Target, seeds: range) -> Iterator[tuple[int, Candidate]]:
    settings = Settings(nodes=NODES, targets=(target.backend,))
    supports = joint_support(settings.targets)
    for seed in seeds:
        made = generate_case(Seeded(seed), settings, supports)
        yield seed, Candidate(made.model, tuple(dict(data_set.inputs) for data_set in made.data_sets))


def _reduced(
    target: Target, fault: str, cases: Sequence[tuple[int, Candidate]], each: int, clean: Laboratory
) -> Iterator[dict[str, Any]]:
    limits = _limits(FAULTS[fault].verdict)
    broken = varied(target, "fault", fault)
    found = failed = 0
    for seed, case in cases:
        if found == each or failed == _FAILURES:
            return
        if not shows(fault, case.model) or clean.observe(case).signature.word != "ok":
            continue
        # Each reduction starts its own worker: its time is a part of what a user waits for.
        with Laboratory(VerdictPredicate(broken, limits)) as laboratory:
            start = time.monotonic()
            first = laboratory.observe(case)
            if first.signature.word != FAULTS[fault].verdict:
                failed += 1
                continue
            done = reduce_case(laboratory, case, first)
            took = time.monotonic() - start
        found += 1
        after = clean.observe(done.case)
        yield {
            "target": target.canonical, "fault": fault, "seed": seed, "nodes_before": done.nodes_before,
            "nodes": done.nodes, "executions": done.executions, "surveyed": done.surveyed, "seconds": took,
            "repeats": done.repeats, "shows": shows(fault, done.case.model), "clean": after.signature.word,
            "clean_problem": after.problem, "identity": done.identity(target.canonical), "pattern": done.pattern,
            "signature": str(done.signature), "others": sorted(map(str, done.others)),
        }  # fmt: skip


# --- report ---------------------------------------------------------------------------------------------------------


def report(rows: Sequence[Mapping[str, Any]], docs: Path) -> int:
    """Write the page; exit status 1 where a figure is not reached."""
    if not rows:
        sys.stderr.write("nothing was reduced yet: python benchmarks/reduction.py run\n")
        return 2
    figures = _figures(rows)
    about = {"commit": commit(), "machine": machine(), "nodes": list(NODES)}
    write_json(docs / "reduction.json", {**about, "figures": figures, "cases": list(rows)})
    (docs / "reduction.md").write_text(_page(rows, figures, about), "utf-8")
    sys.stdout.write("".join(f"{f['name']}: {f['value']} (target {f['target']})\n" for f in figures))
    return 0 if all(f["met"] for f in figures) else 1


def _slipped(row: Mapping[str, Any]) -> bool:
    return not (row["shows"] and row["repeats"] and row["clean"] == "ok")


def _figures(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    precision, recall = _pairs(rows)
    small = 100 * sum(row["nodes"] <= 4 for row in rows) / len(rows)
    figures = [
        ("cases", len(rows), ">= 200", len(rows) >= 200),
        ("median nodes", median(row["nodes"] for row in rows), "<= 2", None),
        ("of at most 4 nodes, %", round(small, 1), ">= 95", small >= 95),
        ("median seconds", round(median(row["seconds"] for row in rows), 2), "<= 10", None),
        ("median executions", median(row["executions"] for row in rows), "<= 150", None),
        ("median executions with the survey", median(r["executions"] + r["surveyed"] for r in rows), "<= 150", None),
        ("most executions", max(row["executions"] for row in rows), "<= 150", None),
        ("slips", sum(map(_slipped, rows)), "0", not any(map(_slipped, rows))),
        ("pairwise precision of identities", round(precision, 3), ">= 0.98", precision >= 0.98),
        ("pairwise recall of identities", round(recall, 3), ">= 0.9", recall >= 0.9),
    ]
    return [
        {"name": name, "value": value, "target": target, "met": value <= float(target[3:]) if met is None else met}
        for name, value, target, met in figures
    ]


def _pairs(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Of the pairs of one identity the share of one fault; of those of one fault the share of one identity."""
    pairs = [(a["identity"] == b["identity"], a["fault"] == b["fault"]) for a, b in combinations(rows, 2)]
    both = sum(same and one for same, one in pairs)
    alike, true = sum(same for same, _ in pairs), sum(one for _, one in pairs)
    return (both / alike if alike else 1.0), (both / true if true else 1.0)


def _page(rows: Sequence[Mapping[str, Any]], figures: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> str:
    number = {text: at for at, text in enumerate(dict.fromkeys(row["identity"] for row in rows), 1)}
    lines = [
        "# Reduction of planted faults",
        "",
        f"Generated models of {NODES[0]} to {NODES[1]} nodes that a planted fault fails, each reduced by itself on one",
        "worker (`python benchmarks/reduction.py run`, then `report`). A slip is a reduced model that does not",
        "show the fault, does not fail again in a new worker, or fails on the target without the fault.",
        "Findings with the same number in the last column were taken for one bug. Each target has one fault, so what",
        "several bugs of one operator would do to that is not measured.",
        f"There are {len({row['fault'] for row in rows})} faults; those that hang or eat memory, and those that only",
        "other oracles see, are not among them.",
        f"Measured at {about['commit']}, load {about['machine']['load']} on {about['machine']['cores']} cores;",
        "seconds are wall time.",
        "",
        "| figure | value | target | met |",
        "|---|---|---|---|",
        *(f"| {f['name']} | {f['value']} | {f['target']} | {'yes' if f['met'] else 'no'} |" for f in figures),
        "",
        "| fault | target | seed | nodes | executions | surveyed | seconds | slip | left | bug |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(
            f"| {r['fault']} | {r['target']} | {r['seed']} | {r['nodes_before']} → {r['nodes']} | {r['executions']} | "
            f"{r['surveyed']} | {r['seconds']:.1f} | {'yes' if _slipped(r) else ''} | `{r['pattern']}` | "
            f"{number[r['identity']]} |"
            for r in rows
        ),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
