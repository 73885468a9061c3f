"""The table of rewrites."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from fuzz.relations.arithmetic import ARITHMETIC
from fuzz.relations.linear import LINEAR
from fuzz.relations.movement import MOVEMENT
from fuzz.relations.reduction import REDUCTION
from fuzz.relations.structure import STRUCTURE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fuzz.relations.rewrite import Rewrite

__all__ = ["REWRITES"]

REWRITES: Mapping[str, Rewrite] = MappingProxyType(
    {rewrite.name: rewrite for family in (MOVEMENT, ARITHMETIC, LINEAR, REDUCTION, STRUCTURE) for rewrite in family}
)
"""All rewrites by name."""
