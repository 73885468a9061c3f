"""The suite of a root: written once, the quick tests chosen by operator."""

from __future__ import annotations

import json

import pytest

from fuzz.case import read_outputs
from fuzz.doctor.suite import SMOKE, open_suite
from fuzz.errors import StorageError, UsageError


@pytest.fixture
def few(monkeypatch, onnx_test):
    """In place of ONNX's tests a few of our own."""
    tests = [
        onnx_test("test_abs_longer", "g", [1, 2], [1, 2], "Abs"),
        onnx_test("test_abs", "g", [1, 2], [1, 2], "Abs"),
        onnx_test("test_relu", "g", [1, 2], [1, 2]),
    ]
    monkeypatch.setattr("corpus.onnx_tests.operator_tests", lambda: iter(tests[:2]))
    monkeypatch.setattr("corpus.onnx_tests.model_tests", lambda: iter(tests[2:]))


def test_a_suite_is_written_once(tmp_path, few, monkeypatch):
    written = []
    suite = open_suite(tmp_path, progress=written.append)
    assert set(suite.cases) == {"test_abs", "test_abs_longer", "test_relu", *SMOKE}
    assert sum(written) == 3 + len(SMOKE)
    assert suite.quick == (*SMOKE, "test_abs", "test_relu")
    monkeypatch.delattr("corpus.onnx_tests.operator_tests")
    assert open_suite(tmp_path) == suite


def test_tests_by_name(tmp_path, few):
    suite = open_suite(tmp_path)
    assert [case.id for case in suite.chosen(every=True, pattern="test_a*")] == ["test_abs", "test_abs_longer"]
    assert [case.id for case in suite.chosen(every=False, pattern="test_*")] == ["test_abs", "test_relu"]
    with pytest.raises(UsageError, match=r"no quick test .*'test_abs_l\*'"):
        suite.chosen(every=False, pattern="test_abs_l*")
    with pytest.raises(UsageError, match="no test is named like 'conv'"):
        suite.chosen(every=True, pattern="conv")


def test_the_generated_graphs_have_the_outputs_that_are_due(tmp_path, few):
    suite = open_suite(tmp_path)
    for name in SMOKE:
        case = suite.cases[name]
        assert len(read_outputs(case, case.data_sets[0])) >= 1


def test_a_suite_of_another_onnx(tmp_path, few):
    open_suite(tmp_path)
    manifest = tmp_path / "doctor.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "onnx": "0.1"}))
    with pytest.raises(UsageError, match=r"onnx 0\.1.*another --root"):
        open_suite(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_manifest_that_is_none(tmp_path, text):
    (tmp_path / "doctor.json").write_text(text)
    with pytest.raises(StorageError, match=r"doctor\.json.*remove it"):
        open_suite(tmp_path)
