"""All executed cases of a root, judged on some processes."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from onnx import helper

from backends.protocol import Outcome
from backends.tensor import from_numpy
from fuzz.case import DataSet, find_cases, open_root, write_case
from fuzz.errors import RootError, UsageError
from fuzz.judge import run
from fuzz.judge.judge import Oracle
from fuzz.judge.run import Judgement, judge_alone, judge_root, samples_of
from fuzz.judge.verdict import Verdict, Word
from fuzz.store import Store

X = np.float32([1.0, -2.0, 3.0])


@pytest.fixture
def root(tmp_path, model):
    """A root with three cases that negate: one of ours, two of a stranger with outputs of his own."""
    made = model([helper.make_node("Neg", ["x"], ["y"])], [("x", "float", [3])], [("y", "float", [3])])
    place = open_root(tmp_path / "root")
    inputs = {"x": from_numpy(X)}
    write_case(place, "ours", made, [DataSet(inputs, {"y": from_numpy(-X)})], {"choices": [1, 2]})
    write_case(place, "right", made, [DataSet(inputs, {"y": from_numpy(-X)})], {})
    write_case(place, "strange", made, [DataSet(inputs, {"y": from_numpy(X)})], {})
    return place


@pytest.fixture
def executed(root, ran, ended):
    """What two targets made of them."""
    with Store.open(root, create=True) as store:
        for case in ("ours", "right", "strange"):
            good = replace(ran("good", [-X]), case=case)
            bad = replace(ran("bad", [X]) if case != "right" else ended(Outcome.CRASH, "boom", "bad"), case=case)
            store.record_executions([good, bad], ["digest"] * 2)
    return root


def table(judgement):
    return {(v.case, v.target): Word(v.verdict) for v in judgement.verdicts}


def test_every_case_on_every_target(executed):
    told = []
    judgement = judge_root(executed, Oracle(), progress=told.append)
    assert judgement.cases == sum(told) == 3
    assert table(judgement) == {
        ("ours", "good"): Word.OK, ("ours", "bad"): Word.WRONG,
        ("right", "good"): Word.OK, ("right", "bad"): Word.CRASH,
        ("strange", "good"): Word.OK, ("strange", "bad"): Word.DISPUTE,
    }  # fmt: skip
    with Store.open(executed) as store:
        assert sorted(store.verdicts(), key=lambda v: (v.case, v.target)) == list(judgement.verdicts)


def test_what_other_oracles_said_stays_and_counts(executed):
    with Store.open(executed) as store:
        said = Verdict("ours", "good", 0, Word.NONDETERMINISTIC.value, message="bits differ", oracle="session")
        store.record_verdicts([said])
    judgement = judge_root(executed, Oracle())
    assert said in judgement.findings
    assert judgement.counts["good session"][Word.NONDETERMINISTIC] == 1
    assert judgement.counts["good"][Word.NONDETERMINISTIC] == 0


def test_judging_again_replaces_what_was_said(executed):
    first = judge_root(executed, Oracle())
    lenient = judge_root(executed, Oracle("allclose", rtol=10.0, atol=0.0), jobs=2)
    assert table(first)["ours", "bad"] is Word.WRONG
    assert table(lenient)["ours", "bad"] is Word.OK
    with Store.open(executed) as store:
        assert len(store.verdicts()) == len(lenient.verdicts)


def test_our_own_outputs_are_no_second_opinion(root):
    foreign = {case.id: samples_of(case)[0].foreign for case in find_cases(root)}
    assert foreign == {"ours": False, "right": True, "strange": True}
    expected = {case.id: len(samples_of(case)[0].expected) for case in find_cases(root)}
    assert expected == {"ours": 0, "right": 1, "strange": 1}


def test_cases_that_were_not_executed_are_not_judged(root, ran):
    with Store.open(root, create=True) as store:
        store.record_executions([replace(ran("good", [-X]), case="ours")], ["digest"])
    judgement = judge_root(root, Oracle())
    assert [v.case for v in judgement.verdicts] == ["ours"]
    assert judgement.cases == 1


def test_nothing_executed_is_said(root):
    with pytest.raises(RootError, match="nothing has been executed"):
        judge_root(root, Oracle())


def test_against_what_was_not_executed(executed):
    with pytest.raises(UsageError, match=r"--against tvm: nothing was executed on it; there is bad, good"):
        judge_root(executed, Oracle("allclose", against="tvm"))


def test_against_what_was(executed):
    judgement = judge_root(executed, Oracle("allclose", against="good"))
    assert table(judgement)["ours", "bad"] is Word.WRONG
    assert table(judgement)["ours", "good"] is Word.OK


def test_a_case_that_cannot_be_read_costs_its_own_verdicts(executed):
    (executed / "cases/ours/test_data_set_0/input_0.pb").write_bytes(b"\xff")
    found = table(judge_root(executed, Oracle()))
    assert found["ours", "good"] is found["ours", "bad"] is Word.ERROR
    assert found["right", "good"] is Word.OK


def test_so_does_one_on_which_the_judge_fails(executed, monkeypatch):
    def fails(name, *_rest):
        raise MemoryError(f"no room for {name}")

    (case,) = (c for c in find_cases(executed) if c.id == "ours")
    monkeypatch.setattr(run, "judge", fails)
    with Store.open(executed) as store:
        verdicts = run._judge_case(case, store, Oracle())
    assert [(v.verdict, v.message) for v in verdicts] == [
        ("error", "judging failed: MemoryError: no room for ours")
    ] * 2


def test_one_that_ends_its_process_is_tried_alone_and_named(executed, monkeypatch):
    real = run.judge

    def kills(name, *rest):
        if name == "ours":
            os._exit(9)
        return real(name, *rest)

    monkeypatch.setattr(run, "judge", kills)  # the processes are forked, so they have it too
    judgement = judge_root(executed, Oracle())
    assert {k: w for k, w in table(judgement).items() if w is Word.ERROR} == dict.fromkeys(
        [("ours", "good"), ("ours", "bad")], Word.ERROR
    )
    assert table(judgement)["right", "good"] is Word.OK
    assert judgement.verdicts[0].message == "judging this case ended the process that did it"


def test_alone_as_together(executed):
    case = find_cases(executed)[0]
    together = [v for v in judge_root(executed, Oracle()).verdicts if v.case == case.id]
    assert sorted(judge_alone(executed, case, Oracle()), key=lambda v: v.target) == together


def test_counts_name_every_word():
    verdicts = (Verdict("a", "t", 0, "ok"), Verdict("b", "t", 0, "wrong"), Verdict("a", "s", 0, "wrong"))
    judgement = Judgement(2, verdicts)
    assert list(judgement.counts) == ["s", "t"]
    assert judgement.counts["t"] == {w.value: int(w in {Word.OK, Word.WRONG}) for w in Word}
    assert judgement.findings == verdicts[1:]
