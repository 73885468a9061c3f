"""The symbolic graph of a generated case, made again from what ``case.json`` recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fuzz.generate.choices import Replayed
from fuzz.generate.graph import NothingFits
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.generate.support import joint_support

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fuzz.generate.run import Generated

__all__ = ["CONCRETE", "STRANGER", "Unreplayable", "replay"]

CONCRETE = "of"
"""The entry of a record that names the case of whose graph this one is a concrete model."""

STRANGER = "fuzz gen did not make it"
"""Why a case of another origin cannot be replayed."""

_OLDER = "another version of fuzz made it"


class Unreplayable(Exception):
    """Why a case does not tell which graph it was made of, in a few words that are the same for like cases."""


def replay(record: Mapping[str, Any], model: bytes) -> Generated:
    """A case made again, its graph with it; the same generator must still make the same model of it.

    Raises Unreplayable.
    """
    if CONCRETE in record:
        raise Unreplayable("it is itself a concrete model of another case")
    if "choices" not in record or "settings" not in record:
        raise Unreplayable(STRANGER)
    try:
        settings = Settings.from_json(record["settings"])
        made = generate_case(Replayed(record["choices"]), settings, joint_support(settings.targets))
    except (TypeError, ValueError, NothingFits):
        raise Unreplayable(_OLDER) from None
    if made.stored != model:
        raise Unreplayable(_OLDER)
    return made
