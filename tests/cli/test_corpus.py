"""`fuzz corpus onnx-tests`."""

from __future__ import annotations

import json

import onnx
from onnx import numpy_helper

from fuzz.case import find_cases, read_inputs, read_outputs, read_record


def test_operator_tests_become_cases(fuzz):
    done = fuzz("corpus", "onnx-tests", "--root", "r", "--filter", "test_sequence_*", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    cases = find_cases(fuzz.home / "r")
    assert (result["root"], result["cases"]) == ("r", len(cases))
    assert "test_sequence_insert_at_back" in {case.id for case in cases}
    for case in cases:
        onnx.checker.check_model(onnx.load(case.model_path))
        read_inputs(case, case.data_sets[0])
        assert read_outputs(case, case.data_sets[0])
        source = read_record(case)["source"]
        assert (source["test"], source["onnx"], source["rtol"]) == (case.id, onnx.__version__, 1e-3)


def test_the_values_are_those_of_the_test(fuzz):
    fuzz("corpus", "onnx-tests", "--filter", "test_relu")
    (case,) = find_cases(fuzz.home / "fuzz-root")
    x, y = (
        numpy_helper.to_array(onnx.TensorProto.FromString((case.data_sets[0] / name).read_bytes()))
        for name in ("input_0.pb", "output_0.pb")
    )
    assert (y == x.clip(0)).all()
    assert x.min() < 0


def test_sequences_and_optionals_come_through_whole(fuzz):
    fuzz("corpus", "onnx-tests", "--filter", "test_optional_*")
    inputs = {case.id: read_inputs(case, case.data_sets[0]) for case in find_cases(fuzz.home / "fuzz-root")}
    assert isinstance(inputs["test_optional_get_element_optional_sequence"][0], list)
    assert inputs["test_optional_has_element_empty_optional_input"] == (None,)


def test_they_run_and_are_judged(fuzz):
    fuzz("corpus", "onnx-tests", "--filter", "test_re[lc]*")
    assert fuzz("exec", "--backend", "onnxruntime").returncode == 0
    done = fuzz("diff", "--json")
    counts = json.loads(done.stdout)["verdicts"]["onnxruntime"]
    assert done.returncode == 0, done.stdout
    assert counts["ok"] == sum(counts.values()) > 3


def test_a_filter_that_nothing_matches(fuzz, refused):
    refused(fuzz("corpus", "onnx-tests", "--filter", "conv"), "'conv'", "test_conv*")
