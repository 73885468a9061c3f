"""The symbolic graph of a generated case, made again from what ``case.json`` recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fuzz.generate.choices import Replayed
from fuzz.generate.emit import emit
from fuzz.generate.graph import NothingFits, generate_graph
from fuzz.generate.settings import Settings
from fuzz.generate.support import joint_support

if TYPE_CHECKING:
    from collections.abc import Mapping

    from abstract.dims import Symbol
    from abstract.graph import Graph

__all__ = ["CONCRETE", "STRANGER", "Origin", "Unreplayable", "replay"]

CONCRETE = "of"
"""The entry of a record that names the case of whose graph this one is a concrete model."""

STRANGER = "fuzz gen did not make it"
"""Why a case of another origin cannot be replayed."""


class Unreplayable(Exception):
    """Why a case does not tell which graph it was made of, in a few words that are the same for like cases."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A graph that was made again, at its witness, and the symbols that its model leaves open."""

    graph: Graph
    open: tuple[Symbol, ...]


def replay(record: Mapping[str, Any], model: bytes) -> Origin:
    """The graph of a case; the same generator must still make the same model of it.

    Raises Unreplayable.
    """
    if CONCRETE in record:
        raise Unreplayable("it is itself a concrete model of another case")
    if "choices" not in record or "settings" not in record:
        raise Unreplayable(STRANGER)
    try:
        settings = Settings.from_json(record["settings"])
        graph, plan = generate_graph(Replayed(record["choices"]), settings, joint_support(settings.targets))
    except (TypeError, ValueError, NothingFits):
        raise Unreplayable("another version of fuzz made it") from None
    emitted = emit(graph, dynamic=plan.dynamic)
    if emitted.model != model:
        raise Unreplayable("another version of fuzz made it")
    return Origin(graph, tuple(emitted.open))
