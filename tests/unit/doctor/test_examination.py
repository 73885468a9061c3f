"""Every result can come out, none is lost, and what is in the store is not executed again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fuzz.doctor.examination import FAILING, Examined, Result, Settings, examine, told
from fuzz.errors import UsageError
from fuzz.judge.verdict import Verdict
from fuzz.store import Store

QUICK = Settings(timeout=30.0, jobs=2)

RESULTS = {
    "test_fine": Result.PASSED,
    "test_wrong": Result.WRONG,
    "test_expected_so": Result.DISPUTE,
    "test_lacking": Result.UNSUPPORTED,
    "test_refused": Result.REJECTED,
    "test_died": Result.CRASH,
    "test_memory": Result.OOM,
    "test_ours": Result.ERROR,
    "test_slow": Result.TIMEOUT,
}


def test_each_result(tmp_path, cases, toy):
    # Enough for a worker's first case on a machine that is busy, and not much to wait for the one that sleeps.
    (found,) = examine(tmp_path / "root", cases, [toy], replace(QUICK, timeout=3.0))
    assert {test.name: test.result for test in found.tests} == RESULTS
    assert list(found.counts) == list(Result)
    assert sum(found.counts.values()) == len(cases)
    assert {test.name for test in found.of(*FAILING)} == {
        "test_wrong", "test_refused", "test_died", "test_memory", "test_slow",
    }  # fmt: skip
    assert found.seconds == pytest.approx(sum(test.seconds for test in found.tests))
    messages = {test.name: test.message for test in found.tests}
    assert messages["test_fine"] == ""
    assert messages["test_wrong"] == "y[0] is -1.0, 0.0 is due"
    assert messages["test_lacking"] == "no such operator"
    assert messages["test_refused"] == "this model is invalid"
    assert "SIGSEGV" in messages["test_died"]
    assert "TypeError: the harness has a bug" in messages["test_ours"]


def test_what_is_known_is_neither_executed_nor_judged_again(tmp_path, cases, toy, monkeypatch):
    known = [case for case in cases if case.id in {"test_fine", "test_lacking"}]
    first = examine(tmp_path / "root", known, [toy], QUICK)
    told_of: list[str] = []
    judged = []
    again = examine(
        tmp_path / "root", known, [toy], QUICK, executed=lambda n: told_of.append("x" * n), judged=judged.append
    )
    assert again == first
    assert (len(told_of), sum(judged)) == (2, 2)

    def never(*_arguments, **_options):
        raise AssertionError

    monkeypatch.setattr("fuzz.doctor.examination.judge_cases", lambda _root, wanted, *_a, **_o: map(never, wanted))
    assert examine(tmp_path / "root", known, [toy], QUICK) == first
    with pytest.raises(AssertionError):
        examine(tmp_path / "root", known, [toy], replace(QUICK, rejudge=True))


def test_a_target_is_judged_by_itself(tmp_path, cases, toy):
    """Two that are wrong in the same way do not outvote the reference."""
    other = replace(toy, canonical="other")
    wrong = [case for case in cases if case.id == "test_wrong"]
    both = examine(tmp_path / "root", wrong, [toy, other], QUICK)
    assert [found.tests[0].result for found in both] == [Result.WRONG, Result.WRONG]
    assert both[0].tests[0].message == "y[0] is -1.0, 0.0 is due"


def test_results_of_another_version_are_not_passed_off_as_this_one(tmp_path, cases, toy):
    fine = [case for case in cases if case.id == "test_fine"]
    examine(tmp_path / "root", fine, [toy], QUICK)
    examine(tmp_path / "root", fine, [replace(toy, version="0.1")], QUICK)
    with pytest.raises(UsageError, match=r"newer results of toy 0\.1.*--force"):
        examine(tmp_path / "root", fine, [toy], QUICK)
    (found,) = examine(tmp_path / "root", fine, [toy], replace(QUICK, force=True))
    assert found.counts[Result.PASSED] == 1


def test_an_interrupted_run_keeps_what_it_finished(tmp_path, cases, toy):
    def stop(_count):
        raise KeyboardInterrupt

    fine = [case for case in cases if case.id in {"test_fine", "test_wrong"}]
    with pytest.raises(KeyboardInterrupt):
        examine(tmp_path / "root", fine, [toy], replace(QUICK, jobs=1), executed=stop)
    (found,) = examine(tmp_path / "root", fine, [toy], QUICK)
    assert isinstance(found, Examined)
    assert [test.result for test in found.tests] == [Result.PASSED, Result.WRONG]


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("refused\n  at /usr/lib/python3/site-packages/tvm/relax.py:12", "refused at relax.py:12"),
        ("object at 0x7f00deadbeef", "object at ADDRESS"),
        ("no [the model is valid: onnx.checker accepts it; our reference runs it]", "no"),
        ("a/b", "a/b"),
    ],
)
def test_messages_hold_nothing_of_one_machine(message, line):
    assert told(message, Verdict("case", "toy", 0, "rejected")) == line


def test_a_wrong_element_is_told_with_its_bound():
    verdict = Verdict("case", "toy", 0, "wrong", "y", 9.0, (0, 1), 1.0, 2.0, 0.125, message="more")
    assert told("more", verdict) == "y[0, 1] is 2.0, 1.0 is due ± 0.12; more"
    assert told("", replace(verdict, index=None, bound=None)) == "y is 2.0, 1.0 is due"


def test_only_the_targets_that_are_asked_for_are_judged(tmp_path, cases, toy):
    fine = [case for case in cases if case.id == "test_fine"]
    examine(tmp_path / "root", fine, [toy], QUICK)
    with Store.open(tmp_path / "root") as store:
        store.record_executions([replace(store.executions("test_fine")[0], target="other")], ["digest"])
    examine(tmp_path / "root", fine, [toy], replace(QUICK, rejudge=True))
    with Store.open(tmp_path / "root") as store:
        assert [verdict.target for verdict in store.verdicts()] == ["toy"]
