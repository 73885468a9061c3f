"""Fusion bait: patterns that compilers rewrite, placed in generated models together with their near-misses.

``PATTERNS`` maps a pattern's name to its row; the tables are data, a file a theme.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from abstract.schema import signature
from fuzz.generate.bait.tables import (
    activation,
    arithmetic,
    attention,
    constants,
    conversion,
    convolution,
    layout,
    linear,
    normalization,
    quantization,
    reduction,
    shapes,
    slicing,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fuzz.generate.bait.pattern import Pattern

__all__ = ["PATTERNS", "chosen"]

_THEMES = {
    "linear": linear, "convolution": convolution, "normalization": normalization, "activation": activation,
    "attention": attention, "layout": layout, "slicing": slicing, "reduction": reduction, "arithmetic": arithmetic,
    "conversion": conversion, "shapes": shapes, "constants": constants,
    "quantization": quantization,
}  # fmt: skip

PATTERNS: Mapping[str, Pattern] = MappingProxyType({
    row.name: replace(row, theme=theme) for theme, table in _THEMES.items() for row in table.PATTERNS
})  # fmt: skip


@cache
def chosen(names: tuple[str, ...], operators: tuple[str, ...], opset: int) -> tuple[Pattern, ...]:
    """The patterns of these names (or themes; "all" for all) that an opset has, made of these operators alone.

    Raises ValueError with a one-line message for a name that is not known.
    """
    themes = {row.theme for row in PATTERNS.values()}
    for name in names:
        if name not in PATTERNS and name not in themes and name != "all":
            raise ValueError(f"unknown bait {name!r}{_similar(name, themes)}; `fuzz bait` lists the patterns")
    have = set(operators)
    wanted = [row for row in PATTERNS.values() if {"all", row.name, row.theme} & set(names)]
    return tuple(row for row in wanted if row.operators <= have and _exists(row, opset))


def _exists(row: Pattern, opset: int) -> bool:
    """Whether the operators of a pattern have the attributes that it gives them at an opset."""
    for step in row.program.calls:
        sign = signature(step.operator, opset)
        if not set(step.attributes) <= sign.attributes | {formal.name for formal in sign.inputs}:
            return False
    return True


def _similar(name: str, themes: set[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name.lower(), (*PATTERNS, *sorted(themes)), 1)
    return f" (did you mean {close[0]}?)" if close else ""
