"""What the judge says of one case on one target."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["FINDINGS", "REFERENCE", "SEVERITY", "Verdict", "Word"]


class Word(enum.StrEnum):
    """The closed set of verdicts."""

    OK = "ok"
    SUSPECT = "suspect"
    WRONG = "wrong"
    UNDECIDABLE = "undecidable"
    DISPUTE = "dispute"
    NONDETERMINISTIC = "nondeterministic"
    SLOW = "slow"
    FLAKY = "flaky"
    REJECTED = "rejected"
    CRASH = "crash"
    TIMEOUT = "timeout"
    OOM = "oom"
    UNSUPPORTED = "unsupported"
    ERROR = "error"


FINDINGS = frozenset(
    {Word.WRONG, Word.NONDETERMINISTIC, Word.SLOW, Word.REJECTED, Word.CRASH, Word.TIMEOUT, Word.OOM}
)
"""What makes ``fuzz diff`` exit with 1."""

_FROM_MILD_TO_GRAVE = (Word.OK, Word.UNDECIDABLE, Word.DISPUTE, Word.SUSPECT, Word.WRONG, Word.ERROR)
SEVERITY = {word: rank for rank, word in enumerate(_FROM_MILD_TO_GRAVE)}
"""Of several outputs of one execution the worst speaks for all."""


REFERENCE = "reference"
"""The oracle that compares a target's outputs with the reference: what ``fuzz diff`` judges itself."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target's answer to one case, judged; where it is not ok, by its worst element.

    ``bound_ratio`` is |actual - expected| / bound (None where there is no such number: an exact value that differs, a
    NaN, a wrong shape). ``expected``, ``actual`` and ``bound`` belong to element ``index`` of output ``output`` in data
    set ``data_set``; ``node`` is where the two sides first part, where that is known. ``oracle`` is who says so: the
    reference, or one of those that run a case in more than one way (``session``, ``batch``, ``performance``, ...).
    """

    case: str
    target: str
    data_set: int
    verdict: str
    output: str | None = None
    bound_ratio: float | None = None
    index: tuple[int, ...] | None = None
    expected: float | str | None = None
    actual: float | str | None = None
    bound: float | None = None
    node: str | None = None
    message: str = ""
    oracle: str = REFERENCE
