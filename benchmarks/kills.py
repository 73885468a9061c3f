"""`fuzz run` killed at random moments: the store stays whole, nothing is lost, and it comes to what it would have.

python benchmarks/kills.py --kills 1000     goes on where it was (build/kills)

Each run is killed by SIGKILL some moments after its start, at most `--longest` seconds; half of the operators have
planted faults, so that reductions and findings are under way as well. After each kill: SQLite finds the file whole, no
seed or finding that was there has gone, each finding has its files, no process is left. At the end the campaign is
finished, and is held against one that nobody interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
from commands import fuzz
from figure import commit, machine, write_json

from fuzz.campaign.ledger import LEDGER_NAME

TARGET = "onnxruntime:fault=dropped-activation+swapped-subtraction"
ASKED = (
    "--backend", TARGET, "--ops", "Relu,Sigmoid,Add,Sub,Neg", "--dtypes", "float", "--nodes", "1-4", "--opset", "21",
)  # fmt: skip
FILES = ("model.onnx", "case.json", "verdict.json")
_LONGEST_FAREWELL = 10.0  # seconds after which a process that is left counts as leaked


def main() -> int:
    """Kill it so many times; exit status 1 where anything was lost."""
    parser = argparse.ArgumentParser(description="SIGKILL at random moments of fuzz run.")
    parser.add_argument("--kills", type=int, default=1000, metavar="N")
    parser.add_argument("--longest", type=float, default=8.0, metavar="S", help="seconds before a kill, at most")
    parser.add_argument("--jobs", type=int, default=2, metavar="N")
    parser.add_argument("--place", default="build/kills", metavar="DIR", help="of the campaigns")
    parser.add_argument("--out", metavar="FILE", help="where the result goes, besides the terminal")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    place = Path(options.place)
    state = _state(place)
    while state["kills"] < options.kills:
        state["problems"] += kill(place / "killed", state["kills"], options.longest, options.jobs)
        state["kills"] += 1
        write_json(place / "state.json", state)
    state["problems"] += same(place, options.jobs)
    result = {"commit": commit(), "machine": machine(), **state, "asked": list(ASKED)}
    if options.out:
        write_json(Path(options.out), result)
    print(f"{state['kills']} kills, {len(state['problems'])} problems")
    for problem in state["problems"]:
        print(problem)
    return 1 if state["problems"] else 0


def _state(place: Path) -> dict[str, Any]:
    path = place / "state.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {"kills": 0, "problems": []}
    return found


def kill(root: Path, number: int, longest: float, jobs: int) -> list[str]:
    """Start a run, kill it, look at what is left; what is wrong with it."""
    before = kept(root)
    root.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", "from fuzz.cli.main import main; main()", "run", "--root", str(root), *ASKED]
    running = subprocess.Popen([*command, "--jobs", str(jobs)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(random.Random(number).uniform(0.05, longest))  # noqa: S311 - moments to kill at
    family = psutil.Process(running.pid).children(recursive=True)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    _, left = psutil.wait_procs(family, _LONGEST_FAREWELL)
    problems = [f"kill {number}: process {process.pid} is left" for process in left]
    return problems + [f"kill {number}: {problem}" for problem in damage(root, before)]


def kept(root: Path) -> tuple[set[int], set[str]]:
    """The seeds and findings that a store has."""
    if not (root / LEDGER_NAME).exists():
        return set(), set()
    with closing(sqlite3.connect(root / LEDGER_NAME)) as connection:
        try:
            seeds = {seed for (seed,) in connection.execute('SELECT seed FROM "case"')}
            return seeds, {name for (name,) in connection.execute("SELECT id FROM finding")}
        except sqlite3.OperationalError:  # killed before it had made its tables
            return set(), set()


def damage(root: Path, before: tuple[set[int], set[str]]) -> list[str]:
    """What is wrong with a store after a kill, given what it had before."""
    if not (root / LEDGER_NAME).exists():
        return []
    problems = []
    with closing(sqlite3.connect(root / LEDGER_NAME)) as connection:
        for pragma, fine in (("integrity_check", [("ok",)]), ("foreign_key_check", [])):
            found = connection.execute(f"PRAGMA {pragma}").fetchall()
            problems += [] if found == fine else [f"{pragma}: {found[:3]}"]
    seeds, findings = kept(root)
    problems += [f"seeds {sorted(before[0] - seeds)[:5]} are lost"] if before[0] - seeds else []
    problems += [f"findings {sorted(before[1] - findings)[:5]} are lost"] if before[1] - findings else []
    for name in findings:
        folder = root / "findings" / name
        problems += [f"finding {name} has no {file}" for file in FILES if not (folder / file).exists()]
    return problems


def same(place: Path, jobs: int) -> list[str]:
    """How the campaign that was killed, once it is finished, differs from one that was not."""
    seeds, _ = kept(place / "killed")
    count = max(seeds, default=0) + 8
    shutil.rmtree(place / "whole", ignore_errors=True)
    told = []
    for name in ("killed", "whole"):
        result = fuzz("run", "--root", place / name, *ASKED, "--count", str(count), "--jobs", str(jobs))
        for finding in result["findings"]:
            del finding["first_seen"]
        told.append({key: result[key] for key in ("cases", "targets", "findings", "operators", "links")})
    return [f"{key}: {told[0][key]} in place of {told[1][key]}" for key in told[0] if told[0][key] != told[1][key]]


if __name__ == "__main__":
    sys.exit(main())
