"""`fuzz corpus mine`, `fuzz gen --seeds`, `fuzz run --seeds`."""

from __future__ import annotations

import json

import numpy as np

BLOCK = """g (float[4, 6] x) => (float[4, 6] y)
<float one = {1.0}> { a = Sigmoid (x)  b = Mul (x, a)  c = Add (b, one)  y = Softmax (c) }"""
X = np.zeros((4, 6), np.float32)


def test_windows_of_a_folder_seed_cases(fuzz, add_case):
    add_case(fuzz.home / "models", "block", BLOCK, X)
    done = fuzz("corpus", "mine", "models", "-k", "2-3", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["models"], told["out"], told["nodes"]) == (1, "windows.jsonl", 4)
    assert told["windows"] == told["symbolic"] == told["evaluated"] == told["distinct"] >= 5
    lines = (fuzz.home / "windows.jsonl").read_text().splitlines()
    assert len(lines) == told["windows"]
    for root in ("one", "two"):
        made = fuzz("gen", "--root", root, "--count", 6, "--seeds", "windows.jsonl", "--nodes", 6)
        assert made.returncode == 0, made.stderr
    pairs = zip(*(sorted((fuzz.home / root).rglob("model.onnx")) for root in ("one", "two")), strict=True)
    assert all(one.read_bytes() == two.read_bytes() for one, two in pairs)
    records = [json.loads(path.read_text()) for path in (fuzz.home / "one").rglob("case.json")]
    assert sum(len(record["windows"]) for record in records) >= 4
    assert fuzz("exec", "--root", "one", "--backend", "onnxruntime").returncode == 0


def test_the_summary_for_a_person(fuzz, add_case):
    add_case(fuzz.home / "models", "block", BLOCK, X)
    (fuzz.home / "models" / "broken.onnx").write_bytes(b"?")
    done = fuzz("corpus", "mine", "models", "--out", "made/w.jsonl", "--limit", 3)
    assert done.returncode == 0
    head, *rest = done.stdout.splitlines()
    assert head.startswith("3 windows of 1 models in made/w.jsonl (4 nodes, ")
    assert head.endswith("100.0 % of 3 with symbolic sizes)")
    assert rest == ["  not read: models/broken.onnx"]


def test_a_campaign_takes_seeds(unmeasured, fuzz, add_case):
    add_case(fuzz.home / "models", "block", BLOCK, X)
    assert fuzz("corpus", "mine", "models").returncode == 0
    done = fuzz("run", "--backend", "onnxruntime", "--seeds", "windows.jsonl", "--count", 8, "--nodes", 5, "--json")
    assert done.returncode in (0, 1), done.stderr
    assert json.loads(done.stdout)["cases"] == 8


def test_misuse(fuzz, refused, add_case):
    refused(fuzz("corpus", "mine", "nowhere"), "nowhere", "give a model or a folder")
    (fuzz.home / "empty").mkdir()
    refused(fuzz("corpus", "mine", "empty"), "no *.onnx under empty")
    (fuzz.home / "broken.onnx").write_bytes(b"?")
    refused(fuzz("corpus", "mine", "broken.onnx"), "none of 1 files")
    refused(fuzz("gen", "--seeds", "broken.onnx"), "line 1", "fuzz corpus mine")
    refused(fuzz("gen", "--seeds", "nowhere"), "nowhere", "fuzz corpus mine")
    add_case(fuzz.home / "models", "block", BLOCK, X)
    assert fuzz("corpus", "mine", "models").returncode == 0
    refused(fuzz("gen", "--seeds", "windows.jsonl", "--ops", "Sin"), "no window of windows.jsonl")


def test_cases_near_to_a_model(fuzz, add_case, refused):
    model = add_case(fuzz.home / "models", "block", BLOCK, X) / "model.onnx"
    done = fuzz("gen", "--from", model, "--count", 8, "--root", "near", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["cases"] == 8
    assert told["from"]["windows"] >= 5
    assert told["from"]["mutants"] >= 1
    assert told["from"]["large"] == []
    assert fuzz("gen", "--from", model, "--count", 8, "--root", "again", "--jobs", 1).returncode == 0
    near, again = (sorted((fuzz.home / root / "cases").rglob("*.*")) for root in ("near", "again"))
    assert len(near) == len(again)
    # case.json names the file of the windows, which lies in the root
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(near, again, strict=True) if a.suffix != ".json")
    refused(fuzz("gen", "--from", "nowhere.onnx"), "nowhere.onnx", "give a model")
    lonely = add_case(fuzz.home / "lonely", "one", "g (float[4, 6] x) => (float[4, 6] y) { y = Relu (x) }", X)
    refused(fuzz("gen", "--from", lonely / "model.onnx"), "no window")


def test_a_large_model_gives_windows_alone(fuzz, tmp_path):
    import onnx
    from onnx import numpy_helper, parser

    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[2, 2100] x) => (float[2, 2100] y) '
    model = parser.parse_model(text + "{ a = MatMul (x, w)  y = Relu (a) }")
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((2100, 2100), np.float32), "w"))
    onnx.save_model(model, tmp_path / "large.onnx")
    done = fuzz("gen", "--from", tmp_path / "large.onnx", "--count", 4)
    assert done.returncode == 0, done.stderr
    assert "too large to be mutated as a whole" in done.stdout
    assert "0 mutants" in done.stdout
