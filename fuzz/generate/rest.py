"""Operators at rest: what known findings begin at is left out of most models, so that others show.

A rest is text, as settings keep it: the share of models, of 16, that may still have its sites, then the sites, each an
operator and the element type of its first operand: ``2 Sigmoid:float Tanh:float``. Without a type all of the operator
rests. A model draws for each rest; an operator that rests is not left out one by one, but where it would be called.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fuzz.generate.choices import Choices
    from fuzz.generate.plan import Supports

__all__ = ["SHARES", "Rested", "draw_rests"]

SHARES = 16
"""Shares of models are counted in so many parts."""


@dataclass(frozen=True, slots=True)
class Rested:
    """What the targets support, less what rests in one model."""

    supports: Supports | None
    sites: frozenset[str]

    def __call__(self, operator: str, first: str, second: str = "") -> bool:
        """Whether an operator may be called on an element type of its first input."""
        if f"{operator}:{first}" in self.sites or f"{operator}:" in self.sites:
            return False
        return self.supports is None or self.supports(operator, first, second)


def draw_rests(choices: Choices, rests: tuple[str, ...], supports: Supports | None) -> Supports | None:
    """What one model may call; as before where nothing rests in it."""
    sites: list[str] = []
    for rest in rests:
        share, *places = rest.split(" ")
        if choices.integer(0, SHARES - 1) >= int(share):
            sites.extend(places)
    return Rested(supports, frozenset(sites)) if sites else supports
