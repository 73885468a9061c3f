"""What a worker costs: a message there and back, a start after a crash, many side by side."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import psutil
from commands import fuzz
from figure import Figure, Scale, clock

from backends.entry import Entry
from backends.frame import Frame, encode
from backends.registry import BACKENDS, installed_version
from backends.tensor import from_numpy
from fuzz.execute.target import parse_target
from fuzz.execute.worker import Limits, Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fuzz.execute.target import Target

_ECHO = """
class Program:
    def run(self, inputs):
        return list(inputs)


class Echo:
    name = "echo"

    def compile(self, model, folder, options, enter):
        return Program()


BACKEND = Echo()
"""
_LIMITS = Limits(120.0, 8 << 30)
# As a worker imports its adapter, without the worker.
_IMPORT = "import sys, importlib; sys.path.insert(0, sys.argv[1]); importlib.import_module(sys.argv[2])"


def message(scale: Scale) -> Iterator[Figure]:
    """CPU time of driver and worker for a case of 3 kB and two inputs on a backend that does nothing.

    Once on one core, as where all cores are busy; once on all, where the kernel wakes an idle core up twice a message:
    in a virtual machine that alone is a call of the hypervisor each. A case a message, and eight.
    """
    module = scale.folder().resolve() / "echo.py"
    module.parent.mkdir(parents=True, exist_ok=True)
    module.write_text(_ECHO, encoding="utf-8")
    target = parse_target("echo", {"echo": Entry("echo", str(module), ("onnx",), ())})
    count, cores = (300 if scale.quick else 3000), os.sched_getaffinity(0)
    for place, allowed in (("on one core", {min(cores)}), ("with idle cores", cores)):
        for together in (1, 8):
            os.sched_setaffinity(0, allowed)
            try:
                driver, served, kernel = _messages(target, count, together)
            finally:
                os.sched_setaffinity(0, cores)
            shares = f"driver {driver:.3f}, worker {served:.3f}; {kernel:.3f} in the kernel"
            beside = "" if together == 1 else f", {together} a message"
            yield Figure(
                f"frame and worker, a case, {place}{beside}", round(driver + served, 3), "ms CPU",
                0.3 if len(allowed) == 1 else None, detail=f"{shares}; medians of 5 x {count:,} cases",
            )  # fmt: skip


def _messages(target: Target, count: int, together: int) -> tuple[float, float, float]:
    """Milliseconds a case that driver and worker take, and of both what the kernel takes."""
    values = [[from_numpy(np.zeros((4, 5), np.float32)), from_numpy(np.zeros(7, np.int64))]]
    own, costs = psutil.Process(), []
    with Worker(target, _LIMITS, threading.Event()) as worker:
        both = own, own.children()[-1]
        for _ in range(5):
            before = [process.cpu_times()[:2] for process in both]
            for _ in range(count // together):
                worker.execute_several(
                    [encode(Frame("execute", {"folder": None}, values, bytes(3000))) for _ in range(together)]
                )
            spent = [np.subtract(process.cpu_times()[:2], start) for process, start in zip(both, before, strict=True)]
            costs.append((spent[0].sum(), spent[1].sum(), spent[0][1] + spent[1][1]))
    driver, served, kernel = (float(1e3 * median(column) / count) for column in zip(*costs, strict=True))
    return driver, served, kernel


def restart(scale: Scale) -> Iterator[Figure]:
    """The start of each installed backend's worker, less the time that its imports take in a bare interpreter."""
    repeats = 1 if scale.quick else 3
    folder = str(Path(__file__).parents[1])
    for name, entry in sorted(BACKENDS.items()):
        if entry.problem or installed_version(entry) is None:
            continue
        starts, imports = [], []
        for _ in range(repeats):
            with clock() as spent:
                subprocess.run([sys.executable, "-I", "-c", _IMPORT, folder, entry.module], check=True)
            imports.append(spent.wall)
            with clock() as spent:
                worker = Worker(parse_target(name), _LIMITS, threading.Event())
            worker.close()
            starts.append(spent.wall)
        extra = median(starts) - median(imports)
        yield Figure(
            f"start of {name}'s worker beyond its imports", round(extra, 3), "s", 0.2,
            detail=f"start {median(starts):.2f} s, imports {median(imports):.2f} s; medians of {repeats}",
        )  # fmt: skip


_SIDE_BY_SIDE = (
    "onnxruntime", "onnxruntime:opt=0", "onnxruntime:opt=1", "onnxruntime:opt=2", "onnxruntime:reload=yes", "openvino",
    "openvino:mode=performance", "openvino:threads=2", "tvm", "tvm:opt=0", "tvm:pipeline=zero", "tvm:pipeline=cpu",
    "tvm:exec_mode=compiled", "tract", "tract:reload=yes", "reference",
)  # fmt: skip


def side_by_side(scale: Scale) -> Iterator[Figure]:
    """Peak of the resident memory of all workers of sixteen targets that are given 3,000 MB together."""
    count, limit = (4 if scale.quick else 40), 3000
    folder = scale.folder()
    fuzz("gen", "--root", folder, "--count", str(count), "--for", "onnxruntime", "tvm", "openvino")
    words = [word for target in _SIDE_BY_SIDE for word in ("--backend", target)]
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            workers = [p for p in psutil.Process().children(recursive=True) if _is_worker(p)]
            peak[0] = max(peak[0], sum(_resident(p) for p in workers))

    watcher = threading.Thread(target=watch)
    watcher.start()
    with clock() as spent:
        fuzz("exec", "--root", folder, *words, "--memory", "1500", "--total-memory", str(limit))
    done.set()
    watcher.join()
    yield Figure(
        f"peak memory of {len(_SIDE_BY_SIDE)} targets' workers that may use {limit:,} MB", peak[0] >> 20, "MB", limit,
        cpu=spent.cpu, detail=f"{count} cases on each in {spent.wall:.0f} s",
    )  # fmt: skip


def _is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return any(word.endswith("backends/__main__.py") for word in process.cmdline())
    return False


def _resident(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0
