"""Pictures of many models, made in processes of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fuzz.report.graph import read_graph
from fuzz.report.isolated import in_processes
from fuzz.report.picture import draw
from fuzz.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["Drawing", "draw_model", "draw_models"]

_LARGEST_INFERRED = 64 << 20  # bytes of a model whose types are inferred for the labels
_LARGEST_READ = 1 << 31


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture (SVG; empty where there is none: ``problem`` says why), and how often each operator is."""

    svg: str
    nodes: int
    operators: tuple[tuple[str, int], ...]
    problem: str = ""


Task = tuple["Path", tuple[str, ...]]


def draw_models(
    models: Mapping[str, Path], marked: Mapping[str, Sequence[str]], jobs: int
) -> dict[str, Drawing]:
    """Draw each model; ``marked`` names, by the same key, nodes or values that are to stand out."""
    tasks: list[Task] = [(path, tuple(marked.get(key, ()))) for key, path in models.items()]
    return dict(zip(models, in_processes(_draw_chunk, tasks, jobs, _lost), strict=True))


def _lost(_: Task) -> Drawing:
    return Drawing("", 0, (), "drawing this model ended the process that did it")


def _draw_chunk(tasks: Sequence[Task]) -> list[Drawing]:
    return [draw_model(path, marked) for path, marked in tasks]


def draw_model(path: Path, marked: Sequence[str] = ()) -> Drawing:
    """Draw one model, in this process."""
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
    from onnx import ModelProto

    from abstract.inference import infer_types

    try:
        inferred: bytes = infer_types(ModelProto.FromString(model), data_prop=True).SerializeToString()
    except Exception:  # noqa: BLE001 - whatever is wrong, the picture is drawn without these labels
        return model
    return inferred
