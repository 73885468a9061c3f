"""Whatever a compiler does to its worker becomes an outcome, and every other case finishes."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import psutil
import pytest

from backends.protocol import Outcome, Stage
from backends.tensor import to_numpy
from fuzz.case import find_cases
from fuzz.errors import StorageError, TargetError
from fuzz.execute.attempt import Limits
from fuzz.execute.run import execute
from fuzz.execute.target import parse_target
from fuzz.execute.watch import Ended, Watch
from fuzz.judge.crash import crash_signature
from fuzz.store import Store

LIMITS = {"timeout": 1.0, "memory": 400, "jobs": 2, "stacks": False}


def descriptors() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


@pytest.fixture
def run(toy, tmp_path, monkeypatch, children):
    """Execute a root on the toy backend and give back its executions by action; nothing may be left over."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))

    def run(root: Path, target: str = "toy", **options):
        before = descriptors()
        threads = set(threading.enumerate())  # another test's may end meanwhile
        with Store.open(root, create=True) as store:
            summary = execute(find_cases(root), [toy(target)], store=store, **{**LIMITS, **options})
            found = {case: store.executions(case)[0] for case in store.cases()}
        assert children() == []
        assert set(threading.enumerate()) <= threads
        assert descriptors() == before
        assert list(scratch.iterdir()) == []
        assert sum(summary.outcomes[toy(target).canonical].values()) == len(find_cases(root))
        return {case.partition("-")[2]: execution for case, execution in found.items()}, summary

    return run


def test_a_case_that_goes_well_has_its_outputs(run, make_root):
    found, summary = run(make_root("fine", "fine", data_sets=2))
    assert summary.executed == 2
    execution = found["fine"]
    assert (execution.outcome, execution.stage, execution.attempts) == (Outcome.OK, Stage.RUN, 1)
    assert execution.message == execution.stderr == ""
    assert [to_numpy(outputs[0]).tolist() for outputs in execution.outputs] == [[-1, 0, 2], [-1, 1, 2]]
    assert execution.version


WORST = {
    "kill": (Outcome.CRASH, "SIGKILL"),
    "segv": (Outcome.CRASH, "SIGSEGV"),
    "abort": (Outcome.CRASH, "SIGABRT"),
    "exit": (Outcome.CRASH, "status 0"),
    "exit3": (Outcome.CRASH, "status 3"),
    "half_a_frame": (Outcome.CRASH, "status 0"),
    "garble": (Outcome.CRASH, "garbled"),
    "wrong_fields": (Outcome.CRASH, "garbled"),
    "unknown_operation": (Outcome.CRASH, "gossip"),
    "outputs_that_are_no_list": (Outcome.CRASH, "garbled"),
    "deaf": (Outcome.CRASH, "closed its channel"),
    "sleep": (Outcome.TIMEOUT, "stands still"),
    "spin": (Outcome.TIMEOUT, "CPU time"),
    "flood": (Outcome.TIMEOUT, "stopped after"),
    "allocate": (Outcome.OOM, "resident memory"),
    "child_allocates": (Outcome.OOM, "resident memory"),
    "litter": (Outcome.CRASH, "SIGKILL"),
    "no_memory": (Outcome.OOM, "bad_alloc"),
    "python_memory": (Outcome.OOM, ""),
}


@pytest.mark.parametrize("action", WORST)
def test_the_worst_becomes_its_outcome_and_the_others_finish(run, make_root, action):
    outcome, words = WORST[action]
    # Memory takes its time to fill on a busy machine; that is not to be mistaken for a time-out.
    timeout = 30.0 if outcome is Outcome.OOM else 1.0
    found, _ = run(make_root("fine", action, "garbage", action + "@run", "fine@run"), timeout=timeout)
    for name, stage in ((action, Stage.IMPORT), (f"{action}-at-run", Stage.RUN)):
        assert (found[name].outcome, found[name].stage, found[name].attempts) == (outcome, stage, 2)
        assert words in found[name].message
    for name in ("fine", "garbage", "fine-at-run"):
        assert found[name].outcome is Outcome.OK
        assert len(found[name].outputs) == 1


def test_outputs_that_are_no_tensors_are_an_error_of_the_adapter(run, make_root):
    found, _ = run(make_root("arrays", "numpy_sizes", "strings", "nothing", "fine", data_sets=2))
    assert {name: (execution.outcome, execution.attempts) for name, execution in found.items()} == {
        **dict.fromkeys(("arrays", "numpy_sizes", "strings", "nothing"), (Outcome.ERROR, 1)),
        "fine": (Outcome.OK, 1),
    }
    assert all(execution.message for name, execution in found.items() if name != "fine")


