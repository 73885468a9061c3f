"""What a target is compared with where nothing else is named: itself, without its optimisations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.errors import UsageError

if TYPE_CHECKING:
    from fuzz.execute.target import Target

__all__ = ["unoptimised"]


def unoptimised(target: Target, mend: str) -> str:
    """The text of the same target with the first of its switches off.

    Raises UsageError where it has none, which says what to ``mend``.
    """
    given = dict(target.options)
    knob = next((knob for knob in target.entry.knobs if knob.values and knob.option not in given), None)
    if knob is None:
        raise UsageError(f"{target.canonical} has no switch that turns its optimisations off: {mend}")
    name, at, device = target.canonical.partition("@")
    joint = "," if ":" in name else ":"
    return f"{name}{joint}{knob.option}={knob.values[0]}{at}{device}"
