"""What a hazard is: a condition under which ONNX's text does not fix what an operator returns.

Each row of the table says to which versions of which operators it applies, what the text says there and where, and what
we do about it; where the condition can be seen from values, it has a *detector*.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from abstract.operator import Array, Run

__all__ = ["ALL", "NONE", "Detector", "Hazard", "Mask", "Says", "Treatment", "each"]

Mask: TypeAlias = "Array | bool"
"""Which elements of an output a hazard reaches: a boolean array that broadcasts to it, or True for all of them."""

Masks: TypeAlias = "tuple[Mask, ...]"
"""A mask for each output; outputs beyond the last are not reached. Empty: the hazard does not arise."""

Detector: TypeAlias = "Callable[[Run, tuple[Array, ...]], Masks]"
"""Sees one execution: parameters and operands as declared (``Run``) and the reference's outputs.

Of a hazard that may stop an implementation it sees no outputs: it is asked before they are computed.
"""

NONE: tuple[Mask, ...] = ()
ALL: tuple[Mask, ...] = (True,) * 64
"""Every element of every output."""


class Says(enum.StrEnum):
    """What the text says of the condition."""

    SILENT = "silent"
    UNDEFINED = "undefined"
    IMPLEMENTATION = "implementation-defined"
    ERROR = "error"
    DEFINED = "defined"


class Treatment(enum.StrEnum):
    """What we do about it.

    ``avoid``: the generator never makes it; in a model from elsewhere the elements that it reaches are not judged.
    ``mask``: it may be generated; the elements that it reaches are not judged.
    ``properties``: only shape, type and number of outputs are compared.
    ``compare``: fixed by the text, or by what every implementation does within its bound: a difference is reported.
    """

    AVOID = "avoid"
    MASK = "mask"
    PROPERTIES = "properties"
    COMPARE = "compare"


@dataclass(frozen=True, slots=True)
class Hazard:
    """One row of the table.

    ``since`` is the first version of the operators that the row applies to, ``until`` the first that it does not (None:
    all later ones). ``place`` says where in the text to look; ``words`` is a regular expression: found there where the
    text speaks, in vain where it is silent. ``stops``: implementations may refuse, trap or abort, so a crash is no
    finding. ``shape``: not even the shape is fixed. ``repair`` gives the
    reference operands with which the other elements can be computed.
    """

    id: str
    operators: tuple[str, ...]
    condition: str
    says: Says
    place: str
    treatment: Treatment
    detect: Detector | None = None
    since: int = 1
    until: int | None = None
    words: str = ""
    stops: bool = False
    shape: bool = False
    repair: Callable[[Run], Run] | None = None

    @property
    def masks(self) -> bool:
        """Whether the elements that it reaches are left unjudged."""
        return self.treatment is not Treatment.COMPARE

    def versions(self) -> str:
        """The versions as the documentation writes them: ``7+``, ``10-12``."""
        if self.until is None:
            return f"{self.since}+"
        return str(self.since) if self.until == self.since + 1 else f"{self.since}-{self.until - 1}"

    def to_json(self) -> dict[str, Any]:
        """What ``fuzz hazards --json`` prints of a row."""
        return {
            "id": self.id, "operators": list(self.operators), "since": self.since, "until": self.until,
            "condition": self.condition, "says": self.says.value, "place": self.place,
            "treatment": self.treatment.value, "stops": self.stops, "detected": self.detect is not None,
        }  # fmt: skip


def each(mask: Mask) -> tuple[Mask, ...]:
    """The masks of an operator with one output: none where no element is reached."""
    if isinstance(mask, bool):
        return (True,) if mask else NONE
    return (mask,) if mask.any() else NONE
