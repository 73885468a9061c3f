"""Timing in a worker: what a sample is, what a stopwatch refuses, and that a dead worker is replaced."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import pytest

from backends import timing
from backends.frame import Frame, encode
from backends.protocol import Outcome
from backends.tensor import Tensor
from fuzz.errors import TargetError
from fuzz.execute.worker import Limits, Worker
from fuzz.performance.timer import Refused, Subject, Timer


@pytest.fixture
def timer(slow):
    made = []

    def make(options="", seconds=5.0):
        made.append(Timer(slow(options), Limits(seconds, 1 << 30), threading.Event()))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def subject(chain):
    def make(elements=100_000, nodes=1):
        return Subject(chain(nodes).SerializeToString(), ((Tensor("float", (elements,), bytes(4 * elements)),),))

    return make


def test_own_time_lies_between_cpu_and_wall():
    assert timing.own_time(100, 20, 50) == 50  # waited for half of it, slept for 30
    assert timing.own_time(100, 80, 50) == 80  # waiting is counted a little too long
    assert timing.own_time(100, 100, 0) == 100
    assert timing.own_time(100, 300, 0) == 100  # three threads at once
    assert timing.own_time(100, 40, None) == 40  # the kernel does not tell


def test_a_sample_says_what_a_call_took(timer, subject):
    watch = timer()
    watch.load(subject())
    taken = [watch.run(0) for _ in range(3)]
    assert all(2e-3 <= seconds < 0.05 for seconds in taken)  # 20 ns an element
    short = watch.sample(0, 1e-5)
    assert 2e-3 <= short < 0.05


def test_a_loaded_model_is_fed_and_not_compiled_again(timer, subject):
    watch = timer("compile=linear")
    small, large = subject(1000, nodes=20), subject(200_000, nodes=20)
    first = watch.load(small)
    assert first >= 2e-3
    assert watch.load(large) == first
    assert watch.run(0) >= 4e-3
    assert watch.compile() >= 2e-3


def test_without_a_model_there_is_nothing_to_time(timer, subject):
    watch = timer()
    with pytest.raises(Refused, match="no model is loaded"):
        watch.run(0)
    watch.load(subject())
    with pytest.raises(Refused, match="out of range"):
        watch.run(7)


def test_a_worker_that_dies_is_replaced(timer, subject):
    watch = timer("run=hang", seconds=2.0)  # within which a busy machine has to load the model
    watch.load(subject())
    with pytest.raises(Refused, match="timeout"):
        watch.run(0)
    with pytest.raises(Refused, match="no model is loaded"):
        watch.run(0)
    assert watch.load(subject()) > 0


def test_a_worker_that_does_not_start_is_a_target_error(toy_table, subject):
    from fuzz.execute.target import parse_target

    watch = Timer(parse_target("broken", toy_table), Limits(5.0, 1 << 30), threading.Event())
    with pytest.raises(TargetError, match="did not start"):
        watch.load(subject())


def test_a_stopwatch_refuses_what_it_does_not_do(slow):
    with Worker(slow(), Limits(5.0, 1 << 30), threading.Event()) as worker:
        attempt = worker.execute(encode(Frame("time", {"action": "guess"})))
        assert (attempt.outcome, attempt.message) == (Outcome.ERROR, "a stopwatch does not 'guess'")
        attempt = worker.execute(encode(Frame("time", {"action": "compile", "samples": 1})))
        assert (attempt.outcome, attempt.message) == (Outcome.ERROR, "no model is loaded")


class FakeJob:
    """What the operation needs of a job, in this process."""

    def __init__(self):
        self.kept, self.reports, self.stages = {}, [], []
        self.collecting = None

    def ask(self, **fields):
        self.request = Frame("time", fields, fields.pop("values", ()), b"model")
        timing.time_model(self)
        return self.reports[-1]["samples"]

    def compile(self, _model, _folder):
        self.collecting = gc.isenabled()
        return self

    def run(self, inputs):
        return list(inputs)

    def enter(self, stage):
        self.stages.append(stage)

    def report(self, fields):
        self.reports.append(fields)


@pytest.fixture
def frozen():
    """What the tests' own process holds is not looked through for cycles at each request: that takes seconds."""
    gc.freeze()
    yield
    gc.unfreeze()


def test_the_operation_in_this_process(monkeypatch, frozen):
    job = FakeJob()
    ((wall, cpu, own),) = job.ask(action="load", values=[[None], None])
    assert cpu >= 0
    assert 0 < wall >= own
    assert job.collecting is False
    assert gc.isenabled()
    assert job.ask(action="feed", values=[[]]) == []
    assert len(job.ask(action="compile", samples=3)) == 3
    assert len(job.ask(action="run", data_set=0, warm=1, samples=2, repetitions=5)) == 2
    monkeypatch.setattr(timing, "_TASKS", Path("/nowhere"))
    ((wall, cpu, own),) = job.ask(action="run", data_set=0, warm=0, samples=1, repetitions=1000)
    assert own == min(wall, cpu)
    gc.disable()
    try:
        job.ask(action="feed")
        assert not gc.isenabled()
    finally:
        gc.enable()
