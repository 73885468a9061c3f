"""`fuzz reduce`: a failing model made small."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import numpy as np
import onnx
import pytest

BODY = """g (float[2, N] secret, int64[2] i) => (float[2, N] y, float[2, N] z) {
    a = Sigmoid (secret)  b = Neg (a)  c = Relu (b)  d = Exp (c)  t = Abs (d)  y = Gather <axis = 0> (t, i)
    z = Softplus (secret) }"""
TARGET = "onnxruntime:fault=dropped-activation"


@pytest.fixture
def model(fuzz, add_case):
    inputs = np.linspace(-3, 3, 10, dtype=np.float32).reshape(2, 5), np.array([1, 0])
    return add_case(fuzz.home, "case", BODY, *inputs) / "model.onnx"


def operators(path):
    return [node.op_type for node in onnx.load(path).graph.node]


def test_a_wrong_answer_comes_down_to_the_node_that_gives_it(fuzz, model):
    done = fuzz("reduce", "case/model.onnx", "--backend", TARGET, "--out", "small", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    report = json.loads(done.stdout)
    assert report == json.loads((fuzz.home / "small/reduction.json").read_text())
    assert (report["target"], report["pattern"], report["nodes"]) == (TARGET, "Sigmoid(float)", 1)
    assert report["signature"]["symptom"] == "value"
    assert report["repeats"]
    assert b"secret" not in (fuzz.home / "small/model.onnx").read_bytes()
    judged = fuzz("check", "small/model.onnx", "--backend", TARGET, "--backend", "onnxruntime")
    assert judged.returncode == 1
    assert "onnxruntime: ok" in judged.stdout


def test_what_is_printed(fuzz, model):
    done = fuzz("reduce", "case/model.onnx", "--backend", TARGET, "--out", "small", "--anonymise")
    assert done.stderr == ""
    first, second, *_, last = done.stdout.splitlines()
    assert (first, last) == ("wrong (value)", "small/model.onnx")
    assert second.startswith("7 nodes -> 1 after ")
    assert second.endswith(" runs: Sigmoid(float)")


@pytest.mark.parametrize("fault", ["crash-at-fusion", "failed-assertion"])
def test_a_crash_and_a_refusal_come_down_to_two_nodes(fuzz, add_case, fault):
    body = """g (float[2, 3] x) => (float[3, 2] y) {
        a = Exp (x)  b = Transpose (a)  c = Relu (b)  d = Transpose (c)  e = Transpose (d)  y = Neg (e) }"""
    add_case(fuzz.home, "case", body, np.ones((2, 3), np.float32))
    target = f"onnxruntime:fault={fault}"
    done = fuzz("reduce", "case/model.onnx", "--backend", target, "--out", "small")
    assert done.returncode == 1, done.stderr
    pair = ["Transpose", "Relu"] if fault == "crash-at-fusion" else ["Relu", "Transpose"]
    assert operators(fuzz.home / "small/model.onnx") == pair


def test_an_answer_that_differs_from_run_to_run(fuzz, model):
    target = "onnxruntime:fault=race"
    done = fuzz("reduce", "case/model.onnx", "--backend", target, "--out", "small", "--unstable", "--json")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert (report["signature"]["word"], report["nodes"]) == ("nondeterministic", 1)


def test_a_command_of_ones_own(fuzz, model):
    done = fuzz("reduce", "case/model.onnx", "--out", "small", "--", "grep", "-qa", "Gather", "{model}")
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("interesting\n7 nodes -> 1 after ")
    assert operators(fuzz.home / "small/model.onnx") == ["Gather"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("either --backend TARGET", "behind --")),
        (("--backend", "onnxruntime", "--", "true"), ("either --backend TARGET",)),
        (("--backend", "onnxruntime"), ("is ok on onnxruntime", "nothing to reduce")),
        (("--backend", "nothing"), ("nothing", "onnxruntime")),
        (("--inputs", "nowhere", "--backend", "onnxruntime"), ("no folder nowhere",)),
        (("--unstable", "--", "false"), ("give --backend TARGET",)),
        (("--slow", "--", "false"), ("--slow is asked of a target",)),
        (("--slow", "--backend", "onnxruntime", "--baseline", "onnxruntime"), ("are the same: onnxruntime",)),
        (("--baseline", "tvm", "--backend", "onnxruntime"), ("--baseline goes with --slow",)),
        (("--", "false"), ("exit status 1 where 0 is due",)),
        (("--", "./nothing-here"), ("./nothing-here",)),
    ],
)
def test_misuse(fuzz, model, refused, arguments, words):
    refused(fuzz("reduce", "case/model.onnx", "--out", "small", *arguments), *words)


def test_a_model_that_is_not_there(fuzz, refused):
    refused(fuzz("reduce", "no.onnx", "--out", "small", "--backend", "onnxruntime"), "no model file no.onnx")


def test_the_best_so_far_survives_ctrl_c_and_the_same_command_goes_on(fuzz, model):
    script = 'sleep 0.3; test -f "$1" && sha256sum < "$1" >> "$HOME_OF_TEST/calls"\n'
    (fuzz.home / "check.sh").write_text(script)
    arguments = ["reduce", "case/model.onnx", "--out", "small", "--jobs", "1", "--", "sh", str(fuzz.home / "check.sh")]
    environment = {**os.environ, "HOME_OF_TEST": str(fuzz.home)}
    running = subprocess.Popen(
        [str(fuzz.program), *arguments], cwd=fuzz.home, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    best = fuzz.home / "small/model.onnx"
    deadline = time.monotonic() + 120
    while not (best.exists() and len(operators(best)) < 7):
        assert time.monotonic() < deadline
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert errors.strip().startswith("interrupted; what was finished is kept")
    assert len(operators(best)) < 7
    calls = fuzz.home / "calls"
    before = calls.read_text().split("\n")[:-1]
    calls.unlink()
    done = fuzz(*arguments, HOME_OF_TEST=str(fuzz.home))
    assert done.returncode == 1
    assert len(operators(best)) == 1
    after = calls.read_text().split("\n")[:-1]
    # The case itself is asked about twice each time, and what Ctrl-C ended again; the third made the best.
    finished = {before[2], *before[3:-1]}
    assert not finished & set(after)
    fresh = fuzz("reduce", "case/model.onnx", "--out", "other", *arguments[4:], HOME_OF_TEST=str(fuzz.home))
    assert fresh.returncode == 1
    assert best.read_bytes() == (fuzz.home / "other/model.onnx").read_bytes()
