"""`fuzz mutate`."""

from __future__ import annotations

import json
import signal
import subprocess
import time

import numpy as np

X = np.array([[-1, 2, 3]], np.float32)
RELU = "g (float[1, 3] x) => (float[1, 3] y) { y = Relu (x) }"
KINDS = {"inputs", "attributes", "types", "shapes", "choices", "splice"}


def files(root):
    return {p.relative_to(root): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_our_cases(unmeasured, fuzz):
    assert fuzz("gen", "--count", 6, "--nodes", "2-5").returncode == 0
    done = fuzz("mutate", "--out", "mutants", "--count", 30, "--seed", 5)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split()[1:4] == ["mutants", "in", "mutants"]
    made = sorted((fuzz.home / "mutants" / "cases").iterdir())
    assert len(made) >= 20
    records = [json.loads((case / "case.json").read_text()) for case in made]
    assert {record["kind"] for record in records} <= KINDS
    assert all(record["parent"] and record["change"] and record["seed"] >= 5 for record in records)
    run = fuzz("exec", "--root", "mutants", "--backend", "onnxruntime", "--json")
    assert sum(json.loads(run.stdout)["targets"]["onnxruntime"].values()) == len(made)


def test_the_same_seed_gives_the_same_bytes(unmeasured, fuzz):
    assert fuzz("gen", "--count", 4, "--nodes", "2-5").returncode == 0
    for out, jobs in (("one", 1), ("two", 2)):
        assert fuzz("mutate", "--out", out, "--count", 12, "--jobs", jobs, PYTHONHASHSEED=str(jobs)).returncode == 0
    assert files(fuzz.home / "one") == files(fuzz.home / "two")


def test_a_strangers_models(fuzz, add_case):
    add_case(fuzz.home / "theirs", "relu", RELU, X)
    add_case(fuzz.home / "theirs", "sum", RELU.replace("Relu (x)", "ReduceSum <keepdims = 1> (x)"), X)
    kinds = ("--kind", "inputs,types,splice")
    done = fuzz("mutate", "--root", "theirs", "--out", "out", "--count", 20, *kinds, "--json", "relu")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == {"root", "cases", "kinds", "unmade", "seconds"}
    assert set(found["kinds"]) <= {"inputs", "types", "splice"}
    assert found["cases"] + len(found["unmade"]) == 20
    assert all(set(row) == {"made", "tries", "refused"} for row in found["kinds"].values())
    records = [json.loads(p.read_text()) for p in (fuzz.home / "out").rglob("case.json")]
    assert {record["parent"] for record in records} == {"relu"}
    assert all(record["second_parent"] == "relu" for record in records if record["kind"] == "splice")


def test_choices_of_a_stranger_give_nothing(fuzz, add_case):
    add_case(fuzz.home / "theirs", "relu", RELU, X)
    done = fuzz("mutate", "--root", "theirs", "--out", "out", "--count", 2, "--kind", "choices")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("0 mutants in out")
    assert "refused: no record" in done.stdout


def test_list(fuzz):
    done = fuzz("mutate", "--list")
    assert done.returncode == 0, done.stderr
    assert {line.split()[0] for line in done.stdout.splitlines()} == KINDS


def test_misuse(fuzz, add_case, refused):
    add_case(fuzz.home / "theirs", "relu", RELU, X)
    refused(fuzz("mutate", "--root", "theirs"), "--out")
    refused(fuzz("mutate", "--root", "theirs", "--out", "theirs"), "give another folder")
    refused(fuzz("mutate", "--root", "theirs", "--out", "o", "--kind", "input"), "did you mean inputs?")
    refused(fuzz("mutate", "--root", "theirs", "--out", "o", "relo"), "no case 'relo'", "did you mean relu?")
    refused(fuzz("mutate", "--root", "nowhere", "--out", "o"), "there is no root")
    (fuzz.home / "file").write_text("")
    refused(fuzz("mutate", "--root", "theirs", "--out", "file"), "file")


def test_an_interrupted_run_keeps_what_it_made(fuzz):
    assert fuzz("gen", "--count", 8, "--nodes", "5-9").returncode == 0
    command = [str(fuzz.program), "mutate", "--out", "mutants", "--count", "100000", "--jobs", "1"]
    process = subprocess.Popen(command, cwd=fuzz.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    cases = fuzz.home / "mutants" / "cases"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (cases.exists() and len(list(cases.glob("0*"))) > 4):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "interrupted; what was finished is kept" in said
    kept = list(cases.iterdir())
    assert kept
    assert all((case / "case.json").exists() and (case / "model.onnx").exists() for case in kept)
