"""OnnxSlim: constant folding, fusions, elimination of dead and common nodes, in turn until nothing changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnxslim

from backends.protocol import Words
from backends.rewriting import Rewriter

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS = Words(
    unsupported=(
        # "Only support models of onnx opset 7 and above" is what it tells its log; it goes on with None.
        r"'NoneType' object has no attribute 'opset_import'",
    )
)


def _slimmed(model: Any, options: Mapping[str, str]) -> Any:
    off, disabled = options.get("off", ""), options.get("disable", "")
    return onnxslim.slim(
        model,
        skip_optimizations=off.split("+") if off else None,
        skip_fusion_patterns=disabled.split("+") if disabled else None,
        no_shape_infer=options.get("inference") == "no",
    )


def _patterns() -> list[str]:
    from onnxslim.core.pattern.registry import DEFAULT_FUSION_PATTERNS

    return sorted(DEFAULT_FUSION_PATTERNS)


BACKEND = Rewriter("onnxslim", _slimmed, WORDS, passes=_patterns, prunes=True)
