"""A long campaign: memory, descriptors and processes over its cases, looked at from outside.

python benchmarks/endurance.py --count 300000     goes on where it was (build/endurance)

Asked: at most 5 % more memory at the end than after the warm-up (a tenth of the cases), no more descriptors and
processes, none left when it is over. Each run that was interrupted begins with a warm-up of its own, so growth is that
within the longest run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import psutil
from figure import commit, machine, write_json

from fuzz.campaign.ledger import LEDGER_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

ASKED = ("--backend", "onnxruntime", "--for", "onnxruntime")
ALLOWED = 1.05
_WARM = 0.1  # of the cases of a run


def main() -> int:
    """Run it and look; exit status 1 where something grows or is left."""
    parser = argparse.ArgumentParser(description="Memory, descriptors and processes of a long campaign.")
    parser.add_argument("--count", type=int, default=300_000, metavar="N", help="cases")
    parser.add_argument("--jobs", type=int, default=2, metavar="N")
    parser.add_argument("--nodes", default="1-10", metavar="N|A-B", help="size of a model")
    parser.add_argument("--ops", metavar="A,B,...", help="these operators alone, without bait and structure")
    parser.add_argument("--every", type=float, default=5.0, metavar="S", help="seconds between two looks")
    parser.add_argument("--place", default="build/endurance", metavar="DIR", help="of the campaign and the samples")
    parser.add_argument("--out", metavar="FILE", help="where the result goes, besides the terminal")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    place = Path(options.place)
    place.mkdir(parents=True, exist_ok=True)
    left = watch(place, options)
    rows = [json.loads(line) for line in (place / "samples.jsonl").read_text("utf-8").splitlines()]
    result = {**growth(rows), "left": left, "count": options.count, "nodes": options.nodes, "ops": options.ops}
    if options.out:
        write_json(Path(options.out), {"commit": commit(), "machine": machine(), **result})
    print(json.dumps(result, sort_keys=True))
    return 1 if left or result["memory"] > ALLOWED else 0


def watch(place: Path, options: argparse.Namespace) -> int:
    """Run the campaign to its end and take samples; how many processes it left."""
    command = [sys.executable, "-c", "from fuzz.cli.main import main; main()", "run", "--root", str(place / "root")]
    asked = [*ASKED, *(["--ops", options.ops] if options.ops else []), "--nodes", options.nodes]
    amounts = ["--count", str(options.count), "--jobs", str(options.jobs)]
    running = subprocess.Popen([*command, *asked, *amounts], stdout=subprocess.DEVNULL)
    family: list[psutil.Process] = []
    began = time.time()
    with (place / "samples.jsonl").open("a", encoding="utf-8") as file:
        while running.poll() is None:
            time.sleep(options.every)
            row, family = sample(running.pid)
            if row["processes"]:
                file.write(json.dumps({"run": began, "cases": cases(place / "root"), **row}) + "\n")
                file.flush()
    _, left = psutil.wait_procs(family, 10.0)
    return len(left)


def sample(pid: int) -> tuple[dict[str, Any], list[psutil.Process]]:
    """Resident bytes of our own processes and of the targets' workers, descriptors, processes; who they are."""
    try:
        driver = psutil.Process(pid)
        crew = driver.children()
        everybody = driver.children(recursive=True)
        ours = [driver, *crew]
        row = {
            "memory": sum(process.memory_info().rss for process in ours),
            "descriptors": sum(process.num_fds() for process in ours),
            "workers": sum(p.memory_info().rss for p in everybody if p not in crew),
            "processes": 1 + len(everybody),
        }
    except psutil.Error:  # one of them ended meanwhile
        return {"memory": 0, "descriptors": 0, "workers": 0, "processes": 0}, []
    return row, everybody


def cases(root: Path) -> int:
    """How many cases the store has."""
    import sqlite3
    from contextlib import closing

    try:
        with closing(sqlite3.connect(f"file:{root / LEDGER_NAME}?mode=ro", uri=True)) as connection:
            return int(connection.execute('SELECT count(*) FROM "case"').fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def growth(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """By what factor memory, descriptors, processes of the longest run grow after its warm-up.

    Of the medians of the last tenth of its cases and of the second: a busy machine does not do as many in each minute.
    """
    runs: dict[float, list[dict[str, Any]]] = {}
    for row in rows:
        runs.setdefault(row["run"], []).append(row)
    longest = max(runs.values(), key=lambda run: run[-1]["cases"] - run[0]["cases"])
    first, count = longest[0]["cases"], longest[-1]["cases"] - longest[0]["cases"]
    done = [(row["cases"] - first) / max(count, 1) for row in longest]
    early = [row for row, share in zip(longest, done, strict=True) if _WARM <= share < 2 * _WARM] or longest[-1:]
    late = [row for row, share in zip(longest, done, strict=True) if share >= 1 - _WARM]
    result: dict[str, Any] = {"cases": count, "samples": len(longest)}
    for key in ("memory", "descriptors", "workers", "processes"):
        result[key] = round(median(r[key] for r in late) / max(median(r[key] for r in early), 1), 3)
        result[f"{key}_at_end"] = median(r[key] for r in late)
    return result


if __name__ == "__main__":
    sys.exit(main())
