"""`fuzz diversify`."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

X = np.array([[-1, 2, 3]], np.float32)
RELU = "g (float[1, 3] x) => (float[1, 3] y) { y = Relu (x) }"
KEYS = {"root", "cases", "models", "aims", "skipped", "dropped", "unanswered", "seconds"}


@pytest.fixture
def made(fuzz):
    done = fuzz("gen", "--count", 4, "--nodes", 3, "--ops", "MatMul,Add,Relu,Concat", "--dtypes", "float",
                "--opset", 17, "--dynamic", "--jobs", 1)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return fuzz.home / "fuzz-root"


def test_models_run_and_are_judged_as_cases_are(fuzz, made):
    done = fuzz("diversify", "--count", 2, "--jobs", 1)
    assert done.returncode == 0, done.stderr
    first, aims, *_ = done.stdout.splitlines()
    models = int(re.match(r"(\d+) models of \d cases in fuzz-root \(", first)[1])
    assert aims.startswith("aimed at: ")
    new = sorted(path.name for path in made.glob("cases/*-*"))
    assert len(new) == models >= 2
    assert json.loads((made / "cases" / new[0] / "case.json").read_text())["of"] == new[0].partition("-")[0]
    done = fuzz("exec", "--backend", "onnxruntime", "--jobs", 1)
    assert done.returncode == 0, done.stderr
    done = fuzz("diff", "--json")
    judged = json.loads(done.stdout)
    assert judged["cases"] == 4 + models
    assert judged["findings"] == []
    assert judged["verdicts"]["onnxruntime"]["ok"] == 4 + models


def test_json(fuzz, made):
    done = fuzz("diversify", "--count", 1, "--specialise", "--case", "00000001,00000002", "--json", "--seed", 5)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == KEYS
    assert found["cases"] + sum(found["skipped"].values()) == 2
    assert found["models"] == sum(found["aims"].values()) == len(list(made.glob("cases/*-*")))
    assert found["aims"]["static"] >= 1


def test_cases_that_fuzz_gen_did_not_make(fuzz, add_case):
    folder = add_case(fuzz.home / "fuzz-root", "mine", RELU, X)
    done = fuzz("diversify")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == ["1 cases not used: fuzz gen did not make it"]
    assert [path.name for path in folder.parent.iterdir()] == ["mine"]


def test_what_was_dropped_is_told(fuzz, made):
    done = fuzz("diversify", "--elements", 4, "--jobs", 1)
    assert done.returncode == 0, done.stderr
    assert "times: a tensor gets too large" in done.stdout


def test_misuse(fuzz, made, refused):
    refused(fuzz("diversify", "--count", 0), "--count", "--specialise")
    refused(fuzz("diversify", "--count", -1), "--count")
    refused(fuzz("diversify", "--case", "0000001"), "no case '0000001'", "did you mean 00000001")
    refused(fuzz("diversify", "--case", ""), "empty")
    refused(fuzz("diversify", "--root", "nowhere"), "there is no root at nowhere", "fuzz gen")
    refused(fuzz("diversify", "--elements", 0), "--elements")


def test_help_names_what_it_prints(fuzz):
    done = fuzz("diversify", "--help")
    assert done.returncode == 0, done.stderr
    assert all(key in done.stdout for key in KEYS)
