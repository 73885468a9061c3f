"""Scripts that show real bugs, each run by itself in a clean process.

Those under findings/, of which there are many, run in forks of a process that has imported what they import, which is
nearly all that they take. Each kind of script runs as its reader would run it all the same.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from onnx import parser

from backends.registry import BACKENDS, NO_TELEMETRY, installed_version
from backends.tensor import from_numpy
from fuzz.execute.attempt import Limits
from fuzz.execute.target import parse_target
from fuzz.repro.content import content_of
from fuzz.repro.due import dues
from fuzz.repro.papers import document
from fuzz.repro.recipe import Request
from fuzz.repro.recipes import RECIPES, recipe_for
from fuzz.repro.script import Subject, script
from fuzz.triage.candidate import Candidate

ROOT = Path(__file__).parents[2]
FOUND = sorted(path.parent for path in (ROOT / "findings").glob("*/verdict.json"))
LIMITS = Limits(60.0, 4 << 30)


def case(body, *arrays, opset=21):
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> {body}')
    names = [port.name for port in model.graph.input]
    return Candidate(
        model.SerializeToString(), (dict(zip(names, map(from_numpy, arrays), strict=True)),)
    )  # fmt: skip


def alone(path):
    """A script in a clean process: its status and what it says. Nothing of ours can be imported there.

    Its home directory is empty: packages below a backend's may leave settings there.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, "-I", path], capture_output=True, text=True, cwd=path.parent, check=False, timeout=300,
            env={**environment, "HOME": home},
        )  # fmt: skip
    return done.returncode, done.stdout


