"""Processes that parse models: what becomes of them, and of what they are asked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fuzz.triage import sandbox as module
from fuzz.triage.laboratory import Laboratory
from fuzz.triage.sandbox import Sandbox
from tests.unit.triage.conftest import Asked, has


def dies_once(place):
    """Ends its process, but for the second time."""
    if not Path(place).exists():
        Path(place).touch()
        os._exit(3)
    return 7


def test_a_process_that_dies_of_a_model_is_replaced():
    with Sandbox() as sandbox:
        assert sandbox(os._exit, 3) is None
        assert sandbox(int, "x") is None
        assert sandbox(int, "7") == 7


def test_a_process_that_dies_once_loses_no_candidate(tmp_path):
    with Sandbox() as sandbox:
        assert sandbox(dies_once, tmp_path / "died") == 7


@pytest.mark.parametrize(("calls", "processes"), [(100, 1), (2, 2)])
def test_a_process_stays_for_so_many_calls(monkeypatch, calls, processes):
    monkeypatch.setattr(module, "_CALLS", calls)
    with Sandbox() as sandbox:
        assert len({sandbox(os.getpid) for _ in range(4)}) == processes


def test_laboratories_share_a_sandbox_and_leave_it_open():
    with Sandbox() as sandbox:
        seen = set()
        for _ in range(2):
            with Laboratory(Asked(has("Exp")), sandbox=sandbox) as laboratory:
                seen.add(laboratory.apart(os.getpid))
        assert len(seen | {sandbox(os.getpid)}) == 1
    with Laboratory(Asked(has("Exp"))) as alone:
        assert alone.apart(os.getpid) not in seen
