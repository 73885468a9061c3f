"""The groups that hazards stand in, each with its title, in the order of the page: the one list of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abstract.hazards import (
    arithmetic,
    contributed,
    control,
    conversion,
    movement,
    ordering,
    reductions,
    selection,
    windows,
)

if TYPE_CHECKING:
    from abstract.hazards.hazard import Hazard

__all__ = ["GROUPS"]

GROUPS: tuple[tuple[str, tuple[Hazard, ...]], ...] = (
    ("Conversion and quantisation", conversion.HAZARDS),
    ("Arithmetic", arithmetic.HAZARDS),
    ("Indices", selection.HAZARDS),
    ("Order", ordering.HAZARDS),
    ("Shapes", movement.HAZARDS),
    ("Windows and coordinates", windows.HAZARDS),
    ("Reductions, normalization, softmax", reductions.HAZARDS),
    ("Control flow, time, transforms, chance", control.HAZARDS),
    ("Operators of the domain com.microsoft", contributed.HAZARDS),
)
