"""ONNX's inliner: calls of functions are replaced by their bodies, of those of the standard as well if asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx.inliner

from backends.protocol import Words
from backends.rewriting import Rewriter

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS = Words()


def _inlined(model: Any, options: Mapping[str, str]) -> Any:
    if options.get("schema") != "yes":
        return onnx.inliner.inline_local_functions(model)
    # It asserts that it knows the type of each argument, and does not look for those of constants.
    known = {port.name for port in (*model.graph.input, *model.graph.value_info)}
    model.graph.value_info.extend(
        onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        for tensor in model.graph.initializer
        if tensor.name not in known
    )
    return onnx.inliner.inline_selected_functions(model, [], exclude=True, inline_schema_functions=True)


BACKEND = Rewriter("onnx-inliner", _inlined, WORDS)
