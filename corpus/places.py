"""What PyTorch's exporter notes at the nodes of a model: the modules around each; and a node's place in words."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

__all__ = ["noted_modules", "place_of"]

_SCOPES, _CLASSES = "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy"


def noted_modules(node: onnx.NodeProto) -> list[tuple[str, str]]:
    """The modules around a node, outermost first, each as (path, class); none where the exporter noted none.

    The first is the model, without a path; the last is the node itself, whose class is the operator of PyTorch.
    """
    noted = {entry.key: entry.value for entry in node.metadata_props}
    paths, classes = _listed(noted.get(_SCOPES, "")), _listed(noted.get(_CLASSES, ""))
    return list(zip(paths, classes, strict=False))


def place_of(node: onnx.NodeProto, output: str) -> str:
    """A node in words: its value, its operator and the module in which it stands."""
    *modules, (_, operator) = noted_modules(node) or [("", "")]
    text = f"{output} ({node.op_type}{operator and f', {operator}'})"
    if modules:
        path, kind = modules[-1]
        text += f" in {path or 'the model'} ({kind.rpartition('.')[2]})"
    return text


def _listed(text: str) -> list[str]:
    """The list that a note spells in Python's way; empty where it is none."""
    try:
        entries = ast.literal_eval(text) if text else []
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return []
    return [str(entry) for entry in entries] if isinstance(entries, list) else []
