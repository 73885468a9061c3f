"""The recorded decisions of a model of ours, replayed with a few of them changed: valid by construction again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.generate.choices import Replayed
from fuzz.generate.graph import NothingFits
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.generate.support import joint_support
from fuzz.mutate.draw import pick
from fuzz.mutate.mutant import Mutant
from fuzz.mutate.parent import Unfit

if TYPE_CHECKING:
    from fuzz.generate.choices import Choices
    from fuzz.mutate.parent import Parent

__all__ = ["mutate_choices"]

_SMALL = 40  # decisions are mostly of so few alternatives
_RUN = 24  # decisions: about one attempt to place a node


def mutate_choices(parent: Parent, choices: Choices) -> Mutant:
    """The model of the parent's decisions with one changed, a run of them left out, or a run of them made twice.

    What falls off the end takes the least. Raises Unfit for a model that has no record, or where nothing changes.
    """
    if "choices" not in parent.record or "settings" not in parent.record:
        raise Unfit("no record: the parent is not of this generator")
    numbers = list(parent.record["choices"])
    if not numbers:
        raise Unfit("no record: no decision was made")
    way = pick(choices, ("changed", "changed", "deleted", "duplicated"))
    start = choices.integer(0, len(numbers) - 1)
    if way == "changed":
        old = numbers[start]
        numbers[start] = choices.integer(0, max(2 * old, _SMALL))
        change = f"decision {start} changed from {old} to {numbers[start]}"
    else:
        length = choices.integer(1, min(_RUN, len(numbers) - start))
        run = numbers[start : start + length]
        numbers[start : start + length] = [] if way == "deleted" else run * 2
        change = f"decisions {start} to {start + length - 1} {way}"
    try:
        settings = Settings.from_json(parent.record["settings"])
        made = generate_case(Replayed(numbers), settings, joint_support(settings.targets))
    except NothingFits as error:
        raise Unfit("nothing fits: no operator can be placed") from error
    except (TypeError, ValueError) as error:
        raise Unfit("no record: its settings are of another version") from error
    if made.model == parent.content:
        raise Unfit("no change: the decision did not matter")
    return Mutant(made.model, made.data_sets, {**made.record, "change": change})
