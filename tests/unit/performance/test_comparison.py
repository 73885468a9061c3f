"""The statistics: chance is not called slow, and what is twice as slow is."""

from __future__ import annotations

import builtins
import sys

import numpy as np
import pytest

from fuzz.errors import UsageError
from fuzz.performance.comparison import Threshold, compare, require_scipy
from fuzz.performance.timer import in_turns


def heavy(random: np.random.Generator, scale: float, count: int = 20) -> list[float]:
    """Times as machines give them: a floor, a log-normal body, and now and then an outlier of many times that."""
    body = scale * (1 + random.lognormal(-2.5, 1.0, count))
    outliers = np.where(random.random(count) < 0.1, random.pareto(1.1, count) * scale, 0.0)
    return list(body + outliers)


def test_no_null_pair_is_called_slow():
    alarms = 0
    significant = 0
    for seed in range(1000):
        random = np.random.default_rng(seed)
        found = compare(heavy(random, 0.01), heavy(random, 0.01))
        alarms += found.slower(Threshold())
        significant += found.p < 0.05
    assert alarms == 0
    assert 20 <= significant <= 80  # the test itself is alive: about 1 in 20


def test_no_null_pair_of_the_fewest_samples_is_called_slow():
    alarms = 0
    for seed in range(1000):
        random = np.random.default_rng(10_000 + seed)
        alarms += compare(heavy(random, 0.01, 8), heavy(random, 0.01, 8)).slower(Threshold())
    assert alarms == 0


def test_twice_as_slow_is_found():
    found = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        found += compare(heavy(random, 0.02), heavy(random, 0.01)).slower(Threshold())
    assert found >= 195


def test_all_three_thresholds_must_be_exceeded():
    base = [0.010 + 1e-5 * i for i in range(20)]
    assert compare([1.6 * t for t in base], base).slower(Threshold())
    assert not compare([1.4 * t for t in base], base).slower(Threshold())
    assert not compare([1.6e-3 * t for t in base], [1e-3 * t for t in base]).slower(Threshold())
    assert not compare([0.016] * 3, [0.010] * 3).slower(Threshold())  # too few to be sure
    assert not compare(base, [1.6 * t for t in base]).slower(Threshold())


def test_nothing_is_infinitely_faster():
    assert compare([1.0], [0.0]).ratio == float("inf")
    with pytest.raises(ValueError, match="empty"):
        compare([], [1.0])


def test_sides_take_turns_in_both_orders():
    order = []
    first, second = in_turns(lambda side: float(order.append(side) or len(order)), 4)
    assert order == [0, 1, 1, 0, 0, 1, 1, 0]
    assert (first, second) == ([1, 4, 5, 8], [2, 3, 6, 7])


def test_a_missing_extra_is_told_in_one_line(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **named):
        if name.startswith("scipy"):
            raise ImportError(name)
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    for name in [name for name in sys.modules if name.startswith("scipy.stats")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(UsageError, match=r"dnnfuzz\[perf\]"):
        require_scipy()