def test_refusals_are_told_apart_and_not_repeated(run, make_root):
    found, _ = run(make_root("lacks", "rejects@compile", "bug@run", "garbage@run"))
    seen = {name: (execution.outcome, execution.stage, execution.attempts) for name, execution in found.items()}
    assert seen == {
        "lacks": (Outcome.UNSUPPORTED, Stage.IMPORT, 1),
        "rejects-at-compile": (Outcome.REJECTED, Stage.COMPILE, 1),
        "bug-at-run": (Outcome.ERROR, Stage.RUN, 1),
        "garbage-at-run": (Outcome.OK, Stage.RUN, 1),
    }
    assert found["lacks"].message == "no such operator"
    assert "TypeError: the harness has a bug (toy_backend.py:" in found["bug-at-run"].message


def test_a_crash_that_does_not_repeat_is_flaky(run, make_root, tmp_path):
    found, _ = run(make_root("crash_once"), f"toy:env.TOY_FLAG={tmp_path / 'flag'}")
    execution = found["crash_once"]
    assert (execution.outcome, execution.attempts) == (Outcome.OK, 2)
    assert execution.message.startswith("flaky: crash at first (the worker died of SIGSEGV")
    assert "the first time hurts" in execution.stderr
    assert len(execution.outputs) == 1


def test_native_last_words_are_kept_without_terminal_colours(run, make_root):
    found, _ = run(make_root("segv", "flood"))
    assert "Segmentation fault" in found["segv"].stderr
    assert "the same line again" in found["flood"].stderr
    assert len(found["flood"].stderr) <= 4000
    assert "\x1b" not in found["segv"].stderr


@pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb, which walks native stacks, is not installed")
def test_a_crash_and_a_time_out_that_repeat_keep_their_native_stacks(run, make_root):
    found, _ = run(make_root("segv@run", "abort", "sleep", "overflow"), stacks=True)
    assert (found["segv-at-run"].outcome, found["segv-at-run"].attempts) == (Outcome.CRASH, 2)
    _, _, stack = found["segv-at-run"].stderr.partition("native stack:\n")
    assert "string_at" in stack
    assert "0x" not in stack
    assert "Fatal Python error: Segmentation fault" in found["segv-at-run"].stderr
    signatures = [crash_signature(e.outcome, e.stage, e.message, e.stderr) for e in found.values()]
    assert signatures[1] == "SIGABRT at import: os_abort_impl < os_abort"
    assert found["overflow"].message == "the worker died of SIGSEGV: its stack overflowed"
    assert signatures[3].startswith("stack overflow at import: ")
    assert "overflow" not in signatures[0]
    assert found["sleep"].outcome is Outcome.TIMEOUT
    assert "nanosleep" in found["sleep"].stderr


