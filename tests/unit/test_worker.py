"""Workers and their driver end together, and a run that is stopped goes on where it was."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from backends.entry import Entry
from backends.frame import Frame, encode
from backends.protocol import Outcome
from fuzz.execute.target import parse_target
from fuzz.execute.worker import Interrupted, Limits, Worker
from fuzz.store import Store

HERE = Path(__file__).parent
DRIVER = """
import sys, threading
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from backends.entry import Entry
from fuzz.case import find_cases
from fuzz.execute.run import execute
from fuzz.execute.target import parse_target
from fuzz.store import Store
entry = Entry("toy", sys.argv[2], ("onnx",), ())
root = Path(sys.argv[3])
with Store.open(root, create=True) as store:
    summary = execute(find_cases(root), [parse_target("toy", {"toy": entry})], store=store, jobs=1,
                      progress=lambda target, outcome: print(outcome.value, flush=True))
print("interrupted" if summary.interrupted else "finished", summary.executed, summary.skipped, flush=True)
"""


def drive(root: Path) -> subprocess.Popen[str]:
    arguments = [str(HERE.parents[1]), str(HERE / "toy_backend.py"), str(root)]
    environment = {**os.environ, "TMPDIR": str(root.parent)}
    command = [sys.executable, "-c", DRIVER, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def wait_until(condition, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children()


def test_a_worker_whose_driver_is_gone_before_it_begins_does_not_even_import_its_backend(tmp_path):
    backend = tmp_path / "late.py"
    backend.write_text(f"open({str(tmp_path / 'imported')!r}, 'w').close()\nBACKEND = None\n", encoding="utf-8")
    place = str(tmp_path)
    fields = {"module": str(backend), "distributions": (), "options": {}, "home": place, "folder": place}
    stage = os.memfd_create("stage")
    os.ftruncate(stage, 1)
    for gone in (True, False):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            for part in encode(Frame("start", fields)):
                ours.sendall(part)
            if gone:
                ours.close()
            passed = theirs.fileno(), stage
            command = [sys.executable, "-I", str(HERE.parents[1] / "backends/__main__.py"), *map(str, passed)]
            worker = subprocess.Popen(command, pass_fds=passed)
            theirs.close()
            if not gone:
                assert ours.recv(1)
            ours.close()
            assert worker.wait(30) == int(gone)
        assert (tmp_path / "imported").exists() != gone
    os.close(stage)


def over(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("action", ["sleep", "spin"])
def test_a_worker_dies_with_its_driver(make_root, action):
    with drive(make_root(action)) as driver:
        assert wait_until(lambda: workers_of(driver))
        (worker,) = workers_of(driver)
        driver.kill()
        driver.wait()
        assert wait_until(lambda: over(worker))


def test_an_idle_worker_ends_when_the_channel_closes(toy):
    worker = Worker(toy(), Limits(5.0, 1 << 30), threading.Event())
    process = psutil.Process(worker._process.pid)
    worker._socket.close()
    assert worker._exits_within(10.0)
    worker.close()
    assert worker._process.returncode == 0
    assert over(process)


def test_what_a_backend_registers_for_its_end_is_run_and_no_more(tmp_path):
    backend = tmp_path / "tidy.py"
    backend.write_text(
        "import atexit, pathlib\n"
        "class Held:\n"
        f"    def __del__(self, torn=pathlib.Path({str(tmp_path / 'torn')!r})): torn.touch()\n"
        f"atexit.register(pathlib.Path({str(tmp_path / 'tidied')!r}).touch)\n"
        "BACKEND = Held()\n",
        encoding="utf-8",
    )
    entry = Entry("tidy", str(backend), ("onnx",), ())
    Worker(parse_target("tidy", {"tidy": entry}), Limits(5.0, 1 << 30), threading.Event()).close()
    assert (tmp_path / "tidied").exists()
    assert not (tmp_path / "torn").exists()


def test_an_interrupted_run_keeps_what_was_finished_and_goes_on(make_root):
    root = make_root(*["slow"] * 20)
    with drive(root) as driver:
        for _ in range(3):
            assert driver.stdout.readline().strip() == "ok"
        workers = workers_of(driver)
        driver.send_signal(signal.SIGINT)
        rest = driver.stdout.read().split("\n")
        assert driver.wait() == 0
    state, executed, skipped = rest[-2].split()
    assert (state, skipped) == ("interrupted", "0")
    assert 3 <= int(executed) < 20
    assert all(over(worker) for worker in workers)
    with Store.open(root) as store:
        assert len(store.cases()) == int(executed)
    with drive(root) as driver:
        last = driver.stdout.read().split("\n")[-2]
        assert driver.wait() == 0
    assert last == f"finished {20 - int(executed)} {executed}"


def test_a_killed_driver_leaves_a_store_that_opens(make_root):
    root = make_root(*["slow"] * 12)
    with drive(root) as driver:
        for _ in range(8):
            driver.stdout.readline()
        driver.kill()
        driver.wait()
    with Store.open(root) as store:
        for case in store.cases():
            assert store.executions(case)[0].outcome is Outcome.OK


def test_a_worker_that_is_busy_can_be_stopped(toy, make_root):
    from fuzz.case import find_cases
    from fuzz.execute.run import request_of

    (case,) = find_cases(make_root("sleep"))
    stop = threading.Event()
    with Worker(toy(), Limits(60.0, 1 << 30), stop) as worker:
        threading.Timer(0.2, stop.set).start()
        with pytest.raises(Interrupted):
            worker.execute(request_of(case).parts)


def test_a_worker_sees_neither_our_packages_nor_the_users_path(toy, tmp_path, monkeypatch):
    """`python -I`: no PYTHONPATH, no working directory, no folder of the script among the places of packages."""
    (tmp_path / "onnx.py").write_text("raise RuntimeError('the wrong one')", encoding="ascii")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with Worker(toy(), Limits(20.0, 1 << 30), threading.Event()) as worker:
        process = psutil.Process(worker._process.pid)
        assert process.cwd() not in {str(Path.cwd()), str(tmp_path)}
        assert not any(key.startswith("PYTHON") for key in process.environ())
        assert worker.version


def test_an_operation_answers_by_reports_and_its_pieces_have_the_time_limit_each(toy, make_root):
    from fuzz.case import find_cases
    from fuzz.execute.run import request_of

    report, laps = find_cases(make_root("report@run", "laps@run"))
    with Worker(toy(), Limits(1.0, 1 << 30), threading.Event()) as worker:
        attempt = worker.execute(request_of(report).parts)
        assert [(r.fields["runs"], r.values) for r in attempt.reports] == [(3, [[None]])]
        assert len(attempt.outputs) == 1
        assert worker.execute(request_of(laps).parts).outcome is Outcome.OK


def test_an_operation_that_a_worker_lacks_is_our_own_error(toy):
    from backends.frame import Frame, encode

    with Worker(toy(), Limits(20.0, 1 << 30), threading.Event()) as worker:
        attempt = worker.execute(encode(Frame("dream", blob=b"model")))
        assert (attempt.outcome, worker.alive) == (Outcome.ERROR, True)
        assert "dream" in attempt.message


def test_a_workers_home_is_its_own(toy, make_root, tmp_path, monkeypatch):
    from fuzz.case import find_cases
    from fuzz.execute.run import request_of

    monkeypatch.setenv("TOY_FLAG", str(tmp_path / "seen"))
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    (case,) = find_cases(make_root("home"))
    for text, expected in (("toy", "fuzz-worker-"), (f"toy:env.HOME={tmp_path}", str(tmp_path))):
        with Worker(toy(text), Limits(20.0, 1 << 30), threading.Event()) as worker:
            assert worker.execute(request_of(case).parts).outcome is Outcome.OK
        home, cache = (tmp_path / "seen").read_text(encoding="utf-8").splitlines()
        assert expected in home
        assert cache == "None"
