"""`fuzz run` killed at random moments: the store stays whole, nothing is lost, and it comes to what it would have.

python benchmarks/kills.py --kills 1000     goes on where it was (build/kills)

Campaigns of a few seeds, one after the other. Each is started and killed by SIGKILL until it comes to its end. The
moment is drawn, in CPU seconds of all its processes, so that a busy machine does not see starts alone: `--longest` at
most (a quarter of that on average) after the start, or, in two of three runs, after the first result came in. Two of
five operators have planted faults: reductions and findings are under way as well. After each kill: SQLite finds the
file whole, no seed or finding that was there has gone, each finding has its files, no seed that was there was examined
again, no process is left. A campaign that has come to its end is held against one that nobody interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
from commands import fuzz
from figure import commit, machine, write_json

from fuzz.campaign.exhibit import PART
from fuzz.campaign.ledger import LEDGER_NAME
from fuzz.execute.process import cpu_seconds, tree

TARGET = "onnxruntime:fault=dropped-activation+swapped-subtraction"
ASKED = (
    "--backend", TARGET, "--ops", "Relu,Sigmoid,Add,Sub,Neg", "--dtypes", "float", "--nodes", "1-4", "--opset", "21",
)  # fmt: skip
FILES = ("model.onnx", "case.json", "verdict.json")
ENDED = "over before"
NOTHING: dict[str, Any] = {
    "kills": 0, "problems": [], "phases": {}, "runs": 0, "campaigns": 0, "cases": 0, "findings": 0, "examined_again": 0,
    "most_examined_again": 0, "reduced": [], "reductions": 0, "reduced_again": 0,
}  # fmt: skip
"""What is known before the first run; ``reduced`` are the reductions that the campaign in hand has begun."""
# The command line; each task that is handed to a process, and each result that comes of one, is written down.
NOTING = """
import os, sys
from fuzz.campaign import crew
from fuzz.cli.main import main
file = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
give, heard = crew._Member.give, crew._Member.heard
def noted(task):
    os.write(file, f"{type(task).__name__} {task.seed}\\n".encode())
    return task
