"""Targets that crash, hang, answer otherwise the second time, or do not start again: what their cases come to."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from backends.protocol import Outcome
from fuzz.campaign import exhibit
from fuzz.campaign.campaign import Campaign
from fuzz.campaign.examiner import Examiner
from fuzz.campaign.subject import ready
from fuzz.campaign.task import Examine, Reduce
from fuzz.campaign.trial import finding_id, rough_digest
from fuzz.errors import TargetError
from fuzz.execute.attempt import Limits
from fuzz.execute.native import Debugger
from fuzz.execute.target import parse_targets
from fuzz.generate.settings import Settings
from fuzz.triage.signature import Signature


def campaign(fault, operators, seconds=60.0, nodes=(1, 3)):
    settings = Settings(nodes=nodes, operators=operators, dtypes=("float",))
    target = f"onnxruntime:fault={fault}" if fault else "onnxruntime"
    return Campaign(settings, parse_targets((target,)), Limits(seconds, 4096 << 20))


def first_failing(examiner, seeds=range(20)):
    return next(trial for seed in seeds if (trial := examiner.do(Examine(seed))).failures)


def test_a_crash_counts_when_it_repeats_and_keeps_its_signature(tmp_path):
    with Examiner(campaign("crash-at-fusion", ("Relu", "Transpose")), tmp_path) as examiner:
        trial = first_failing(examiner)
    (answer,), (failure,) = trial.answers, trial.failures
    assert (answer.outcome, answer.verdict, answer.attempts) == ("crash", "crash", 2)
    assert "SIGSEGV" in failure.rough
    assert json.loads(failure.told)["outcome"] == "crash"


def test_a_familiar_crash_is_repeated_without_a_debugger(tmp_path, monkeypatch):
    attached = []
    monkeypatch.setattr(Debugger, "attach", attached.append)
    with Examiner(campaign("crash-at-fusion", ("Relu", "Transpose")), tmp_path) as examiner:
        trial = first_failing(examiner)
        (failure,) = trial.failures
        assert len(attached) == 1
        again = examiner.do(Examine(trial.seed, familiar=f"another {rough_digest(failure.rough)}"))
        assert len(attached) == 1
        assert (again.answers[0].outcome, again.answers[0].attempts) == ("crash", 2)
        assert again.failures == trial.failures
        examiner.do(Examine(trial.seed, familiar="another"))
        assert len(attached) == 2


def test_a_timeout_counts_when_it_repeats_and_keeps_the_case_where_it_is_asked_for(tmp_path):
    with Examiner(replace(campaign("deadlock", ("Split",), 1.0), reduces=False), tmp_path) as examiner:
        trial = first_failing(examiner)
        shown = examiner.do(Reduce(trial.seed, trial.failures[0]))
    assert trial.answers[0].outcome == "timeout"
    (sighting,) = shown.sightings
    verdict = json.loads((sighting.folder / "verdict.json").read_text())
    assert (verdict["verdict"]["verdict"], verdict["unreduced"]) == ("timeout", "not asked for")
    assert sighting.nodes == sighting.nodes_before


def test_what_a_fresh_worker_does_not_repeat_is_flaky(tmp_path, monkeypatch):
    with Examiner(campaign("dropped-activation", ("Sigmoid",)), tmp_path) as examiner:
        trial = first_failing(examiner)
        sound, ready = campaign("", ("Sigmoid",)).targets[0], examiner._ready
        asked = []

        def second(target):
            asked.append(target)
            return ready(target if len(asked) == 1 else sound)

        monkeypatch.setattr(examiner, "_ready", second)
        again = examiner.do(Examine(trial.seed))
    assert (again.answers[0].verdict, again.failures) == ("flaky", ())
    assert again.answers[0].message.startswith("wrong at first, ok in a fresh worker")


def test_what_fails_in_a_familiar_way_is_asked_again_only_before_it_is_reduced(tmp_path, monkeypatch):
    with Examiner(campaign("dropped-activation", ("Sigmoid",)), tmp_path) as examiner:
        trial = first_failing(examiner)
        known = f"another {rough_digest(trial.failures[0].rough)}"
        other = examiner.do(Examine(trial.seed, familiar="another"))
        assert (other.answers[0].attempts, other.failures) == (2, trial.failures)
        worker = examiner._workers[examiner._campaign.targets[0]]
        again = examiner.do(Examine(trial.seed, familiar=known))
        assert examiner._workers[examiner._campaign.targets[0]] is worker
        assert (again.answers[0].verdict, again.answers[0].attempts) == ("wrong", 1)
        (failure,) = again.failures
        assert failure.rough == trial.failures[0].rough
        task = Reduce(trial.seed, failure)
        assert examiner.do(task).sightings
        sound, ready = campaign("", ("Sigmoid",)).targets[0], examiner._ready
        monkeypatch.setattr(examiner, "_ready", lambda _target: ready(sound))
        lost = examiner.do(task)
    assert lost.sightings == ()
    assert lost.problem.startswith("wrong at first, ok in a fresh worker")


def test_a_report_is_written_once_of_a_finding(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(exhibit, "attach", lambda folder, *_more: written.append(folder))
    with Examiner(campaign("dropped-activation", ("Sigmoid",)), tmp_path) as examiner:
        trial = first_failing(examiner)
        task = Reduce(trial.seed, trial.failures[0])
        (sighting,) = examiner.do(task).sightings
        assert written == [sighting.folder]
        (again,) = examiner.do(replace(task, found=frozenset({finding_id(sighting.identity)}))).sightings
    assert again == sighting
    assert written == [sighting.folder]


def test_a_crash_that_does_not_repeat_is_told_and_no_finding(tmp_path, monkeypatch):
    with Examiner(campaign("", ("Relu",)), tmp_path) as examiner:
        ready, left = examiner._ready, [True]

        class Dying:
            def execute(self, request, **_more):
                found = ready(examiner._campaign.targets[0]).execute(request)
                return replace(found, outcome=Outcome.CRASH, message="the worker died of SIGBUS", outputs=())

        monkeypatch.setattr(examiner, "_ready", lambda target: Dying() if left and left.pop() else ready(target))
        trial = examiner.do(Examine(0))
    (answer,) = trial.answers
    assert (answer.outcome, answer.attempts, trial.failures) == ("ok", 2, ())


def test_a_worker_that_does_not_start_ends_the_run_at_first_and_is_an_error_later(tmp_path, monkeypatch):
    def fail(*_arguments):
        raise TargetError("no such library")

    with Examiner(campaign("", ("Relu",)), tmp_path) as examiner:
        with monkeypatch.context() as patch:
            patch.setattr("fuzz.campaign.examiner.start_worker", fail)
            with pytest.raises(TargetError):
                examiner.do(Examine(0))
        assert examiner.do(Examine(0)).answers[0].verdict == "ok"
        examiner._drop(examiner._campaign.targets[0])
        monkeypatch.setattr("fuzz.campaign.examiner.start_worker", fail)
        trial = examiner.do(Examine(1))
    (answer,) = trial.answers
    assert (answer.outcome, answer.verdict, trial.failures) == ("error", "error", ())
    assert "no such library" in answer.message


def test_a_reduction_that_our_own_code_cannot_do_keeps_the_case(tmp_path, monkeypatch):
    def fail(*_arguments):
        raise ArithmeticError("no")

    with Examiner(campaign("dropped-activation", ("Sigmoid",)), tmp_path) as examiner:
        trial = first_failing(examiner)
        task = Reduce(trial.seed, trial.failures[0])
        monkeypatch.setattr("fuzz.campaign.exhibit.reduce_case", fail)
        (sighting,) = examiner.do(task).sightings
        assert "which is our bug: ArithmeticError: no" in (sighting.folder / "verdict.json").read_text()
        monkeypatch.setattr("fuzz.campaign.examiner.show", fail)
        lost = examiner.do(task)
    assert (lost.sightings, lost.problem) == ((), "ArithmeticError: no")


def test_what_is_known_of_an_answer_is_enough_to_reduce_it_with_what_rested(tmp_path):
    with Examiner(campaign("dropped-activation", ("Sigmoid", "Tanh")), tmp_path) as examiner:
        rests = ("8 Tanh:float",)
        trial = next(t for seed in range(30) if (t := examiner.do(Examine(seed, rests))).failures)
        shown = examiner.do(Reduce(trial.seed, trial.failures[0]))
    sighting = shown.sightings[0]
    assert (sighting.nodes, sighting.sites) == (1, trial.failures[0].site)
    assert shown.cpu_seconds > 0
    assert json.loads((sighting.folder / "case.json").read_text())["settings"]["rests"] == list(rests)


def test_what_candidates_of_a_reduction_fail_with_beside_is_a_finding_of_its_own(tmp_path, monkeypatch):
    work = campaign("dropped-activation+crash-at-fusion", ("Sigmoid", "Transpose"), nodes=(1, 2))
    reduce_case, others = exhibit.reduce_case, {}

    def with_others(laboratory, case, first, **more):
        done = reduce_case(laboratory, case, first, **more)
        if done.signature.word != "wrong":
            return done
        return replace(done, others={laboratory.fresh(one).signature: one for one in others.values()})

    monkeypatch.setattr(exhibit, "reduce_case", with_others)
    with Examiner(work, tmp_path) as examiner:
        for seed in range(40):
            trial = examiner.do(Examine(seed))
            if trial.failures and trial.answers[0].verdict not in others:
                with ready(seed, work.settings, None) as subject:
                    others[trial.answers[0].verdict] = subject.candidate()
                if trial.answers[0].verdict == "wrong":
                    wrong = trial
            if len(others) == 2:
                break
        found = examiner.do(Reduce(wrong.seed, wrong.failures[0]))
        word = next(s for s in found.sightings if s.aside).signature
        known = frozenset({f"{wrong.failures[0].target} | {word}"})
        again = examiner.do(Reduce(wrong.seed, wrong.failures[0], known))
    assert [(s.aside, s.signature.split(" ")[0]) for s in found.sightings] == [(False, "wrong"), (True, "crash")]
    assert all((s.folder / "verdict.json").exists() for s in again.sightings)
    assert [s.aside for s in again.sightings] == [False]


def test_what_is_refused_beside_is_no_finding(tmp_path, monkeypatch):
    """The checker accepts what targets may refuse: a pooling of rank 2, a kernel that does not fit its weights."""
    reduce_case, reduced = exhibit.reduce_case, []

    def with_refusal(laboratory, case, first, **more):
        reduced.append(case)
        return replace(reduce_case(laboratory, case, first, **more), others={Signature("rejected", "run"): case})

    monkeypatch.setattr(exhibit, "reduce_case", with_refusal)
    with Examiner(campaign("dropped-activation", ("Sigmoid",)), tmp_path) as examiner:
        trial = first_failing(examiner)
        shown = examiner.do(Reduce(trial.seed, trial.failures[0]))
    assert (len(reduced), len(shown.sightings)) == (1, 1)


SEEDS = (0, 4, 16, 10, 5, 15, 2, 18)
ENDING = "crash-at-fusion+deadlock+endless-allocation"


def test_cases_that_go_together_come_to_what_each_comes_to_alone(tmp_path):
    """A crash, a time-out and an excess of memory among them, each of the case that it is."""
    work = campaign(ENDING, ("Relu", "Transpose", "Split", "Expand", "Add"))
    work = replace(work, limits=Limits(2.0, 500 << 20))
    tasks = [Examine(seed) for seed in SEEDS]
    with Examiner(work, tmp_path) as examiner:
        alone = [examiner.do(task) for task in tasks]
    with Examiner(work, tmp_path) as examiner:
        asked = []
        ready = examiner._ready

        def noted(target):
            worker = ready(target)
            several = worker.execute_several
            worker.execute_several = lambda requests: asked.append(len(requests)) or several(requests)
            return worker

        examiner._ready = noted
        together = list(examiner.do_all(tasks))
    assert list(map(seen, together)) == list(map(seen, alone))
    assert [trial.answers[0].outcome for trial in together] == ["ok", "ok", "crash", "ok", "oom", "ok", "timeout", "ok"]
    assert asked == [8, 5, 3]  # what comes behind one that ends its worker goes to the next worker


def seen(trial):
    answers = [(a.target, a.outcome, a.verdict, re.sub(r"\d+", "", a.message), a.attempts) for a in trial.answers]
    failures = [(failure.target, failure.rough, failure.site) for failure in trial.failures]
    return trial.seed, trial.nodes, trial.problem, trial.pairs, trial.links, answers, failures
