from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from fuzz.execute.scratch import Scratch, clear_abandoned


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_in_use_stays_and_an_abandoned_one_goes(temporary):
    used, other = Scratch.make(), Scratch.make()
    (Path(other.path) / "deep").mkdir()
    os.close(other.lock)
    (temporary / "somebody-elses").mkdir()
    clear_abandoned()
    assert sorted(temporary.iterdir()) == sorted([Path(used.path), temporary / "somebody-elses"])
    used.remove()
    assert [path.name for path in temporary.iterdir()] == ["somebody-elses"]


def test_the_folder_of_a_killed_process_is_abandoned(temporary):
    code = (
        "import os, signal, sys; sys.path.insert(0, sys.argv[1]); from fuzz.execute.scratch import Scratch;"
        "Scratch.make(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "TMPDIR": str(temporary)}
    subprocess.run([sys.executable, "-c", code, root], check=False, env=environment)
    assert len(list(temporary.iterdir())) == 1
    clear_abandoned()
    assert list(temporary.iterdir()) == []


def test_a_link_with_such_a_name_is_not_followed(temporary, tmp_path_factory):
    precious = tmp_path_factory.mktemp("precious")
    (precious / "file").touch()
    (temporary / "fuzz-worker-link").symlink_to(precious)
    clear_abandoned()
    assert (precious / "file").exists()


def test_a_folder_taken_from_under_us_is_replaced(temporary, monkeypatch):
    calls = []
    make = tempfile.mkdtemp

    def taken_at_first(**options):
        path = make(**options)
        calls.append(path)
        if len(calls) == 1:
            Path(path).rmdir()
        return path

    monkeypatch.setattr(tempfile, "mkdtemp", taken_at_first)
    scratch = Scratch.make()
    assert len(calls) == 2
    assert list(temporary.iterdir()) == [Path(scratch.path)]
    scratch.remove()
