"""Opsets below 13: rows give what the older text says, where it says the same."""

from __future__ import annotations

import numpy as np
import onnx.defs
import pytest
from onnx import parser

from abstract.operators import TABLE
from abstract.program import _SINCE, parse
from abstract.reference import interpret

X = np.arange(6.0).reshape(1, 2, 3)


def run(node, opset, shape):
    text = f'<ir_version: 7, opset_import: ["" : {opset}]> g (float[1,2,3] x) => (float{shape} y) {{ y = {node} }}'
    program = parse(parser.parse_model(text))
    return program, interpret(program, {"x": X})["y"]


@pytest.mark.parametrize(
    ("node", "opset", "expected"),
    [
        ("Squeeze<axes = [0]>(x)", 9, X[0]),
        ("Unsqueeze<axes = [1]>(x)", 9, X[:, None]),
        ("ReduceSum<axes = [2], keepdims = 0>(x)", 11, X.sum(2)),
        ("ReduceMean<axes = [1]>(x)", 6, X.mean(1, keepdims=True)),
        ("Slice<starts = [1], ends = [3], axes = [2]>(x)", 9, X[:, :, 1:3]),
        ("MaxPool<kernel_shape = [2]>(x)", 6, [[[1, 2], [4, 5]]]),
        ("AveragePool<kernel_shape = [2], pads = [1, 0]>(x)", 6, [[[0, 0.5, 1.5], [3, 3.5, 4.5]]]),
        ("Add(x, x)", 7, 2 * X),
        ("Cast<to = 1>(x)", 9, X),
    ],
)
def test_rows_read_older_nodes(node, opset, expected):
    program, y = run(node, opset, str(list(np.shape(expected))).replace(" ", ""))
    (step,) = program.steps
    assert step.row is not None
    np.testing.assert_allclose(y.value, expected, rtol=1e-12)
    assert np.max(y.bound) < 1e-4


@pytest.mark.parametrize("opset", [9, 12, 13, 14])
def test_a_batch_normalization_with_one_output_infers(opset):
    text = f"""<ir_version: 7, opset_import: ["" : {opset}]> g (float[1,2,3] x) => (float[1,2,3] y)
    <float[2] one = {{1, 1}}, float[2] mean = {{1, 4}}, float[2] variance = {{4, 4}}>
    {{ y = BatchNormalization<epsilon = 0.0>(x, one, one, mean, variance) }}"""
    y = interpret(parse(parser.parse_model(text)), {"x": X})["y"]
    np.testing.assert_allclose(y.value, [[[0.5, 1, 1.5], [0.5, 1, 1.5]]], rtol=1e-12)


@pytest.mark.parametrize(("node", "opset"), [("Softmax(x)", 12), ("Clip<min = 1.0, max = 3.0>(x)", 10)])
def test_what_meant_something_else_is_left_to_onnx(node, opset):
    program, y = run(node, opset, "[1,2,3]")
    assert program.steps[0].row is None
    if node.startswith("Softmax"):
        np.testing.assert_allclose(y.value.sum(), 1, rtol=1e-6)  # one row of six, not two of three
    else:
        assert y.value.tolist() == X.clip(1, 3).tolist()


@pytest.mark.parametrize("name", sorted(_SINCE))
def test_between_then_and_13_nothing_but_additions(name):
    """Attributes became inputs of their names or were added; defaults stayed."""
    assert name in TABLE
    new = onnx.defs.get_schema(name, 13)
    formals = {i.name for i in new.inputs}
    for opset in range(_SINCE[name], 13):
        old = onnx.defs.get_schema(name, opset)
        assert set(old.attributes) - set(new.attributes) <= formals
        assert [i.name for i in old.inputs] == [i.name for i in new.inputs][: len(old.inputs)]
        for key in set(old.attributes) & set(new.attributes):
            before, after = old.attributes[key].default_value, new.attributes[key].default_value
            assert before.SerializeToString() == after.SerializeToString(), key
