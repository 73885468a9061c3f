"""From a failing case to the smallest one that fails alike: passes, in turn, until none of them helps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import onnx.parser

from backends.protocol import Outcome
from backends.tensor import from_numpy
from fuzz.judge.verdict import Word
from fuzz.triage.bodies import bypass_nodes, open_bodies
from fuzz.triage.candidate import size
from fuzz.triage.content import (
    drop_attributes,
    drop_data_sets,
    drop_inputs,
    drop_outputs,
    free_constants,
    simplify_values,
)
from fuzz.triage.extent import described, survey
from fuzz.triage.leap import leap
from fuzz.triage.naming import anonymise, rename
from fuzz.triage.nodes import reduce_nodes
from fuzz.triage.search import Search
from fuzz.triage.signature import blamed, element_types, identity, pattern
from fuzz.triage.sizes import drop_ranks, fix_sizes, shrink_sizes
from fuzz.triage.types import plain_types

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backends.tensor import Value
    from fuzz.triage.candidate import Candidate
    from fuzz.triage.laboratory import Laboratory
    from fuzz.triage.observation import Observation
    from fuzz.triage.signature import Signature

__all__ = ["PASSES", "Reduction", "reduce_case"]

_ROUNDS = 4
_HASTE = (1.0, 5.0)  # seconds that a candidate for a timeout gets, at least and at most; the last is given all
_SLACK = 20.0  # times what the target takes for a model that does nothing

STOPPED = frozenset({Word.CRASH, Word.REJECTED, Word.TIMEOUT, Word.OOM})
"""Verdicts of what gives no answer."""

_STRUCTURE: tuple[Callable[[Search], None], ...] = (
    drop_data_sets, reduce_nodes, open_bodies, drop_outputs, bypass_nodes, drop_inputs, free_constants,
)  # fmt: skip
_CONTENT: tuple[Callable[[Search], None], ...] = (
    leap, fix_sizes, shrink_sizes, drop_ranks, drop_attributes, plain_types, simplify_values, rename,
)  # fmt: skip

PASSES = (*_STRUCTURE, *_CONTENT)
"""In this order: fewer nodes first, since each makes all that follows cheaper."""


@dataclass(frozen=True, slots=True)
class Reduction:
    """What a reduction came to.

    ``first`` is what the case did before, ``last`` what the reduced ``case`` does in a fresh worker. ``signature``
    is the one that was kept: of a wrong answer that of where it begins. ``nodes`` and ``nodes_before`` count nodes,
    ``executions`` what was run. ``others`` are candidates that failed in another way.
    ``kept`` names values that ``anonymise`` had to leave. ``reach`` holds the failing standard models that a wrong
    answer belongs to, with how they are wrong, and ``surveyed`` how many were run to tell.
    """

    case: Candidate
    first: Observation
    last: Observation
    signature: Signature
    nodes_before: int
    executions: int
    others: Mapping[Signature, Candidate] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    reach: Mapping[str, str] = field(default_factory=dict)
    surveyed: int = 0

    @property
    def nodes(self) -> int:
        """Of the reduced model, bodies included."""
        return size(self.case)

    @property
    def repeats(self) -> bool:
        """Whether the reduced case fails in a fresh worker as the case did."""
        return self.last.fit and self.last.signature == self.signature

    @property
    def pattern(self) -> str:
        """The operators and types that are left."""
        proto = self.case.proto()
        return pattern(proto, element_types(proto))

    def identity(self, target: str) -> str:
        """What findings are compared by. Of what has stopped the message or the frames say more than element types.

        Of a refusal that names its operator, they say more than what stands around that as well.
        """
        reduced = self.pattern
        if self.signature.word in STOPPED:
            proto = self.case.proto()
            reduced = blamed(self.signature.message, proto) or pattern(proto, {})
        return identity(target, self.signature, reduced, described(self.reach))


def reduce_case(
    laboratory: Laboratory, case: Candidate, first: Observation, *, anonymous: bool = False,
    told: Callable[[Search], None] = lambda _: None,
) -> Reduction:  # fmt: skip
    """Reduce a case that was observed to fail (``first``); ``told`` is called with each better one.

    Deterministic: for the same case on the same target the same candidates are tried in the same order, whatever
    the number of workers. Raises TargetError where no worker starts.
    """
    search = Search(laboratory, case, first, told)
    hasty = first.signature.word == Word.TIMEOUT
    if hasty:
        laboratory.predicate.hasten(_haste(laboratory))
    _search(search)
    kept = tuple(anonymise(search)) if anonymous else ()
    laboratory.predicate.hasten(None)
    last = laboratory.fresh(search.best)
    if hasty and last.signature != first.signature:
        # It was slow and no more: only what takes all the time that was given counts then.
        laboratory.forget()
        search = Search(laboratory, case, first, told)
        _search(search)
        kept = tuple(anonymise(search)) if anonymous else ()
        last = laboratory.fresh(search.best)
    ran = laboratory.executions
    reach, surveyed = survey(laboratory, search.best) if search.wanted.word == Word.WRONG else ({}, 0)
    return Reduction(search.best, first, last, search.wanted, size(case), ran, search.others, kept, reach, surveyed)


def _haste(laboratory: Laboratory) -> float:
    """How long a candidate for a timeout may take: what hangs in a second hangs, on a target that answers at once."""
    attempt = laboratory.run(*_idle())
    quick = attempt is not None and attempt.outcome is Outcome.OK
    return min(max(_SLACK * attempt.wall_seconds, _HASTE[0]), _HASTE[1]) if attempt and quick else _HASTE[1]


def _idle() -> tuple[bytes, list[list[Value]]]:
    """A model that does nothing, and a number for it."""
    text = '<ir_version: 8, opset_import: ["" : 13]> g (float[1] x) => (float[1] y) { y = Relu (x) }'
    model: bytes = onnx.parser.parse_model(text).SerializeToString(deterministic=True)
    return model, [[from_numpy(np.ones(1, np.float32))]]


def _search(search: Search) -> None:
    """The passes, in turn, until nothing gets smaller."""
    nodes = -1
    while nodes != size(search.best):
        nodes = size(search.best)
        _apply(search, _STRUCTURE)
    for _ in range(_ROUNDS):
        before = search.best
        _apply(search, _CONTENT)
        if search.best == before:
            break
        _apply(search, _STRUCTURE)


def _apply(search: Search, passes: tuple[Callable[[Search], None], ...]) -> None:
    for change in passes:
        change(search)
