"""Novelty in a campaign: which seeds are asked what their targets show, what the store keeps of it, what comes of it.

What is known decides over an epoch as it was two epochs before, as everything else does (`fuzz.campaign.epochs`).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fuzz.campaign.epochs import epoch_of, start_of
from fuzz.novelty.state import Shown, State, advance, origin_of

if TYPE_CHECKING:
    from fuzz.campaign.readings import Readings
    from fuzz.novelty.state import Origin

__all__ = ["LAG", "Novelty", "shown_of", "text_of"]

LAG = 2
"""Epochs between what is known and what it decides over."""
_EVERY = 4
"""One case of so many is asked for artefacts: they cost as much as the execution, or as compiling anew."""
_HELD = 4  # states: of epochs with seeds that may still be handed out or come back


class Novelty:
    """What is known of a campaign's artefacts, by epoch, as its store tells it. ``first`` is its first seed."""

    def __init__(self, readings: Readings, first: int) -> None:
        self._readings, self._first = readings, first
        self._states: dict[int, State] = {}
        self._told = State()
        self._next = 0  # the first epoch that ``_told`` does not know of

    def shows(self, seed: int) -> bool:
        """Whether a seed's case is asked for artefacts."""
        return (seed - self._first) % _EVERY == 0

    def origin(self, seed: int) -> Origin | None:
        """What a seed's case is made of; None where it is a fresh one. All seeds that decide have to be written."""
        epoch = epoch_of(seed - self._first)
        return origin_of(self._state(epoch), epoch, seed)

    def new(self, shown: Shown) -> Shown | None:
        """What is worth keeping of what a seed's case showed: what was not known when it was made."""
        seen = self._state(epoch_of(shown.seed - self._first)).seen
        left = {target: found - seen.get(target, frozenset()) for target, found in shown.features.items()}
        left = {target: found for target, found in left.items() if found}
        return replace(shown, features=left) if left else None

    def to_json(self) -> dict[str, Any]:
        """What ``fuzz run --json`` says: how many features each target has shown, how many cases had a new one."""
        shown = [shown_of(*row) for row in self._readings.shown(self._first)]
        seen = advance(State(), 0, shown).seen
        return {"features": {target: len(found) for target, found in seen.items()}, "cases": len(shown)}

    def _state(self, epoch: int) -> State:
        if epoch not in self._states:
            while self._next <= epoch - LAG:
                first, end = (self._first + start_of(number) for number in (self._next, self._next + 1))
                shown = [shown_of(*row) for row in self._readings.shown(first, end)]
                self._told = advance(self._told, self._next, shown)
                self._states[self._next + LAG] = self._told
                self._next += 1
            self._states.setdefault(epoch, self._told)
            for old in [number for number in self._states if number <= epoch - _HELD]:
                del self._states[old]
        return self._states[epoch]


def text_of(shown: Shown) -> str:
    """As the store keeps it, beside the seed."""
    features = {target: sorted(found) for target, found in sorted(shown.features.items())}
    return json.dumps({"features": features, "choices": shown.choices, "rests": shown.rests}, separators=(",", ":"))


def shown_of(seed: int, text: str) -> Shown:
    """What ``text_of`` was given."""
    told = json.loads(text)
    features = {target: frozenset(found) for target, found in told["features"].items()}
    return Shown(seed, features, tuple(told["choices"]), tuple(told["rests"]))