# Imports what its arguments name; then each line that it reads has a script run in a fork, and it answers its status.
FORKS = """
import importlib, json, os, runpy, signal, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(len(os.listdir("/proc/self/task")), flush=True)
while line := sys.stdin.readline():
    path, home, said = json.loads(line)
    pid = os.fork()
    if not pid:
        signal.alarm(300)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 1)
        os.environ["HOME"] = home
        os.chdir(os.path.dirname(path))
        sys.argv[:] = [path]
        runpy.run_path(path, run_name="__main__")
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Forks:
    """Runs scripts as `alone` does, in forks of one process for those in a row that import the same.

    Packages that have threads once they are imported cannot be forked; scripts of those are processes of their own.
    """

    def __init__(self, home):
        self._home, self._imports, self._process = home, None, None

    def __call__(self, path):
        imports = imported(path)
        if imports != self._imports:
            self.close()
            environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", FORKS, *imports],
                text=True, bufsize=1, env={**environment, **NO_TELEMETRY, "HOME": str(self._home)},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            self._imports, self._threads = imports, self._process.stdout.readline().strip()
        if self._threads != "1":
            return alone(path)
        with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as place:
            said = Path(place, "said")
            self._process.stdin.write(json.dumps([str(path), home, str(said)]) + "\n")
            return int(self._process.stdout.readline()), said.read_text("utf-8")

    def close(self):
        if self._process is not None:
            self._process.communicate()


def imported(path):
    """The modules that a script imports at its top, sorted."""
    (block,) = (node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.Try))
    names = {alias.name for node in block.body if isinstance(node, ast.Import) for alias in node.names}
    return sorted(names | {node.module for node in block.body if isinstance(node, ast.ImportFrom)})


@pytest.fixture(scope="module")
def forks(tmp_path_factory):
    made = Forks(tmp_path_factory.mktemp("imports"))
    yield made
    made.close()


X23 = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
BUGS = {
    "onnxruntime": (
        "g (float[2,3] x, float[2] v) => (float[3] y) { t = Transpose <perm = [1, 0]> (x) y = MatMul (t, v) }",
        (X23, np.array([1, 0], np.float32)),
        "BUG: y[2]: expected 3.0, got 5.0",
        {"onnxruntime:opt=0": "ok", "onnx.checker": "accepts", "reference": "ok"},
    ),
    "openvino": (
        "g (float[1,0] x) => (float[0,1] y) { y = Flatten <axis = 2> (x) }",
        (np.zeros((1, 0), np.float32),),
        "BUG: y has the shape [0, 1], got [1, 0]",
        {"onnx.checker": "accepts"},
    ),
    "tvm": (
        "g (float[3] x) => (bool[3] y) { y = IsInf <detect_negative = 0> (x) }",
        (np.array([1, np.inf, -np.inf], np.float32),),
        "BUG: y[2]: expected False, got True",
        {"tvm:opt=0": "wrong", "reference": "ok"},
    ),
    "tract": (
        "g (float[2] x) => (float[2] y) { y = Celu <alpha = 2.0> (x) }",
        (np.array([-1, 1], np.float32),),
        "BUG: y[0]: expected -0.78",
        {},
    ),
    "onnxscript": (
        'g (float[2] x, float[2] u) => (float[2] y) <int64[2,1] i = {0,1}> { y = ScatterND <reduction="add">(x,i,u) }',
        (np.array([1, 2], np.float32), np.array([3, 4], np.float32)),
        "BUG: y[1]: expected 6.0, got 4.0",
        {"onnxscript:mode=fold": "ok"},
    ),
    "onnxoptimizer": (
        "g (float[2,3] x) => (int64[0] y) { y = Shape <start = 2, end = 1> (x) }",
        (X23,),
        "BUG: the process dies of it: SIGSEGV",
        {"reference": "ok"},
    ),
}


@pytest.mark.parametrize("target", sorted(BUGS))
def test_a_real_bug_has_a_script_that_shows_it_and_a_report(target, tmp_path):
    body, arrays, told, ruled = BUGS[target]
    papers = document(tmp_path, case(body, *arrays), parse_target(target), LIMITS)
    assert (papers.finding, papers.script, papers.problem) == (True, True, "")
    status, said = alone(tmp_path / "repro.py")
    assert status == 1
    assert told in said
    verdict = json.loads((tmp_path / "verdict.json").read_text("utf-8"))
    assert verdict["repro"]["says"].startswith(told)
    rulings = {ruling["what"]: ruling["verdict"] for ruling in verdict["ruled_out"]}
    assert rulings.items() >= ruled.items()
    assert verdict["versions"][BACKENDS[target].distributions[0]] == verdict["version"]
    assert verdict["expected"]
    notes = (tmp_path / "NOTES.md").read_text("utf-8")
    assert papers.title in notes
    assert told in notes


SOUND = "g (float[2,3] x) => (float[3,2] y) { t = Transpose <perm = [1, 0]> (x) y = Relu (t) }"


@pytest.mark.parametrize("target", [*sorted({*RECIPES} - {"tensorrt", "litert", "torch"}), "torch:mode=eager"])
def test_on_a_sound_model_a_script_ends_with_0(target, tmp_path):
    """And so does each bug that is mended: a script tells the backend's fault, not its own."""
    candidate, name = case(SOUND, X23 - 3, opset=14), target.partition(":")[0]
    options = {"mode": "eager"} if "eager" in target else {}
    recipe = recipe_for(name, Request(options, "cpu", {"x": "float"}, {"y": "float"}))
    content = content_of(candidate, dues(candidate, target))
    path = tmp_path / "repro.py"
    path.write_text(script(Subject("It is right.", "wrong", "", 60.0, 1 << 32), recipe, content), "utf-8")
    status, said = alone(path)
    assert status == 0, said
    assert "ok: each element is what is due" in said


def test_what_does_not_fail_gets_no_papers(tmp_path):
    papers = document(tmp_path, case(SOUND, X23), parse_target("onnxruntime"), LIMITS)
    assert (papers.word, papers.finding) == ("ok", False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", FOUND, ids=lambda folder: folder.name)
def test_the_script_of_each_finding_fails_as_described(folder, forks):
    """Where the release is installed that it was found in; a finding without a script says why there is none."""
    verdict = json.loads((folder / "verdict.json").read_text("utf-8"))
    told = verdict.get("repro")
    if told is None:
        pytest.skip("has no papers: fuzz repro writes them")
    if not (folder / "repro.py").exists():
        assert told["problem"]
        assert told["file"] is None
        return
    name = verdict["target"].partition(":")[0].partition("=")[0]
    if installed_version(BACKENDS[name]) != verdict["version"]:
        pytest.skip(f"{name} {verdict['version']} is not installed")
    status, said = forks(folder / "repro.py")
    assert status == 1, said
    assert told["says"].partition(":")[0] == "BUG"
    assert said[said.index("BUG: ") :].split("\n", 1)[0][:40] == told["says"].split("\n", 1)[0][:40]
