"""The pytest plugin: cases as tests, in a pytest of their own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

FINDINGS = Path(__file__).parents[2] / "findings"
BUG, OTHER = "onnxruntime-max-int64", "onnxruntime-sign-int64"
RELU = "g (float[3] x) => (float[3] y) { y = Relu (x) }"
ENTRY = '[[xfail]]\ncase = "{}"\ntarget = "onnxruntime"\nverdict = "{}"\nreason = "known"\nlink = "https://t/1"\n'


@pytest.fixture
def home(unmeasured, tmp_path, add_case):
    """A repository: `cases` with one on which ONNX Runtime is right, and two on which it is wrong."""
    folder = tmp_path / "here"
    add_case(folder / "cases", "relu", RELU, np.array([-1, 0, 2], np.float32))
    for name in (BUG, OTHER):
        shutil.copytree(FINDINGS / name, folder / "cases" / name)
    (folder / "test_of_theirs.py").write_text("def test_their_own():\n    pass\n", "utf-8")
    return folder


@pytest.fixture
def tests(home, with_plugin):
    def run(*arguments: str, cwd: Path = home) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=with_plugin, check=False)

    return run


def expect(home: Path, *entries: tuple[str, str]) -> None:
    (home / "cases" / "expectations.toml").write_text("\n".join(ENTRY.format(*entry) for entry in entries), "utf-8")


def last(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout.splitlines()[-1].split(" in ")[0]


def test_known_failures_are_xfails(home, tests):
    expect(home, ("onnxruntime-*", "wrong"))
    done = tests("-q", "-rxs", "cases", "--fuzz-backend", "onnxruntime")
    assert (done.returncode, last(done)) == (0, "1 passed, 2 xfailed"), done.stdout
    named = f"XFAIL cases/{BUG}/model.onnx::{BUG}[onnxruntime] - cases/expectations.toml:1: known (https://t/1)"
    assert named in done.stdout


def test_each_way_to_be_red(home, tests, add_case):
    expect(home, (BUG, "crash"), ("relu", "wrong"), ("bad", "wrong"))
    add_case(home / "cases", "bad", RELU, np.ones(3, np.float32))
    (home / "cases/bad/model.onnx").write_bytes(b"no model")
    done = tests("cases", "--fuzz-backend", "onnxruntime", "--junitxml", "out.xml")
    assert done.returncode == 1
    found = {}
    for test in ET.parse(home / "out.xml").getroot().iter("testcase"):  # noqa: S314 - pytest has written it
        (told,) = test
        found[test.get("name")] = (told.tag, f"{told.get('message')}\n{told.text}")
    assert {name: tag for name, (tag, _) in found.items()} == {
        f"{BUG}[onnxruntime]": "failure", f"{OTHER}[onnxruntime]": "failure",
        "relu[onnxruntime]": "failure", "bad[onnxruntime]": "error",
    }  # fmt: skip
    for name, said in {
        BUG: "cases/expectations.toml:1 expects another failure: crash, known",
        OTHER: "output y[0] of data set 0: -1, expected 1",
        "relu": "[XPASS(strict)] cases/expectations.toml:8: known (https://t/1)",
        "bad": "cases/bad/model.onnx is no ONNX model",
    }.items():
        assert said in found[f"{name}[onnxruntime]"][1]
    assert "Traceback" not in done.stdout
    assert "collection.py" not in done.stdout  # nothing of ours between the user and the answer


def test_nothing_is_collected_without_the_option(home, tests):
    assert tests("cases").returncode == 5  # pytest's "no tests collected"
    assert last(tests("-q")) == "1 passed"


def test_items_by_case_and_target(home, tests):
    asked = ("--fuzz-backend", "onnxruntime", "--fuzz-backend", "onnxruntime:opt=0")
    done = tests("-q", "--collect-only", *asked)
    assert done.stdout.splitlines()[:7] == [
        *(f"cases/{case}/model.onnx::{case}[{target}]" for case in (BUG, OTHER, "relu")
          for target in ("onnxruntime", "onnxruntime:opt=0")),
        "test_of_theirs.py::test_their_own",
    ]  # fmt: skip
    assert last(tests("-q", *asked, "-k", "relu and opt")) == "1 passed, 6 deselected"


def test_over_several_processes(home, tests):
    expect(home, ("onnxruntime-*", "wrong"))
    done = tests("-q", "-n", "2", "cases", "--fuzz-backend", "onnxruntime")
    assert (done.returncode, last(done)) == (0, "1 passed, 2 xfailed"), done.stdout


def test_expectations_from_elsewhere_name_cases_as_they_are_asked_for(home, tests):
    (home / "ci.toml").write_text(ENTRY.format("onnxruntime-*", "wrong"), "utf-8")
    done = tests("-q", "cases", "--fuzz-backend", "onnxruntime", "--fuzz-expectations", "ci.toml")
    assert (done.returncode, last(done)) == (0, "1 passed, 2 xfailed"), done.stdout
    expect(home, (f"{BUG}", "wrong"))
    assert last(tests("-q", f"cases/{BUG}", "--fuzz-backend", "onnxruntime")) == "1 xfailed"
    assert last(tests("-q", "--fuzz-backend", "onnxruntime", cwd=home / "cases")) == "1 failed, 1 passed, 1 xfailed"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--fuzz-backend", "onnxrumtime"), 4, "ERROR: unknown backend 'onnxrumtime'"),
        (("--fuzz-backend", "onnxruntime", "--fuzz-expectations", "none.toml"), 4, "/none.toml: --update and"),
        (("--fuzz-backend", "onnxruntime"), 2, "cases/expectations.toml:1: case is missing"),
        (("--fuzz-backend", "onnxruntime:python=/bin/true", "--fuzz-expectations", "empty.toml"), 1, "/bin/true"),
    ],
)
def test_what_makes_no_sense_is_a_line(home, tests, arguments, code, said):
    (home / "cases" / "expectations.toml").write_text("[[xfail]]\n", "utf-8")
    (home / "empty.toml").write_text("", "utf-8")
    done = tests("-q", "cases", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_it_costs_nothing_where_it_is_not_used(home, with_plugin):
    code = """
import sys, pytest
assert pytest.main(["-q", "-p", "no:cacheprovider", "test_of_theirs.py"]) == 0
assert "fuzz.pytest_plugin" in sys.modules
heavy = {"numpy", "onnx", "fuzz.regress", "fuzz.errors", "backends", "abstract"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=home, env=with_plugin, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
