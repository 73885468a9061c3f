"""`fuzz backends show` and `fuzz backends passes`, as somebody types them."""

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
    done = fuzz("backends", "passes", "openvino")
    assert (done.returncode, done.stdout) == (0, "")
    assert "left out one by one" in done.stderr


def test_a_pass_that_does_not_exist_is_refused(fuzz, refused):
    path = write(fuzz.home)
    refused(fuzz("check", path, "--backend", "onnxruntime:disable=ConstantFoldin"), "did you mean ConstantFolding?")
