"""Pictures of computation graphs as files in a folder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fuzz.collection.drawing.scene import compose
from fuzz.file import write_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from corpus.graphs.computation import ComputationGraph

__all__ = ["draw"]


def draw(graph: ComputationGraph, folder: Path, form: str) -> Path:
    """Write the picture of a graph, as ``svg``, ``png`` or ``html``, named like it; where it is.

    Raises StorageError, and UsageError of `png`.
    """
    scene = compose(graph)
    if form == "png":
        from fuzz.collection.drawing.png import png

        content = png(scene)
    elif form == "html":
        from fuzz.collection.drawing.view import view

        content = view(scene, graph.name).encode()
    else:
        from fuzz.collection.drawing.svg import svg

        content = svg(scene).encode()
    path = folder / f"{_safe(graph.name)}.{form}"
    write_bytes(path, content, folder=True)
    return path


def _safe(name: str) -> str:
    """A name as one of a file: whatever else a stranger's graph is called stays in this folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip(".")[:120] or "graph"
