"""ONNX's own tests on the reference: all of them, and that each of the four results can come out."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from corpus.onnx_tests import DISPUTES, OperatorTest, operator_tests
from fuzz.selftest import conformance
from fuzz.selftest.conformance import Result, conform


def fuzz(*arguments):
    return subprocess.run(
        [sys.executable, "-c", "from fuzz.cli.main import main; main()", "selftest", "--reference", *arguments],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def _typed(name, array):
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def operator_test(kind, inputs, outputs, *, name="test_made_here", **attributes):
    """A test of one node: arrays in, arrays expected."""
    given = [f"x{i}" for i in range(len(inputs))]
    due = [f"y{i}" for i in range(len(outputs))]
    types = [list(map(_typed, *side)) for side in ((given, inputs), (due, outputs))]
    graph = helper.make_graph([helper.make_node(kind, given, due, **attributes)], "g", *types)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    files = [[numpy_helper.from_array(a).SerializeToString() for a in side] for side in (inputs, outputs)]
    return OperatorTest(name, model.SerializeToString(), tuple(files[0]), tuple(files[1]), 1e-3, 1e-7)


ONE = np.array([1.0, 2.0], np.float32)


def test_all_of_them():
    """The whole of the issue: every test of ONNX, none failed."""
    done = fuzz("--json")
    result = json.loads(done.stdout)
    listed = {one["name"]: one for one in result["listed"]}
    assert {name: one["message"] for name, one in listed.items() if one["result"] == "fail"} == {}
    assert done.returncode == 0
    assert result["tests"] >= 2024
    # Ten draws each: now and then one of the tests expects what has been drawn here, and passes.
    assert {name for name, one in listed.items() if one["result"] == "random"} <= {
        "test_bernoulli", "test_bernoulli_double", "test_bernoulli_seed",
    }  # fmt: skip
    assert {name for name, one in listed.items() if one["result"] == "dispute"} == set(DISPUTES)
    assert result["unbounded"] <= 11


def test_what_is_expected_passes():
    assert conform(operator_test("Neg", [ONE], [-ONE])) == conformance.Tested("test_made_here", Result.PASSED)


def test_what_is_not_expected_fails():
    found = conform(operator_test("Neg", [ONE], [ONE]))
    assert (found.result, found.message) == (Result.FAILED, "y0: 1.0 is expected at [0], the reference has -1.0")


def test_a_number_beyond_the_bound_fails_though_the_tests_tolerance_would_have_it():
    found = conform(operator_test("Exp", [ONE], [np.exp(ONE) * np.float32(1.0005)]))
    assert found.result is Result.FAILED
    assert "±" in found.message


def test_a_wrong_shape_fails():
    found = conform(operator_test("Neg", [ONE], [-ONE[:1]]))
    assert "shape [1]" in found.message


def test_where_nothing_is_certain_the_tests_tolerance_holds():
    """16-bit sums that may overflow leave the bound open; the expected value has to be near all the same."""
    x = np.full((1, 3), 60000, np.float16)
    w = np.array([[1], [1], [-1]], np.float16)
    near = conform(operator_test("MatMul", [x, w], [np.array([[60032]], np.float16)]))
    assert (near.result, near.unbounded) == (Result.PASSED, True)
    far = conform(operator_test("MatMul", [x, w], [np.array([[50000]], np.float16)]))
    assert (far.result, far.unbounded) == (Result.FAILED, True)


@pytest.mark.untraced
def test_where_the_text_says_what_is_due_the_rules_own_bound_holds():
    """Cases of causal queries among more keys are not judged, since older texts differ; ONNX's tests are."""
    (test,) = operator_tests("test_attention_4d_causal")
    assert conform(test) == conformance.Tested(test.name, Result.PASSED)
    (due,) = test.outputs
    expected = numpy_helper.to_array(onnx.TensorProto.FromString(due))
    moved = numpy_helper.from_array((expected * np.float32(1.0005)).astype(np.float32)).SerializeToString()
    found = conform(replace(test, outputs=(moved,)))
    assert (found.result, found.unbounded) == (Result.FAILED, False)
    assert "±" in found.message


def test_random_outputs_need_their_type_and_shape_alone():
    probability = np.full(64, 0.5, np.float32)
    drawn = (np.arange(64) % 3 == 0).astype(np.float32)
    assert conform(operator_test("Bernoulli", [probability], [drawn])).result is Result.RANDOM
    assert conform(operator_test("Bernoulli", [probability], [drawn[:9]])).result is Result.FAILED


def test_a_row_turns_a_failure_into_a_dispute(monkeypatch):
    monkeypatch.setattr(conformance, "DISPUTES", {"test_made_here": "Operators.md, Neg: -x"})
    found = conform(operator_test("Neg", [ONE], [ONE]))
    assert found.result is Result.DISPUTED
    assert found.message.endswith("; Operators.md, Neg: -x")


def test_a_row_that_nothing_needs_is_told(monkeypatch):
    monkeypatch.setattr(conformance, "DISPUTES", {"test_made_here": "Operators.md, Neg: -x"})
    found = conform(operator_test("Neg", [ONE], [-ONE]))
    assert found.result is Result.FAILED
    assert "stale" in found.message


def test_a_model_that_the_reference_cannot_run_fails():
    found = conform(operator_test("Nonsense", [ONE], [ONE]))
    assert found.result is Result.FAILED
    assert found.message.startswith("Unrunnable: Nonsense")


def test_sequences_are_compared_element_by_element():
    graph = helper.make_graph(
        [helper.make_node("SequenceConstruct", ["x"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, [2])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]).SerializeToString()
    files = (numpy_helper.from_array(ONE).SerializeToString(),)
    for value, result in ((ONE, Result.PASSED), (ONE + 1, Result.FAILED)):
        expected = onnx.SequenceProto(elem_type=onnx.SequenceProto.TENSOR)
        expected.tensor_values.append(numpy_helper.from_array(value))
        test = OperatorTest("test_made_here", model, files, (expected.SerializeToString(),), 1e-3, 1e-7)
        assert conform(test).result is result


def test_failures_are_listed_and_make_the_exit_status(monkeypatch, capsys):
    from fuzz.cli.selftest import command

    monkeypatch.setattr(conformance, "operator_tests", lambda _: iter([operator_test("Neg", [ONE], [ONE])]))
    monkeypatch.setattr(conformance, "model_tests", lambda _: iter([operator_test("Neg", [ONE], [-ONE])]))
    assert command.main(["--reference", "--jobs", "1"], standalone_mode=False) == 1
    first, last = capsys.readouterr().out.splitlines()
    assert first == "test_made_here: fail: y0: 1.0 is expected at [0], the reference has -1.0"
    assert last == "2 tests, 1 pass, 0 random, 0 dispute, 1 fail, 0 unbounded"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--filter", "conv"], "test_conv*"),
        (["--null"], "--reference goes without"),
        (["--faults"], "--reference goes without"),
    ],
)
@pytest.mark.usefixtures("measured")
def test_misuse(arguments, words):
    done = fuzz(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
