"""Cases asked and judged: what fails is asked again, what cannot run is told, and nobody is waited for in vain."""

from __future__ import annotations

import signal
import threading

import pytest

from fuzz.apart import Apart, Died
from fuzz.case import find_cases
from fuzz.execute.attempt import Limits
from fuzz.regress.examiner import Examiner
from fuzz.regress.expectations import Expectations
from fuzz.regress.gate import run_gate
from fuzz.regress.ruling import State

LIMITS = Limits(30.0, 1 << 30)


@pytest.fixture
def examine():
    def run(root, target):
        with Apart() as apart, Examiner(Expectations(), LIMITS, apart, threading.Event()) as examiner:
            return [examiner.examine(case, target) for case in find_cases(root)]

    return run


def test_what_a_fresh_worker_does_otherwise_is_flaky(examine, make_root, toy, tmp_path):
    (found,) = examine(make_root("crash_once"), toy(f"toy:env.TOY_FLAG={tmp_path / 'flag'}"))
    assert (found.state, found.verdict.verdict) == (State.SILENT, "flaky")
    assert found.verdict.message.startswith("crash at first, in a fresh worker ")


def test_what_a_fresh_worker_does_again_is_a_failure(examine, make_root, toy):
    crash, refusal, fault = examine(make_root("kill", "rejects", "bug"), toy())
    assert (crash.state, crash.verdict.verdict) == (State.FAILED, "crash")
    assert (refusal.state, refusal.verdict.verdict) == (State.FAILED, "rejected")
    assert (fault.state, fault.verdict.verdict) == (State.ERROR, "error")


def test_the_number_of_threads_decides_nothing(make_root, toy):
    cases = find_cases(make_root("kill", "fine", "rejects", "lacks", "exit3", "arrays"))
    targets = [toy(), toy("toy:mood=good")]
    one, many = (run_gate(cases, targets, Expectations(), LIMITS, jobs=jobs) for jobs in (1, 3))
    said = [[(r.target, r.case, r.state, r.verdict.verdict) for r in account.results] for account in (one, many)]
    assert said[0] == said[1]
    assert [row[:2] for row in said[0]] == [(t.canonical, case.id) for t in targets for case in cases]


def test_a_target_that_does_not_start_is_missing_and_the_others_run(make_root, toy):
    cases = find_cases(make_root("fine", "arrays"))
    account = run_gate(cases, [toy("broken"), toy()], Expectations(), LIMITS, jobs=2, missing={"none": "not here"})
    assert account.missing.keys() == {"broken", "none"}
    assert {result.target for result in account.results} == {"toy"}
    assert len(account.results) == 2
    assert account.exit_code == 2


def test_a_process_that_dies_costs_one_call():
    with Apart(2) as apart:
        with pytest.raises(Died):
            apart.call(signal.raise_signal, signal.SIGKILL)
        assert apart.call(abs, -1) == 1
        with pytest.raises(ValueError, match="invalid literal"):
            apart.call(int, "x")
