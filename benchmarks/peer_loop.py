"""The whole loop beside NNSmith's own (Liu et al., ASPLOS 2023) on ONNX Runtime: cases a second on the same cores.

python benchmarks/peer_loop.py --peer /path/to/environment/bin/python

The other environment is that of ``peer.py``. Each side generates models of so many nodes, runs ONNX Runtime, judges,
and reports what fails; they take turns, and a turn lasts so many seconds, start and imports not counted on their side
and counted on ours. Theirs is one process; ours has one a core. The exit status is 1 below five times their rate.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from figure import machine

if TYPE_CHECKING:
    from collections.abc import Sequence

_WANTED = 5.0
_FIRST = 5  # seconds of a turn that does not count
_PINNED = (
    "import os, sys; os.sched_setaffinity(0, map(int, sys.argv[1].split(','))); os.execv(sys.argv[2], sys.argv[2:])"
)
_COUNTED = re.compile(r"Total (\d+) (testcases generated|bugs found)")


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn of a side came to: cases, what it reported, and CPU seconds, those of its processes included."""

    cases: int
    reports: int
    seconds: float
    cpu: float


def _spent(command: Sequence[str], cores: Sequence[int], folder: str, **variables: str) -> tuple[str, float]:
    """The output of a command that runs on some cores, and its CPU seconds."""
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-c", _PINNED, ",".join(map(str, cores)), *command], capture_output=True, text=True,
        check=False, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1", **variables},
    )  # fmt: skip
    after = os.times()
    if done.returncode not in {0, 1}:
        raise SystemExit(f"{command[0]} ended with {done.returncode}: {done.stderr[-500:]}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return done.stdout or done.stderr, cpu


def ours(folder: Path, number: int, seconds: int, cores: Sequence[int], options: argparse.Namespace) -> Turn:
    """One turn of ``fuzz run``, with other seeds than the turns before."""
    reduces = "--reduce" if options.reduce else "--no-reduce"
    extra = ["--bait", "none", "--structure", "none"] if options.plain else []
    start = time.monotonic()
    output, cpu = _spent(
        [sys.executable, "-c", "from fuzz.cli.main import main; main()", "run", "--backend", "onnxruntime", "--for",
         "onnxruntime", "--nodes", str(options.nodes), "--seed", str(number * 10**6), "--time", str(seconds), reduces,
         "--jobs", str(len(cores)), "--root", str(folder / f"ours-{number}"), "--json", *extra],
        cores, str(folder), PYTHONPATH=str(Path(__file__).parents[1]),
    )  # fmt: skip
    result: dict[str, Any] = json.loads(output)
    return Turn(result["cases"], len(result["findings"]), time.monotonic() - start, cpu)


def theirs(folder: Path, number: int, seconds: int, cores: Sequence[int], options: argparse.Namespace) -> Turn:
    """One turn of ``nnsmith.fuzz``."""
    root = folder / f"theirs-{number}"
    start = time.monotonic()
    output, cpu = _spent(
        [options.peer, "-W", "ignore", "-m", "nnsmith.cli.fuzz", f"fuzz.time={seconds}s", f"fuzz.root={root}",
         "model.type=onnx", "backend.type=onnxruntime", f"mgen.max_nodes={options.nodes}", f"fuzz.seed={number + 1}",
         f"hydra.run.dir={folder / f'log-{number}'}"],
        cores, str(folder), PYTHONHASHSEED="0",
    )  # fmt: skip
    said = "\n".join(path.read_text("utf-8") for path in sorted((folder / f"log-{number}").rglob("*.log")))
    found = {word: int(count) for count, word in _COUNTED.findall(said)}
    if "testcases generated" not in found:
        told = [line for line in (*said.splitlines(), *output.splitlines()) if line.strip()]
        raise SystemExit("\n".join(["the other side wrote no count; it ended with:", *told[-5:]]))
    # Imports and the wait for them are not held against it: the loop itself lasts so many seconds.
    return Turn(found["testcases generated"], found["bugs found"], min(seconds, time.monotonic() - start), cpu)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="The loop beside NNSmith's.")
    parser.add_argument("--peer", required=True, metavar="PYTHON", help="of an environment that holds nnsmith")
    parser.add_argument("--nodes", type=int, default=10, metavar="N", help="of a model (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=60, metavar="S", help="of a turn (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=3, metavar="N", help="of each side (default: %(default)s)")
    parser.add_argument("--reduce", action="store_true", help="with reduction, which the other side does not do")
    parser.add_argument("--plain", action="store_true", help="operators alone, as on the other side")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    turns: dict[str, list[Turn]] = {"ours": [], "theirs": []}
    with tempfile.TemporaryDirectory() as place:
        theirs(Path(place), options.turns, _FIRST, cores, options)  # finds out, once, what the runtime supports
        for number in range(options.turns):
            for name, side in (("theirs", theirs), ("ours", ours)):
                turns[name].append(side(Path(place), number, options.seconds, cores, options))
                print(f"{name} {turns[name][-1]}", file=sys.stderr, flush=True)
    rates = {name: [turn.cases / turn.seconds for turn in done] for name, done in turns.items()}
    busy = {name: [turn.cases / turn.cpu for turn in done] for name, done in turns.items()}
    ratio = median(rates["ours"]) / median(rates["theirs"])
    result = {
        "nodes": options.nodes, "cores": len(cores), "seconds": options.seconds, "reduce": options.reduce,
        "cases_a_second": rates, "cases_a_cpu_second": busy, "ratio": ratio,
        "ratio_of_cpu": median(busy["ours"]) / median(busy["theirs"]),
        "reports": {name: [turn.reports for turn in done] for name, done in turns.items()}, "machine": machine(),
    }  # fmt: skip
    if options.json:
        print(json.dumps(result))
    else:
        print(f"cases a second: ours {_text(rates['ours'])}, theirs {_text(rates['theirs'])}: {ratio:.1f} times")
        print(f"by CPU second {result['ratio_of_cpu']:.1f} times; {result['machine']}")
    return 0 if ratio >= _WANTED else 1


def _text(rates: Sequence[float]) -> str:
    return " ".join(f"{rate:.1f}" for rate in rates)


if __name__ == "__main__":
    sys.exit(main())
