"""Structural features of models, beside which operators they call: the table, and which of them a model draws."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fuzz.generate.choices import Choices
    from fuzz.generate.settings import Settings

__all__ = ["FEATURES", "Feature", "draw_structure", "features"]


@dataclass(frozen=True, slots=True)
class Feature:
    """What models may have: in words, and how many of a hundred draw it."""

    purpose: str
    chance: int


FEATURES: Mapping[str, Feature] = MappingProxyType({
    "topology": Feature("a chain, a wide fan, one that narrows, diamonds, or parts of which none reads another", 60),
    "functions": Feature("parts of the graph in functions of the model, called once or more", 15),
    "passing": Feature("an input, or an initializer, that is an output", 8),
    "duplicates": Feature("a value that is given twice, by Identity", 8),
    "unread": Feature("inputs and initializers that no node reads", 8),
    "defaults": Feature("initializers that are inputs too, and data sets that override them", 8),
    "shared": Feature("one initializer for all constants that are the same", 12),
    "constants": Feature("Constant nodes in place of initializers", 10),
    "containers": Feature("inputs that are sequences or optionals", 4),
    "external": Feature("initializers whose data lies in files beside the model", 5),
    "large": Feature("a weight of 64 KiB to 2 MiB", 1),
})  # fmt: skip


@cache
def features(names: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    """The features that settings ask for, each with its chance; ``-name`` takes one out of ``all``.

    Those that are named stand in every second model. Raises ValueError with a one-line message for a name that is not
    known.
    """
    unknown = [name for name in names if name.removeprefix("-") not in FEATURES and name != "all"]
    if unknown:
        raise ValueError(f"unknown structure {unknown[0]!r}: known are {', '.join(FEATURES)}, and all")
    least = 0 if "all" in names else 50
    return tuple(
        (name, max(feature.chance, least))
        for name, feature in FEATURES.items()
        if (name in names or "all" in names) and f"-{name}" not in names
    )


def draw_structure(choices: Choices, settings: Settings) -> frozenset[str]:
    """The features of one model, of those that the settings ask for."""
    chosen = features(settings.structure) if settings.structure else ()
    return frozenset(name for name, chance in chosen if choices.integer(0, 99) >= 100 - chance)
