"""`fuzz gen --unlike ARCHITECTURES`: of every few seeds the case that has most of what no known model has.

That is connections of operators; of cases that have as many the farthest is taken (`corpus.architecture.distance`).
To go by the distance first was left: ten nodes are far from any real model, 0.996 where nobody chooses, and of 200
cases, each of four, the farthest had 1,067 new connections, these have 1,495, and unchosen ones 993. What is written is
what `fuzz gen` makes of that seed: choosing leaves no trace in a case.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

import onnx

from corpus.architecture.distance import Distance, Known
from corpus.architecture.features import features
from corpus.architecture.layers import abstract_architecture
from corpus.graphs.computation import GraphError
from corpus.graphs.onnx_graph import from_onnx
from fuzz.case import open_root
from fuzz.generate.choices import Seeded
from fuzz.generate.plan import menu
from fuzz.generate.run import generate_case, write_generated
from fuzz.generate.support import joint_support
from fuzz.pool import process_pool, seldom_collect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from corpus.architecture.collection import Sample
    from fuzz.generate.run import Generated
    from fuzz.generate.settings import Settings

__all__ = ["Unlike", "unlike"]


@dataclass(frozen=True, slots=True)
class _Row:
    """The nodes of a case, how far it is, and how far the first of its group was."""

    nodes: int
    far: Distance
    first: Distance


@dataclass(frozen=True, slots=True)
class Unlike:
    """What was made.

    ``distance`` is the median of the cases, ``new`` how many connections they have that no known model has;
    ``unchosen`` has both of as many cases that nobody chose.
    """

    root: str
    cases: int
    nodes: int
    seconds: float
    distance: float
    new: int
    unchosen: tuple[float, int]

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints: that of `fuzz gen`, and what was chosen."""
        return {
            "root": self.root, "cases": self.cases, "nodes": self.nodes, "seconds": self.seconds,
            "unlike": {"distance": self.distance, "new": self.new,
                       "unchosen": dict(zip(("distance", "new"), self.unchosen, strict=True))},
        }  # fmt: skip


def unlike(
    root: Path, known: Sequence[Sample], settings: Settings, seeds: range, group: int, *, jobs: int = 1,
    progress: Callable[[int], None] = lambda _cases: None,
) -> Unlike:  # fmt: skip
    """Write one case of each ``group`` of consecutive seeds under ``root``; of those that are as new and far the first.

    Raises ValueError (nothing is known, settings that make no sense), NothingFits, StorageError.
    """
    start = time.perf_counter()
    menu(settings)
    near = Known(known)
    open_root(root)
    groups = [seeds[at : at + group] for at in range(0, len(seeds), group)]
    rows: list[_Row] = []
    for row in _rows(root, near, settings, groups, jobs):
        rows.append(row)
        progress(1)
    return Unlike(
        str(root), len(rows), sum(row.nodes for row in rows), round(time.perf_counter() - start, 3),
        *_of_all([row.far for row in rows]), _of_all([row.first for row in rows]),
    )  # fmt: skip


def _of_all(far: Sequence[Distance]) -> tuple[float, int]:
    """The median distance, and how many connections nothing known has."""
    return round(median(one.value for one in far), 4), len({text for one in far for text in one.new})


def _rows(root: Path, near: Known, settings: Settings, groups: Sequence[range], jobs: int) -> Iterator[_Row]:
    write = partial(_written, root, near, settings)  # goes to a process once a chunk: what is known may be much
    if jobs <= 1 or len(groups) < 8:
        seldom_collect()
        yield from map(write, groups)
        return
    with process_pool(jobs) as pool:
        yield from pool.map(write, groups, chunksize=8)


def _written(root: Path, near: Known, settings: Settings, group: range) -> _Row:
    """Write the case of a group."""
    supports = joint_support(settings.targets)
    made = [generate_case(Seeded(seed), settings, supports) for seed in group]
    far = [_distance(near, one) for one in made]
    chosen = max(range(len(made)), key=lambda at: (len(far[at].new), far[at].value, -at))
    write_generated(root, group[chosen], made[chosen])
    return _Row(made[chosen].nodes, far[chosen], far[0])


def _distance(near: Known, made: Generated) -> Distance:
    """How far a case is. What cannot be read as a graph of layers is like nothing that is known, and nobody's aim."""
    try:
        graph = from_onnx(onnx.load_model_from_string(made.model), whole=True)
    except GraphError:
        return Distance(0.0, "", ())
    return near.distance(features(abstract_architecture(graph, operators=True)))
