"""ONNX Runtime's optimizer of transformers: fusions in Python into operators of ONNX Runtime's own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from onnxruntime.transformers import optimizer

from backends.protocol import Words
from backends.rewriting import Rewriter

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS = Words()


def _fused(model: Any, options: Mapping[str, str]) -> Any:
    """The fused model; without the runtime's own optimisations, which `ort-offline` shows."""
    logging.getLogger("onnxruntime.transformers").setLevel(logging.ERROR)
    return optimizer.optimize_model(model, model_type=options.get("model", "bert"), opt_level=0).model


BACKEND = Rewriter("ort-transformers", _fused, WORDS, prunes=True)
