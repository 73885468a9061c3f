"""Processes that examine seeds, and what happens when one of them dies."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys

import pytest

from fuzz.campaign.campaign import Campaign
from fuzz.campaign.crew import Crew
from fuzz.campaign.examiner import Examiner
from fuzz.campaign.ledger import Ledger
from fuzz.campaign.member import serve
from fuzz.campaign.task import Examine
from fuzz.campaign.trial import Answer, Exhibit, Failure, Sighting, Trial, finding_id
from fuzz.execute.attempt import Limits
from fuzz.execute.target import parse_targets
from fuzz.generate.settings import Settings

SETTINGS = Settings(nodes=(1, 3), operators=("Relu", "Add"), dtypes=("float",))


@pytest.fixture
def campaign():
    return Campaign(SETTINGS, parse_targets(("onnxruntime",)), Limits(60.0, 4096 << 20))


class Fatal(Examine):
    """A task that kills the process that it is sent to, as soon as that one reads it."""

    def __reduce__(self):
        return signal.raise_signal, (signal.SIGKILL,)


def given(*tasks):
    """Hands out tasks, then nothing."""
    left = iter(tasks)
    return lambda: next(left, None)


def tasks(*seeds):
    """Hands out seeds, then nothing."""
    return given(*map(Examine, seeds))


def test_a_seed_that_ends_its_process_twice_is_told(campaign, tmp_path):
    found = []
    with Crew(campaign, tmp_path, 1) as crew:
        for trials in crew.results(given(Fatal(7)), 0.02):
            found.extend(trials)
    (trial,) = found
    assert trial == Trial(7, problem="the process that examined it ended with exit code -9")


def test_a_process_that_holds_too_much_memory_is_killed_and_its_seed_told(campaign, tmp_path):
    from dataclasses import replace

    found = []
    with Crew(replace(campaign, limits=Limits(60.0, 1)), tmp_path, 1) as crew:  # it is too large before it has begun
        for trials in crew.results(tasks(7), 0.02):
            found.extend(trials)
    assert found == [Trial(7, problem="the process that examined it ended with exit code -9")]


def test_a_seed_that_was_beside_one_is_examined_by_the_next_process(campaign, tmp_path):
    found, killed = [], False
    with Crew(campaign, tmp_path, 1) as crew:
        for trials in crew.results(tasks(1, 2), 0.02):
            found.extend(trials)
            if not killed:
                crew._members[0]._process.kill()
                killed = True
    assert sorted(trial.seed for trial in found) == [1, 2]
    assert [a.verdict for trial in found for a in trial.answers] == ["ok", "ok"]


def test_of_many_seeds_that_a_dead_process_had_in_hand_none_is_lost_or_told_twice(campaign, tmp_path):
    """It is not known which of them it was at: each is examined by itself, and counted from then on."""
    found, given = [], []
    with Crew(campaign, tmp_path, 1) as crew:
        (member,) = crew._members
        member.share = 4
        for trials in crew.results(tasks(*range(1, 9)), 0.02):
            found.extend(trials)
            if crew._members[0] is member and not found:
                assert [len(message.keys) for message in member._sent] == [4, 4]
                member._process.kill()
            elif crew._members[0] is not member:
                given += [len(message.keys) for message in crew._members[0]._sent]
    assert max(given) == 1
    assert sorted(trial.seed for trial in found) == list(range(1, 9))
    assert not any(trial.problem for trial in found)


def test_one_of_many_seeds_that_ends_each_process_is_told_alone(campaign, tmp_path):
    """The one that is at work by itself when a process dies is the one."""
    found = []
    with Crew(campaign, tmp_path, 1) as crew:
        (member,) = crew._members
        member.share = 4
        for trials in crew.results(given(Examine(1), Fatal(2), Examine(3)), 0.02):
            found.extend(trials)
        assert member not in crew._members
    problems = {trial.seed: trial.problem for trial in found}
    assert problems == {1: "", 2: "the process that examined it ended with exit code -9", 3: ""}
    assert len(found) == 3


def test_as_many_go_together_as_take_a_moment(campaign, tmp_path):
    with Crew(campaign, tmp_path, 1) as crew:
        (member,) = crew._members
        for trials in crew.results(tasks(*range(60)), 0.02):
            for trial in trials:
                assert trial.answers[0].verdict == "ok"
            assert 1 <= member.share <= 16
            assert member.messages <= 2
    assert not member.pending
    assert not member.messages


def test_a_process_imports_nothing_that_takes_time_before_it_can_die_with_its_driver():
    script = "import sys, fuzz.campaign.member; print('numpy' in sys.modules, 'onnx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


def test_a_process_whose_driver_closes_the_pipe_ends():
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,))
    with theirs:
        process.start()
    ours.close()
    process.join(60)
    assert process.exitcode == 0


def test_data_beside_the_model_is_executed_from_files(campaign, tmp_path):
    from dataclasses import replace

    settings = replace(SETTINGS, structure=("external",), operators=("Add",), nodes=(3, 6))
    with Examiner(replace(campaign, settings=settings), tmp_path) as examiner:
        trials = [examiner.examine(Examine(seed)) for seed in range(12)]
    assert {a.verdict for trial in trials for a in trial.answers} == {"ok"}
    assert not any(trial.problem for trial in trials)


def test_what_our_own_code_cannot_do_is_a_row(campaign, tmp_path, monkeypatch):
    def fail(*_arguments):
        raise ArithmeticError("no such case\nat all")

    monkeypatch.setattr("fuzz.campaign.subject.generate_case", fail)
    with Examiner(campaign, tmp_path) as examiner:
        trial = examiner.do(Examine(3))
    assert trial == Trial(3, problem="ArithmeticError: no such case")
    with Ledger.open(tmp_path, campaign) as ledger:
        ledger.take(trial)
        ledger.flush()
        assert ledger.problems() == [(3, "ArithmeticError: no such case")]


def sighting(folder, identity="same"):
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_text(folder.name)
    return Sighting("onnxruntime", identity, "wrong (value)", "Relu(float)", 1, 5, folder)


def test_of_the_same_finding_the_lowest_seed_is_kept(campaign, tmp_path):
    answer = Answer("onnxruntime", campaign.targets[0].version, "ok", "wrong", "", 2, 0.1)
    with Ledger.open(tmp_path, campaign) as ledger:
        for seed in (5, 2, 9):
            shown = sighting(tmp_path / f"findings/.part-1-{seed}")
            failure = Failure("onnxruntime", "wrong | Relu", "Relu:float", "{}")
            ledger.take(Trial(seed, 5, 0.0, 0.0, (answer,), (failure,)))
            ledger.decide(seed, "onnxruntime", due=True)
            ledger.take(Exhibit(seed, "onnxruntime", (shown,)))
        (finding,) = ledger.findings()
        assert (finding.seed, finding.count) == (2, 3)
        assert ledger.counts() == {"onnxruntime": {"wrong": 3}}
    place = tmp_path / "findings" / finding_id("same")
    assert (place / "model.onnx").read_text() == ".part-1-2"
    assert list((tmp_path / "findings").iterdir()) == [place]


def test_half_written_folders_of_a_killed_run_are_cleared(campaign, tmp_path):
    sighting(tmp_path / "findings/.part-1-00000001-0")
    with Ledger.open(tmp_path, campaign):
        assert list((tmp_path / "findings").iterdir()) == []
