"""Is a run on the candidate slower than on the baseline?"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from fuzz.judge.verdict import Word
from fuzz.performance.comparison import Comparison, compare
from fuzz.performance.measurement import Measurement, decide, milliseconds
from fuzz.performance.scale import ladder
from fuzz.performance.subnormal import slowed_by_subnormals
from fuzz.performance.timer import Pair, Refused

if TYPE_CHECKING:
    from threading import Event

    from fuzz.case import Case
    from fuzz.performance.measurement import Plan
    from fuzz.performance.scale import Rung
    from fuzz.performance.timer import Subject

__all__ = ["NEAR", "judge_run", "judge_subject", "reached", "slower_text"]

_SCREENING = 3  # pairs of samples by which a case is told from one that is worth a long look
NEAR = 0.8  # of a threshold: what is below it after the screening is not measured on


def judge_run(case: Case, plan: Plan, pair: Pair, stop: Event) -> Measurement:
    """Compare runs at the smallest size at which the candidate takes long enough for a difference to count.

    Raises CaseError, TargetError.
    """

    def measurement(word: Word, message: str, scale: int = 1, *comparisons: Comparison) -> Measurement:
        return Measurement(case.id, "run", word, message, scale, comparisons)

    try:
        rung, quick = reached(case, plan, pair)
        if quick[0] < plan.threshold.seconds:
            largest = f"{milliseconds(quick[0])} a run at the largest size, {rung.scale} times the dims"
            return measurement(Word.UNDECIDABLE, f"too small to judge: {largest}", rung.scale)
        word, comparisons = judge_subject(rung.subject, quick, plan, pair, stop)
    except Refused as refusal:
        return measurement(Word.UNDECIDABLE, f"cannot be timed: {refusal}")
    if word is Word.OK:
        return measurement(word, "", rung.scale, *comparisons)
    message = slower_text("a run", plan.baseline.canonical, comparisons)
    if rung.scale > 1:
        message += f"; at {rung.scale} times the dims of the case"
    if word is Word.SLOW and slowed_by_subnormals(rung.subject):
        word, message = Word.UNDECIDABLE, f"{message}; but subnormal numbers occur, which slow any processor"
    return measurement(word, message, rung.scale, *comparisons)


def judge_subject(
    subject: Subject, quick: tuple[float, float], plan: Plan, pair: Pair, stop: Event
) -> tuple[Word, tuple[Comparison, ...]]:
    """Compare runs of what the pair has loaded; ``quick`` is about what one takes on each side.

    What three samples show to be far from the threshold is ok, and not measured at length. Raises Refused, TargetError.
    """
    screened = compare(*pair.runs(0, _SCREENING, quick))
    if not _near(screened, plan):
        return Word.OK, (screened,)

    def sample(on: Pair) -> Comparison:
        on.load(subject)
        return compare(*on.runs(0, plan.affordable(sum(quick)), on.quick(0)))

    def again() -> Comparison:
        with plan.pair(stop) as fresh:
            return sample(fresh)

    return decide(plan.threshold, sample(pair), again)


def reached(case: Case, plan: Plan, pair: Pair) -> tuple[Rung, tuple[float, float]]:
    """The first size at which the least ratio would make the least difference, else the largest that runs.

    What it has loaded last, and about what one call takes on each side. Raises Refused, CaseError, TargetError.
    """
    ratio = plan.threshold.ratio
    enough = plan.threshold.seconds * ratio / (ratio - 1) if ratio > 1 else 2 * plan.threshold.seconds
    best: tuple[Rung, tuple[float, float]] | None = None
    for rung in ladder(case):
        try:
            pair.load(rung.subject)
            best = rung, pair.quick(0)
        except Refused:
            if best is None:
                raise
            # What one side refuses at this size may not be refused below it.
            pair.load(best[0].subject)
            break
        if best[1][0] >= enough:
            break
    assert best is not None  # noqa: S101 - the ladder's first rung is the case itself
    return best


def _near(screened: Comparison, plan: Plan) -> bool:
    limit = plan.threshold
    return screened.ratio >= NEAR * limit.ratio and screened.difference >= NEAR * limit.seconds


def slower_text(what: str, baseline: str, comparisons: tuple[Comparison, ...]) -> str:
    """What was found, and whether it came again."""
    first, second = comparisons
    again = f"and again {second.ratio:.2f} times" if second.ratio > 1 else "but not"
    return (
        f"{what} takes {first.ratio:.2f} times as long as on {baseline}: {milliseconds(median(first.candidate))} "
        f"against {milliseconds(median(first.baseline))} (medians of {len(first.candidate)}, p = {first.p:.1g}), "
        f"{again} in fresh processes"
    )
