"""onnxsim: ONNX Optimizer's passes, shape inference and constant folding, in turn until nothing changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnxsim

from backends.protocol import Words
from backends.rewriting import Rewriter

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS = Words()


def _simplified(model: Any, options: Mapping[str, str]) -> Any:
    """The simplified model; without onnxsim's own checks, which run it on random inputs or try to prove it."""
    constants = {tensor.name for tensor in model.graph.initializer}
    has_defaults = any(port.name in constants for port in model.graph.input)
    disabled = options.get("disable", "")
    off = set(options.get("off", "").split("+"))
    made, _checked = onnxsim.simplify(
        model,
        check_n=0,
        certify=False,
        perform_optimization="optimization" not in off,
        skip_constant_folding="folding" in off,
        skip_shape_inference="inference" in off,
        skipped_optimizers=disabled.split("+") if disabled else None,
        include_subgraph=options.get("subgraphs") == "yes",
        inline_functions=options.get("inline") == "yes",
        # By default it makes constants of inputs that have a default, as its manual says.
        mutable_initializer=has_defaults,
        initializers_as_constants=not has_defaults,
    )
    return made


BACKEND = Rewriter("onnxsim", _simplified, WORDS)
