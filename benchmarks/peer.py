"""Generation beside NNSmith's (Liu et al., ASPLOS 2023), turn by turn on one machine.

python benchmarks/peer.py --peer /path/to/environment/bin/python

The other environment holds ``nnsmith[onnx,torch]==0.1.0``, which today's torch and onnx run only with two edits:
``dynamo=False`` where it exports, and ``SerializeToString`` where it runs ONNX Runtime. Both sides make a model of so
many nodes with inputs, check it and write it; imports are not counted. The exit status is 1 below ten times its rate.

Files go to memory where the machine has a folder for that: ours are six a case and theirs is one, and what ext4 takes
to make a file (0.25 ms where others were removed just before) is not what is compared.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from figure import machine

if TYPE_CHECKING:
    from collections.abc import Sequence

_WANTED = 10.0
_TURN = 10  # models a turn
_MEMORY = "/dev/shm"  # noqa: S108 - a folder of our own is made in it

_OURS = """
import sys, time
from pathlib import Path
import onnx, onnx.checker
from fuzz.case import open_root, write_case
from fuzz.generate.choices import Seeded
from fuzz.generate.opsets import mixed
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
folder, nodes = Path(sys.argv[1]), int(sys.argv[2])
open_root(folder)
settings = mixed(Settings(nodes=(nodes, nodes)))
def make(seed):
    made = generate_case(Seeded(seed), settings)
    onnx.checker.check_model(made.model, full_check=True)
    write_case(folder, str(seed), made.model, made.data_sets, {"seed": seed})
"""

_THEIRS = """
import logging, os, sys, time, warnings
warnings.filterwarnings("ignore")
import onnx, torch
torch.set_num_threads(1)
from nnsmith.abstract.extension import activate_ext
from nnsmith.graph_gen import model_gen
from nnsmith.materialize import Model
from nnsmith.narrow_spec import auto_opset
logging.disable(logging.WARNING)
folder, nodes = sys.argv[1], int(sys.argv[2])
kind = Model.init("onnx")
kind.add_seed_setter()
operators = auto_opset(kind, None)
activate_ext(opset=operators, factory=None)
def make(seed):
    graph = model_gen(opset=operators, method="symbolic-cinit", seed=seed, max_nodes=nodes, timeout_ms=10000)
    model = kind.from_gir(graph.make_concrete())
    model.refine_weights()
    onnx.save(model.native_model, os.path.join(folder, f"{seed}.onnx"))
"""

_LOOP = """
for seed in range(10**6, 10**6 + 5):
    make(seed)
print("ready", flush=True)
for line in sys.stdin:
    spent = []
    for seed in range(int(line), int(line) + TURN):
        start = time.process_time()
        try:
            make(seed)
        except Exception as problem:
            print("failed", seed, type(problem).__name__, file=sys.stderr)
            continue
        spent.append(time.process_time() - start)
    print(*spent, flush=True)
"""


def _start(python: str, program: str, folder: str, nodes: int) -> subprocess.Popen[str]:
    source = program + _LOOP.replace("TURN", str(_TURN))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    made = subprocess.Popen(
        [python, "-W", "ignore", "-c", source, folder, str(nodes)], env=environment, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    _answer(made)
    return made


def _answer(side: subprocess.Popen[str]) -> list[float]:
    line = side.stdout.readline() if side.stdout is not None else ""
    if not line:
        raise SystemExit("one side ended before its time; what it says stands above")
    return [float(word) for word in line.split() if word != "ready"]


def _turn(side: subprocess.Popen[str], seed: int) -> list[float]:
    print(seed, file=side.stdin, flush=True)
    return _answer(side)


def compare(sides: Sequence[subprocess.Popen[str]], count: int) -> tuple[list[float], ...]:
    """CPU seconds of each model, of each side."""
    spent: tuple[list[float], ...] = tuple([] for _ in sides)
    for turn in range(count // _TURN):
        for side in range(len(sides)) if turn % 2 else reversed(range(len(sides))):
            spent[side].extend(_turn(sides[side], turn * _TURN))
    return spent


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Generation beside NNSmith's.")
    parser.add_argument("--peer", required=True, metavar="PYTHON", help="of an environment that holds nnsmith")
    parser.add_argument("--nodes", type=int, default=10, metavar="N", help="of a model (default: %(default)s)")
    parser.add_argument("--count", type=int, default=200, metavar="N", help="models a side (default: %(default)s)")
    parser.add_argument("--place", default=_MEMORY if Path(_MEMORY).is_dir() else None, metavar="DIR",
                        help="where files go (default: %(default)s)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.place) as place:
        folders = [str(Path(place) / name) for name in ("ours", "theirs")]
        for folder in folders:
            Path(folder).mkdir()
        sides = (
            _start(sys.executable, _OURS, folders[0], options.nodes),
            _start(options.peer, _THEIRS, folders[1], options.nodes),
        )
        try:
            ours, theirs = compare(sides, options.count)
        finally:
            for side in sides:
                side.kill()
                side.wait()
    ratio = median(theirs) / median(ours)
    result = {
        "nodes": options.nodes, "ours_ms": _summary(ours), "theirs_ms": _summary(theirs), "ratio_of_medians": ratio,
        "ratio_of_means": (sum(theirs) / len(theirs)) / (sum(ours) / len(ours)), "machine": machine(),
    }  # fmt: skip
    if options.json:
        print(json.dumps(result))
    else:
        print(f"ours {result['ours_ms']} ms CPU a model, theirs {result['theirs_ms']}; {ratio:.1f} times the rate")
    return 0 if ratio >= _WANTED else 1


def _summary(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(1e3 * s for s in seconds)
    return {
        "models": len(ordered), "median": round(median(ordered), 2), "p95": round(ordered[len(ordered) * 95 // 100], 2)
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
