"""What one model takes for bait, and what was placed of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abstract.graph import Value
    from fuzz.generate.bait.pattern import Pattern

__all__ = ["Bait", "Planted"]


@dataclass(frozen=True, slots=True)
class Planted:
    """An instance in a graph: which pattern, which near-miss ("" where it is the pattern itself), its last value."""

    pattern: str
    miss: str
    at: str
    exposed: tuple[Value, ...]

    def to_json(self) -> dict[str, str]:
        """What ``case.json`` keeps of it."""
        return {"pattern": self.pattern, "near_miss": self.miss, "at": self.at}


@dataclass(slots=True)
class Bait:
    """What one model takes for bait: the patterns, the chance that a node's turn places one, that of a near-miss.

    ``whole`` patterns are placed however few nodes are left to the model. ``dtypes`` are those that a Cast may give.
    """

    patterns: Sequence[Pattern]
    chance: float
    near: float
    dtypes: frozenset[str]
    whole: bool = False
    planted: list[Planted] = field(default_factory=list)
