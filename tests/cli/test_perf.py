"""`fuzz perf`."""

from __future__ import annotations

import json

import numpy as np
import pytest
from onnx import numpy_helper, parser

X = np.linspace(-1, 1, 64, dtype=np.float32)
SIN = "g (float[n] x) => (float[n] y) { y = Sin (x) }"


@pytest.fixture
def root(fuzz, add_case):
    root = fuzz.home / "fuzz-root"
    add_case(root, "sin", SIN, X)
    return root


def test_a_root_is_measured_and_its_verdicts_are_kept(unmeasured, fuzz, root):
    done = fuzz("perf", "--backend", "onnxruntime")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[0] == "onnxruntime against onnxruntime:opt=0"
    assert [line.split()[0] for line in done.stdout.splitlines()[2:5]] == ["performance", "compile-time", "growth"]
    assert fuzz("exec", "--backend", "onnxruntime").returncode == 0
    done = fuzz("perf", "--backend", "onnxruntime", "--only", "growth")
    assert done.returncode == 0, done.stdout + done.stderr
    judged = json.loads(fuzz("diff", "--json").stdout)
    assert judged["verdicts"]["onnxruntime growth"]["ok"] == 1


def test_the_times_of_one_model_are_shown(fuzz, root):
    model = root / "sin" / "model.onnx"
    done = fuzz("perf", model, "--candidate", "onnxruntime:opt=0", "--baseline", "onnxruntime", "--only", "run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[0] == "onnxruntime:opt=0 against onnxruntime"
    sides = [line.split()[0] for line in done.stdout.splitlines() if "┃" in line]
    assert sides == ["candidate", "baseline"]


def test_a_slow_model_is_a_finding(unmeasured, fuzz, root):
    """A chain that one side folds while it compiles."""
    body = """g (float[n, 512] x) => (float[n, 512] y) { s = Constant <value = int64[2] {512, 512}> ()
        w = ConstantOfShape <value = float[1] {0.5}> (s) a = MatMul (w, w) b = MatMul (a, w) c = MatMul (b, w)
        y = Add (x, c) }"""
    model = root.parent / "one" / "model.onnx"
    model.parent.mkdir()
    parsed = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {body}')
    model.write_bytes(parsed.SerializeToString())
    data = root.parent / "data"
    data.mkdir()
    (data / "input_0.pb").write_bytes(numpy_helper.from_array(np.ones((1, 512), np.float32)).SerializeToString())
    done = fuzz("perf", model, "--inputs", data, "--candidate", "onnxruntime:opt=0", "--baseline", "onnxruntime",
                "--only", "run")  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "on onnxruntime:opt=0: slow (performance)" in done.stdout
    assert "in fresh processes" in done.stdout
    assert done.stdout.count("┃") == 2


def test_json_is_one_object_with_the_documented_keys(fuzz, root):
    page = fuzz.home / "perf.html"
    model = root / "sin" / "model.onnx"
    done = fuzz("perf", model, "--backend", "onnxruntime", "--json", "--pairs", "8", "--html", page)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "<svg" in page.read_text(encoding="utf-8")
    assert done.stderr == f"page: {page}\n"
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
    refused(fuzz("perf", "--backend", "tract"), "no switch", "--baseline")
    refused(fuzz("perf", "--backend", "tvm", "--baseline", "tvm:opt=1"), "--backend")
    refused(fuzz("perf", "--candidate", "tvm", "--baseline", "tvm"), "the same")
    refused(fuzz("perf", "--backend", "onnxruntime", "--inputs", "data"), "MODEL")
    refused(fuzz("perf", "--backend", "onnxruntime", "--root", "nowhere"), "nowhere")
    refused(fuzz("perf", "nothing.onnx", "--backend", "onnxruntime"), "nothing.onnx")
