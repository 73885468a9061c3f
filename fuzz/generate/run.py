"""From seeds to cases on disk: the whole of ``fuzz gen``, on as many processes as asked."""

from __future__ import annotations

import time
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.tensor import Tensor
from fuzz.case import DataSet, open_root, write_case
from fuzz.generate.choices import Choices, Seeded
from fuzz.generate.emit import emit
from fuzz.generate.functions import fold
from fuzz.generate.graph import generate_graph
from fuzz.generate.plan import Supports, menu
from fuzz.generate.ports import overridden
from fuzz.generate.sizes import Resized, other_sizes
from fuzz.generate.storage import Apart, apart, restore
from fuzz.generate.support import joint_support
from fuzz.pool import process_pool, seldom_collect
from fuzz.seeds.rewriting import rewrite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from abstract.dims import Symbol
    from abstract.dtypes import DType
    from abstract.graph import Graph
    from abstract.operator import Array
    from backends.tensor import Value as StoredValue
    from fuzz.generate.settings import Settings

__all__ = ["Generated", "Summary", "case_id", "generate_case", "generate_cases", "to_tensor", "write_generated"]

_REWRITTEN = 3  # models of windows for one of them that is rewritten


@dataclass(frozen=True, slots=True)
class Generated:
    """A case before it is written: the model's bytes, its data sets, what ``case.json`` says, its number of nodes.

    ``graph`` is what it was made of, at its witness, and ``open`` the symbols that the model leaves open. ``apart`` is
    the same model as it goes to disk where its data lies in files beside it.
    """

    model: bytes
    data_sets: tuple[DataSet, ...]
    record: dict[str, Any]
    nodes: int
    graph: Graph = field(compare=False)  # what two cases have alike are bytes
    open: tuple[Symbol, ...] = field(compare=False)
    apart: Apart | None = None

    @property
    def stored(self) -> bytes:
        """The model as it lies on disk."""
        return self.model if self.apart is None else self.apart.model


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run of ``fuzz gen`` made."""

    root: str
    cases: int
    nodes: int
    seconds: float


def to_tensor(array: Array, dtype: DType) -> Tensor:
    """A tensor in carrier type as it goes to disk, in its declared type."""
    stored = np.asarray(array).astype(dtype.numpy)
    if dtype.bits >= 8:
        return Tensor(dtype.name, tuple(stored.shape), stored.tobytes())
    from backends.tensor import from_numpy

    return from_numpy(stored)


def to_value(content: Any, dtype: DType) -> StoredValue:
    """A tensor, or a container of tensors, in carrier type as it goes to disk."""
    if isinstance(content, list):
        return [to_tensor(part, dtype) for part in content]
    return None if content is None else to_tensor(content, dtype)


def generate_case(choices: Choices, settings: Settings, supports: Supports | None = None) -> Generated:
    """One case from choices: the same choices and settings give the same bytes."""
    graph, plan = generate_graph(choices, settings, supports)
    emitted = emit(graph, dynamic=plan.dynamic, computed=plan.shaping.computed)
    dtypes = {v.name: v.type.dtype for v in (*graph.inputs, *graph.defaults, *graph.outputs)}
    sets: list[Resized] = [({v.name: v.array for v in graph.inputs}, {v.name: v.array for v in graph.outputs})]
    dropped = 0
    if emitted.open:
        more, dropped = other_sizes(graph, emitted, choices, 3)
        sets.extend(more)
    if graph.defaults:
        other = overridden(graph, emitted.model, choices)
        sets.extend([] if other is None else [other])
    data_sets = tuple(
        DataSet(
            {n: to_value(a, dtypes[n]) for n, a in inputs.items()},
            {n: to_value(a, dtypes[n]) for n, a in outputs.items()},
        )
        for inputs, outputs in sets
    )
    model = emitted.model
    changed = None
    if plan.seeds is not None and not emitted.open and not choices.integer(0, _REWRITTEN):
        changed = rewrite(model, choices, supports)
        model = model if changed is None else changed[0]
    if plan.structure & {"shared", "constants"}:
        model = restore(model, plan.structure, choices)
    if "functions" in plan.structure:
        model = fold(model, choices, choices.integer(1, 3), constants=settings.constant_data)
    beside = apart(model, choices) if "external" in plan.structure else None
    record = {
        "settings": settings.to_json(), "choices": choices.record, "open": [s.name for s in emitted.open],
        "dropped_sizes": dropped,
    }  # fmt: skip
    if plan.bait is not None:
        record["bait"] = [planted.to_json() for planted in plan.bait.planted]
    if plan.seeds is not None:
        record["windows"] = [placed.to_json() for placed in plan.seeds.placed]
    if changed is not None:
        record["rewrite"] = changed[1]
    return Generated(model, data_sets, record, emitted.nodes, graph, tuple(emitted.open), beside)


def case_id(seed: int) -> str:
    """The name of a seed's case."""
    return f"{seed:08d}"


def _write(root: str, settings: Settings, seeds: Sequence[int]) -> tuple[int, int]:
    nodes = 0
    supports = joint_support(settings.targets)
    for seed in seeds:
        made = generate_case(Seeded(seed), settings, supports)
        write_generated(Path(root), seed, made)
        nodes += made.nodes
    return len(seeds), nodes


def write_generated(root: Path, seed: int, made: Generated) -> None:
    """Write what was made of a seed. Raises StorageError."""
    files = None if made.apart is None else made.apart.files
    write_case(root, case_id(seed), made.stored, made.data_sets, {"seed": seed, **made.record}, files)


def _chunks(seeds: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(seeds), size):
        yield seeds[start : start + size]


def generate_cases(
    root: Path, settings: Settings, seeds: Sequence[int], *, jobs: int = 1,
    progress: Callable[[int], None] = lambda _cases: None,
) -> Summary:  # fmt: skip
    """Write one case a seed under ``root``; ``progress`` is told how many more were written.

    Raises ValueError (settings that make no sense), NothingFits, StorageError.
    """
    start = time.perf_counter()
    menu(settings)
    joint_support(settings.targets)
    open_root(root)
    total = nodes = 0
    for cases, made in _results(root, settings, seeds, jobs):
        total += cases
        nodes += made
        progress(cases)
    return Summary(str(root), total, nodes, round(time.perf_counter() - start, 3))


def _results(root: Path, settings: Settings, seeds: Sequence[int], jobs: int) -> Iterable[tuple[int, int]]:
    if jobs <= 1 or len(seeds) < 32:
        seldom_collect()
        for chunk in _chunks(seeds, 8):
            yield _write(str(root), settings, chunk)
        return
    with process_pool(jobs) as pool:
        pending = [pool.submit(_write, str(root), settings, chunk) for chunk in _chunks(seeds, 16)]
        for done in as_completed(pending):
            yield done.result()
