"""How the sizes of one model are drawn: which follow from others, which are 0, what rank, what is computed in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fuzz.generate.chain import LINKS, TOLD
from fuzz.generate.settings import DEFAULT_RANK, USUAL_RANK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzz.generate.choices import Choices
    from fuzz.generate.plan import Supports
    from fuzz.generate.settings import Settings

__all__ = ["Shaping", "draw_shaping"]

_EMPTY = 0.25  # of the new sizes of a model that has any of 0
_RELATED = (0.0, 0.0, 0.15, 0.5)


@dataclass(frozen=True, slots=True)
class Shaping:
    """What one model draws of its sizes.

    ``computed`` is the seed of a style in which a dynamic model computes parameters that hold open sizes; 0 where it
    writes them as constants. ``related`` is the chance that a size of an input that is known follows from another one
    by arithmetic, ``empty`` that of a new size to be 0.
    """

    rank: tuple[int, int] = USUAL_RANK
    computed: int = 0
    related: float = 0.0
    empty: float = 0.0

    def tickets(self, operators: list[str], names: Sequence[str]) -> list[str]:
        """What the model draws its operators from: more of what takes a shape, where shapes are computed."""
        if not self.computed:
            return operators
        told = [name for name in TOLD if name in names]
        return operators + told * (len(operators) // (6 * len(TOLD)) + 1)


def draw_shaping(
    choices: Choices, settings: Settings, names: Sequence[str], supports: Supports | None, *, dynamic: bool
) -> Shaping:
    """One model's draw. ``names`` are the operators that it may use at all.

    Ranks go up to 5, where none were asked for, and to 8 in one model of sixteen. Three of four dynamic models compute
    their shapes, where the operators for it are to be used.
    """
    usual = settings.rank == DEFAULT_RANK and choices.integer(0, 15) > 0
    computed, related = 0, 0.0
    if dynamic:
        known = frozenset(names)
        speaks = all(link in known and (supports is None or supports(link, "int64")) for link in LINKS)
        computed = choices.integer(1, 2**31 - 1) if speaks and choices.integer(0, 3) else 0
        related = _RELATED[choices.integer(0, len(_RELATED) - 1)]
    empty = _EMPTY if choices.integer(0, 999) >= 1000 - settings.empty * 1000 else 0.0  # the least: none
    return Shaping(USUAL_RANK if usual else settings.rank, computed, related, empty)
