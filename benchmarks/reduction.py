"""How small failing cases of 20 to 40 nodes get, how soon, and whether what is left is still the same bug.

python benchmarks/reduction.py run [--backend TARGET]...   cases that planted faults fail
python benchmarks/reduction.py real [--backend TARGET]...  cases that targets fail as they are
python benchmarks/reduction.py report                      docs/campaigns/reduction.{json,md} from what was reduced

Both go on where they were (build/reduction.jsonl). A planted fault is known, so a slip is known too: the reduced model
does not show the fault, or fails on the target without it as well. Of a real bug it is known whether what is left
fails again in a new worker, and whether another target finds nothing wrong with it.
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
from fuzz.judge.verdict import FINDINGS
from fuzz.selftest.station import varied
from fuzz.triage.candidate import Candidate
from fuzz.triage.laboratory import Laboratory
from fuzz.triage.predicate import VerdictPredicate
from fuzz.triage.reduction import reduce_case

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fuzz.execute.target import Target
    from fuzz.triage.reduction import Reduction

DOCS = Path(__file__).parents[1] / "docs" / "campaigns"
NODES = (20, 40)
BESIDE = "onnxruntime"
"""What a model that another target fails is run on as well."""

_REAL = ("openvino", "onnxsim", "onnxslim", "onnxoptimizer", "tvm")
_JUDGED = frozenset({"wrong", "crash", "rejected", "timeout", "oom"})  # what the reference's oracle says
_STOPPED = frozenset({"timeout", "oom"})
_FAILURES = 6  # cases that show a fault and do not fail, until it is given up


def main() -> int:
    """Do what is asked; exit status 1 where a figure is not reached."""
    parser = argparse.ArgumentParser(description="How well failing cases are reduced.")
    parser.add_argument("step", choices=["run", "real", "report"])
    parser.add_argument("--backend", action="append", metavar="TARGET", help="repeatable (default: onnxruntime, "
                        f"and for real: {', '.join(_REAL)})")  # fmt: skip
    parser.add_argument("--fault", action="append", choices=FAULTS, metavar="NAME", help="this one alone; repeatable")
    parser.add_argument("--each", type=int, default=2, metavar="N", help="cases for each fault or target (default: 2)")
    parser.add_argument("--first-seed", type=int, default=0, metavar="N", help="begin there (default: 0)")
    parser.add_argument("--seeds", type=int, default=110, metavar="N", help="cases that are looked through")
    parser.add_argument("--place", default="build/reduction.jsonl", metavar="FILE", help="of what was reduced so far")
    parser.add_argument("--docs", default=str(DOCS), metavar="DIR", help="where the report goes")
    parser.add_argument("--measured-at", metavar="COMMIT", help="what ran, where that is not what reports")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    place = Path(options.place)
    if options.step == "report":
        rows = [row for row in _rows(place) if "nodes" in row]
        return report(rows, Path(options.docs), options.measured_at or commit())
    place.parent.mkdir(parents=True, exist_ok=True)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    for name in options.backend or (_REAL if options.step == "real" else ("onnxruntime",)):
        if options.step == "real":
            run_real(parse_target(name), options.each, seeds, place)
        else:
            run(parse_target(name), options.fault or list(FAULTS), options.each, seeds, place)
    return 0


def _rows(place: Path) -> list[dict[str, Any]]:
    lines = place.read_text("utf-8").splitlines() if place.exists() else []
    return [row for line in lines if (row := _row(line)) is not None]


def _row(line: str) -> dict[str, Any] | None:
    """One line; None for one that a kill cut short."""
    try:
        found: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return found


def _keep(place: Path, row: Mapping[str, Any]) -> None:
    with place.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, sort_keys=True) + "\n")


# --- run ------------------------------------------------------------------------------------------------------------


def run(target: Target, faults: Sequence[str], each: int, seeds: range, place: Path) -> None:
    """Reduce ``each`` failing cases of each fault; what the file holds already is not done again."""
    rows = [row for row in _rows(place) if row["target"] == target.canonical and row["seed"] in seeds]
    over = {row["fault"] for row in rows if "searched" in row and row["searched"] >= each}
    cases = list(_cases(target, seeds))
    with Laboratory(VerdictPredicate(target, _limits(""))) as clean:
        for fault in faults:
            if fault in over or FAULTS[fault].verdict not in _JUDGED or target.backend in FAULTS[fault].granted:
                continue
            done = [row["seed"] for row in rows if row.get("fault") == fault and "nodes" in row]
            left = [(seed, case) for seed, case in cases if seed > max(done, default=seeds.start - 1)]
            told = []
            for row in _reduced(target, fault, left, each - len(done), clean):
                _keep(place, row)
                told.append((row["nodes"], row["executions"], round(row["seconds"], 1)))
            _keep(place, {"target": target.canonical, "fault": fault, "seed": seeds.start, "searched": each})
            sys.stderr.write(f"{fault}: {told}\n")


def _limits(verdict: str) -> Limits:
    return Limits(3.0, 1 << 30) if verdict in _STOPPED else Limits(20.0, 3 << 30)


def _cases(target: Target, seeds: Sequence[int]) -> Iterator[tuple[int, Candidate]]:
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
        made = _measured(broken, case, limits, FAULTS[fault].verdict)
        if made is None:
            failed += 1
            continue
        done, took = made
        found += 1
        after = clean.observe(done.case)
        yield {
            **_told(target, seed, done, took), "fault": fault, "shows": shows(fault, done.case.model),
            "clean": after.signature.word, "clean_problem": after.problem,
        }  # fmt: skip


def _measured(target: Target, case: Candidate, limits: Limits, word: str) -> tuple[Reduction, float] | None:
    """A case reduced in its own workers, whose start is a part of what a user waits for; None where it is not that."""
    with Laboratory(VerdictPredicate(target, limits)) as laboratory:
        start = time.monotonic()
        first = laboratory.observe(case)
        if first.signature.word != word or not first.fit:
            return None
        done = reduce_case(laboratory, case, first)
        return done, time.monotonic() - start


def _told(target: Target, seed: int, done: Reduction, took: float) -> dict[str, Any]:
    return {
        "target": target.canonical, "version": target.version, "seed": seed, "verdict": done.signature.word,
        "nodes_before": done.nodes_before, "nodes": done.nodes, "executions": done.executions,
        "surveyed": done.surveyed, "seconds": took, "repeats": done.repeats,
        "identity": done.identity(target.canonical), "pattern": done.pattern, "signature": str(done.signature),
        "others": sorted(map(str, done.others)),
    }  # fmt: skip


def run_real(target: Target, each: int, seeds: range, place: Path) -> None:
    """Reduce the first ``each`` cases that a target fails as it is, each seed looked at once."""
    rows = [row for row in _rows(place) if row["target"] == target.canonical and "fault" not in row]
    looked = {row["seed"] for row in rows}
    found = sum("nodes" in row and row["seed"] in seeds for row in rows)
    with (
        Laboratory(VerdictPredicate(target, _limits(""))) as laboratory,
        Laboratory(VerdictPredicate(parse_target(BESIDE), _limits(""))) as beside,
    ):
        for seed, case in _cases(target, [seed for seed in seeds if seed not in looked]):
            if found == each:
                return
            first = laboratory.observe(case)
            made = _measured(target, case, _limits(""), first.signature.word) if first.finding else None
            row: dict[str, Any] = {"target": target.canonical, "seed": seed, "word": first.signature.word}
            if made is not None:
                found += 1
                row = {**_told(target, seed, *made), "beside": beside.observe(made[0].case).signature.word}
                sys.stderr.write(f"{target.canonical} {seed}: {row['identity']}\n")
            _keep(place, row)


# --- report ---------------------------------------------------------------------------------------------------------


def report(rows: Sequence[Mapping[str, Any]], docs: Path, measured: str) -> int:
    """Write the page; exit status 1 where a figure is not reached."""
    if not rows:
        sys.stderr.write("nothing was reduced yet: python benchmarks/reduction.py run\n")
        return 2
    figures = _figures(rows)
    about = {"commit": measured, "machine": machine(), "nodes": list(NODES), "date": time.strftime("%Y-%m-%d")}
    write_json(docs / "reduction.json", {**about, "figures": figures, "cases": list(rows)})
    (docs / "reduction.md").write_text(_page(rows, figures, about), "utf-8")
    sys.stdout.write("".join(f"{f['name']}: {f['value']} (target {f['target']})\n" for f in figures))
    return 0 if all(f["met"] for f in figures) else 1


def _planted(row: Mapping[str, Any]) -> bool:
    return "fault" in row


def _slipped(row: Mapping[str, Any]) -> bool:
    """What is left of a planted fault does not show it, or fails without it; of a real bug, fails elsewhere as well."""
    same = row["shows"] and row["clean"] not in FINDINGS if _planted(row) else row["beside"] not in FINDINGS
    return not (same and row["repeats"])


def _figures(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    planted, real = [row for row in rows if _planted(row)], [row for row in rows if not _planted(row)]
    precision, recall = _pairs(planted)
    small = 100 * sum(row["nodes"] <= 4 for row in rows) / len(rows)
    here = [row["seconds"] for row in rows if row["target"].startswith("onnxruntime")]
    elsewhere = [row["executions"] + row["surveyed"] for row in rows if not row["target"].startswith("onnxruntime")]
    figures = [
        ("cases", len(rows), ">= 200", len(rows) >= 200),
        ("of planted faults", len(planted), "", True),
        ("of real bugs", len(real), "", True),
        ("median nodes", median(row["nodes"] for row in rows), "<= 2", None),
        ("of at most 4 nodes, %", round(small, 1), ">= 95", small >= 95),
        ("median seconds on ONNX Runtime", round(median(here or [0.0]), 2), "<= 10", None),
        ("median executions on ONNX Runtime, with the survey", median(r["executions"] + r["surveyed"] for r in planted)
         if planted else 0, "<= 150", None),
        ("median executions elsewhere, with the survey", median(elsewhere or [0]), "<= 150", None),
        ("slips", sum(map(_slipped, rows)), "<= 0", None),
        ("pairwise precision of identities, planted", round(precision, 3), ">= 0.98", precision >= 0.98),
        ("pairwise recall of identities, planted", round(recall, 3), ">= 0.9", recall >= 0.9),
    ]  # fmt: skip
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
    versions = sorted({f"{row['target'].partition(':')[0]} {row['version']}" for row in rows if "version" in row})
    lines = [
        "# Reduction of failing cases",
        "",
        f"Generated models of {NODES[0]} to {NODES[1]} nodes that a target fails, each reduced on one worker alone:",
        "with planted faults (`python benchmarks/reduction.py run`), and as it is (`real`); `report` writes this page,",
        "`make campaign-reduction` does all three. A slip is a reduced model that does not fail again in a new worker;",
        "of a planted fault also one that does not show it, or fails on the target without it; of a real bug one that",
        f"{BESIDE} fails as well. Findings with the same number in the last column were taken for one bug.",
        (f"{len({row['fault'] for row in rows if _planted(row)})} faults failed a case; those that only other oracles "
        "see are not among them. A target has one fault at a time."),
        (f"Measured on {about['date']} at {about['commit']}, load {about['machine']['load']} on "
        f"{about['machine']['cores']} cores; seconds are wall time. {', '.join(versions)}."),
        "",
        "| figure | value | target | met |",
        "|---|---|---|---|",
        *(f"| {f['name']} | {f['value']} | {f['target']} | {'yes' if f['met'] else 'no'} |" for f in figures),
        "",
        "| fault | target | verdict | seed | nodes | executions | surveyed | seconds | slip | left | bug |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *(
            f"| {r.get('fault', '')} | {r['target']} | {_word(r)} | {r['seed']} | {r['nodes_before']} → {r['nodes']} | "
            f"{r['executions']} | {r['surveyed']} | {r['seconds']:.1f} | {'yes' if _slipped(r) else ''} | "
            f"`{r['pattern']}` | {number[r['identity']]} |"
            for r in rows
        ),
        "",
    ]
    return "\n".join(lines)


def _word(row: Mapping[str, Any]) -> str:
    return str(row.get("verdict") or FAULTS[row["fault"]].verdict)


if __name__ == "__main__":
    sys.exit(main())
