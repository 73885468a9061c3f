"""The gate before a release or an upgrade: only what the candidate does worse than the baseline is a finding."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fuzz.judge.verdict import FINDINGS, Word
from fuzz.triage.signature import signature_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from backends.tensor import Value
    from fuzz.execute.attempt import Attempt
    from fuzz.judge.verdict import Verdict
    from fuzz.triage.candidate import Candidate
    from fuzz.triage.observation import Observation
    from fuzz.triage.predicate import Apart, VerdictPredicate

__all__ = ["SILENT", "Regression", "worse"]

SILENT = frozenset({Word.ERROR, Word.FLAKY})
"""Verdicts on the baseline that compare with nothing: the harness failed, or the next run may say something else."""


def worse(
    before: tuple[Verdict, Attempt] | None, after: tuple[Verdict, Attempt], names: Collection[str] = ()
) -> bool:
    """Whether the candidate's answer is a finding that the baseline's is not, or fails in another way.

    ``before`` is None where the baseline was not asked: nothing can be said then. ``names`` are those of the model.
    """
    if after[0].verdict not in FINDINGS or before is None or before[0].verdict in SILENT:
        return False
    return before[0].verdict not in FINDINGS or signature_of(*before, names) != signature_of(*after, names)


class Regression:
    """A predicate of a reduction: fails on the candidate, and not in the same way on the baseline."""

    def __init__(self, candidate: VerdictPredicate, baseline: VerdictPredicate) -> None:
        self._candidate, self._baseline = candidate, baseline
        self.target = candidate.target
        self.heading: dict[str, Any] = {**candidate.heading, "baseline": baseline.heading}

    def examine(self, candidate: Candidate, apart: Apart) -> Observation:
        """Run and judge on the candidate, and where it fails there on the baseline. Raises TargetError, Interrupted."""
        found = self._candidate.examine(candidate, apart)
        if not found.finding:
            return found
        before = self._baseline.examine(candidate, apart)
        if before.signature == found.signature or before.signature.word in SILENT:
            return replace(found, fit=False, problem=f"on the baseline it is {before.signature} too")
        return found

    def run(self, model: bytes, sets: Sequence[Sequence[Value]]) -> Attempt:
        """One attempt on the candidate."""
        return self._candidate.run(model, sets)

    def renew(self) -> None:
        """Whatever is examined next is examined in new processes."""
        self._candidate.renew()
        self._baseline.renew()

    def hasten(self, seconds: float | None) -> None:
        """Workers have other limits from now on."""
        self._candidate.hasten(seconds)
        self._baseline.hasten(seconds)

    def stop(self) -> None:
        """End all workers."""
        self._candidate.stop()
        self._baseline.stop()
