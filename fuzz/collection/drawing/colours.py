"""The colours of a picture: a line and a fill for each family of operators."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COLOURS", "EDGE", "INK", "MUTED", "PAPER", "RULE"]

PAPER, INK, MUTED, EDGE, RULE = "#ffffff", "#1b2230", "#475467", "#98a2b3", "#d0d5dd"
COLOURS: Mapping[str, tuple[str, str]] = MappingProxyType({
    "linear": ("#2f5cc4", "#eaf0fd"), "activation": ("#a94a13", "#fdeee4"), "arithmetic": ("#237a50", "#e6f5ed"),
    "logic": ("#7740ae", "#f3eafb"), "reduction": ("#8f6508", "#fbf3dd"), "pooling": ("#14717e", "#e2f4f6"),
    "movement": ("#526074", "#eff2f5"), "conversion": ("#a82f69", "#fbe9f2"), "control": ("#6a4c2e", "#f5eee6"),
    "other": ("#5d6675", "#f3f4f6"), "end": ("#1b2230", "#dfe4ec"), "note": ("#98a2b3", "#ffffff"),
})  # fmt: skip
"""(line, fill) by family; ``end`` are inputs and outputs, ``note`` what stands where an edge is cut."""
