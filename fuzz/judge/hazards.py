"""What hazards do to a verdict: which are named, and which excuse a crash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abstract.hazards.detection import Arising

__all__ = ["ModelHazards", "excuse", "told"]

_NAMED = 3


@dataclass(frozen=True, slots=True)
class ModelHazards:
    """The hazards of a model by data set; ``problem`` says why the reference could not go on, if it could not."""

    arisings: tuple[tuple[int, Arising], ...]
    problem: str = ""


def told(arisings: Sequence[Arising]) -> str:
    """The first few in words: hazard, node, how many elements; empty where there are none."""
    names = list(dict.fromkeys(map(str, arisings)))
    more = f", and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def excuse(arisings: Sequence[Arising], said: str) -> str:
    """Why what ended in a crash or a refusal is no finding; empty where there is no reason.

    ``said`` is what the backend said of it.
    """
    reasons = told([a for a in arisings if a.stops])
    if not reasons:
        return ""
    return f"the specification leaves open what happens here, so it may be refused or stop: {reasons}; it said: {said}"
