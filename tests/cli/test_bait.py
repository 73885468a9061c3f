"""`fuzz bait`, and `fuzz gen --bait`."""

from __future__ import annotations

import json

from fuzz.case import find_cases, read_record


def test_it_lists_patterns_with_who_rewrites_them(fuzz):
    done = fuzz("bait", "matmul-add", "onnxslim")
    assert done.returncode == 0
    assert "  matmul-add: Add(MatMul(x[m, k], W[k, n]), B[n])\n" in done.stdout
    assert "onnxruntime MatMulAddFusion" in done.stdout
    assert "softplus" not in done.stdout


def test_json_and_the_page(fuzz):
    rows = json.loads(fuzz("bait", "activation", "--json").stdout)["patterns"]
    assert {row["theme"] for row in rows} == {"activation"}
    (row,) = [row for row in rows if row["name"] == "softplus"]
    assert row["operators"] == ["Add", "Exp", "Log"]
    assert {"consumer", "type"} <= set(row["near_misses"])
    assert {"compiler": "openvino", "pass": "SoftPlusFusion"} in row["rewriters"]
    assert fuzz("bait", "--markdown").stdout.startswith("# Fusion bait\n")


def test_misuse(fuzz):
    done = fuzz("bait", "nothing")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no pattern, theme or compiler nothing" in done.stderr
    assert fuzz("bait", "--markdown", "--json").returncode == 2
    done = fuzz("gen", "--bait", "matmul-ad", "--count", 1)
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean matmul-add" in done.stderr


def test_gen_places_what_was_named_and_keeps_it_in_the_record(fuzz):
    done = fuzz("gen", "--bait", "matmul-add,softplus", "--count", 8, "--nodes", "6-9", "--jobs", 1)
    assert done.returncode == 0, done.stderr
    records = [read_record(case) for case in find_cases(fuzz.home / "fuzz-root")]
    placed = {entry["pattern"] for record in records for entry in record["bait"]}
    assert placed == {"matmul-add", "softplus"}
    assert all(record["settings"]["bait"] == ["matmul-add", "softplus"] for record in records)


def test_gen_of_named_operators_has_no_bait_unless_asked(fuzz):
    fuzz("gen", "--ops", "Relu,Abs", "--count", 3, "--jobs", 1)
    assert all("bait" not in read_record(case) for case in find_cases(fuzz.home / "fuzz-root"))
    fuzz("gen", "--ops", "Relu,Abs", "--bait", "relu-relu", "--count", 3, "--jobs", 1)
    assert all(read_record(case)["bait"] for case in find_cases(fuzz.home / "fuzz-root"))
