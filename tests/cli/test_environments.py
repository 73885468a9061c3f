"""`fuzz backends install`, `remove`, and targets that name a version, on a plug-in installed from a wheel."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

BACKEND = Path(__file__).parents[1] / "unit" / "versioned_backend.py"
ROW = """
from pathlib import Path
from backends.entry import Entry
ENTRY = Entry(name="versioned", module=str(Path(__file__).with_name("toy_backend_file.py")),
              distributions=("toy-compiler",), requirements=("toy-compiler==2.0",), adapter=())
"""


@pytest.fixture
def wheels(offline, make_wheel):
    for version in ("1.0", "2.0"):
        make_wheel(offline, "toy_compiler", version, {"toy_compiler.py": f"VERSION = {version!r}\n"})
    return offline


@pytest.fixture
def plugin(wheels, make_wheel, tmp_path, monkeypatch):
    """A distribution that names a backend, where this Python finds it."""
    files = {"toy_row.py": ROW, "toy_backend_file.py": BACKEND.read_text(encoding="utf-8")}
    points = "[dnnfuzz.backends]\nversioned = toy_row:ENTRY\n"
    wheel = make_wheel(tmp_path / "plug-in", "toy_plugin", "0.1", files, entry_points=points)
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    paths = [str(site), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))


@pytest.fixture
def root(tmp_path, add_case):
    add_case(tmp_path / "root", "a", "g (float[2] x) => (float[2] y) { y = Relu (x) }", np.zeros(2, np.float32))
    return tmp_path / "root"


def row(fuzz) -> dict:
    rows = json.loads(fuzz("backends", "--json").stdout)["backends"]
    return next(row for row in rows if row["name"] == "versioned")


def test_a_version_from_its_installation_to_its_end(plugin, fuzz, root, refused):
    assert (row(fuzz)["versions"], row(fuzz)["runnable"]) == ([], False)
    assert "fuzz backends install versioned" in row(fuzz)["reason"]

    done = fuzz("exec", "--root", root, "--backend", "versioned==1.0", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["targets"]["versioned==1.0"]["ok"] == 1
    assert done.stderr.splitlines()[0].startswith("installing versioned==1.0 into an environment of its own")
    assert fuzz("exec", "--root", root, "--backend", "versioned==1.0").stderr == ""

    done = fuzz("backends", "install", "versioned", "--json", "--verbose")
    (made,) = json.loads(done.stdout)["environments"]
    assert (made["backend"], made["version"], made["built"]) == ("versioned", "2.0", True)
    assert "Successfully installed toy_compiler-2.0" in done.stderr.replace("-compiler", "_compiler")
    again = fuzz("backends", "install", "versioned==2.0", "--json")
    assert json.loads(again.stdout)["environments"] == [{**made, "built": False}]
    assert "is installed already" in again.stderr

    listed = row(fuzz)
    assert listed["versions"] == ["1.0", "2.0"]
    assert (listed["installed"], listed["runnable"], listed["reason"]) == (True, True, "")
    assert listed["devices"] == ["cpu"]
    assert "1.0 (environment)" in fuzz("backends").stdout

    refused(fuzz("backends", "remove", "versioned==7"), "there is versioned==1.0, versioned==2.0")
    assert fuzz("backends", "remove", "versioned==1.0").stdout == "removed versioned==1.0\n"
    done = fuzz("backends", "remove", "versioned", "--json")
    assert [removed["version"] for removed in json.loads(done.stdout)["removed"]] == ["2.0"]
    assert row(fuzz)["versions"] == []
    refused(fuzz("backends", "remove", "versioned"), "there is no environment of versioned: there is none at all")


def test_misuse_is_told_before_anything_is_installed(plugin, fuzz, root, refused):
    refused(fuzz("exec", "--root", root, "--backend", "versioned==1.0", "--backend", "tmv"), "unknown backend 'tmv'")
    refused(fuzz("exec", "--root", root, "--backend", "versioned==x"), "'x' is no version")
    refused(fuzz("backends", "install", "versioned==1.0", "versioned==x"), "'x' is no version")
    assert row(fuzz)["versions"] == []


def test_what_cannot_be_installed_is_one_more_line(plugin, fuzz):
    done = fuzz("backends", "install", "versioned==9.0")
    assert done.returncode == 2
    assert done.stdout == ""
    announced, problem = done.stderr.splitlines()
    assert announced.startswith("installing versioned==9.0")
    assert problem.startswith("fuzz: versioned==9.0 cannot be installed: ")
    assert "1.0, 2.0" in problem


def test_an_installation_that_is_interrupted_leaves_nothing(plugin, fuzz, tmp_path, monkeypatch):
    ids = tmp_path / "ids"
    (tmp_path / "bin").mkdir()
    uv = tmp_path / "bin" / "uv"
    uv.write_text(f"#!/bin/sh\necho $$ >>{ids}\nsleep 1000\n", encoding="ascii")
    uv.chmod(0o755)
    environment = {**os.environ, "PATH": f"{uv.parent}{os.pathsep}{os.environ['PATH']}"}
    process = subprocess.Popen(
        [str(fuzz.program), "backends", "install", "versioned"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    while not ids.exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.splitlines()[-1].startswith("interrupted")
    assert list((tmp_path / "cache" / "environments").iterdir()) == []
