"""Climbing the sizes of a case: time against the count of operations and bytes."""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

import onnx

from abstract.cost import Cost, Uncountable, node_costs
from backends.tensor import Tensor
from fuzz.judge.verdict import Word
from fuzz.performance.comparison import Comparison, compare
from fuzz.performance.growth import FACTOR, Excess, Point, worst_excess
from fuzz.performance.measurement import Measurement, decide, milliseconds
from fuzz.performance.scale import ladder
from fuzz.performance.subnormal import slowed_by_subnormals
from fuzz.performance.timer import Pair, Refused, Subject, Timer
from fuzz.signature import signature

if TYPE_CHECKING:
    from threading import Event

    from fuzz.case import Case
    from fuzz.performance.measurement import Plan

__all__ = ["judge_growth"]

_SAMPLES = 3  # a size, for the first look
_SMALLER = 0.2  # of the time limit: where a run takes longer, no larger size is tried


def judge_growth(case: Case, plan: Plan, pair: Pair, stop: Event) -> Measurement:
    """Does the candidate's time outgrow the count between any two sizes? Raises CaseError, TargetError."""
    timer = pair.candidate
    try:
        subjects, points = _points(case, plan, timer)
    except (Refused, Uncountable) as problem:
        return Measurement(case.id, "growth", Word.UNDECIDABLE, f"cannot be judged: {problem}")
    scale = points[-1].scale if points else 1

    def measurement(word: Word, message: str, *comparisons: Comparison) -> Measurement:
        return Measurement(case.id, "growth", word, message, scale, comparisons, tuple(points))

    excess = worst_excess(points)
    if excess is None or points[-1].seconds < plan.threshold.seconds:
        return measurement(Word.UNDECIDABLE, _too_small(points))
    if excess.factor < FACTOR or excess.beyond < plan.threshold.seconds:
        return measurement(Word.OK, "")
    small, large = subjects[excess.start.scale], subjects[excess.end.scale]
    pairs = plan.affordable(excess.start.seconds + excess.end.seconds)

    def sample(on: Timer) -> Comparison:
        allowed = [FACTOR * excess.predicted * seconds for seconds in _times(on, small, pairs)]
        return compare(_times(on, large, pairs), allowed)

    def again() -> Comparison:
        with plan.pair(stop) as fresh:
            return sample(fresh.candidate)

    try:
        word, comparisons = decide(replace(plan.threshold, ratio=1.0), sample(timer), again)
    except Refused as refusal:
        return measurement(Word.UNDECIDABLE, f"cannot be timed again: {refusal}")
    message = "" if word is Word.OK else _outgrown(excess)
    if word is Word.SLOW and slowed_by_subnormals(large):
        word, message = Word.UNDECIDABLE, f"{message}; but subnormal numbers occur, which slow any processor"
    return measurement(word, message, *comparisons)


def _points(case: Case, plan: Plan, timer: Timer) -> tuple[dict[int, Subject], list[Point]]:
    """The sizes that run, with their times. Raises Uncountable, and Refused where not even the case itself runs."""
    subjects: dict[int, Subject] = {}
    points: list[Point] = []
    for rung in ladder(case):
        try:
            costs = _costs(rung.subject)
            seconds = median(_times(timer, rung.subject, _SAMPLES))
        except Refused:
            if not points:
                raise
            break
        subjects[rung.scale] = rung.subject
        points.append(Point(rung.scale, costs, seconds))
        if seconds > _SMALLER * plan.limits.seconds / _SAMPLES:
            break
    return subjects, points


def _costs(subject: Subject) -> tuple[Cost, ...]:
    ports = signature(subject.model)
    shapes = {
        port.name: value.shape
        for port, value in zip((*ports.inputs, *ports.defaults), subject.data_sets[0], strict=False)
        if isinstance(value, Tensor)
    }
    return node_costs(onnx.load_model_from_string(subject.model), shapes)


def _times(timer: Timer, subject: Subject, samples: int) -> list[float]:
    timer.load(subject)
    quick = timer.run(0, warm=1)
    return [timer.sample(0, quick) for _ in range(samples)]


def _too_small(points: list[Point]) -> str:
    if not points:
        return "too small to judge"
    last = points[-1]
    return f"too small to judge: {len(points)} sizes, {milliseconds(last.seconds)} at {last.scale} times the dims"


def _outgrown(excess: Excess) -> str:
    return (
        f"from {excess.start.scale} to {excess.end.scale} times the dims the time grows {excess.grown:.3g} times, "
        f"from {milliseconds(excess.start.seconds)} to {milliseconds(excess.end.seconds)}, and the count of operations "
        f"and bytes at most {excess.predicted:.3g} times (over all sizes: time ~ count^{excess.exponent:.2f})"
    )
