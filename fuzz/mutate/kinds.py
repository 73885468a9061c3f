"""The kinds of mutation: one row a kind, what it does and who makes it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from fuzz.mutate.attributes import mutate_attributes
from fuzz.mutate.decisions import mutate_choices
from fuzz.mutate.inputs import elements, mutate_inputs
from fuzz.mutate.shapes import mutate_shapes
from fuzz.mutate.splice import joinable, splice
from fuzz.mutate.types import mutate_types

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fuzz.generate.choices import Choices
    from fuzz.mutate.mutant import Mutant
    from fuzz.mutate.parent import Parent

__all__ = ["KINDS", "Kind"]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind changes, in words; ``make`` raises Unfit where nothing comes of a try.

    What two parents are needed for, ``join`` makes of those that ``joins`` admits. ``fits`` says whether a parent has
    what the kind changes at all.
    """

    summary: str
    make: Callable[[Parent, Choices], Mutant] | None = None
    join: Callable[[Parent, Parent, Choices], Mutant] | None = None
    joins: Callable[[Parent, Parent], bool] | None = None
    fits: Callable[[Parent], bool] = lambda _: True


def _has_inputs(parent: Parent) -> bool:
    return any(elements(value) for value in parent.feeds[0].values())


def _is_ours(parent: Parent) -> bool:
    return "choices" in parent.record and "settings" in parent.record


KINDS: Mapping[str, Kind] = MappingProxyType({
    "inputs": Kind("the same model, byte for byte, on other inputs", mutate_inputs, fits=_has_inputs),
    "attributes": Kind("one parameter of one node has another legal value", mutate_attributes),
    "types": Kind("one element type, wherever operators tie it", mutate_types),
    "shapes": Kind("one size, wherever operators tie it", mutate_shapes, fits=_has_inputs),
    "choices": Kind("the generator's decisions replayed with a few changed; for cases of fuzz gen", mutate_choices,
                    fits=_is_ours),
    "splice": Kind("two models made one: outputs of the first feed inputs of the second", join=splice,
                   joins=joinable),
})  # fmt: skip
