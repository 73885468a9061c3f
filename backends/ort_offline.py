"""ONNX Runtime's optimiser offline: a session writes what it has optimised into a file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from backends.onnxruntime import WORDS, session
from backends.protocol import BackendError, Unsupported
from backends.rewriting import Made, Rewriter

if TYPE_CHECKING:
    from collections.abc import Mapping

_LEVELS = {"off": "0", "basic": "1", "extended": "2", "layout": "3", "all": "99"}


def _saved(model: Any, options: Mapping[str, str]) -> Any:
    """The model as optimised at a level, in ONNX's format or ONNX Runtime's own."""
    kind = options.get("format", "onnx")
    settings = {"opt": _LEVELS[options.get("level", "all")], "disable": options.get("disable", "")}
    content = model.SerializeToString()
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, f"optimised.{kind}")
        try:
            session(content, None, settings, str(path))
        except BackendError:
            _without_optimiser(content)
            raise
        return Made(path.read_bytes(), "transformed.ort") if kind == "ort" else onnx.load(path)


def _without_optimiser(content: bytes) -> None:
    """Raise `Unsupported` where the runtime refuses a model whatever its optimiser does."""
    try:
        session(content, None, {"opt": "0"})
    except BackendError as problem:
        raise Unsupported(f"ONNX Runtime refuses the model without optimisations as well: {problem}") from problem


BACKEND = Rewriter("ort-offline", _saved, WORDS)
