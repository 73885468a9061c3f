"""ONNX's shape inference: a model is annotated with the types and shapes of its values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx.shape_inference

from backends.protocol import Words
from backends.rewriting import Rewriter

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS = Words()


def _inferred(model: Any, options: Mapping[str, str]) -> Any:
    return onnx.shape_inference.infer_shapes(
        model, strict_mode=options.get("strict") == "yes", data_prop=options.get("data") != "no"
    )


BACKEND = Rewriter("onnx-shape-inference", _inferred, WORDS, claims=True)