def test_without_gdb_a_crash_is_told_by_what_it_printed(run, make_root, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    found, _ = run(make_root("segv"), stacks=True)
    assert "native stack:" not in found["segv"].stderr
    assert "Segmentation fault" in found["segv"].stderr


def test_the_children_of_a_worker_go_with_it(run, make_root, tmp_path):
    flag = tmp_path / "flag"
    run(make_root("child_and_crash"), f"toy:env.TOY_FLAG={flag}")
    child = int(flag.read_text(encoding="ascii"))
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_data_sets_before_a_crash_keep_their_outputs(run, make_root):
    found, _ = run(make_root("kill@run2", data_sets=3))
    execution = found["kill-at-run2"]
    assert (execution.outcome, execution.stage) == (Outcome.CRASH, Stage.RUN)
    assert [to_numpy(outputs[0]).tolist() for outputs in execution.outputs] == [[-1, 0, 2]]


def test_what_is_in_the_store_is_not_executed_again(run, make_root, make_case):
    root = make_root("fine", "lacks")
    assert run(root)[1].executed == 2
    make_case(root, "02-slow", "slow")
    _, summary = run(root)
    assert (summary.executed, summary.skipped) == (1, 2)
    assert summary.outcomes["toy"][Outcome.OK] == 2
    assert summary.outcomes["toy"][Outcome.UNSUPPORTED] == 1
    assert run(root, force=True)[1].executed == 3
    assert run(root, "toy:mood=bad")[1].executed == 3


def test_a_case_that_has_changed_is_executed_again(run, make_root):
    root = make_root("fine", "fine")
    run(root)
    model = root / "00-fine" / "model.onnx"
    model.write_bytes(model.read_bytes().replace(b"fine", b"slow"))
    _, summary = run(root)
    assert (summary.executed, summary.skipped) == (1, 1)
    assert summary.outcomes["toy"][Outcome.OK] == 2


def test_files_at_fault_are_an_error_of_the_case(run, make_root):
    root = make_root("fine", "fine", "fine")
    (root / "00-fine" / "test_data_set_0" / "input_0.pb").write_bytes(b"\xff\xff garbage")
    (root / "01-fine" / "model.onnx").write_bytes(b"\x00 no model")
    _, summary = run(root)
    assert summary.outcomes["toy"][Outcome.ERROR] == 2
    assert summary.outcomes["toy"][Outcome.OK] == 1
    with Store.open(root) as store:
        assert store.executions("00-fine")[0].message.startswith("the case cannot be read: ")


def test_a_worker_that_cannot_start_says_why(toy, make_root, children):
    root = make_root("fine")
    with Store.open(root, create=True) as store, pytest.raises(TargetError, match=r"did not start.*missing\.py"):
        execute(find_cases(root), [toy("broken")], store=store)
    assert children() == []


def test_a_worker_that_dies_while_it_imports_says_so(toy_table, tmp_path, make_root):
    lethal = tmp_path / "lethal.py"
    lethal.write_text("import os\nprint('last words', flush=True)\nos.abort()\n", encoding="ascii")
    target = parse_target("lethal", {"lethal": replace(toy_table["toy"], name="lethal", module=str(lethal))})
    root = make_root("fine")
    with Store.open(root, create=True) as store, pytest.raises(TargetError, match=r"SIGABRT[\s\S]*last words"):
        execute(find_cases(root), [target], store=store)


def test_an_interpreter_that_is_gone_says_so(toy, make_root):
    root = make_root("fine")
    target = replace(toy(), python="/nowhere/python")
    with Store.open(root, create=True) as store, pytest.raises(TargetError, match="/nowhere/python cannot be started"):
        execute(find_cases(root), [target], store=store)


def test_memory_that_one_case_left_behind_is_not_charged_to_the_next(run, make_root):
    found, _ = run(make_root("hold", "hold", "fine", "hold"), memory=260, timeout=20.0, jobs=1)
    assert {(execution.outcome, execution.attempts) for execution in found.values()} == {(Outcome.OK, 1)}


def test_a_full_disk_ends_the_run_and_its_workers(toy, make_root, monkeypatch, children):
    root, threads = make_root(*["fine"] * 30), set(threading.enumerate())
    monkeypatch.setattr(Store, "record_executions", Mock(side_effect=StorageError("the disk is full")))
    with Store.open(root, create=True) as store, pytest.raises(StorageError, match="full"):
        execute(find_cases(root), [toy()], store=store)
    assert children() == []
    assert set(threading.enumerate()) <= threads


def test_more_lanes_than_targets_share_the_cases(run, make_root):
    found, summary = run(make_root(*["slow"] * 6), jobs=4)
    assert summary.executed == 6
    assert found["slow"].outcome is Outcome.OK


def test_one_lane_serves_several_targets(toy, make_root):
    root = make_root("fine", "lacks")
    with Store.open(root, create=True) as store:
        summary = execute(find_cases(root), [toy(), toy("toy:mood=bad")], store=store, jobs=1)
    assert {name: row[Outcome.OK] for name, row in summary.outcomes.items()} == {"toy": 1, "toy:mood=bad": 1}


def test_a_starved_worker_is_not_timed_out():
    """A wait that the machine causes is no time-out: what counts beyond the deadline is CPU time."""
    watch = Watch(os.getpid(), Limits(1.0, 64 << 30))
    begun = watch._started
    assert watch.look(begun + 2.5) == pytest.approx(1.5)
    watch._cpu_last = 0.0
    watch.cpu_used = lambda: 0.2
    watch.judge_delay(begun + 2.5)
    with pytest.raises(Ended, match="stopped after 4"):
        watch.judge_delay(begun + 4.5)


def test_workers_together_stay_within_the_memory_that_they_are_given(toy, make_root, children):
    """Sixteen targets, each of which may take 400 MiB and takes 130: three workers at a time have room in 1,200."""
    root = make_root("hold", "fine")
    targets = [toy(f"toy:env.NUMBER={number}") for number in range(16)]
    most, done = [0], threading.Event()

    def watch() -> None:
        mine = psutil.Process().cmdline()
        while not done.wait(0.01):
            sizes = []
            for child in children():
                with contextlib.suppress(psutil.Error):
                    size = child.memory_info().rss
                    # Between fork and exec it shows the memory of the process that it came from: this one.
                    if child.cmdline() != mine:
                        sizes.append(size)
            most[0] = max(most[0], sum(sizes))

    watcher = threading.Thread(target=watch)
    watcher.start()
    with Store.open(root, create=True) as store:
        summary = execute(find_cases(root), targets, store=store, memory=400, total_memory=1200)
    done.set()
    watcher.join()
    assert all(row[Outcome.OK] == 2 for row in summary.outcomes.values())
    assert len(summary.outcomes) == 16
    assert 130 << 20 < most[0] < 1200 << 20