crew._Member.give = lambda member, task: give(member, noted(task))
crew._Member.heard = lambda member: list(map(noted, heard(member)))
main()
"""
_HEARD = re.compile("^(Trial|Exhibit) ", re.MULTILINE)
_LONGEST_FAREWELL = 10.0  # seconds after which a process that is left counts as leaked
_TICK, _TREE_TICK = 0.05, 0.5  # seconds between two looks at the CPU time of a run; at which processes it has


def main() -> int:
    """Kill it so many times; exit status 1 where anything was lost."""
    parser = argparse.ArgumentParser(description="SIGKILL at random moments of fuzz run.")
    parser.add_argument("--kills", type=int, default=1000, metavar="N")
    parser.add_argument("--longest", type=float, default=16.0, metavar="S", help="CPU seconds, at most")
    parser.add_argument("--seeds", type=int, default=24, metavar="N", help="seeds of a campaign")
    parser.add_argument("--jobs", type=int, default=2, metavar="N")
    parser.add_argument("--place", default="build/kills", metavar="DIR", help="of the campaigns")
    parser.add_argument("--out", metavar="FILE", help="where the result goes, besides the terminal")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    place = Path(options.place)
    place.mkdir(parents=True, exist_ok=True)
    file = place / "state.json"
    state = {**NOTHING, **(json.loads(file.read_text("utf-8")) if file.exists() else {})}
    while state["kills"] < options.kills:
        run(state, place, options)
        write_json(file, state)
    del state["reduced"]
    used = {name: getattr(options, name) for name in ("longest", "seeds", "jobs")}
    if options.out:
        write_json(Path(options.out), {"commit": commit(), "machine": machine(), **state, **used, "asked": list(ASKED)})
    print(f"{state['kills']} kills, {len(state['problems'])} problems")
    for problem in state["problems"]:
        print(problem)
    return 1 if state["problems"] else 0


def run(state: dict[str, Any], place: Path, options: argparse.Namespace) -> None:
    """Start a run of the campaign in hand, kill it, and add to the state what was seen."""
    root, number = place / "killed", state["runs"]
    before = kept(root)
    asked = (*ASKED, "--seed", str(1000 * state["campaigns"]), "--count", str(options.seeds))
    phase, problems = kill(place, (*asked, "--jobs", str(options.jobs)), number, options)
    examined, reduced = handed(place / "handed")
    known = sorted(examined & before[0])
    problems += [*damage(root, before), *([f"seeds {known[:5]} were examined again"] if known else [])]
    again = len(examined - kept(root)[0])
    state["runs"] += 1
    state["kills"] += phase != ENDED
    state["phases"][phase] = state["phases"].get(phase, 0) + 1
    state["examined_again"] += again
    state["most_examined_again"] = max(state["most_examined_again"], again)
    state["reduced"] += reduced
    state["problems"] += [f"run {number}, {phase}: {problem}" for problem in problems]
    if phase == ENDED:
        conclude(state, place, asked, options.jobs)


def kill(place: Path, asked: tuple[str, ...], number: int, options: argparse.Namespace) -> tuple[str, list[str]]:
    """Start a run and kill it: in which phase it was, and what was left of it. `ENDED` where it had come to its end."""
    root, note = place / "killed", place / "handed"
    note.unlink(missing_ok=True)
    command = [sys.executable, "-c", NOTING, str(note), "run", "--root", str(root), *asked]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # More short ones than long ones; but what takes long, as a reduction does, has to be finished now and then.
    chance = options.longest * random.Random(number).random() ** 3  # noqa: S311 - moments to kill at
    _spend(running, chance, note if number % 3 else None)
    family = psutil.Process(running.pid).children(recursive=True) if running.poll() is None else []
    reduces = any(map(_parses_models, family))
    running.kill()
    running.wait()
    _, left = psutil.wait_procs(family, _LONGEST_FAREWELL)
    problems = [f"process {process.pid} is left" for process in left]
    if running.returncode >= 0:
        there = len(kept(root)[0])
        return ENDED, problems + ([f"it ended early, with {running.returncode}"] if there < options.seeds else [])
    return _phase(root, handed(note), options.seeds, reduces=reduces), problems


def _spend(running: subprocess.Popen[bytes], seconds: float, note: Path | None) -> None:
    """Wait until a run has used so much CPU time, with a note since its first result; or until it is over."""
    looked, family, begun = 0.0, (running.pid,), 0.0 if note is None else None
    while running.poll() is None:
        if time.monotonic() - looked > _TREE_TICK:
            looked, family = time.monotonic(), tree(running.pid)
        spent = cpu_seconds(family)
        if begun is None and note is not None and note.exists() and _HEARD.search(note.read_text("ascii")):
            begun = spent
        if begun is not None and spent >= begun + seconds:
            return
        time.sleep(_TICK)


def _phase(root: Path, work: tuple[set[int], list[int]], seeds: int, *, reduces: bool) -> str:
    if any((root / "findings").glob(f"{PART}*")):
        return "a finding is written or put into its place"
    if reduces:
        return "reduction"
    if not work[0] and not work[1]:
        return "start"
    return "end" if len(kept(root)[0]) == seeds else "examination"


def _parses_models(process: psutil.Process) -> bool:
    """Whether a process is one that an examiner has begun to reduce with."""
    with suppress(psutil.Error):
        parent = process.parent()
        return all("spawn_main" in " ".join(one.cmdline()) for one in (process, *((parent,) if parent else ())))
    return False


def handed(note: Path) -> tuple[set[int], list[int]]:
    """Which seeds a run had examined, and which it had reduced."""
    lines = [line.split() for line in note.read_text("ascii").splitlines()] if note.exists() else []
    seeds = {int(seed) for what, seed in lines if what == "Examine"}
    return seeds, [int(seed) for what, seed in lines if what == "Reduce"]


def conclude(state: dict[str, Any], place: Path, asked: tuple[str, ...], jobs: int) -> None:
    """Hold the campaign, which is at its end, against one that nobody interrupted; the next one begins empty."""
    told = []
    for name in ("killed", "whole"):
        result = fuzz("run", "--root", place / name, *asked, "--jobs", str(jobs))
        for finding in result["findings"]:
            del finding["first_seen"]
        told.append({key: result[key] for key in ("cases", "targets", "findings", "operators", "links")})
        files = sorted(path.relative_to(place / name) for path in (place / name / "findings").rglob("*"))
        told[-1]["files"] = [str(path) for path in files]
    one, other = told
    different = [f"{key}: {one[key]} in place of {other[key]}" for key in one if one[key] != other[key]]
    state["problems"] += [f"campaign {state['campaigns']}: {problem}" for problem in different]
    state["campaigns"] += 1
    state["cases"] += one["cases"]
    state["findings"] += len(one["findings"])
    state["reductions"] += len(set(state["reduced"]))
    state["reduced_again"] += len(state["reduced"]) - len(set(state["reduced"]))
    state["reduced"] = []
    for name in ("killed", "whole"):
        shutil.rmtree(place / name)


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


if __name__ == "__main__":
    sys.exit(main())
