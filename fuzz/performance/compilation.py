"""Does the compile time blow up: against another build's, or against that of the model's parts?"""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from fuzz.judge.verdict import Word
from fuzz.performance.comparison import Comparison, compare
from fuzz.performance.growth import FACTOR
from fuzz.performance.measurement import Measurement, decide, milliseconds
from fuzz.performance.parts import cut
from fuzz.performance.scale import ladder
from fuzz.performance.speed import NEAR, slower_text
from fuzz.performance.timer import Pair, Refused, Subject

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Event

    from fuzz.case import Case
    from fuzz.performance.measurement import Plan
    from fuzz.performance.timer import Timer

__all__ = ["judge_compilation"]


def judge_compilation(case: Case, plan: Plan, pair: Pair, stop: Event) -> Measurement:
    """Compare compilations of a case: of two builds, and of the whole with its parts.

    An optimising compiler takes longer than one that does not optimise, and may: targets with different options are
    not compared with each other. Raises CaseError, TargetError.
    """
    subject = next(ladder(case)).subject
    try:
        if plan.candidate.options == plan.baseline.options:
            measured = _against_baseline(case, subject, plan, pair, stop)
            if measured.word is not Word.OK:
                return measured
        return _against_parts(case, subject, plan, pair.candidate, stop)
    except Refused as refusal:
        return Measurement(case.id, "compile", Word.UNDECIDABLE, f"cannot be timed: {refusal}")


def _against_baseline(case: Case, subject: Subject, plan: Plan, pair: Pair, stop: Event) -> Measurement:
    pair.load(subject)
    quick = compare(*pair.compilations(1))
    if quick.ratio < NEAR * plan.threshold.ratio or quick.difference < NEAR * plan.threshold.seconds:
        return Measurement(case.id, "compile", Word.OK, "", comparisons=(quick,))
    pairs = plan.affordable(quick.candidate[0] + quick.baseline[0])

    def again() -> Comparison:
        with plan.pair(stop) as fresh:
            fresh.load(subject)
            return compare(*fresh.compilations(pairs))

    word, comparisons = decide(plan.threshold, compare(*pair.compilations(pairs)), again)
    message = "" if word is Word.OK else slower_text("compiling", plan.baseline.canonical, comparisons)
    return Measurement(case.id, "compile", word, message, comparisons=comparisons)


def _against_parts(case: Case, subject: Subject, plan: Plan, timer: Timer, stop: Event) -> Measurement:
    """The whole may take FACTOR times what its parts take together: n log n stays below, quadratic work does not."""
    timer.load(subject)
    whole = timer.compile()
    if whole < plan.threshold.seconds:
        return Measurement(case.id, "compile", Word.OK, f"compiles in {milliseconds(whole)}")
    parts = [Subject(part, (), subject.folder) for part in cut(subject.model)]
    if not parts:
        return Measurement(case.id, "compile", Word.UNDECIDABLE, "too small to judge, or not to be cut into parts")
    quick = Comparison((whole,), (FACTOR * sum(map(timer.load, parts)),), 1.0)
    if quick.ratio < NEAR:
        return Measurement(case.id, "compile", Word.OK, "", comparisons=(quick,), of_parts=True)
    pairs = plan.affordable(2 * whole)

    def sample(on: Timer) -> Comparison:
        allowed = [FACTOR * seconds for seconds in _together(on, parts, pairs)]
        on.load(subject)
        return compare([on.compile() for _ in range(pairs)], allowed)

    def again() -> Comparison:
        with plan.pair(stop) as fresh:
            return sample(fresh.candidate)

    word, comparisons = decide(replace(plan.threshold, ratio=1.0), sample(timer), again)
    message = "" if word is Word.OK else _superlinear(comparisons[0])
    return Measurement(case.id, "compile", word, message, comparisons=comparisons, of_parts=True)


def _together(timer: Timer, parts: Sequence[Subject], samples: int) -> list[float]:
    """Sums over the parts of the seconds to compile each, so many times, after once that does not count."""
    totals = [0.0] * samples
    for part in parts:
        timer.load(part)
        totals = [total + timer.compile() for total in totals]
    return totals


def _superlinear(found: Comparison) -> str:
    together = median(found.baseline) / FACTOR
    return (
        f"compiling takes {median(found.candidate) / together:.1f} times as long as compiling the model's consecutive "
        f"parts: {milliseconds(median(found.candidate))} against {milliseconds(together)} together, "
        f"where {FACTOR:g} times is allowed"
    )
