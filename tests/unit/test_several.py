"""Cases that go to a worker in one message: each has its own limits, and what it does is nobody else's."""

from __future__ import annotations

import threading

import pytest

from backends.protocol import Outcome, Stage
from fuzz.case import find_cases
from fuzz.execute.nursery import Nursery
from fuzz.execute.run import request_of
from fuzz.execute.several import asking, told
from fuzz.execute.start import start_worker
from fuzz.execute.worker import Limits, Worker

LIMITS = Limits(1.0, 1 << 30)
OK = Outcome.OK


@pytest.fixture
def requests(make_root):
    def made(*actions, data_sets=1):
        return [request_of(case).parts for case in find_cases(make_root(*actions, data_sets=data_sets))]

    return made


def all_of(target, requests, limits=LIMITS):
    """The attempts at all of these, and how many each message brought."""
    attempts, counts = [], []
    with Nursery() as nursery:
        worker = start_worker(target, limits, threading.Event(), nursery)
        while len(attempts) < len(requests):
            if not worker.alive:
                worker = start_worker(target, limits, threading.Event(), nursery)
            found = worker.execute_several(requests[len(attempts) :])
            counts.append(len(found))
            attempts += found
        worker.close()
    return attempts, counts


def test_many_in_one_message_get_the_answers_that_they_get_one_by_one(toy, requests):
    asked = requests("fine", "lacks", "fine@run", "garbage", "rejects@compile", "arrays", "strings", data_sets=3)
    with Worker(toy(), LIMITS, threading.Event()) as worker:
        alone = [worker.execute(request) for request in asked]
        together = worker.execute_several(asked)
        assert worker.alive
        assert worker.execute(asked[0]).outcome is OK

    def seen(attempt):
        return attempt.outcome, attempt.stage, attempt.message, attempt.stderr, attempt.outputs

    assert list(map(seen, together)) == list(map(seen, alone))
    assert [len(attempt.outputs) for attempt in together[:3]] == [3, 0, 3]


@pytest.mark.parametrize("place", [0, 2, 4])
@pytest.mark.parametrize(
    ("action", "outcome", "stage", "words"),
    [
        ("segv@run", Outcome.CRASH, Stage.RUN, "died of SIGSEGV"),
        ("exit@compile", Outcome.CRASH, Stage.COMPILE, "exited with status 0"),
        ("spin@run2", Outcome.TIMEOUT, Stage.RUN, "stopped after"),
        ("allocate", Outcome.OOM, Stage.IMPORT, "resident memory"),
    ],
)
def test_what_ends_the_worker_is_put_down_to_the_case_in_hand(toy, requests, action, outcome, stage, words, place):
    actions = ["fine", "garbage@run", "fine", "fine"]
    actions.insert(place, action)
    limits = Limits(30.0, 256 << 20) if outcome is Outcome.OOM else LIMITS
    attempts, counts = all_of(toy(), requests(*actions, data_sets=2), limits)
    assert [attempt.outcome for attempt in attempts] == [outcome if at == place else OK for at in range(5)]
    assert counts == [place + 1] + [4 - place] * (place < 4)  # those before keep their answers
    ended = attempts[place]
    assert (ended.stage, words in ended.message, len(ended.outputs)) == (stage, True, action == "spin@run2")
    assert "garbage" not in ended.stderr  # which is another one's
    assert ("Segmentation fault" in ended.stderr) == (action == "segv@run")


def test_each_has_the_whole_time_limit(toy, requests):
    """Nine that take 0.15 s each under a limit of one second; the tenth takes its second, and no more."""
    attempts, counts = all_of(toy(), requests(*["slow"] * 9, "spin", "slow"))
    assert [attempt.outcome for attempt in attempts] == [OK] * 9 + [Outcome.TIMEOUT, OK]
    assert counts == [10, 1]
    assert attempts[9].wall_seconds >= 1.0


def test_large_ones_come_in_several_messages(toy, requests):
    (fine,) = requests("fine")
    large = [b"".join(fine), bytes(700_000)]
    assert asking([fine, fine])[1] == 2
    assert asking([large, large, fine]) == (large, 1)
    assert asking([fine, large, fine])[1] == 3


def test_what_is_cut_short_or_garbled_is_left_out(toy, requests):
    from backends.frame import Frame, encode

    whole = b"".join(encode(Frame("done", {"outcome": "ok"}, [[None]])))
    assert [len(done) for done in (told(content)[0] for content in (b"", whole, whole * 2))] == [0, 1, 2]
    for rest in (whole[:-1], b"dnf", b"no frame at all, whatever", *map(b"".join, (encode(Frame("gossip")),))):
        assert len(told(whole + rest)[0]) == 1
    outputs = b"".join(encode(Frame("outputs", values=[[None], []])))
    done, rest = told(whole + outputs)
    assert (len(done), rest.outputs) == (1, [(None,), ()])


@pytest.mark.parametrize("action", ["garble", "unknown_operation", "half_a_frame", "deaf"])
def test_a_worker_that_breaks_the_channel_is_the_fault_of_the_case_in_hand(toy, requests, action):
    asked = requests("fine", action, "fine")
    with Worker(toy(), LIMITS, threading.Event()) as worker:  # one that was started: it knows its channel
        attempts = worker.execute_several(asked)
        assert not worker.alive
    assert [attempt.outcome for attempt in attempts] == [OK, Outcome.CRASH]


def test_a_worker_that_ends_between_two_cases_is_nobodys_fault(toy, requests):
    import os
    import signal

    asked = requests("fine", "fine", "fine")
    with Worker(toy(), LIMITS, threading.Event()) as worker:
        worker.execute_several(asked)
        worker._progress.begin(1, 0)  # as it is while the second of three is in hand
        os.kill(worker._process.pid, signal.SIGKILL)
        attempts = worker._attempts(worker._death(), 0)
    assert [attempt.outcome for attempt in attempts] == [OK] * 3
