"""What the fuzzer does with one case on one target, oracle after oracle, until one of them speaks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.protocol import Outcome
from fuzz.judge.verdict import FINDINGS, REFERENCE, Word
from fuzz.selftest.station import request

if TYPE_CHECKING:
    from fuzz.execute.worker import Attempt
    from fuzz.selftest.station import Station
    from fuzz.selftest.subject import Subject

__all__ = ["SOAK_EVERY", "Examined", "examine"]

SOAK_EVERY = 200
"""One case of this many is run again and again, to see whether memory grows."""

_SOAK_RUNS = 500


@dataclass(frozen=True, slots=True)
class Examined:
    """What came of a case: the word and the oracle that said it, the first attempt, and the CPU seconds all took."""

    word: Word
    oracle: str
    attempt: Attempt
    seconds: float


def examine(subject: Subject, station: Station, number: int) -> Examined:
    """Run and judge a case on a target. ``number`` is how many cases came before: some oracles look at few alone."""
    start, before = time.process_time(), station.spent
    attempt, again = station.confirmed(subject.message)
    word, oracle = Word(subject.verdict(attempt, station.target.canonical).verdict), REFERENCE
    if not again:
        word = Word.FLAKY
    elif attempt.outcome is Outcome.OK and not _repeats(subject, station, attempt, fresh=word in FINDINGS):
        word, oracle = Word.NONDETERMINISTIC, "session"
    elif attempt.outcome is Outcome.OK and word not in FINDINGS and number % SOAK_EVERY == 0:
        word, oracle = _soaked(subject, station, word)
    return Examined(word, oracle, attempt, time.process_time() - start + station.spent - before)


def _repeats(subject: Subject, station: Station, attempt: Attempt, *, fresh: bool) -> bool:
    """Whether the same outputs come again: with the data sets twice and in turn, and in a fresh worker.

    A fresh worker is asked where the answer was wrong, so that what only depends on earlier models is told apart.
    """
    sets = [list(sample.inputs.values()) for sample in subject.samples]
    second = station.execute(request(subject.model, [*sets, *reversed(sets)]))
    due = [*attempt.outputs, *reversed(attempt.outputs)]
    if second.outcome is not Outcome.OK or list(second.outputs) != due:
        return False
    if not fresh:
        return True
    station.renew()
    third = station.execute(subject.message)
    return third.outcome is Outcome.OK and third.outputs == attempt.outputs


def _soaked(subject: Subject, station: Station, word: Word) -> tuple[Word, str]:
    """Many runs of one compiled model: a leak ends at the worker's limit, as it does in a server."""
    first = [list(subject.samples[0].inputs.values())]
    found, again = station.confirmed(request(subject.model, first * _SOAK_RUNS))
    if found.outcome in {Outcome.OOM, Outcome.TIMEOUT, Outcome.CRASH} and again:
        return Word(found.outcome.value), "soak"
    return word, REFERENCE
