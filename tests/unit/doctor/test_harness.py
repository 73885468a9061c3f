"""Each check of the harness: sound here, and what it says where something is lacking."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from types import SimpleNamespace

import pytest

from backends.protocol import Outcome
from fuzz.doctor import harness
from fuzz.doctor.harness import check_harness, check_target
from fuzz.errors import TargetError


def test_this_harness_is_sound():
    checks = {check.name: check for check in check_harness()}
    assert list(checks) == [
        "versions", "temporary folder", "isolated worker", "memory limit", "environments", "gdb", "GPU",
    ]  # fmt: skip
    assert {check.state for check in checks.values()} <= {"ok", "note"}
    for name in ("versions", "temporary folder", "isolated worker", "memory limit", "environments"):
        assert checks[name].state == "ok", checks[name]
    assert "onnx 1." in checks["versions"].detail
    assert "256 MiB" in checks["memory limit"].detail


def test_a_target_that_starts(toy):
    check = check_target(toy)
    assert (check.name, check.state) == ("toy", "ok")
    assert toy.version in check.detail
    assert check.to_json() == {"name": "toy", "state": "ok", "detail": check.detail}


def test_a_target_that_does_not(toy):
    check = check_target(replace(toy, entry=replace(toy.entry, module="/nowhere/missing.py")))
    assert check.state == "broken"
    assert "did not start" in check.detail


def test_a_target_of_another_version(toy):
    check = check_target(replace(toy, version="0.1"))
    assert check.state == "broken"
    assert "0.1 was found: install it again" in check.detail


@pytest.fixture
def no_worker(monkeypatch):
    def refuse(*_arguments):
        raise TargetError("the worker did not start")

    monkeypatch.setattr(harness, "start_worker", refuse)


def test_no_worker_at_all(no_worker):
    checks = {check.name: check for check in check_harness()}
    assert checks["isolated worker"].state == checks["memory limit"].state == "broken"


def test_a_limit_that_does_not_hold(monkeypatch):
    class Worker:
        def __enter__(self):
            return self

        def __exit__(self, *_error):
            pass

        def execute(self, _request):
            return SimpleNamespace(outcome=Outcome.TIMEOUT, message="stopped after 20.0 s")

    monkeypatch.setattr(harness, "start_worker", lambda *_arguments: Worker())
    check = harness._memory()
    assert check.state == "broken"
    assert "timeout (stopped after 20.0 s): /proc" in check.detail


def test_a_temporary_folder_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    check = harness._temporary()
    assert check.state == "broken"
    assert "set TMPDIR" in check.detail


def test_a_temporary_folder_that_is_full(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5 << 20))
    check = harness._temporary()
    assert (check.state, "5 MiB left" in check.detail) == ("note", True)


def test_what_can_be_done_without(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert harness._gdb().state == "note"
    assert harness._gpu(tmp_path / "none").state == "note"
    assert harness._gpu(tmp_path).state == "ok"


def test_environments(monkeypatch):
    def environment(*, usable):
        return SimpleNamespace(usable=usable, recipe=SimpleNamespace(text="tvm==0.26.0"))

    monkeypatch.setattr(harness, "environments", lambda: [environment(usable=True)])
    assert harness._environments().detail.startswith("1 in ")
    monkeypatch.setattr(harness, "environments", lambda: [environment(usable=False)])
    check = harness._environments()
    assert (check.state, "fuzz backends remove tvm==0.26.0" in check.detail) == ("note", True)
