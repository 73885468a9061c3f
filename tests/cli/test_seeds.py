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
