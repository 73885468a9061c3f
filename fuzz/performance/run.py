"""Measure cases one after the other: a pair of workers for all of them, and fresh ones for what is found."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from fuzz.errors import CaseError
from fuzz.execute.scratch import clear_abandoned
from fuzz.judge.verdict import Word
from fuzz.performance.climb import judge_growth
from fuzz.performance.comparison import require_scipy
from fuzz.performance.compilation import judge_compilation
from fuzz.performance.measurement import Measurement
from fuzz.performance.speed import judge_run

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from fuzz.case import Case
    from fuzz.performance.measurement import Plan
    from fuzz.performance.timer import Pair

__all__ = ["measure"]

_JUDGES: dict[str, Callable[[Case, Plan, Pair, threading.Event], Measurement]] = {
    "run": judge_run, "compile": judge_compilation, "growth": judge_growth,
}  # fmt: skip



def measure(cases: Sequence[Case], plan: Plan) -> Generator[list[Measurement]]:
    """What each oracle of the plan says of each case, case by case: the caller may stop at any time.

    Raises:
        TargetError: a worker does not start.
        UsageError: scipy is missing.
    """
    require_scipy()
    clear_abandoned()
    stop = threading.Event()
    with plan.pair(stop) as pair:
        for case in cases:
            yield [_judged(kind, case, plan, pair, stop) for kind in plan.kinds]


def _judged(kind: str, case: Case, plan: Plan, pair: Pair, stop: threading.Event) -> Measurement:
    try:
        return _JUDGES[kind](case, plan, pair, stop)
    except (CaseError, OSError) as problem:
        return Measurement(case.id, kind, Word.ERROR, f"the case cannot be read: {problem}")
