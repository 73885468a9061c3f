"""A rewrite that keeps the meaning, on a finished model of windows: one step further from what compilers look for.

Only rewrites that give the same elements under any legal arithmetic are applied, and only where they ask for no input
and drop none: the data sets stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from abstract.contributed import qualified
from abstract.dtypes import BY_CODE
from abstract.inference import infer_types

if TYPE_CHECKING:
    from fuzz.generate.choices import Choices
    from fuzz.generate.plan import Supports

__all__ = ["rewrite"]

_TRIES = 3


def rewrite(content: bytes, choices: Choices, supports: Supports | None) -> tuple[bytes, str] | None:
    """The model after one rewrite, and which it was and where; None where none of those drawn has a place."""
    from fuzz.relations.rewrite import rewritten
    from fuzz.relations.site import read_base
    from fuzz.relations.table import REWRITES

    names = [name for name, row in REWRITES.items() if row.exact and not row.opaque]
    try:
        base = read_base(onnx.ModelProto.FromString(content))
    except (onnx.shape_inference.InferenceError, ValueError):
        return None
    for _ in range(_TRIES):
        row = REWRITES[names[choices.integer(0, len(names) - 1)]]
        found = rewritten(base, row, lambda n: choices.integer(0, n - 1))
        if found is None or found.lifted or found.frozen or found.copies:
            continue
        if _runs(base.model, found.model, supports):
            return found.model.SerializeToString(deterministic=True), f"{row.name}: {found.place}"
    return None


def _runs(before: onnx.ModelProto, after: onnx.ModelProto, supports: Supports | None) -> bool:
    """Whether the checker takes the model, and the targets run what was added to it on its types."""
    try:
        onnx.checker.check_model(after)
        inferred = infer_types(after, strict=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError):
        return False
    if supports is None:
        return True
    graph = inferred.graph
    types = {info.name: info.type.tensor_type.elem_type for info in (*graph.value_info, *graph.input, *graph.output)}
    types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    known = {node.SerializeToString(deterministic=True) for node in before.graph.node}
    for node in after.graph.node:
        if not node.input or node.SerializeToString(deterministic=True) in known:
            continue
        code = types.get(node.input[0], 0)
        if code in BY_CODE and not supports(qualified(node.domain, node.op_type), BY_CODE[code].name):
            return False
    return True
