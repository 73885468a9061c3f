"""The folder of builds: whole or not there, read back, cleaned, swept."""

from __future__ import annotations

import os
import subprocess
import sys

from corpus import cache as store


def make(cache, name, **state):
    folder = store.part(cache, name)
    (folder / "model.onnx").write_bytes(b"x" * 1000)
    (folder / "test_data_set_0").mkdir()
    (folder / "test_data_set_0" / "input_0.pb").write_bytes(b"y" * 500)
    store.write_state(cache, folder.name, {"status": "successful", **state})
    store.place(cache, name, folder)


def test_a_build_is_there_when_it_is_placed_and_a_later_one_takes_its_place(tmp_path):
    half = store.part(tmp_path, "half")
    (half / "model.onnx").write_bytes(b"")
    make(tmp_path, "one", n=1)
    make(tmp_path, "one", n=2)
    assert store.builds(tmp_path) == ["one"]
    assert store.read_state(tmp_path, "one")["n"] == 2
    assert {path.name for path in tmp_path.iterdir()} == {"one", half.name}
    assert store.builds(tmp_path / "nowhere") == []


def test_what_a_killed_run_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path):
    mine = store.part(tmp_path, "mine")
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    gone = tmp_path / f".part-{int(ended.stdout)}-gone"
    gone.mkdir()
    store.sweep(tmp_path)
    assert (mine.exists(), gone.exists()) == (True, False)
    assert str(os.getpid()) in mine.name


def test_cleaning_keeps_what_the_report_tells_and_deleting_has_the_script_run_again(tmp_path):
    make(tmp_path, "one")
    make(tmp_path, "two")
    store.write_script(tmp_path, "key", {"builds": ["one"], "problem": ""})
    assert store.clean(tmp_path, ["one", "two"], whole=False) == 3000
    assert [path.name for path in (tmp_path / "one").iterdir()] == [store.STATE]
    assert store.statistics(tmp_path)["status"] == {"successful": 2}
    assert store.read_script(tmp_path, "key")["builds"] == ["one"]
    assert store.clean(tmp_path, ["one"], whole=True) > 0
    assert store.read_script(tmp_path, "key") == {}
    assert store.builds(tmp_path) == ["two"]


def test_a_broken_file_reads_as_nothing(tmp_path):
    make(tmp_path, "one")
    (tmp_path / "one" / store.STATE).write_text("{", "utf-8")
    assert store.read_state(tmp_path, "one") == {}
