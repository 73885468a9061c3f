"""Is a candidate of a reduction slow? The rule of ``fuzz perf`` for runs, on one size, with something to spare."""

from __future__ import annotations

import threading
from dataclasses import replace
from math import sqrt
from typing import TYPE_CHECKING, Any

from fuzz.judge.verdict import Word
from fuzz.performance.comparison import require_scipy
from fuzz.performance.measurement import milliseconds
from fuzz.performance.speed import judge_subject, reached, slower_text
from fuzz.performance.subnormal import slowed_by_subnormals
from fuzz.performance.timer import Refused, Subject
from fuzz.triage.assessment import undefined
from fuzz.triage.observation import Observation
from fuzz.triage.predicate import refused_by_checker
from fuzz.triage.signature import Signature

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx

    from backends.tensor import Value
    from fuzz.case import Case
    from fuzz.performance.comparison import Comparison, Threshold
    from fuzz.performance.measurement import Plan
    from fuzz.performance.timer import Pair
    from fuzz.triage.candidate import Candidate
    from fuzz.triage.predicate import Apart

__all__ = ["SlowPredicate"]

_SPARE = 1.25
"""By how much more than the rule asks a candidate has to be slow, at most."""


class SlowPredicate:
    """Whether a run on the plan's candidate is slower than on its baseline; one model at a time is timed.

    What is examined in new processes (``renew``) is held to the plan's threshold. Other candidates are held to a higher
    bar, a fourth above it or half of what the first had to spare: what is near the threshold would be slow in one
    moment and not in the next, and the last one could not be shown again. Where no node of the first computes from
    constants alone, none of a candidate may: one side would have that done before it runs, which is another matter.
    """

    def __init__(self, plan: Plan) -> None:
        """Raises UsageError where scipy is missing."""
        require_scipy()
        self.target = plan.candidate.canonical
        limit = plan.threshold
        self.heading: dict[str, Any] = {
            "target": self.target, "version": plan.candidate.version, "baseline": plan.baseline.canonical,
            "baseline_version": plan.baseline.version, "seconds": plan.limits.seconds,
            "memory": plan.limits.resident_bytes, "slow": [limit.ratio, limit.seconds, limit.significance],
            "pairs": plan.pairs,
        }  # fmt: skip
        self._plan = plan
        self._bar: Threshold | None = None
        self._renewed = True
        self._folds: bool | None = None
        self._stop = threading.Event()
        self._pair: Pair | None = None
        self._lock = threading.Lock()

    def subject(self, case: Case) -> Subject | None:
        """A case at the size at which ``fuzz perf`` times it; None where it cannot be timed. Raises CaseError."""
        with self._lock, self._plan.pair(self._stop) as pair:
            try:
                return reached(case, self._plan, pair)[0].subject
            except Refused:
                return None

    def examine(self, candidate: Candidate, apart: Apart) -> Observation:
        """Time a candidate that the checker accepts on its first data set, on both sides in turns."""
        refused = refused_by_checker(candidate, apart)
        if refused is not None:
            return refused
        renewed, self._renewed = self._renewed, False
        folds = _folds(candidate.proto().graph)
        if self._folds is None:
            self._folds = folds
        if folds and not self._folds:
            return Observation(Signature(Word.UNDECIDABLE), said="a node computes from constants alone")
        limit = self._plan.threshold if renewed or self._bar is None else self._bar
        subject = Subject(candidate.model, (tuple(candidate.values()[0]) if candidate.feeds else (),))
        with self._lock:
            try:
                word, comparisons, quick = self._timed(subject, limit)
            except Refused as refusal:
                return Observation(Signature(Word.UNDECIDABLE), said=f"cannot be timed: {refusal}")
        said = _said(comparisons, quick, self._plan.baseline.canonical)
        if word is not Word.SLOW:
            return Observation(Signature(word), said=said)
        problem = apart(undefined, candidate)
        if problem != "":
            return Observation(Signature(word), fit=False, problem=problem or "the reference died of it", said=said)
        if apart(slowed_by_subnormals, subject) is not False:
            word, said = Word.UNDECIDABLE, f"{said}; but subnormal numbers occur, which slow any processor"
        elif self._bar is None:
            self._bar = _bar(self._plan.threshold, comparisons)
        return Observation(Signature(word), said=said)

    def _timed(
        self, subject: Subject, limit: Threshold
    ) -> tuple[Word, tuple[Comparison, ...], tuple[float, float]]:
        """Raises Refused, TargetError."""
        if self._pair is None:
            self._pair = self._plan.pair(self._stop)
        self._pair.load(subject)
        quick = self._pair.quick(0)
        if quick[0] < limit.seconds:
            return Word.OK, (), quick
        word, comparisons = judge_subject(subject, quick, replace(self._plan, threshold=limit), self._pair, self._stop)
        return word, comparisons, quick

    def run(self, model: bytes, sets: Sequence[Sequence[Value]]) -> None:
        """Nothing is run without being timed."""

    def renew(self) -> None:
        """End both workers; what is examined next is held to the rule as it is."""
        with self._lock:
            self._close()
        self._renewed = True

    def hasten(self, seconds: float | None) -> None:
        """Times are not cut short."""

    def stop(self) -> None:
        """End both workers, those at work too."""
        self._stop.set()
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._pair is not None:
            self._pair.__exit__(None, None, None)
            self._pair = None


def _folds(graph: onnx.GraphProto) -> bool:
    """Whether a node computes from constants alone."""
    known = {tensor.name for tensor in graph.initializer} - {port.name for port in graph.input}
    for node in graph.node:
        if node.op_type == "Constant":
            known.update(node.output)
        elif node.input and all(name in known for name in node.input if name):
            return not any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute)
    return False


def _bar(limit: Threshold, comparisons: Sequence[Comparison]) -> Threshold:
    """What candidates have to exceed, where the first case measured so much."""
    ratio = min(comparison.ratio for comparison in comparisons) / limit.ratio
    seconds = min(comparison.difference for comparison in comparisons) / limit.seconds
    return replace(
        limit, ratio=limit.ratio * min(_SPARE, sqrt(ratio)), seconds=limit.seconds * min(_SPARE, sqrt(seconds))
    )


def _said(comparisons: tuple[Comparison, ...], quick: tuple[float, float], baseline: str) -> str:
    if not comparisons:
        return f"too small to judge: {milliseconds(quick[0])} a run"
    if len(comparisons) > 1:
        return slower_text("a run", baseline, comparisons)
    (only,) = comparisons
    longer = f"{milliseconds(only.difference)} longer, " if only.difference > 0 else ""
    return f"a run takes {longer}{only.ratio:.2f} times as long as on {baseline}"
