"""`fuzz corpus onnx-tests`. Making ONNX's tests takes the most time by far, so that few commands serve all."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from corpus.onnx_tests import _may_match, model_tests, operator_tests
from fuzz.case import find_cases, read_inputs, read_outputs, read_record

FUZZ = Path(sys.executable).with_name("fuzz")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The root with ONNX's tests of sequences and optionals, Relu and some more; and what the command said of it."""
    home = tmp_path_factory.mktemp("corpus")
    done = subprocess.run(
        [FUZZ, "corpus", "onnx-tests", "--root", "r", "--filter", "test_[ors][ep][tqlc]*", "--json"],
        capture_output=True, text=True, cwd=home, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return home / "r", json.loads(done.stdout)


def test_operator_tests_become_cases(written):
    root, result = written
    cases = find_cases(root)
    assert (result["root"], result["cases"]) == ("r", len(cases))
    inputs = {case.id: read_inputs(case, case.data_sets[0]) for case in cases}
    assert "test_sequence_insert_at_back" in inputs
    for case in cases:
        onnx.checker.check_model(onnx.load(case.model_path))
        assert read_outputs(case, case.data_sets[0])
        source = read_record(case)["source"]
        assert (source["test"], source["onnx"], source["rtol"]) == (case.id, onnx.__version__, 1e-3)
    # Sequences and optionals come through whole.
    assert isinstance(inputs["test_optional_get_element_optional_sequence"][0], list)
    assert inputs["test_optional_has_element_empty_optional_input"] == (None,)


def test_they_have_the_values_of_the_test_run_and_are_judged(fuzz, written):
    for case in find_cases(written[0]):
        if fnmatchcase(case.id, "test_re[lc]*"):
            shutil.copytree(case.model_path.parent, fuzz.home / "fuzz-root" / "cases" / case.id)
    (case,) = (case for case in find_cases(fuzz.home / "fuzz-root") if case.id == "test_relu")
    x, y = (
        numpy_helper.to_array(onnx.TensorProto.FromString((case.data_sets[0] / name).read_bytes()))
        for name in ("input_0.pb", "output_0.pb")
    )
    assert (y == x.clip(0)).all()
    assert x.min() < 0
    assert fuzz("exec", "--backend", "onnxruntime").returncode == 0
    done = fuzz("diff", "--json")
    counts = json.loads(done.stdout)["verdicts"]["onnxruntime"]
    assert done.returncode == 0, done.stdout
    assert counts["ok"] == sum(counts.values()) > 3


def test_a_filter_that_nothing_matches(fuzz, refused):
    refused(fuzz("corpus", "onnx-tests", "--filter", "conv"), "'conv'", "test_conv*")


@pytest.mark.parametrize("pattern", ["*", "test_*", "t*relu", "?est_relu", "[ts]est_*", "test_conv", "test[_]relu"])
def test_a_glob_that_may_match(pattern):
    assert _may_match(pattern)


@pytest.mark.parametrize("pattern", ["", "test", "conv", "conv*", "tests_*", "relu?"])
def test_a_glob_that_matches_no_name_of_theirs(pattern):
    assert not _may_match(pattern)
    assert not list(operator_tests(pattern))
    assert not list(model_tests(pattern))
