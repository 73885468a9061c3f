"""The loop of ``fuzz run`` from outside: CPU time a case, by stage."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from statistics import median
from typing import TYPE_CHECKING

from commands import fuzz
from figure import Clock, Figure, Scale, clock

from fuzz.campaign.ledger import LEDGER_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["budget"]

_TARGETS = ("onnxruntime", "onnxruntime:opt=0")
_PLAIN = ("--bait", "none", "--structure", "none")
_SOUND = ("--ops", "Add,Mul,Relu,MatMul,Conv,Softmax,Transpose,Concat,ReduceSum,Sigmoid,Exp,Where,Slice,Gemm,MaxPool",
          "--dtypes", "float")  # fmt: skip
# What is asked of the store; the target in milliseconds of CPU time.
_STAGES = (
    ("generation", 'SELECT generate_seconds FROM "case"', 2.0),
    ("reference, bound and judging", 'SELECT judge_seconds FROM "case"', 3.0),
    ("two runs", "SELECT sum(cpu_seconds) FROM answer GROUP BY campaign_id, seed", 2.0),
)
# Of cases that fail: to keep them, asked again before where they were not at once; in fresh workers, once they run; to
# judge and name them, beyond what a case takes that does not fail.
_FAILING = (
    "SELECT cpu_seconds FROM failure",
    "SELECT cpu_seconds FROM answer WHERE attempts > 1",
    """SELECT judge_seconds - (SELECT avg(judge_seconds) FROM "case" WHERE seed NOT IN (SELECT seed FROM failure))
    FROM "case" WHERE seed IN (SELECT seed FROM failure)""",
)


def budget(scale: Scale) -> Iterator[Figure]:
    """Models of ten nodes on ONNX Runtime, with optimisations and without: the medians of a case, and what is beside.

    Of operators of which none fails; of all, alone; as ``fuzz run`` makes them by default. Starting processes and
    importing is left out: of two campaigns, one three times as long, the difference counts. What fails is examined: a
    part of that is no frames and no store, and told apart as far as the store knows of it. What it does not know of,
    the forking of fresh workers and the debugger that looks at crashes, is among all else.
    """
    count = 60 if scale.quick else 1000
    for name, more in (("nothing fails", _SOUND), ("operators alone", _PLAIN), ("default models", ())):
        short, early = _campaign(scale, count, more)
        long, root = _campaign(scale, 3 * count, more)

        def more_of(query: str, early: Path = early, root: Path = root) -> float:
            """Milliseconds a case."""
            return (sum(_milliseconds(root, query)) - sum(_milliseconds(early, query))) / (2 * count)

        whole = 1000 * (long.cpu - short.cpu) / (2 * count)
        rest = whole
        for stage, query, target in _STAGES:
            mean = more_of(query)
            rest -= mean
            median_ = median(_milliseconds(root, query))
            yield Figure(f"loop, {name}: {stage}", median_, "ms", target, detail=f"mean {mean:.2f}")
        kept, again, named = map(more_of, _FAILING)
        failing = len(_milliseconds(root, _FAILING[0])) - len(_milliseconds(early, _FAILING[0]))
        yield Figure(
            f"loop, {name}: what fails, examined", kept + again + named, "ms",
            detail=f"{failing} answers of {2 * count} cases: asked again {again:.2f} and named {named:.2f}, which are "
            f"in the means above; kept {kept:.2f}",
        )  # fmt: skip
        yield Figure(
            f"loop, {name}: frames, store and all else", rest - kept, "ms", 0.5, detail=f"of {whole:.2f} ms"
        )


def _campaign(scale: Scale, count: int, more: tuple[str, ...]) -> tuple[Clock, Path]:
    root = scale.folder()
    targets = [word for target in _TARGETS for word in ("--backend", target)]
    with clock() as spent:
        fuzz("run", "--root", root, *targets, "--for", "onnxruntime", "--nodes", "10", "--count", str(count), "--jobs",
             "1", "--no-reduce", *more)  # fmt: skip
    return spent, root


def _milliseconds(root: Path, query: str) -> list[float]:
    with closing(sqlite3.connect(root / LEDGER_NAME)) as store:
        return [1000 * row[0] for row in store.execute(query) if row[0] is not None]
