"""`fuzz ops`."""

from __future__ import annotations

import json


def test_it_lists_operators_types_and_what_is_left_out(fuzz):
    done = fuzz("ops", "DFT", "If", "ImageDecoder")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].split()[:4] == ["DFT", "20", "signal", "float"]
    assert lines[1].split() == ["If", "25", "control", "bool"]
    assert lines[2].startswith("left out: ImageDecoder: decodes images")
    assert lines[-1] == "2 operators at opset 28, 1 left out"


def test_an_older_opset(fuzz):
    made = json.loads(fuzz("ops", "--opset", 17, "--json").stdout)
    names = {row["name"] for row in made["operators"]}
    assert {"STFT", "LayerNormalization"} <= names
    assert not {"Attention", "GroupNormalization"} & names
    (layer,) = [row for row in made["operators"] if row["name"] == "LayerNormalization"]
    assert layer == {
        "name": "LayerNormalization", "domain": "", "since": 17, "family": "normalization", "function": True,
        "types": ["float", "double", "float16", "bfloat16"], "reached": None,
    }  # fmt: skip


def test_operators_of_another_domain(fuzz):
    done = fuzz("ops", "com.microsoft.Gelu", "FusedMatMul", "Gelu")
    assert done.returncode == 0
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert names[:-1] == ["Gelu", "com.microsoft.FusedMatMul", "com.microsoft.Gelu"]
    (row,) = json.loads(fuzz("ops", "FusedMatMul", "--json").stdout)["operators"]
    assert (row["domain"], row["since"], row["function"]) == ("com.microsoft", 1, False)


def test_one_domain_with_all_that_is_left_out_of_it(fuzz):
    made = json.loads(fuzz("ops", "--domain", "com.microsoft", "--json").stdout)
    assert {row["domain"] for row in made["operators"]} == {"com.microsoft"}
    left_out = {row["name"]: row["reason"] for row in made["left_out"]}
    assert {"com.microsoft.Inverse", "com.microsoft.QAttention", "com.microsoft.CropAndResize"} <= left_out.keys()
    assert all(left_out.values())
    own = json.loads(fuzz("ops", "--domain", "ai.onnx", "--json").stdout)
    assert {row["domain"] for row in own["operators"]} == {""}
    assert "Bernoulli" in {row["name"] for row in own["left_out"]}


def test_what_a_root_has_reached(fuzz, tmp_path):
    root = tmp_path / "root"
    done = fuzz("gen", "--root", root, "--count", 6, "--ops", "Relu,If,Add", "--dtypes", "float,bool", "--jobs", 1)
    assert done.returncode == 0, done.stderr
    (root / "cases" / "00000000" / "model.onnx").write_bytes(b"no model")
    made = json.loads(fuzz("ops", "Relu", "Add", "--root", root, "--json").stdout)
    rows = {row["name"]: row for row in made["operators"]}
    assert 1 <= rows["Relu"]["reached"]["float"] <= 5
    assert set(rows["Add"]["reached"]) <= {"float"}
    assert made["unread"] == ["00000000"]
    left = json.loads(fuzz("ops", "Relu", "--root", root, "--missing", "--json").stdout)["operators"]
    assert "float" not in left[0]["types"]
    assert "int8" in left[0]["types"]


def test_misuse(fuzz, tmp_path):
    for arguments, words in (
        (("Nothing",), "has no operator Nothing"),
        (("--opset", 99), "opset 99 is not known"),
        (("--missing",), "give --root DIR"),
        (("--domain", "com.nobody"), "unknown domain 'com.nobody': there is ai.onnx"),
        (("--root", tmp_path / "none"), "none"),
    ):
        done = fuzz("ops", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr
