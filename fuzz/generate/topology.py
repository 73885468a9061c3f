"""How the nodes of a model are knit: which of the values that fit an operand is taken."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from abstract.graph import Value
    from fuzz.generate.choices import Choices

__all__ = ["PARTS", "PICKS", "Pick", "draw_topology"]

Pick: TypeAlias = "Callable[[Sequence[Value], Callable[[int, int], int]], Value]"
"""Takes one of several values, oldest first, by a source of integers."""

_BACK = 16  # values looked at from the newest on: a node costs the same in a large model


def _newest(pool: Sequence[Value], integer: Callable[[int, int], int]) -> Value:
    """Chain: what the last node gave, with few exceptions."""
    return pool[-1] if integer(0, 15) else pool[integer(0, len(pool) - 1)]


def _oldest(pool: Sequence[Value], integer: Callable[[int, int], int]) -> Value:
    """Fan-out: one value again and again."""
    return pool[0] if integer(0, 7) else pool[integer(0, len(pool) - 1)]


def _unread(pool: Sequence[Value], integer: Callable[[int, int], int]) -> Value:
    """Fan-in: none twice, so that what there is runs together."""
    free = [value for value in pool[-_BACK:] if not value.uses]
    return free[integer(0, len(free) - 1)] if free else pool[-1]


def _forked(pool: Sequence[Value], integer: Callable[[int, int], int]) -> Value:
    """Diamonds: what one node reads is read by a second one, and then what both made is joined."""
    if integer(0, 1):
        for value in pool[: -_BACK - 1 : -1]:
            if value.uses == 1:
                return value
    return _unread(pool, integer)


PICKS: Mapping[str, Pick] = MappingProxyType({
    "chain": _newest, "fan-out": _oldest, "fan-in": _unread, "diamonds": _forked,
})  # fmt: skip
PARTS = "parts"
"""The topology of several graphs in one model, of which none reads what another makes."""

_DRAWN = ("chain", "chain", "fan-out", "fan-in", "diamonds", "diamonds", PARTS)


def draw_topology(choices: Choices, structure: frozenset[str]) -> str:
    """The topology of one model; none, which is a mix, where its structure asks for none."""
    return _DRAWN[choices.integer(0, len(_DRAWN) - 1)] if "topology" in structure else ""
