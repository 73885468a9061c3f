"""Which cases mutants are made of."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from fuzz.case import Case
from fuzz.mutate.parent import Unfit, array_of, read_parent

RELU = "g (float[2, 3] x) => (float[2, 3] y) { y = Relu (x) }"
X = np.array([[-1, 2, 3], [4, -5, 6]], np.float32)


def test_a_strangers_case(foreign):
    parent = foreign(RELU, X)
    assert parent.opset == 17
    assert parent.record == {}
    assert parent.feeds[0]["x"].dtype == np.float64
    np.testing.assert_array_equal(parent.values["y"].value, np.maximum(X, 0))
    assert parent.shape("y") == (2, 3)
    with pytest.raises(Unfit, match="no value"):
        parent.shape("z")


def test_inputs_are_made_up_where_there_are_none(foreign):
    assert foreign(RELU).feeds[0]["x"].shape == (2, 3)


def test_a_sequence(foreign):
    body = "g (seq(float[2]) s) => (float[N] y) { y = ConcatFromSequence <axis = 0> (s) }"
    parent = foreign(body, [X[0, :2], X[1, :2]])
    assert [part.tolist() for part in parent.feeds[0]["s"]] == [[-1, 2], [4, -5]]
    with pytest.raises(Unfit, match="container"):
        array_of(parent.feeds[0]["s"])


def test_our_own_case(ours):
    parent = ours(3, nodes=(3, 5))
    assert "choices" in parent.record
    assert len(parent.program.steps) >= 3


def test_external_data_is_taken_in(tmp_path):
    body = RELU.replace("Relu (x)", "Add (x, w)")
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {body}')
    tensor = numpy_helper.from_array(X, "w")
    (tmp_path / "w.bin").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="w.bin")
    model.graph.initializer.append(tensor)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    parent = read_parent(Case("outside", tmp_path, tmp_path / "model.onnx", ()))
    assert b"w.bin" not in parent.content
    np.testing.assert_array_equal(parent.program.constants["w"], X)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("g (float[2] x) => (float[3] y) { y = Relu (x) }", "the parent is refused"),
        ("g (float[2] x) => (float[2] x) { }", "computes nothing"),
        ("g (string[2] x) => (string[2] y) { y = Identity (x) }", "the parent cannot be read"),
    ],
)
def test_what_is_no_parent(foreign, body, words):
    with pytest.raises(Unfit, match=words):
        foreign(body)


def test_what_the_reference_cannot_run(foreign):
    parent = foreign("g (float[2] x, int64[1] s) => (float[N] y) { y = Reshape (x, s) }", X[0, :2], np.array([5]))
    with pytest.raises(Unfit, match="the reference cannot run the parent"):
        parent.shape("y")
