"""`fuzz exec` and `fuzz backends` as somebody types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest

from backends.registry import BACKENDS

FUZZ = Path(sys.executable).with_name("fuzz")


def fuzz(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(FUZZ), *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=120, check=False,
        env={**{key: value for key, value in os.environ.items() if key != "FUZZ_ROOT"}, **environment},
    )  # fmt: skip


@pytest.fixture
def root(tmp_path, add_case):
    """Three standard test cases: one that runs, one that ONNX Runtime lacks, one that is no model."""
    root = tmp_path / "root"
    add_case(root, "a-fine", "g (float[2] x) => (float[2] y) { y = Relu (x) }", np.array([-1, 2], np.float32))
    add_case(root, "b-lacks", "g (uint16[2] x) => (uint16[2] y) { y = Max (x, x) }", np.array([1, 2], np.uint16))
    add_case(root, "c-corrupt", "g (float[2] x) => (float[2] y) { y = Relu (x) }", np.zeros(2, np.float32))
    (root / "c-corrupt" / "model.onnx").write_bytes(b"\xff\xff not a model")
    return root


EXPECTED = {"ok": 1, "unsupported": 1, "rejected": 0, "crash": 0, "timeout": 0, "oom": 0, "error": 1}


def test_outcomes_as_json_and_nothing_else_on_standard_output(root):
    done = fuzz("exec", "--root", root, "--backend", "onnxruntime", "--backend", "onnxruntime:opt=0", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"targets": {"onnxruntime": EXPECTED, "onnxruntime:opt=0": EXPECTED}}


def test_the_root_comes_from_the_environment_and_what_ran_is_not_run_again(root):
    first = fuzz("exec", "--backend", "onnxruntime", FUZZ_ROOT=str(root))
    assert first.returncode == 0, first.stderr
    assert "3 executed now, 0 before" in first.stdout
    again = fuzz("exec", "--backend", "onnxruntime", FUZZ_ROOT=str(root))
    assert "0 executed now, 3 before" in again.stdout
    forced = fuzz("exec", "--backend", "onnxruntime", "--force", FUZZ_ROOT=str(root))
    assert "3 executed now, 0 before" in forced.stdout
    assert sorted(path.name for path in root.iterdir()) == ["a-fine", "b-lacks", "c-corrupt", "fuzz.sqlite"]


def test_a_root_called_fuzz_root_is_found_in_the_folder(root, tmp_path):
    root.rename(tmp_path / "fuzz-root")
    done = fuzz("exec", "--backend", "reference", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["targets"]["reference"]["ok"] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--backend", "tmv"], f"unknown backend 'tmv': known are {', '.join(sorted(BACKENDS))}"),
        (["--backend", "onnxruntime:opt=9"], "opt is 0, 1, 2, 3 or 99"),
        (["--backend", "onnxruntime==x"], "'x' is no version"),
        (["--backend", "onnxruntime@cuda"], "pip install onnxruntime-gpu"),
        ([], "--backend"),
        (["--backend", "reference", "--timeout", "0"], "--timeout"),
        (["--backend", "reference", "--timeout", "-3"], "--timeout"),
        (["--backend", "reference", "--memory", "-1"], "--memory"),
        (["--backend", "reference", "--jobs", "0"], "--jobs"),
        (["--backend", "reference", "--root", "/nowhere/at/all"], "there is no root at /nowhere/at/all"),
    ],
)
def test_misuse_is_one_line_and_exit_code_2(root, arguments, words):
    done = fuzz("exec", *arguments, FUZZ_ROOT=str(root))
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_root_that_is_a_file_or_holds_nothing(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "file").touch()
    for path in (empty, tmp_path / "file"):
        done = fuzz("exec", "--root", path, "--backend", "reference")
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert str(path) in done.stderr


def test_a_damaged_store_is_said(root):
    (root / "fuzz.sqlite").write_bytes(b"garbage " * 1000)
    done = fuzz("exec", "--root", root, "--backend", "reference")
    assert done.returncode == 2
    assert "damaged; remove it and execute again" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_ends_its_workers_and_goes_on_later(unmeasured, tmp_path, add_case, number):
    """A case that takes TVM a second or so to compile is stopped in the middle; the next call does the rest."""
    root = tmp_path / "root"
    for index in range(6):
        add_case(
            root, f"{index}", "g (float[4, 4] x) => (float[4, 4] y) { y = MatMul (x, x) }", np.eye(4, dtype=np.float32)
        )
    driver = subprocess.Popen(
        [str(FUZZ), "exec", "--root", str(root), "--backend", "tvm", "--jobs", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    process = psutil.Process(driver.pid)
    while not (workers := process.children()):
        assert driver.poll() is None
    driver.send_signal(number)
    _, stderr = driver.communicate(timeout=60)
    assert driver.returncode not in {0, 2}
    assert stderr.count("\n") == 1
    assert "Traceback" not in stderr
    assert not any(worker.is_running() for worker in workers)
    assert list(tmp_path.glob("fuzz-worker-*")) == []
    done = fuzz("exec", "--root", root, "--backend", "tvm", "--json")
    assert json.loads(done.stdout)["targets"]["tvm"]["ok"] == 6


def test_backends_are_listed_for_people_and_programs():
    rows = {row["name"]: row for row in json.loads(fuzz("backends", "--json").stdout)["backends"]}
    assert set(rows) == set(BACKENDS)
    assert {"onnxruntime", "openvino", "reference", "tvm"} <= {name for name, row in rows.items() if row["installed"]}
    for row in rows.values():
        assert row["runnable"] is row["installed"]
        assert bool(row["reason"]) is not row["installed"]
        assert row["devices"] == (["cpu"] if row["installed"] else [])
        assert len(row["versions"]) == row["installed"]
    assert rows["reference"]["versions"] == [onnx.__version__]
    table = fuzz("backends")
    assert table.returncode == 0
    assert all(name in table.stdout for name in rows)


def test_listing_imports_no_backend():
    """The table of backends is data; `fuzz backends` must not take the seconds that their imports take."""
    code = (
        "import sys; from fuzz.cli.backends import command; command(['--json'], standalone_mode=False);"
        "heavy = {'onnxruntime', 'tvm', 'openvino', 'onnx', 'numpy'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_no_room_for_one_worker_is_misuse(fuzz, refused, tmp_path):
    done = fuzz("exec", "--root", tmp_path, "--backend", "onnxruntime", "--total-memory", 100)
    refused(done, "--total-memory 100 has no room for one worker: --memory is 4096")
