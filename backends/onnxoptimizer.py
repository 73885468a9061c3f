"""ONNX Optimizer: its passes that fuse and eliminate, or some passes by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnxoptimizer

from backends.protocol import Words
from backends.rewriting import Rewriter

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS = Words(unsupported=(r"no supported data type",))
_OF_THE_SIGNATURE = frozenset({"rename_input_output", "rewrite_input_dtype", "split_init", "split_predict"})


def _optimized(model: Any, options: Mapping[str, str]) -> Any:
    named = options.get("passes", "")
    disabled = set(options.get("disable", "").split("+"))
    passes = named.split("+") if named else onnxoptimizer.get_fuse_and_elimination_passes()
    return onnxoptimizer.optimize(
        model, [name for name in passes if name not in disabled], fixed_point=options.get("fixed_point") == "yes"
    )


def _renames(options: Mapping[str, str]) -> bool:
    """Whether a pass is asked for whose purpose is to give inputs or outputs other names, types or places."""
    return not _OF_THE_SIGNATURE.isdisjoint(options.get("passes", "").split("+"))


def _passes() -> list[str]:
    return sorted(onnxoptimizer.get_available_passes())


BACKEND = Rewriter("onnxoptimizer", _optimized, WORDS, passes=_passes, renames=_renames)
