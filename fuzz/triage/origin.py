"""At which value a wrong answer begins, told by exposing all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.protocol import Outcome
from fuzz.judge.divergence import Divergence, Exposed, expose, first_divergence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backends.tensor import Value
    from fuzz.triage.candidate import Candidate
    from fuzz.triage.laboratory import Laboratory

__all__ = ["first_wrong"]


def first_wrong(laboratory: Laboratory, candidate: Candidate) -> str:
    """The first value, in topological order, that the target computes wrongly with all values exposed.

    Empty where it is right then (an optimisation is at fault that exposing prevents), or does not run.
    """
    exposed = laboratory.apart(expose, candidate.model)
    if exposed is None:
        return ""
    attempt = laboratory.run(exposed.model, candidate.values())
    if attempt is None or attempt.outcome is not Outcome.OK:
        return ""
    for feed, outputs in zip(candidate.feeds, attempt.outputs, strict=False):
        found = laboratory.apart(_wrong_at, exposed, feed, outputs, laboratory.predicate.target)
        if found is not None and found.output:
            return found.output
    return ""


def _wrong_at(
    exposed: Exposed, feed: Mapping[str, Value], outputs: Sequence[Value], target: str
) -> Divergence:
    return first_divergence(exposed, feed, outputs, target)
