"""ONNX's version converter: a model of one version of the operator set becomes one of another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx.version_converter

from backends.protocol import Words
from backends.rewriting import Rewriter

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS = Words(
    unsupported=(
        r"No Adapter",
        r"No Previous Version",
        r"for this version conversion",
        r"No [Cc]onversion",
        r"[Uu]nsupported",
        r"not (yet )?supported",
        r"does not support",
        # An older version of an operator takes fewer types.
        r"is unallowed for Opset Version",
        r"cannot be downgraded to opset",
    )
)
_NEWEST = "26"
"""The newest operator set that the pinned ONNX Runtime takes."""


def _converted(model: Any, options: Mapping[str, str]) -> Any:
    return onnx.version_converter.convert_version(model, int(options.get("to", _NEWEST)))


BACKEND = Rewriter("onnx-version-converter", _converted, WORDS)
