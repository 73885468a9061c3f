"""A switch board: what of a target can be turned off, as its row's knobs and the passes of its version say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.passes import load_passes
from fuzz.show import passes as ask_passes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from backends.protocol import Knob
    from fuzz.execute.attempt import Limits
    from fuzz.execute.target import Target

__all__ = ["PASSES", "SEVERAL", "Board", "Counted", "Dial", "Switch", "board_of"]

PASSES = "disable"
"""The option that takes names of passes."""
SEVERAL = frozenset({"mode"})
"""Options of which each value turns other things off, though only one can be set."""


@dataclass(frozen=True, slots=True, order=True)
class Switch:
    """One thing that can be turned off: a value of an option, or one name in its list (``listed``)."""

    option: str
    value: str
    listed: bool = False

    def __str__(self) -> str:
        return f"{self.option}={self.value}"


@dataclass(frozen=True, slots=True)
class Dial:
    """The values of one option, the one that turns off the most first where they are levels."""

    switches: tuple[Switch, ...]
    levels: bool


@dataclass(frozen=True, slots=True)
class Counted:
    """What a compiler applies many times; ``typed`` is how its own tools are told how often (``Knob.counted``)."""

    option: str
    part: str
    typed: str

    def first(self, count: int | None) -> Switch:
        """The switch that leaves so many applications, None: all of them."""
        return Switch(self.option, self.part if count is None else f"{self.part}.{count}")

    def own(self, count: int) -> str:
        """The same as the compiler's own tools are told it."""
        backend, _, part = self.part.rpartition(".")
        return self.typed.format(backend=backend, part=part, last=count - 1)


@dataclass(frozen=True, slots=True)
class Board:
    """All switches of a target.

    Attributes:
        dials: what is not a list of passes, an option each, in the order of the row.
        passes: the single passes, but for those that nothing runs without.
        given: what the target's own options have turned off already, by option: names in a list.
        counted: what is applied many times, of which the first so many can be left.
    """

    dials: tuple[Dial, ...]
    passes: tuple[Switch, ...]
    given: dict[str, tuple[str, ...]]
    counted: tuple[Counted, ...] = ()

    @property
    def coarse(self) -> tuple[Switch, ...]:
        """The switches that are no passes."""
        return tuple(switch for dial in self.dials for switch in dial.switches)

    def options(self, off: Collection[Switch]) -> dict[str, str]:
        """The options that turn these off, on top of the target's own; of levels the one that turns off the most."""
        found: dict[str, str] = {}
        for switch in sorted(off, key=self._place):
            if not switch.listed:
                found.setdefault(switch.option, switch.value)
                continue
            names = found.get(switch.option, "+".join(self.given.get(switch.option, ())))
            found[switch.option] = f"{names}+{switch.value}" if names else switch.value
        return found

    def _place(self, switch: Switch) -> tuple[int, str]:
        """Levels in the order of their dial; passes by name, whatever order they were found in."""
        coarse = self.coarse
        return (coarse.index(switch), "") if switch in coarse else (len(coarse), switch.value)


def board_of(target: Target, limits: Limits) -> Board:
    """The switches of a target that are not set already. A version that no table knows is asked for its passes.

    Raises:
        TargetError: that version does not start.
        UsageError: it does not tell its passes.
    """
    options = dict(target.options)
    dials: list[Dial] = []
    passes: tuple[Switch, ...] = ()
    given: dict[str, tuple[str, ...]] = {}
    counted: tuple[Counted, ...] = ()
    for knob in target.entry.knobs:
        if knob.counted:
            parts = knob.values if knob.option not in options else ()
            counted += tuple(Counted(knob.option, part, knob.counted) for part in parts)
        elif knob.option == PASSES:
            given[PASSES] = _names(options.get(PASSES, ""))
            known = _passes(target, knob, limits)
            left = {*given[PASSES], *target.entry.needed}
            passes = tuple(Switch(PASSES, name, listed=True) for name in known if name not in left)
        elif target.entry.option(knob.option) is not None:
            dial = _dial(target, knob, options.get(knob.option, knob.default))
            if dial.switches:
                dials.append(dial)
                if dial.switches[0].listed:
                    given[knob.option] = _names(options.get(knob.option, ""))
    return Board(tuple(dials), passes, given, counted)


def _dial(target: Target, knob: Knob, current: str) -> Dial:
    option = target.entry.option(knob.option)
    listed = len(knob.values) > 1 and option is not None and option.allows("+".join(knob.values[:2]))
    if listed:
        kept: Iterable[str] = (value for value in knob.values if value not in _names(current))
        return Dial(tuple(Switch(knob.option, value, listed=True) for value in kept), levels=False)
    levels = knob.option not in SEVERAL
    # Of a level that is set already only those below turn more off.
    values = knob.values[: knob.values.index(current)] if current in knob.values and levels else knob.values
    return Dial(tuple(Switch(knob.option, value) for value in values if value != current), levels)


def _passes(target: Target, knob: Knob, limits: Limits) -> tuple[str, ...]:
    table = load_passes(target.backend)
    if table is not None and table.version == target.version:
        return tuple(name for name in knob.values if name in table.names) or table.names
    if table is None and knob.values:
        return knob.values
    return ask_passes(target, limits).names or knob.values


def _names(joined: str) -> tuple[str, ...]:
    return tuple(filter(None, joined.split("+")))
