"""What is done next: epochs, which failing answers are reduced, what is known decides over; the same after any kill."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fuzz.campaign.budget import Budget, read_budgets
from fuzz.campaign.campaign import Campaign
from fuzz.campaign.epochs import epoch_of, start_of
from fuzz.campaign.ledger import Ledger
from fuzz.campaign.novelty import shown_of
from fuzz.campaign.schedule import Schedule, worth_reducing
from fuzz.campaign.steering import Terms
from fuzz.campaign.task import Examine, Reduce
from fuzz.campaign.trial import Answer, Exhibit, Failure, Sighting, Trial, rough_digest
from fuzz.errors import UsageError
from fuzz.execute.attempt import Limits
from fuzz.execute.target import parse_targets
from fuzz.generate.settings import Settings
from fuzz.novelty.state import Shown

TARGET = "onnxruntime"


@pytest.fixture
def campaign():
    return Campaign(Settings(), parse_targets((TARGET,)), Limits(60.0, 4096 << 20))


def result_of(task, root, bug):
    """What a made-up target does: ``bug`` says, for a seed, the site at which it is wrong, None where it is right."""
    if isinstance(task, Examine):
        answers, failures = [], []
        for target in (TARGET,) if task.asked is None else task.asked:
            site = bug(task.seed)
            rough = f"{target} | wrong (value) | {site}"
            failures += [Failure(target, rough, site, json.dumps({"rests": []}))] if site else []
            answers.append(Answer(target, "1", "ok", "wrong" if site else "ok", "", 1, 1.0))
        shown = shown_by(task) if task.shows else None
        return Trial(task.seed, 3, 0.0, 0.0, tuple(answers), tuple(failures), shown=shown)
    folder = root / "findings" / f".part-1-{task.seed}"
    folder.mkdir()
    site = task.failure.site
    sighting = Sighting(TARGET, f"ort | {site}", "wrong (value)", site, 1, 3, folder, site)
    return Exhibit(task.seed, TARGET, (sighting,), cpu_seconds=2.0)


def drive(campaign, root, bug, order=len, steps=None, **asked):
    """Run a campaign in this process; ``order`` says which of the tasks in hand is done next. The tasks, as done."""
    done = []
    with Ledger.open(root, campaign) as ledger:
        schedule = Schedule(campaign, ledger, **{"count": 200, "budgets": {}, **asked})
        hand = []
        while steps is None or len(done) < steps:
            while len(hand) < 5 and (task := schedule.next()) is not None:
                hand.append(task)
            if not hand:
                break
            task = hand.pop(order(hand) % len(hand))
            schedule.take(result_of(task, root, bug))
            done.append(task)
        ledger.flush()
        told = {**ledger.to_json(), **schedule.to_json()}
        terms = {number: text for number in range(9) if (text := ledger.terms(number)) is not None}
    for finding in told["findings"]:
        del finding["first_seen"]
    return done, told, terms


def noisy(seed):
    return "Relu:float" if seed % 2 else ("Mul:float" if seed % 40 == 0 else None)


def test_epochs_follow_each_other():
    starts = [start_of(number) for number in range(14)]
    assert starts == [0, 8, 16, 32, 48, 80, 112, 176, 240, 368, 496, 752, 1008, 1264]
    assert [epoch_of(start) for start in starts] == list(range(14))
    assert [epoch_of(start - 1) for start in starts[1:]] == list(range(13))
    assert start_of(-1) == 0


def test_few_of_those_that_fail_alike_are_reduced():
    assert [n for n in range(1, 70) if worth_reducing(n)] == [1, 2, 3, 4, 8, 16, 32, 64]


def test_the_first_of_each_kind_are_reduced_and_the_others_assumed(campaign, tmp_path):
    done, told, _ = drive(campaign, tmp_path, noisy)
    reduced = [task.seed for task in done if isinstance(task, Reduce) and task.failure.site == "Relu:float"]
    assert reduced == [1, 3, 5, 7, 15, 31, 63, 127]
    counts = {found["pattern"]: (found["count"], found["assumed"]) for found in told["findings"]}
    assert counts == {"Relu:float": (100, 92), "Mul:float": (5, 1)}
    assert (told["cases"], told["waiting"]) == (200, 0)


def test_neither_order_nor_interruptions_decide_anything(campaign, tmp_path):
    whole = drive(campaign, tmp_path / "whole", noisy)
    turned = drive(campaign, tmp_path / "turned", noisy, order=lambda tasks: 3 * len(tasks) + tasks[0].seed)
    for steps in (1, 7, 20, 41, 90):  # what was in hand is lost each time
        drive(campaign, tmp_path / "cut", noisy, order=lambda tasks: tasks[-1].seed, steps=steps)
    cut = drive(campaign, tmp_path / "cut", noisy)
    assert whole[1:] == turned[1:] == cut[1:]
    key = {(type(task), task.key): task for task in whole[0]}
    assert all(key[type(task), task.key] == task for task in turned[0] + cut[0])


def test_an_epoch_waits_for_what_decides_over_it_and_no_longer(campaign, tmp_path):
    with Ledger.open(tmp_path, campaign) as ledger:
        schedule = Schedule(campaign, ledger, count=None, budgets={})
        first = [schedule.next() for _ in range(16)]
        assert [task.seed for task in first] == list(range(16))
        assert schedule.next() is None  # epoch 2 begins when epoch 0 is done
        for task in first[:8]:
            schedule.take(result_of(task, tmp_path, lambda seed: "Relu:float" if seed == 5 else None))
        reduction = schedule.next()
        assert (type(reduction), reduction.seed, schedule.waiting) == (Reduce, 5, 1)
        assert schedule.next() is None
        schedule.take(result_of(reduction, tmp_path, noisy))
        known = rough_digest(reduction.failure.rough)
        assert schedule.next() == Examine(16, (), (TARGET,), familiar=known)


def test_a_way_to_fail_that_came_to_nothing_is_asked_about_again_each_time(campaign, tmp_path):
    with Ledger.open(tmp_path, campaign) as ledger:
        schedule = Schedule(campaign, ledger, count=64, budgets={})
        last = None
        while (task := schedule.next()) is not None:
            result = result_of(task, tmp_path, noisy)
            if isinstance(task, Reduce) and task.seed == 3:
                result = Exhibit(3, TARGET, problem="wrong at first, ok in a fresh worker: ")
            schedule.take(result)
            last = task if isinstance(task, Examine) else last
    assert last.seed == 63
    assert last.familiar == rough_digest(f"{TARGET} | wrong (value) | Mul:float")


def test_a_reduction_is_told_what_earlier_epochs_have_found(campaign, tmp_path):
    done, told, _ = drive(campaign, tmp_path, noisy)
    found = {task.seed: task.found for task in done if isinstance(task, Reduce)}
    (name,) = [one["id"] for one in told["findings"] if one["pattern"] == "Relu:float"]
    assert (found[1], found[15]) == (frozenset(), frozenset())
    assert name in found[31] & found[127]


def test_what_shows_too_often_becomes_rare_and_never_disappears(campaign, tmp_path):
    _, _, terms = drive(campaign, tmp_path, noisy, count=600)
    rests = [Terms.from_text(text).rests for text in terms.values()]
    assert rests[:2] == [(), ()]
    shares = [int(rest.split(" ")[0]) for texts in rests[4:] for rest in texts if "Relu:float" in rest]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] >= 1
    assert not any("Mul" in rest for texts in rests for rest in texts)  # rare as it is
    plain = Campaign(campaign.settings, campaign.targets, campaign.limits, steers=False)
    _, _, unsteered = drive(plain, tmp_path / "plain", noisy)
    assert all(not Terms.from_text(text).rests for text in unsteered.values())


def test_it_stops_with_as_many_findings_as_are_wanted_and_goes_on_where_it_was(campaign, tmp_path):
    _, told, _ = drive(campaign, tmp_path, noisy, wanted=1)
    assert 1 <= len(told["findings"]) <= 2  # what was in hand is finished
    assert told["cases"] < 30
    _, told, _ = drive(campaign, tmp_path, noisy)
    assert (told["cases"], len(told["findings"])) == (200, 2)


def crashing(task, seed):
    outcome = "ok" if seed < 4 or seed >= 300 else "crash"
    return Trial(seed, answers=tuple(Answer(target, "1", outcome, "flaky", "", 2, 30.0) for target in task.asked))


def test_a_target_that_only_crashes_is_asked_seldom_until_it_is_better(campaign, tmp_path):
    asked = {}
    with Ledger.open(tmp_path, campaign) as ledger:
        schedule = Schedule(campaign, ledger, count=1600, budgets={})
        seen = []
        while (task := schedule.next()) is not None:
            asked[task.seed] = bool(task.asked)
            schedule.take(crashing(task, task.seed))
            seen.append(schedule.to_json()["quarantined"])
    # What is known when epoch 5 begins is enough. It is tried in epochs 8 and 12; epoch 14 knows that it is well.
    tried = {*range(80), *range(240, 244), *range(1008, 1012), *range(1520, 1600)}
    assert {seed for seed in asked if asked[seed]} == tried
    assert (seen[79], seen[80], seen[-1]) == ([], [TARGET], [])


def test_what_is_spent_is_not_asked(campaign, tmp_path):
    two = Campaign(Settings(), parse_targets((TARGET, "onnxruntime:opt=0")), campaign.limits)
    done, told, _ = drive(two, tmp_path, lambda _seed: None, budgets={TARGET: Budget(seconds=20.0)})
    asked = [task.seed for task in done if TARGET in task.asked]
    assert asked == list(range(48))  # with epoch 2 it has used 32 s, which epoch 4 knows
    assert all("onnxruntime:opt=0" in task.asked for task in done)
    assert told["spent"] == [TARGET]


def test_a_share_is_that_of_all_targets():
    budget = Budget(share=0.25)
    assert not budget.spent("tvm", {"tvm": 9.0, "onnxruntime": 1.0})  # too early to tell
    assert not budget.spent("tvm", {"tvm": 25.0, "onnxruntime": 75.0})
    assert budget.spent("tvm", {"tvm": 26.0, "onnxruntime": 74.0})
    assert not budget.spent("tvm", {})


def test_budgets_as_they_are_written():
    target = "onnxruntime:opt=0"
    assert read_budgets([f"{target}=600"], [target]) == {target: Budget(seconds=600.0)}
    assert read_budgets([f"{target}=2.5%"], [target]) == {target: Budget(share=0.025)}
    for wrong in ("onnxruntime=600", f"{target}", f"{target}=0", f"{target}=much", f"{target}=101%", f"{target}=inf"):
        with pytest.raises(UsageError, match="--budget"):
            read_budgets([wrong], [target])


# --- novelty ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def novel(campaign):
    return replace(campaign, novelty=True)


def shown_by(task):
    """What a made-up target shows hangs on what the case was made of."""
    origin = task.origin
    found = {f"op {task.seed % 23}", *(() if origin is None else (f"edge {origin.parent} {sum(origin.choices) % 7}",))}
    return Shown(task.seed, {TARGET: frozenset(found)}, tuple(range(task.seed % 9, 30)))


def by_seed(tasks):
    return {task.seed: (task.origin, task.shows) for task in tasks if isinstance(task, Examine)}


def test_cases_are_made_of_those_that_showed_something_new(novel, tmp_path):
    tasks, told, _ = drive(novel, tmp_path, noisy)
    made = by_seed(tasks)
    assert all(made[seed] == (None, seed % 4 == 0) for seed in range(16))
    parents = {origin.parent for origin, _ in made.values() if origin is not None}
    assert 40 < sum(origin is not None for origin, _ in made.values()) < 120
    assert all(parent % 4 == 0 for parent in parents)
    for seed, (origin, _) in made.items():
        assert origin is None or origin.parent < start_of(epoch_of(seed) - 1)
    assert told["novelty"]["features"][TARGET] > 23
    assert told["novelty"]["cases"] < 50
    assert drive(novel, tmp_path, noisy)[1] == told  # nothing is left to do


@pytest.mark.parametrize("order", [lambda _: 0, lambda hand: len(hand) * 7 // 3])
def test_novelty_hangs_on_no_order(novel, tmp_path, order):
    tasks, told, terms = drive(novel, tmp_path / "one", noisy)
    others, again, same = drive(novel, tmp_path / "other", noisy, order)
    assert by_seed(others) == by_seed(tasks)
    assert (again, same) == (told, terms)


@pytest.mark.parametrize("steps", [[3], [30, 1, 41], [90, 60]])
def test_novelty_goes_on_where_a_run_was_ended(novel, tmp_path, steps):
    tasks, told, terms = drive(novel, tmp_path / "one", noisy)
    found = {}
    for count in [*steps, None]:
        some, again, same = drive(novel, tmp_path / "other", noisy, steps=count)
        found |= by_seed(some)
    assert found == by_seed(tasks)
    assert (again, same) == (told, terms)


def test_what_was_known_when_a_case_was_made_is_not_kept_again(novel, tmp_path):
    drive(novel, tmp_path, noisy)
    with Ledger.open(tmp_path, novel) as ledger:
        rows = ledger.shown(0)
    assert 23 <= len(rows) < 45  # of 50 that were asked, those of two epochs may say the same
    assert all(shown_of(*row).choices for row in rows)
