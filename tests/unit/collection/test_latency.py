"""Samples of several targets in turns, with a stopwatch that says what it is told to."""

from __future__ import annotations

from backends.protocol import Outcome
from fuzz.collection.latency import against, latencies
from fuzz.performance.timer import Refused


class Stopwatch:
    def __init__(self, log, name, seconds, refuses=False):
        self.log, self.name, self.seconds, self.refuses = log, name, iter(seconds), refuses

    def load(self, _subject):
        if self.refuses:
            raise Refused(self.name, Outcome.UNSUPPORTED, "no")
        return 0.5

    def run(self, _data_set, **_options):
        return next(self.seconds)

    def sample(self, _data_set, _quick, *, alone=False):
        self.log.append("alone" if alone else self.name)
        return next(self.seconds)


def test_targets_are_sampled_in_turns_and_told_by_median_and_quartiles():
    log = []
    timers = {"a": Stopwatch(log, "a", [1, 2, 3, 4, 5]), "b": Stopwatch(log, "b", [4, 4, 4, 4, 4])}
    found = latencies({**timers, "c": Stopwatch(log, "c", [], refuses=True)}, None, 5)
    assert log == ["b", "a", "a", "b", "b", "a", "a", "b"]
    assert set(found) == {"a", "b"}
    a = found["a"]
    assert (a.median, a.lower, a.upper, a.mean, a.samples, a.compile) == (3, 2, 4, 3, 5, 0.5)
    assert (found["b"].throughput, found["b"].upper - found["b"].lower) == (0.25, 0)


def test_one_that_takes_no_turns_has_nothing_to_warm_up_for():
    log = []
    latencies({"a": Stopwatch(log, "a", [2, 2, 2]), "b": Stopwatch(log, "b", [], refuses=True)}, None, 3)
    assert log == ["alone", "alone"]


def test_a_model_is_sampled_in_turns_with_a_yardstick():
    log = []
    one, other = Stopwatch(log, "a", [9, 1, 2, 30]), Stopwatch(log, "b", [9, 4, 4, 5])
    assert against(one, None, other, None, 3) == (0.5, 4)  # of 1 / 4, 2 / 4, 30 / 5
    assert log == ["a", "b", "b", "a", "a", "b"]
    assert against(Stopwatch(log, "c", [], refuses=True), None, other, None, 3) is None


def test_a_single_sample_is_enough():
    assert latencies({"a": Stopwatch([], "a", [2])}, None, 1)["a"].median == 2
