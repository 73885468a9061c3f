"""`fuzz doctor` as somebody types it, on a root whose suite is four tests."""

from __future__ import annotations

import json
from importlib.metadata import version

import numpy as np
import pytest
from onnx import helper, numpy_helper

from corpus.onnx_tests import OperatorTest
from fuzz.case import open_root
from fuzz.doctor.examination import Result
from fuzz.doctor.suite import write_test
from fuzz.doctor.table import load_table


def one_node(name, kind, given, expected):
    ports = [
        helper.make_tensor_value_info(port, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for port, array in (("x", given), ("y", expected))
    ]
    graph = helper.make_graph([helper.make_node(kind, ["x"], ["y"])], "g", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    files = [numpy_helper.from_array(array).SerializeToString() for array in (given, expected)]
    return OperatorTest(name, model.SerializeToString(), (files[0],), (files[1],), 1e-3, 1e-7)


ONE = np.array([1.25, -2.5], np.float32)
TESTS = (
    ("test_exp", "Exp", ONE, np.exp(ONE)),
    ("test_neg", "Neg", ONE, -ONE),
    ("test_floor", "Floor", ONE, np.floor(ONE)),
    # ONNX Runtime has no Max of uint16.
    ("test_largest_uint16", "Max", np.array([1], np.uint16), np.array([1], np.uint16)),
)


@pytest.fixture
def root(fuzz):
    """A suite as `fuzz doctor` would have written it, made of these tests; one of them is not quick."""
    root = open_root(fuzz.home / "root")
    for test in TESTS:
        write_test(root, one_node(*test))
    quick = [name for name, *_ in TESTS if name != "test_largest_uint16"]
    (root / "doctor.json").write_text(json.dumps({"onnx": version("onnx"), "quick": quick}), encoding="utf-8")
    return root


def test_the_quick_tests_pass(fuzz, root):
    done = fuzz("doctor", "--backend", "onnxruntime", "--root", root, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert (result["root"], result["onnx"], result["tables"]) == (str(root), version("onnx"), [])
    assert {check["state"] for check in result["harness"]} <= {"ok", "note"}
    (target,) = result["targets"]
    assert (target["target"], target["version"], target["tests"]) == ("onnxruntime", version("onnxruntime"), 3)
    assert target["counts"] == {word.value: 3 if word is Result.PASSED else 0 for word in Result}
    assert target["note"] == ""
    assert [target[key] for key in ("newly_failing", "newly_passing", "changed", "failures", "errors")] == [[]] * 5


def test_all_of_them_for_a_person(fuzz, root):
    done = fuzz("doctor", "--all", "--backend", "onnxruntime", "--root", root)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("ok     versions: Python 3.")
    head, row = (line.split() for line in lines if line.startswith(("target", "onnxruntime  ")))
    counts = dict(zip(head[2:], row[2:], strict=False))  # the last column is "CPU s"
    assert (counts["pass"], counts["unsupported"], counts["wrong"], counts["all"]) == ("3", "1", "·", "4")
    assert "changed:" in lines
    assert any(line.startswith("    test_largest_uint16: pass in the table, unsupported here: ") for line in lines)


def test_a_backend_that_has_become_worse(fuzz, root):
    done = fuzz("doctor", "--backend", "onnxruntime:fault=floor-as-truncation", "--root", root)
    assert (done.returncode, done.stderr) == (1, "")
    assert "newly failing:\n    test_floor: pass in the table, wrong here: y[1] is -2.0, -3.0 is due" in done.stdout


def test_a_harness_that_fails_says_so(fuzz, root):
    (root / "cases" / "test_neg" / "model.onnx").write_bytes(b"\xff\xff no model")
    done = fuzz("doctor", "--backend", "onnxruntime", "--root", root)
    assert done.returncode == 1
    assert done.stderr == (
        "fuzz: the harness is not sound: 1 tests ended in an error of fuzz itself, which is a bug of ours\n"
    )
    assert "errors of fuzz itself:\n    test_neg: " in done.stdout


def test_a_worker_that_does_not_start(fuzz, root, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 3\n", encoding="ascii")
    python.chmod(0o755)
    (tmp_path / "python2").write_text(f'#!/bin/sh\ntest "$2" = -c && exec {_python()} "$@"\nexit 3\n', encoding="ascii")
    (tmp_path / "python2").chmod(0o755)
    done = fuzz("doctor", "--backend", f"onnxruntime:python={tmp_path / 'python2'}", "--root", root, "--json")
    assert done.returncode == 1
    assert "the harness is not sound: broken: onnxruntime:python=" in done.stderr
    result = json.loads(done.stdout)
    assert (result["targets"], result["harness"][-1]["state"]) == ([], "broken")


def _python() -> str:
    import sys

    return sys.executable


def test_a_table_is_written_and_its_page(fuzz, root):
    out, page = fuzz.home / "tables", fuzz.home / "backends.md"
    done = fuzz(
        "doctor", "--all", "--backend", "onnxruntime:opt=0", "--root", root,
        "--out", out, "--page", page, "--json",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["tables"] == [str(out / "onnxruntime.json")]
    table = load_table("onnxruntime", out)
    assert (table.target, table.version, table.tests, table.counts[Result.UNSUPPORTED]) == (
        "onnxruntime:opt=0", version("onnxruntime"), 4, 1,
    )  # fmt: skip
    assert "| [onnxruntime](#onnxruntime) |" in page.read_text(encoding="utf-8")


def test_the_page_alone(fuzz):
    done = fuzz("doctor", "--page", "backends.md")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "## onnxruntime" in (fuzz.home / "backends.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--backend", "nonsense"), ["unknown backend 'nonsense'"]),
        (("--out", "tables", "--all", "--filter", "test_a*"), ["without --filter"]),
        (("--out", "t", "--all", "--backend", "tract", "--backend", "tract:reload=yes"), ["one table a backend"]),
        (("--page", "page.md", "--all"), ["--page goes with --out, or alone"]),
        (("--page", "none/page.md"), ["cannot write"]),
        (("--root", ""), ["it is empty"]),
    ],
)
def test_misuse(fuzz, refused, arguments, words):
    refused(fuzz("doctor", *arguments), *words)


def test_without_a_name_every_backend_is_examined_as_its_table_was_measured(monkeypatch):
    from fuzz.cli.doctor import _installed

    installed = {"onnxruntime": "1.31.1", "torch": "2.13.0"}
    monkeypatch.setattr("fuzz.execute.target.installed_version", lambda entry: installed.get(entry.name))
    assert set(_installed()) == {"onnxruntime", "torch:mode=eager"}
