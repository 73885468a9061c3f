"""Pictures of many models, made in processes of their own: a hostile model may end one, never the report."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fuzz.pool import process_pool
from fuzz.report.graph import read_graph
from fuzz.report.picture import draw
from fuzz.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["Drawing", "draw_models"]

_LARGEST_INFERRED = 64 << 20  # bytes of a model whose types are inferred for the labels
_LARGEST_READ = 1 << 31
_MEMORY = 4 << 30  # bytes of address space
_CHUNK = 8


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture (SVG; empty where there is none: ``problem`` says why), and how often each operator is."""

    svg: str
    nodes: int
    operators: tuple[tuple[str, int], ...]
    problem: str = ""


Task = tuple[str, "Path", tuple[str, ...]]


def draw_models(
    models: Mapping[str, Path], marked: Mapping[str, Sequence[str]], jobs: int
) -> dict[str, Drawing]:
    """Draw each model; ``marked`` names, by the same key, nodes or values that are to stand out."""
    tasks: list[Task] = [(key, path, tuple(marked.get(key, ()))) for key, path in models.items()]
    chunks = [tasks[start : start + _CHUNK] for start in range(0, len(tasks), _CHUNK)]
    drawings: dict[str, Drawing] = {}
    with process_pool(jobs, memory=_MEMORY) as pool:
        for chunk, future in [(chunk, pool.submit(_draw_chunk, chunk)) for chunk in chunks]:
            try:
                drawings.update(future.result())
            except BrokenProcessPool:
                drawings.update({task[0]: _draw_alone(task) for task in chunk})
    return drawings


def _draw_alone(task: Task) -> Drawing:
    with process_pool(1, memory=_MEMORY) as pool:
        try:
            return pool.submit(_draw_chunk, [task]).result()[task[0]]
        except BrokenProcessPool:
            return Drawing("", 0, (), "drawing this model ended the process that did it")


def _draw_chunk(tasks: Sequence[Task]) -> dict[str, Drawing]:
    return {key: _draw_one(path, marked) for key, path, marked in tasks}


def _draw_one(path: Path, marked: tuple[str, ...]) -> Drawing:
    try:
        if path.stat().st_size >= _LARGEST_READ:
            return Drawing("", 0, (), "the model file is larger than 2 GiB")
        graph = read_graph(_with_types(path.read_bytes()))
        counts: dict[str, int] = {}
        for node in graph.nodes:
            counts[node.operator] = counts.get(node.operator, 0) + 1
        operators = tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
        svg = draw(graph, marked)
    except (OSError, WireError, MemoryError) as error:
        return Drawing("", 0, (), f"the model cannot be drawn: {error}")
    problem = "" if svg else f"a graph of {len(graph.nodes):,} nodes is too large to draw"
    return Drawing(svg, len(graph.nodes), operators, problem)


def _with_types(model: bytes) -> bytes:
    """The model with the types of its intermediate values, where inference finds them."""
    if len(model) > _LARGEST_INFERRED:
        return model
    from onnx import shape_inference

    try:
        inferred: bytes = shape_inference.infer_shapes(model, data_prop=True).SerializeToString()
    except Exception:  # noqa: BLE001 - whatever is wrong, the picture is drawn without these labels
        return model
    return inferred
