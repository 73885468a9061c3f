"""The place of a node of an exported model: its value, its operator, and the module of PyTorch in which it stands.

The exporter notes the modules around each node in the node's metadata.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

__all__ = ["place_of"]

_SCOPES, _CLASSES = "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy"


def place_of(node: onnx.NodeProto, output: str) -> str:
    """A node in words: its value, its operator and the module in which it stands."""
    told = {entry.key: entry.value for entry in node.metadata_props}
    scopes, classes = _listed(told.get(_SCOPES, "")), _listed(told.get(_CLASSES, ""))
    # The last scope is the node itself; its class is the operator of PyTorch.
    operator = f", {classes[-1]}" if classes else ""
    text = f"{output} ({node.op_type}{operator})"
    if len(scopes) > 1 and len(classes) > 1:
        text += f" in {scopes[-2] or 'the model'} ({classes[-2].rpartition('.')[2]})"
    return text


def _listed(text: str) -> list[str]:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return []
    return [str(entry) for entry in value] if isinstance(value, list) else []
