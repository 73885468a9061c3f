"""`fuzz backends show`, `passes` and `describe`, as somebody types them."""

from __future__ import annotations

import json

import onnx
from onnx import parser

MODEL = """<ir_version: 8, opset_import: ["" : 17]>
g (float[2] x) => (float[2] y) <float[2] one = {1, 1}> { two = Add (one, one) y = Mul (x, two) }"""


def write(folder):
    path = folder / "model.onnx"
    onnx.save(parser.parse_model(MODEL), path)
    return path


def test_text_is_printed_and_the_rest_is_told(fuzz):
    done = fuzz("backends", "show", "onnxruntime", write(fuzz.home))
    assert (done.returncode, done.stderr) == (0, "")
    assert "--- passes.txt\nConstantFolding\n" in done.stdout
    assert "--- optimised.onnx: " in done.stdout
    assert "see --out" in done.stdout


def test_files_are_written_and_listed(fuzz):
    done = fuzz("backends", "show", "onnxruntime", write(fuzz.home), "--out", "shown", "--json")
    content = json.loads(done.stdout)
    assert (done.returncode, content["outcome"], content["target"]) == (0, "ok", "onnxruntime")
    assert [row["name"] for row in content["files"]] == ["passes.txt", "optimised.onnx"]
    assert [node.op_type for node in onnx.load(fuzz.home / "shown" / "optimised.onnx").graph.node] == ["Mul"]


def test_json_carries_text(fuzz):
    content = json.loads(fuzz("backends", "show", "openvino", write(fuzz.home), "--json").stdout)
    assert "text" in content["files"][0]


def test_a_target_that_shows_nothing_says_so(fuzz):
    done = fuzz("backends", "show", "reference", write(fuzz.home))
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "reference shows nothing\n"


def test_a_model_that_does_not_run_is_told_with_its_outcome(fuzz):
    path = fuzz.home / "model.onnx"
    onnx.save(parser.parse_model(MODEL.replace("Mul (x, two)", "Nothing (x, two)")), path)
    done = fuzz("backends", "show", "reference", path)
    assert done.returncode == 1
    assert done.stderr.startswith("reference: unsupported ")
    assert "Traceback" not in done.stderr


def test_passes_are_listed(fuzz):
    done = fuzz("backends", "passes", "onnxruntime")
    assert done.returncode == 0
    assert "ConstantFolding" in done.stdout.split()
    content = json.loads(fuzz("backends", "passes", "onnxruntime", "--json").stdout)
    assert content["passes"] == done.stdout.split()


def test_a_backend_without_any_says_so(fuzz):
    done = fuzz("backends", "passes", "tract")
    assert (done.returncode, done.stdout) == (0, "")
    assert "left out one by one" in done.stderr


def test_a_pass_that_does_not_exist_is_refused(fuzz, refused):
    path = write(fuzz.home)
    refused(fuzz("check", path, "--backend", "onnxruntime:disable=ConstantFoldin"), "did you mean ConstantFolding?")


def test_a_backend_is_described(fuzz):
    done = fuzz("backends", "describe", "onnxruntime", COLUMNS="160")
    assert done.returncode == 0
    assert done.stdout.startswith("onnxruntime ")
    assert "graph optimisation level (99: all)" in done.stdout
    assert "opt=0 or 1 or 2" in done.stdout
    content = json.loads(fuzz("backends", "describe", "tvm", "--json").stdout)
    assert "pipeline" in [option["name"] for option in content["options"]]
    assert content["knobs"][0]["switches_off"] == "fusion"
    assert content["devices"] == ["cpu", "cuda"]


def test_a_backend_that_is_no_more_says_why(fuzz, refused):
    done = fuzz("backends", "describe", "glow")
    assert (done.returncode, done.stdout.startswith("Glow, ")) == (0, True)
    rows = {row["name"]: row for row in json.loads(fuzz("backends", "--json").stdout)["backends"]}
    assert (rows["glow"]["reason"], rows["glow"]["runnable"]) == (done.stdout.strip(), False)
    refused(fuzz("exec", "--backend", "relay"), "Relay, with its graph and debug executors, is gone from TVM")
    refused(fuzz("backends", "describe", "gloww"), "unknown backend 'gloww'")
