"""What the passes over sizes, attributes, numbers and names would come to, in one step: most often it fails as well.

Each of them by itself is a run or more, and where a run is a crash or a hang that is what a reduction takes its time
for. What a leap does not reach the passes still try one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.triage.assessment import invalid
from fuzz.triage.content import bare, filled, plain
from fuzz.triage.naming import canonical
from fuzz.triage.sizes import fixed, flatter, smaller

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fuzz.triage.candidate import Candidate
    from fuzz.triage.search import Search

__all__ = ["leap", "leapt"]


def leap(search: Search) -> None:
    """Take small sizes, plain attributes, ones and canonical names at once; else all but sizes and attributes."""
    search.attempt(search.laboratory.apart(leapt, search.best) or ())


def leapt(candidate: Candidate) -> list[Candidate]:
    """The candidate after all steps, and after those that leave its sizes and attributes alone."""
    kept: list[Candidate] = []
    for made in (_after(candidate, steps) for steps in (_ALL, _GENTLE)):
        if made != candidate and made not in kept:
            kept.append(made)
    return kept


def _after(candidate: Candidate, steps: Sequence[Callable[[Candidate], Sequence[Candidate]]]) -> Candidate:
    """The candidate after each step that leaves a valid model."""
    for step in steps:
        try:
            made = step(candidate)
        except Exception:  # noqa: BLE001 - a step that does not fit this model is left out
            made = ()
        candidate = next((c for c in made if not invalid(c.model)), candidate)
    return candidate


def _ones(candidate: Candidate) -> Sequence[Candidate]:
    return () if plain(candidate) else (filled(candidate, 1),)


def _named(candidate: Candidate) -> Sequence[Candidate]:
    return (canonical(candidate),)


_ALL: tuple[Callable[[Candidate], Sequence[Candidate]], ...] = (fixed, smaller, bare, flatter, _ones, _named)
_GENTLE: tuple[Callable[[Candidate], Sequence[Candidate]], ...] = (fixed, _ones, _named)
