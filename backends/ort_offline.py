"""ONNX Runtime's optimiser offline: a session writes what it has optimised into a file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
import onnxruntime

from backends.onnxruntime import WORDS
from backends.protocol import Unsupported
from backends.rewriting import Made, Rewriter

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROVIDERS = ["CPUExecutionProvider"]
_LEVELS = {"off": 0, "basic": 1, "extended": 2, "layout": 3, "all": 99}


def _saved(model: Any, options: Mapping[str, str]) -> Any:
    """The model as optimised at a level, in ONNX's format or ONNX Runtime's own."""
    kind = options.get("format", "onnx")
    settings = _settings(options.get("level", "all"))
    settings.add_session_config_entry("session.save_model_format", kind.upper())
    disabled = options.get("disable", "")
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, f"optimised.{kind}")
        settings.optimized_model_filepath = str(path)
        content = model.SerializeToString()
        try:
            onnxruntime.InferenceSession(
                content,
                settings,
                providers=_PROVIDERS,
                disabled_optimizers=disabled.split("+") if disabled else None,
            )
        except Exception:
            _without_optimiser(content)
            raise
        return Made(path.read_bytes(), "transformed.ort") if kind == "ort" else onnx.load(path)


def _settings(level: str) -> Any:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel(_LEVELS[level])
    return settings


def _without_optimiser(content: bytes) -> None:
    """Raise `Unsupported` where the runtime refuses a model whatever its optimiser does."""
    try:
        onnxruntime.InferenceSession(content, _settings("off"), providers=_PROVIDERS)
    except Exception as problem:
        raise Unsupported(f"ONNX Runtime refuses the model without optimisations as well: {problem}") from problem


BACKEND = Rewriter("ort-offline", _saved, WORDS)
