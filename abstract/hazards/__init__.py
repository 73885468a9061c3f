"""What the specification leaves open: one table, by operator and version. ``HAZARDS`` is all of it."""

from __future__ import annotations

from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from abstract.hazards.groups import GROUPS
from abstract.hazards.hazard import Hazard, Says, Treatment

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BY_ID", "HAZARDS", "Hazard", "Says", "Treatment", "hazards_of"]

HAZARDS: tuple[Hazard, ...] = tuple(row for _, rows in GROUPS for row in rows)
BY_ID: Mapping[str, Hazard] = MappingProxyType({row.id: row for row in HAZARDS})


@cache
def hazards_of(operator: str, version: int) -> tuple[Hazard, ...]:
    """The rows that apply to a version of an operator, by its qualified name (not the opset: its own version)."""
    return tuple(
        row
        for row in HAZARDS
        if operator in row.operators and row.since <= version and (row.until is None or version < row.until)
    )
