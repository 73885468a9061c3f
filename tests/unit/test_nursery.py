"""Workers that another one forks: as fresh, as limited and as mortal as those that are started."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from backends.entry import Entry
from backends.protocol import Outcome
from fuzz.case import find_cases
from fuzz.execute.nursery import Nursery
from fuzz.execute.run import request_of
from fuzz.execute.start import start_worker
from fuzz.execute.target import parse_target
from fuzz.execute.worker import Limits, Worker, WorkerError

HERE = Path(__file__).parent
LIMITS = Limits(60.0, 1 << 30)


@pytest.fixture
def requests(make_root):
    """What asks for each action, by its name."""

    def made(*actions):
        return [request_of(case).parts for case in find_cases(make_root(*actions))]

    return made


@pytest.fixture
def nursery():
    with Nursery() as nursery:
        yield nursery


def begin(nursery, target, limits=LIMITS):
    return start_worker(target, limits, threading.Event(), nursery)


def mother_of(worker):
    return psutil.Process(worker._process.pid).parent()


def ended(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_forked_worker_answers_as_one_that_was_started(toy, requests, nursery):
    (fine,) = requests("fine")
    with Worker(toy(), LIMITS, threading.Event()) as started:
        due = started.execute(fine)
    with begin(nursery, toy()) as first, begin(nursery, toy("toy:mood=good")) as second:
        assert mother_of(first) == mother_of(second) != psutil.Process()
        for worker in (first, second):
            found = worker.execute(fine)
            assert (found.outcome, found.stage, found.outputs) == (due.outcome, due.stage, due.outputs)
            assert worker.version == started.version
            pid = worker._process.pid
            assert os.getsid(pid) == os.getpgid(pid) == pid
        places = [psutil.Process(worker._process.pid).cwd() for worker in (first, second)]
        assert len(set(places)) == 2
    assert not any(map(os.path.exists, places))


@pytest.mark.parametrize(
    ("action", "outcome", "words"),
    [
        ("segv", Outcome.CRASH, "died of SIGSEGV"),
        ("abort", Outcome.CRASH, "died of SIGABRT"),
        ("exit3", Outcome.CRASH, "exited with status 3"),
        ("spin", Outcome.TIMEOUT, "stopped after"),
        ("allocate", Outcome.OOM, "resident memory"),
    ],
)
def test_what_ends_a_forked_worker_is_told_and_the_next_one_is_well(toy, requests, nursery, action, outcome, words):
    bad, fine = requests(f"{action}@run", "fine")
    limits = {Outcome.OOM: Limits(60.0, 256 << 20), Outcome.TIMEOUT: Limits(1.0, 1 << 30)}.get(outcome, LIMITS)
    with begin(nursery, toy(), limits) as worker:
        found = worker.execute(bad)
        assert (found.outcome, words in found.message, worker.alive) == (outcome, True, False)
        if action == "segv":
            assert "Segmentation fault" in found.stderr
    with begin(nursery, toy()) as worker:
        assert worker.execute(fine).outcome is Outcome.OK
    assert nursery.spent > 0
    if action == "spin":  # a busy machine may have given it little
        assert nursery.spent > float(re.search(r"\(([\d.]+) s of CPU time\)", found.message)[1]) - 0.1


def test_files_go_where_the_worker_and_not_its_mother_keeps_them(toy, requests, nursery, tmp_path, monkeypatch):
    monkeypatch.setenv("TOY_FLAG", str(tmp_path / "seen"))
    (home,) = requests("home")
    for _ in range(2):
        with begin(nursery, toy()) as worker:
            assert worker.execute(home).outcome is Outcome.OK
            assert (tmp_path / "seen").read_text("utf-8").split("\n")[0] == worker._scratch.path


def test_an_idle_forked_worker_ends_by_itself(toy, nursery):
    worker = begin(nursery, toy())
    worker.close()
    assert worker._process.returncode == 0


def test_what_cannot_fork_works_by_itself(tmp_path, requests, nursery):
    """A backend with a thread of its own: no other thread would survive."""
    backend = tmp_path / "threaded.py"
    toy = (HERE / "toy_backend.py").read_text("utf-8")
    thread = "import threading\nthreading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()\n"
    backend.write_text(f"{toy}\n{thread}", encoding="utf-8")
    target = parse_target("toy", {"toy": Entry("toy", str(backend), ("onnx",), ())})
    (fine,) = requests("fine")
    with begin(nursery, target) as first, begin(nursery, target) as second:
        for worker in (first, second):
            assert worker.execute(fine).outcome is Outcome.OK
            assert mother_of(worker) == psutil.Process()


def test_a_backend_that_cannot_be_imported_is_told(toy_table, nursery):
    with pytest.raises(WorkerError, match="did not start"):
        nursery.worker(parse_target("broken", toy_table), LIMITS, threading.Event())


def test_a_mother_that_is_gone_takes_her_workers_along_and_is_replaced(toy, requests, nursery):
    (fine,) = requests("fine")
    with begin(nursery, toy()) as worker:
        mother_of(worker).kill()
        while not ended(worker._process.pid):  # else it may answer before it dies
            time.sleep(0.01)
        found = worker.execute(fine)
        assert (found.outcome, found.message) == (Outcome.CRASH, "the worker died of SIGKILL")
    with begin(nursery, toy()) as worker:
        assert worker.execute(fine).outcome is Outcome.OK


def test_nothing_is_left_open(toy, requests, nursery):
    bad, fine = requests("segv", "fine")
    counts = []
    for _ in range(3):
        for request in (fine, bad):
            with begin(nursery, toy()) as worker:
                worker.execute(request)
        with begin(nursery, toy()) as worker:
            pid = worker._process.pid
            theirs = psutil.Process(pid).num_fds(), len(mother_of(worker).children())
        counts.append((psutil.Process().num_fds(), *theirs))
    assert counts[0] == counts[1] == counts[2]
    assert counts[0][-1] == 1


DRIVER = """
import sys, threading, time
sys.path.insert(0, sys.argv[1])
from backends.entry import Entry
from fuzz.execute.nursery import Nursery
from fuzz.execute.target import parse_target
from fuzz.execute.worker import Limits
target = parse_target("toy", {"toy": Entry("toy", sys.argv[2], ("onnx",), ())})
with Nursery() as nursery:
    worker = nursery.worker(target, Limits(20.0, 1 << 30), threading.Event())
    print(worker._process.pid, flush=True)
    time.sleep(1000)
"""


def test_forked_workers_die_with_their_driver(tmp_path):
    command = [sys.executable, "-c", DRIVER, str(HERE.parents[1]), str(HERE / "toy_backend.py")]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as driver:
        worker = psutil.Process(int(driver.stdout.readline()))
        mother = worker.parent()
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    gone, alive = psutil.wait_procs([worker, mother], timeout=20.0)
    assert not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE], gone


