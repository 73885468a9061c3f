"""Which switch a finding needs, on a rewriter whose faulty passes are known, in real workers."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from fuzz.execute.attempt import Limits
from fuzz.execute.target import parse_target
from fuzz.triage.application import Application
from fuzz.triage.blame import NOTES, Blame, blame
from fuzz.triage.blamed import BLAME, read_blame
from fuzz.triage.board import Switch
from fuzz.triage.finding import read_finding
from fuzz.triage.signature import Signature
from fuzz.triage.trials import OTHER, STAYS, Trial

ROOT = Path(__file__).parents[3]
LIMITS = Limits(60.0, 2 << 30)


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import blame as bench

    return bench


@pytest.fixture
def planted(bench, tmp_path):
    """Blame on one row of the table: the row's passes at fault, and what was found."""
    import planted_passes

    def run(number, needed=0, more="", **options):
        finding = replace(bench.finding_of(number), folder=tmp_path)
        target = bench.target_of(number, 64, needed, more)
        return planted_passes.culprits(number, 64), blame(finding, target, LIMITS, **options)

    run.row = lambda kind, passes: next(
        number for number, bug in enumerate(planted_passes.BUGS) if (bug.kind, bug.passes) == (kind, passes)
    )
    return run


def values(switches):
    return tuple(switch.value for switch in switches)


def test_one_pass_of_many(planted, tmp_path):
    (guilty,), found = planted(planted.row("drop", "one"), jobs=2)
    assert found.switches == (Switch("disable", guilty, listed=True),)
    assert (found.alternatives, found.alone, found.repeats) == ((), True, True)
    assert found.executions <= 2 * 6 + 8
    assert found.sentence.endswith(
        f": disable={guilty} makes it go away; so does opt=0; it stays with all other passes off"
    )
    said = json.loads((tmp_path / BLAME).read_text("utf-8"))
    assert said["switches"] == [f"disable={guilty}"]
    assert said["switched"] == f"planted-passes:bug={planted.row('drop', 'one')},disable={guilty}"
    assert [row for row in said["asked"] if row["off"] == [f"disable={guilty}"]][-1] == {
        "off": [f"disable={guilty}"], "answer": "gone", "said": "ok", "fresh": True,
    }  # fmt: skip
    assert not (tmp_path / NOTES).exists()
    again = read_blame(tmp_path)
    assert (again.setting, again.switches, again.told) == (f"disable={guilty}", (f"disable={guilty}",), found.told)
    assert (again.word, again.symptom) == ("wrong", "value")


def test_two_passes_that_do_the_same_go_off_together(planted):
    guilty, found = planted(planted.row("swap", "both"))
    assert values(found.switches) == tuple(sorted(guilty))
    assert found.alternatives == ()
    assert f"disable={'+'.join(sorted(guilty))} makes it go away, and nothing less of it does" in found.sentence


def test_of_two_passes_that_work_together_each_is_told(planted):
    guilty, found = planted(planted.row("drop", "chain"))
    assert {values(found.switches), *map(values, found.alternatives)} == {(name,) for name in guilty}
    assert found.alone is True


def test_passes_that_nothing_compiles_without_are_no_answer(planted):
    (guilty,), found = planted(planted.row("refuse", "one"), needed=2)
    assert values(found.switches) == (guilty,)
    assert "other" in {trial.answer for trial in found.trials}


def test_where_one_run_decides_over_the_next_each_gets_a_process(planted):
    """In one process the failure stays once it was there, so nothing seems to make it go away but what came first."""
    (guilty,), found = planted(planted.row("drop", "one"), more="sticky=yes", jobs=2)
    assert values(found.switches) == (guilty,)
    assert found.repeats


def test_what_was_answered_before_an_interruption_is_not_asked_again(planted, tmp_path):
    def interrupt(trials):
        if len(trials.rows) == 6:
            raise KeyboardInterrupt

    number = planted.row("drop", "one")
    with pytest.raises(KeyboardInterrupt):
        planted(number, told=interrupt)
    assert not (tmp_path / BLAME).exists()
    lines = (tmp_path / NOTES).read_text("utf-8").splitlines()
    assert len(lines) >= 7
    (tmp_path / NOTES).write_text("\n".join([*lines, '{"off": [']), "utf-8")  # a kill in the middle of a line
    seen = []
    (guilty,), found = planted(number, told=lambda trials: seen.append(trials.recalled))
    assert values(found.switches) == (guilty,)
    assert max(seen) >= 6


