"""`fuzz repro`: the script and the report of a failing case."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np

BODY = "g (float[2,3] x, float[2] v) => (float[3] y) { t = Transpose <perm = [1, 0]> (x) y = MatMul (t, v) }"
INPUTS = np.array([[1, 2, 3], [4, 5, 6]], np.float32), np.array([1, 0], np.float32)


def test_a_failing_case_gets_a_script_and_a_report(fuzz, add_case):
    folder = add_case(fuzz.home, "case", BODY, *INPUTS)
    done = fuzz("repro", "case", "--backend", "onnxruntime")
    assert (done.returncode, done.stderr) == (1, "")
    title, told, *paths = done.stdout.splitlines()
    assert title.endswith("gives a wrong number for MatMul(Transpose(float),float), and is right with opt=0")
    assert told.startswith("BUG: y[2]: expected 3.0, got 5.0")
    assert paths == ["case/repro.py", "case/NOTES.md"]
    assert subprocess.run([sys.executable, folder / "repro.py"], capture_output=True, check=False).returncode == 1
    assert "### Describe the issue" in (folder / "NOTES.md").read_text("utf-8")
    again = fuzz("repro", "case", "--backend", "onnxruntime", "--json")
    assert json.loads(again.stdout) | {"said": ""} == {
        "finding": True, "problem": "", "said": "", "script": True, "title": title, "word": "wrong"
    }  # fmt: skip


def test_a_case_that_does_not_fail_gets_none(fuzz, add_case):
    folder = add_case(fuzz.home, "case", BODY, *INPUTS)
    done = fuzz("repro", "case", "--backend", "onnxruntime:opt=0")
    assert (done.returncode, done.stdout) == (0, "case is ok on onnxruntime:opt=0; nothing was written\n")
    assert not (folder / "repro.py").exists()


def test_a_planted_fault_has_a_report_that_says_why_there_is_no_script(fuzz, add_case):
    body = "g (float[2] x) => (float[2] y) { y = Sigmoid (x) }"
    folder = add_case(fuzz.home, "case", body, np.array([-1, 1], np.float32))
    done = fuzz("repro", "case", "--backend", "onnxruntime:fault=dropped-activation")
    assert done.returncode == 1
    assert "no repro.py: the fault is planted" in done.stdout
    assert not (folder / "repro.py").exists()
    verdict = json.loads((folder / "verdict.json").read_text())
    assert verdict["repro"]["file"] is None
    assert "planted" in verdict["repro"]["problem"]


def test_misuse_is_one_line(fuzz, refused, add_case):
    refused(fuzz("repro", "nowhere", "--backend", "onnxruntime"), "nowhere holds no model.onnx", "fuzz reduce --out")
    add_case(fuzz.home, "case", BODY, *INPUTS)
    refused(fuzz("repro", "case", "--backend", "nothing"), "unknown backend 'nothing'")
