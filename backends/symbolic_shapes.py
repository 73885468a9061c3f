"""ONNX Runtime's symbolic shape inference: sizes are expressions of the sizes of inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnxruntime.tools.symbolic_shape_infer import SymbolicShapeInference

from backends.protocol import Unsupported, Words
from backends.rewriting import Rewriter

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS = Words(unsupported=(r"Incomplete symbolic shape inference",))


def _inferred(model: Any, options: Mapping[str, str]) -> Any:
    inferred = SymbolicShapeInference.infer_shapes(model, auto_merge=options.get("merge") == "yes")
    if inferred is None:  # which it says in its log alone
        raise Unsupported("Only support models of onnx opset 7 and above.")
    return inferred


BACKEND = Rewriter("ort-symbolic-shapes", _inferred, WORDS, claims=True)