def test_the_benchmark_counts_what_is_right(bench):
    row = bench.planted(0, 64, 0, 2)
    assert (row.right, row.passes, row.allowed) == (True, 64, 20.0)
    assert 1 < row.executions <= row.allowed
    wrong = replace(row, name="other", right=False, executions=30)
    assert bench._figure("64 passes", [row, wrong]) == {
        "series": "64 passes", "bugs": 2, "right": 1, "median": (row.executions + 30) / 2, "most": 30, "allowed": 20.0,
        "wrong": ["other"],
    }  # fmt: skip


def test_where_nothing_can_be_turned_off_that_is_said(tmp_path):
    shutil.copytree(ROOT / "findings/onnxruntime-max-int64", tmp_path / "one")
    found = blame(read_finding(tmp_path / "one"), parse_target("onnxruntime"), LIMITS)
    assert (found.switches, found.fails, found.executions) == ((), True, 8)
    assert found.sentence.startswith("one: onnxruntime")
    assert "no switch makes it go away" in found.sentence
    assert "(tried: opt=0, opt=1, opt=2, " in found.sentence


def test_the_application_is_told_behind_the_switches():
    gone, stays = "limit=inductor.lowerings.1", "limit=inductor.lowerings.2"
    begins = Application("inductor.lowerings", 2, 3, "cos", gone, stays, "A=0")
    off = (Switch("disable", "lowerings", listed=True),)
    found = Blame("one", "torch", "2.13.0", fails=True, signature=Signature("wrong"), switches=off, application=begins)
    assert found.told == (
        "disable=lowerings makes it go away; of inductor's lowerings it begins with number 2 of 3 (cos): "
        f"it is gone with {gone} and there with {stays} (A=0)"
    )
    assert found.to_json()["application"]["number"] == 2


def test_what_does_not_fail_is_told_and_nothing_else_is_asked(tmp_path):
    shutil.copytree(ROOT / "findings/onnxruntime-pad-max-pool", tmp_path / "one")
    found = blame(read_finding(tmp_path / "one"), parse_target("onnxruntime:opt=0"), LIMITS)
    assert (found.fails, found.executions) == (False, 1)
    assert found.sentence.endswith("nothing fails: it is ok")
    assert json.loads((tmp_path / "one" / BLAME).read_text("utf-8"))["fails"] is False


def test_another_failure_than_the_one_that_is_written_down(tmp_path):
    finding = read_finding(ROOT / "findings/onnxruntime-max-int64")
    other = replace(finding, signature=replace(finding.signature, symptom="shape"), folder=tmp_path)
    assert blame(other, parse_target("onnxruntime"), LIMITS).changed


SIGNATURE = Signature("wrong", symptom="value")


@pytest.mark.parametrize(
    ("passes", "answers", "told"),
    [
        (3, {"opt=0": STAYS, "disable=A+B+C": STAYS},
         ("no switch makes it go away, so the fault is in what no switch turns off, such as a kernel or the front end "
         "(tried: opt=0, disable=A+B+C)")),
        (5, {"opt=0": OTHER, "disable=A+B+C+D+E": OTHER, "disable=A+B": STAYS},
         ("no switch was found that makes it go away (tried: opt=0, all 5 passes left out; with opt=0 or all 5 passes "
         "left out something else is the matter)")),
        (0, {}, "there is no switch that could be turned off"),
    ],
)  # fmt: skip
def test_nobody_is_blamed_for_what_cannot_be_told(passes, answers, told):
    trials = tuple(Trial((option,), answer, "") for option, answer in answers.items())
    found = Blame("one", "onnxruntime==1.20.1", "1.20.1", fails=True, signature=SIGNATURE, passes=passes, trials=trials)
    assert found.sentence == f"one: onnxruntime==1.20.1: {told}"
    changed = replace(found, changed=True)
    assert changed.told == f"it fails in another way than is written down: wrong (value); {told}"
