"""`fuzz diff`."""

from __future__ import annotations

import json
import sqlite3

import numpy as np
import pytest
from onnx import numpy_helper

X = np.array([-1, 2, 3], np.float32)
RELU = "g (float[3] x) => (float[3] y) { y = Relu (x) }"


@pytest.fixture
def root(fuzz, add_case):
    """Two cases executed on ONNX Runtime; the answer to the second is then falsified in the store."""
    root = fuzz.home / "fuzz-root"
    add_case(root, "fine", RELU, X)
    add_case(root, "off", RELU, X)
    done = fuzz("exec", "--backend", "onnxruntime")
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def falsify(root):
    def change(case: str, values: list[float]) -> None:
        data = np.array(values, np.float32).tobytes()
        with sqlite3.connect(root / "fuzz.sqlite") as connection:
            connection.execute(
                "UPDATE output SET data = ? WHERE execution_id IN (SELECT execution.id FROM execution"
                ' JOIN "case" ON "case".id = case_id WHERE "case".name = ?)',
                (data, case),
            )
        connection.close()

    return change


def test_nothing_found(fuzz, root):
    done = fuzz("diff")
    assert done.returncode == 0, done.stderr
    header, row = done.stdout.splitlines()
    assert header.split() == ["target", "ok", "wrong"]
    assert row.split() == ["onnxruntime", "2", "·"]


def test_a_finding_says_where_and_by_how_much(fuzz, root, falsify):
    falsify("off", [0, 2, 3.5])
    done = fuzz("diff")
    assert done.returncode == 1
    assert "off on onnxruntime: wrong" in done.stdout
    assert "output y[2] of data set 0: 3.5, expected 3" in done.stdout
    assert "the bound)" in done.stdout or "± 0" in done.stdout


def test_what_does_not_come_again_is_flaky(fuzz, root, falsify):
    falsify("off", [0, 2, 3.5])
    done = fuzz("diff", "--explain")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].split() == ["target", "ok", "wrong", "flaky"]
    again = fuzz("diff", "--explain", "--json")
    assert json.loads(again.stdout)["verdicts"]["onnxruntime"]["flaky"] == 1


def test_json_is_one_object_with_the_documented_keys(fuzz, root, falsify):
    falsify("off", [0, 2, float("inf")])
    done = fuzz("diff", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    result = json.loads(done.stdout, parse_constant=pytest.fail)
    assert sorted(result) == ["cases", "findings", "verdicts"]
    assert result["cases"] == 2
    counts = result["verdicts"]["onnxruntime"]
    assert (counts["ok"], counts["wrong"]) == (1, 1)
    assert set(counts) == {
        "ok", "suspect", "wrong", "undecidable", "dispute", "nondeterministic", "slow", "flaky", "rejected", "crash",
        "timeout", "oom", "unsupported", "error",
    }  # fmt: skip
    (finding,) = result["findings"]
    assert (finding["case"], finding["target"], finding["verdict"]) == ("off", "onnxruntime", "wrong")
    assert (finding["output"], finding["index"], finding["expected"]) == ("y", [2], 3.0)
    assert finding["actual"] == "inf"


def test_allclose_is_as_lax_as_it_is_told(unmeasured, fuzz, root, falsify):
    falsify("off", [0, 2, 3.003])
    assert fuzz("diff").returncode == 1
    assert fuzz("diff", "--oracle", "allclose", "--rtol", "0.01").returncode == 0
    assert fuzz("diff", "--oracle", "allclose", "--rtol", "1e-6", "--atol", "0").returncode == 1


def test_allclose_against_another_target(fuzz, root, falsify):
    falsify("off", [0, 2, 9])
    assert fuzz("diff", "--oracle", "allclose", "--against", "onnxruntime").returncode == 0


def test_the_page(fuzz, root, falsify):
    falsify("off", [0, 2, 9])
    done = fuzz("diff", "--html", "page.html")
    assert done.returncode == 1
    assert done.stderr == "page: page.html\n"
    text = (fuzz.home / "page.html").read_text()
    assert "off" in text
    assert "<svg" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--rtol", "0.1"), ("--rtol", "--oracle allclose")),
        (("--against", "tvm"), ("--against", "--oracle allclose")),
        (("--oracle", "allclose", "--rtol", "-1"), ("--rtol", "-1")),
        (("--oracle", "allclose", "--against", "tvm"), ("tvm", "onnxruntime")),
        (("--oracle", "luck"), ("--oracle", "bound")),
        (("--root", "nowhere"), ("no root at nowhere", "fuzz gen --root nowhere")),
        (("--html", "nowhere/page.html"), ("cannot write nowhere/page.html", "--html")),
    ],
)
def test_misuse(fuzz, root, refused, arguments, words):
    refused(fuzz("diff", *arguments), *words)


def test_a_root_in_which_nothing_was_executed(fuzz, refused, add_case):
    add_case(fuzz.home / "r", "one", RELU, X)
    refused(fuzz("diff", "--root", "r"), "nothing has been executed in r", "fuzz exec --root r")


def test_a_model_that_is_corrupt_and_inputs_that_do_not_fit_cost_their_cases_a_verdict_only(fuzz, root, add_case):
    (add_case(root, "corrupt", RELU, X) / "model.onnx").write_bytes(b"\xff\xffno model")
    data = add_case(root, "misfit", RELU, X) / "test_data_set_0/input_0.pb"
    data.write_bytes(numpy_helper.from_array(np.zeros(4, np.int64)).SerializeToString())
    assert fuzz("exec", "--backend", "onnxruntime").returncode == 0
    done = fuzz("diff", "--json")
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)["verdicts"]["onnxruntime"]
    assert (counts["ok"], counts["error"]) == (2, 2)


def test_names_of_strangers_do_not_reach_the_terminal_as_they_are(fuzz, root, falsify, add_case):
    import onnx

    folder = add_case(root, "named", RELU, X)
    model = onnx.load(folder / "model.onnx")
    model.graph.output[0].name = model.graph.node[0].output[0] = "y\x1b[2J[red]"
    onnx.save(model, folder / "model.onnx")
    fuzz("exec", "--backend", "onnxruntime")
    falsify("named", [0, 2, 9])
    done = fuzz("diff")
    assert "\x1b" not in done.stdout
    assert "y\\x1b[2J[red]" in done.stdout
