"""The computation graph of whatever a path holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpus.cache import MODEL, STATE, TRACE
from corpus.file import read_json
from corpus.graphs.computation import GraphError
from corpus.labels import FILE as LABELS

if TYPE_CHECKING:
    from pathlib import Path

    from corpus.graphs.computation import ComputationGraph

__all__ = ["SAVED", "read_graph", "title_of"]

SAVED = "saved_model.pb"
"""What the folder of a SavedModel holds."""
_KEPT = ("name", "author", "task", "model_type", "architecture")


def read_graph(
    path: Path, *, name: str = "", family: str = "", whole: bool = False, traced: bool = False
) -> ComputationGraph:
    """The graph of an ONNX model, a frozen GraphDef (.pb), a SavedModel (a folder), a trace, or a build of a corpus.

    A build is a folder that `fuzz corpus run` made: of its two forms the ONNX model is read, or where ``traced`` says
    so the trace of the exported program, whichever is there; its labels become labels of the graph. ``whole`` keeps
    what computes nothing or leads nowhere. Raises GraphError, OSError.
    """
    title = name or title_of(path)
    if not path.exists():
        raise GraphError(f"{path} does not exist")
    if path.is_dir() and (path / SAVED).is_file():
        return _from_tensorflow(path, title, family, whole=whole)
    if path.is_dir():
        return _from_build(path, title, family, whole=whole, traced=traced)
    if path.suffix == ".pb":
        return _from_tensorflow(path, title, family, whole=whole)
    if path.suffix == ".json":
        from corpus.graphs.torch_graph import from_trace, read_trace

        return from_trace(read_trace(path), name=title, family=family, whole=whole)
    if path.suffix == ".onnx":
        from corpus.graphs.onnx_graph import from_onnx

        return from_onnx(path, name=title, family=family, whole=whole)
    raise GraphError(f"{path} is no model: give an .onnx file, a .pb file, a SavedModel's folder or a build's")


def title_of(path: Path) -> str:
    """What a graph is called where nobody says: the file's name, or its folder's where that says more."""
    full = path.resolve()
    return full.parent.name if full.stem in {"model", "graph", "saved_model"} and full.parent.name else full.stem


def _from_tensorflow(path: Path, title: str, family: str, *, whole: bool) -> ComputationGraph:
    from corpus.graphs.tensorflow_graph import from_tensorflow

    return from_tensorflow(path, name=title, family=family, whole=whole)


def _from_build(path: Path, title: str, family: str, *, whole: bool, traced: bool) -> ComputationGraph:
    order = [TRACE, MODEL] if traced else [MODEL, TRACE]
    found = next((path / name for name in order if (path / name).is_file()), None)
    if found is None:
        raise GraphError(f"{path} holds neither {MODEL} nor {TRACE}, nor is it a SavedModel")
    graph = read_graph(found, name=title, family=family, whole=whole)
    return graph.labelled(_labels(path))


def _labels(build: Path) -> dict[str, float | str]:
    """The labels of a build that say what it is, and its class."""
    labels, state = (read_json(build / name) for name in (LABELS, STATE))
    told = {key: labels.get(key) for key in _KEPT} | {"class": state.get("class")}
    texts = {key: value[0] if isinstance(value, list) and value else value for key, value in told.items()}
    return {key: value for key, value in texts.items() if isinstance(value, str)}
