"""`fuzz perf`."""

from __future__ import annotations

import json

import numpy as np
import pytest

X = np.linspace(-1, 1, 64, dtype=np.float32)
SIN = "g (float[n] x) => (float[n] y) { y = Sin (x) }"


@pytest.fixture
def root(fuzz, add_case):
    root = fuzz.home / "fuzz-root"
    add_case(root, "sin", SIN, X)
    return root


def test_a_root_is_measured_and_its_verdicts_are_kept(fuzz, root):
    done = fuzz("perf", "--backend", "onnxruntime")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[0] == "onnxruntime against onnxruntime:opt=0"
    assert [line.split()[0] for line in done.stdout.splitlines()[2:5]] == ["performance", "compile-time", "growth"]
    assert fuzz("exec", "--backend", "onnxruntime").returncode == 0
    done = fuzz("perf", "--backend", "onnxruntime", "--only", "growth")
    assert done.returncode == 0, done.stdout + done.stderr
    judged = json.loads(fuzz("diff", "--json").stdout)
    assert judged["verdicts"]["onnxruntime growth"]["ok"] == 1


def test_json_is_one_object_with_the_documented_keys(fuzz, root):
    done = fuzz("perf", root / "sin" / "model.onnx", "--backend", "onnxruntime", "--json", "--pairs", "8")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert set(found) == {"candidate", "baseline", "cases", "verdicts", "measurements"}
    assert (found["candidate"], found["baseline"], found["cases"]) == ("onnxruntime", "onnxruntime:opt=0", 1)
    run, _compile, growth = found["measurements"]
    assert run["oracle"] == "performance"
    assert run["scale"] > 1
    (comparison,) = run["comparisons"]
    assert set(comparison) == {"candidate", "baseline", "ratio", "difference", "p"}
    assert 0.2 < comparison["ratio"] < 5
    assert growth["verdict"] == "ok"
    assert len(growth["points"]) >= 4
    small, large = growth["points"][0], growth["points"][-1]
    assert large["operations"] / small["operations"] == large["scale"]
    assert large["seconds"] > small["seconds"]


def test_misuse_is_told_in_one_line(fuzz, root, refused):
    refused(fuzz("perf"), "--backend TARGET")
    refused(fuzz("perf", "--backend", "openvino"), "no switch", "--baseline")
    refused(fuzz("perf", "--backend", "tvm", "--baseline", "tvm:opt=1"), "--backend")
    refused(fuzz("perf", "--candidate", "tvm", "--baseline", "tvm"), "the same")
    refused(fuzz("perf", "--backend", "onnxruntime", "--inputs", "data"), "MODEL")
    refused(fuzz("perf", "--backend", "onnxruntime", "--root", "nowhere"), "nowhere")
    refused(fuzz("perf", "nothing.onnx", "--backend", "onnxruntime"), "nothing.onnx")
