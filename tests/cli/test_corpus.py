"""`fuzz corpus onnx-tests`. Making ONNX's tests takes the most time by far, so that few commands serve all."""

from __future__ import annotations

import json

import onnx
from onnx import numpy_helper

from fuzz.case import find_cases, read_inputs, read_outputs, read_record


def test_operator_tests_become_cases(fuzz):
    done = fuzz("corpus", "onnx-tests", "--root", "r", "--filter", "test_[os][ep]*", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    cases = find_cases(fuzz.home / "r")
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


def test_they_have_the_values_of_the_test_run_and_are_judged(fuzz):
    fuzz("corpus", "onnx-tests", "--filter", "test_re[lc]*")
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
