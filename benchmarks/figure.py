"""A measured figure, the machine it was measured on, and how both are printed."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["Clock", "Figure", "Scale", "clock", "commit", "cpu_medians", "machine", "print_table", "write_json"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of docs/benchmarks.md.

    ``target`` is what the value has to be ``at_most`` or ``at_least`` (None: no target, the figure is there to be
    known). ``cpu`` is CPU time in seconds, children included, of all that was done to measure it.
    """

    name: str
    value: float
    unit: str
    target: float | None = None
    sense: Literal["at_most", "at_least"] = "at_most"
    cpu: float | None = None
    detail: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the value meets its target; None where there is none."""
        if self.target is None:
            return None
        return self.value <= self.target if self.sense == "at_most" else self.value >= self.target

    def to_json(self) -> dict[str, Any]:
        """Everything, for `--json`."""
        return {**asdict(self), "met": self.met}


@dataclass(slots=True)
class Scale:
    """How much to measure (``quick``: small counts), where cases go, and which other Pythons to ask.

    No folder is removed before all is measured: when ext4 makes a file it looks through the inodes that were deleted
    in the last minutes, which costs ten times what the file does.
    """

    place: Path
    quick: bool = False
    pythons: Sequence[str] = ()
    _folders: int = 0

    def folder(self) -> Path:
        """A new empty folder."""
        self._folders += 1
        folder = self.place / str(self._folders)
        folder.mkdir(parents=True)
        return folder


@dataclass(slots=True)
class Clock:
    """Seconds that a block took, wall and CPU (children that were waited for included)."""

    wall: float = 0.0
    cpu: float = 0.0


def settled(times: Sequence[Clock]) -> Clock:
    """The median of several runs after the first, which warms the disk."""
    return Clock(median(one.wall for one in times[1:]), median(one.cpu for one in times[1:]))


@contextmanager
def clock() -> Iterator[Clock]:
    """Time a block."""
    result = Clock()
    wall, before = time.perf_counter(), os.times()
    try:
        yield result
    finally:
        after = os.times()
        result.wall = time.perf_counter() - wall
        result.cpu = sum(after[:4]) - sum(before[:4])


def cpu_medians(items: Sequence[Any], work: Callable[[Any], Any], repeats: int = 3) -> list[float]:
    """For each item the median CPU seconds of ``work(item)`` over some repeats, after one that does not count."""
    result = []
    for item in items:
        work(item)
        times = []
        for _ in range(repeats):
            start = time.process_time()
            work(item)
            times.append(time.process_time() - start)
        result.append(median(times))
    return result


def machine() -> dict[str, Any]:
    """What the figures depend on: processor, cores, load at the start, versions."""
    model = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines()
         if line.startswith("model name")), platform.processor(),
    )  # fmt: skip
    versions = {}
    for name in ("numpy", "onnx", "onnxruntime", "apache-tvm", "openvino"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "processor": model, "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.machine()}", "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2), **versions,
    }  # fmt: skip


def commit() -> str:
    """What was measured, as git names it; empty where this is no checkout."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False,
                          cwd=Path(__file__).parent)  # fmt: skip
    return done.stdout.strip()


def write_json(path: Path, result: Mapping[str, Any]) -> None:
    """All or nothing, so that what was interrupted is done again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(path)


def print_table(figures: Sequence[Figure]) -> None:
    """A Markdown table, as it stands in docs/benchmarks.md."""
    rows = [("figure", "measured", "target", "met", "CPU s", "")]
    for figure in figures:
        sign = "≥ " if figure.sense == "at_least" else "≤ " if figure.target else ""
        target = "" if figure.target is None else f"{sign}{_number(figure.target)}"
        met = {True: "yes", False: "no", None: ""}[figure.met]
        cpu = "" if figure.cpu is None else f"{figure.cpu:.1f}"
        rows.append((figure.name, f"{_number(figure.value)} {figure.unit}".strip(), target, met, cpu, figure.detail))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    for number, row in enumerate(rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("| " + " | ".join((*cells, row[5])) + " |", flush=True)
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|---|")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3g}"
