"""Planted slow paths are found and confirmed in fresh processes; what is not slow is not called so."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from fuzz.judge.verdict import Word
from fuzz.performance.climb import judge_growth
from fuzz.performance.compilation import judge_compilation
from fuzz.performance.measurement import decide
from fuzz.performance.run import measure
from fuzz.performance.speed import judge_run


def judged(judge, case, plan, pair):
    return judge(case, plan, pair(plan), threading.Event())


@pytest.mark.parametrize("way", ["triple", "sleep"])
def test_a_slow_run_is_found_twice(case, plan, pair, way):
    found = judged(judge_run, case(), plan(f"run={way}", "run=linear"), pair)
    assert found.word is Word.SLOW, found.message
    first, second = found.comparisons
    assert 2.5 < first.ratio < 5 > second.ratio > 2.5
    assert found.scale > 1
    assert "times as long as on slow:run=linear" in found.message
    assert "in fresh processes" in found.message


def test_a_fast_run_is_not_found(case, plan, pair):
    one = case()
    assert judged(judge_run, one, plan("run=linear", "run=triple"), pair).word is Word.OK
    assert judged(judge_run, one, plan("run=linear", "run=twin"), pair).word is Word.OK


def test_a_busy_machine_is_no_finding(case, plan, pair):
    """As many processes that never sleep as make each worker wait for more than half of its time."""
    spin = [sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(spin) for _ in range(4)]
    try:
        found = judged(judge_run, case(), plan("run=linear,env.CLOCK=real", "run=twin,env.CLOCK=real", pairs=8), pair)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert found.word is Word.OK, found.message


def test_what_stays_below_a_millisecond_is_too_small_to_judge(case, plan, pair):
    found = judged(judge_run, case(size=64), plan("run=triple", "run=linear"), pair)
    assert found.word is Word.UNDECIDABLE
    assert "too small to judge" in found.message


def test_a_size_that_is_refused_ends_the_climb(case, plan, pair):
    found = judged(judge_run, case(), plan("run=refuses", "run=linear"), pair)
    assert found.word is Word.UNDECIDABLE
    assert "too small to judge" in found.message


def test_what_does_not_run_is_not_timed(case, plan, pair):
    found = judged(judge_run, case(elements=2000), plan("run=refuses", "run=linear"), pair)
    assert found.word is Word.UNDECIDABLE
    assert "unsupported so many elements" in found.message


def test_quadratic_work_is_found_by_its_growth(case, plan, pair):
    found = judged(judge_growth, case(), plan("run=quadratic"), pair)
    assert found.word is Word.SLOW, found.message
    assert len(found.comparisons) == 2
    assert len(found.points) >= 4
    assert "count of operations and bytes at most" in found.message


@pytest.mark.parametrize("way", ["linear", "triple"])
def test_linear_work_is_not(case, plan, pair, way):
    found = judged(judge_growth, case(), plan(f"run={way}"), pair)
    assert found.word is Word.OK, found.message
    assert found.points[-1].seconds > 0.01


def test_growth_needs_sizes_that_matter(case, plan, pair):
    assert judged(judge_growth, case(), plan("run=tiny"), pair).word is Word.UNDECIDABLE


def test_growth_needs_a_size_that_is_open(case, plan, pair):
    found = judged(judge_growth, case(size=64), plan("run=linear"), pair)
    assert found.message.startswith("too small to judge: 1 sizes")


def test_superlinear_compilation_is_found(case, plan, pair):
    found = judged(judge_compilation, case(24), plan("compile=quadratic", "run=linear"), pair)
    assert found.word is Word.SLOW, found.message
    assert "consecutive parts" in found.message


def test_linear_compilation_is_not_even_where_the_baseline_is_faster(case, plan, pair):
    assert judged(judge_compilation, case(24), plan("compile=triple", "run=linear"), pair).word is Word.OK


def test_a_model_of_few_nodes_has_no_parts(case, plan, pair):
    assert judged(judge_compilation, case(4), plan("compile=quadratic", "run=linear"), pair).word is Word.UNDECIDABLE


def test_two_builds_are_compared_by_their_compile_time(case, plan, pair):
    ten = case(10)
    alike = judged(judge_compilation, ten, plan("env.COMPILE=linear", "env.COMPILE=linear,env.BUILD=2"), pair)
    assert alike.word is Word.OK
    found = judged(judge_compilation, ten, plan("env.COMPILE=triple", "env.COMPILE=linear"), pair)
    assert found.word is Word.SLOW, found.message
    assert "compiling takes" in found.message


def test_slow_once_is_flaky(plan):
    from fuzz.performance.comparison import compare

    made = plan("run=linear", "run=twin")
    base = [0.010 + 1e-5 * i for i in range(20)]
    slower = compare([2 * t for t in base], base)
    same = compare(base, base)
    assert decide(made.threshold, slower, lambda: same)[0] is Word.FLAKY
    assert decide(made.threshold, slower, lambda: slower)[0] is Word.SLOW
    assert decide(made.threshold, same, lambda: pytest.fail("measured again"))[0] is Word.OK


def test_a_broken_case_is_an_error_and_does_not_end_the_run(case, plan):
    made = case()
    (made.data_sets[0] / "input_0.pb").write_bytes(b"\xff\xff")
    ((found,),) = list(measure([made], plan("run=linear", "run=twin", kinds=("run",))))
    assert found.word is Word.ERROR
    assert found.verdict("slow").oracle == "performance"
