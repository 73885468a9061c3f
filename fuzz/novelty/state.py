"""What has been seen of compilers, which cases showed it first, and what is made of them.

A state is a function of what came of the seeds before, whatever the order in which they were done.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from fuzz.generate.choices import Seeded
from fuzz.novelty.mutation import mutated

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Kept", "Origin", "Shown", "State", "advance", "origin_of"]

SHARE = 50
"""Cases of a hundred that are made of kept ones, where there are any."""
_WORTH: Mapping[str, int] = MappingProxyType({"pass": 8, "fused": 4, "dispatch": 4, "kernel": 4, "extern": 4, "op": 2})
_MOST = 64  # a model of all kinds at once counts no more than a few that show something
_HALVED = 2  # epochs after which a kept case is worth half as much
_LARGEST = 128  # cases that are kept
_SALT = 0x6E6F76656C  # a seed's decision what to make is not its decision how


@dataclass(frozen=True, slots=True)
class Shown:
    """What targets showed of one seed's case: features by target, and the decisions that made the case.

    ``rests`` are the settings that the decisions were made under (``Settings.rests``).
    """

    seed: int
    features: Mapping[str, frozenset[str]]
    choices: tuple[int, ...]
    rests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """A case that showed something first; ``worth`` is how much, ``epoch`` when."""

    seed: int
    choices: tuple[int, ...]
    rests: tuple[str, ...]
    worth: int
    epoch: int

    def weight(self, epoch: int) -> int:
        """How often it is taken, against others: half as often with every second epoch."""
        return self.worth >> ((epoch - self.epoch) // _HALVED)


@dataclass(frozen=True, slots=True)
class State:
    """What has been seen by target, and what is kept, the oldest first."""

    seen: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    kept: tuple[Kept, ...] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """What a case is made of that is no fresh one: decisions, those of ``seed`` once they are at their end.

    ``parent`` is the seed of the kept case.
    """

    parent: int
    seed: int
    choices: tuple[int, ...]
    rests: tuple[str, ...] = ()


def advance(state: State, epoch: int, shown: Iterable[Shown]) -> State:
    """The state after an epoch, of what its seeds showed: in their order, whatever the order in which it is given."""
    seen = {target: set(features) for target, features in state.seen.items()}
    kept = list(state.kept)
    for one in sorted(shown, key=lambda each: each.seed):
        worth = 0
        for target in sorted(one.features):
            known = seen.setdefault(target, set())
            worth += sum(_WORTH.get(feature.partition(" ")[0], 1) for feature in one.features[target] - known)
            known |= one.features[target]
        if worth:
            kept.append(Kept(one.seed, one.choices, one.rests, min(worth, _MOST), epoch))
    alive = [each for each in kept if each.weight(epoch)]
    frozen = {target: frozenset(features) for target, features in sorted(seen.items())}
    return State(MappingProxyType(frozen), tuple(alive[-_LARGEST:]))


def origin_of(state: State, epoch: int, seed: int, share: int = SHARE) -> Origin | None:
    """What a seed of an epoch is made of, given what is known by then; None where it is a fresh case."""
    choices = Seeded(seed ^ _SALT)
    if choices.integer(0, 99) >= share:
        return None
    parent, other = (_picked(state, epoch, choices) for _ in range(2))
    if parent is None or other is None:
        return None
    return Origin(parent.seed, seed, tuple(mutated(parent.choices, other.choices, choices)), parent.rests)


def _picked(state: State, epoch: int, choices: Seeded) -> Kept | None:
    """A kept case, each as often as it weighs."""
    weights = [each.weight(epoch) for each in state.kept]
    if not sum(weights):
        return None
    at = choices.integer(0, sum(weights) - 1)
    for each, weight in zip(state.kept, weights, strict=True):
        at -= weight
        if at < 0:
            return each
    return None
