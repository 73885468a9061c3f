"""Each correction of ONNX's reference operators: the fault is still there, and corrected."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import onnx
import pytest
from onnx import parser
from onnx.reference import ReferenceEvaluator

from abstract.corrections import CORRECTED, CORRECTIONS

X = np.arange(12, dtype=np.float32).reshape(2, 3, 2) / 4
FLAT = X.reshape(2, 6)
EXP = np.exp(FLAT)


def outputs(text, opset, operators, *inputs):
    model = parser.parse_model(f'<ir_version: 7, opset_import: ["" : {opset}]> {text}')
    evaluator = ReferenceEvaluator(model, new_ops=list(operators))
    return evaluator.run(None, dict(zip((i.name for i in model.graph.input), inputs, strict=True)))[0]


def same(actual, expected):
    if isinstance(actual, list) or isinstance(expected, list):
        return type(actual) is type(expected) and all(map(same, actual, expected))
    return actual.shape == np.shape(expected) and np.allclose(actual, expected)


SOFTMAX = "g (float[2,3,2] x) => (float[2,3,2] y) {{ y = {}(x) }}"
LOOP = """g (int64 m, float x) => (float[?] y) {
    y = Loop(m, ) <body = b (int64 i, bool c) => (bool d, float s) { d = Identity(c) s = Neg(x) }>
}"""
CASES = {
    "Loop": (LOOP, 17, (np.array(2), np.float32(1.5)), np.array([-1.5, -1.5])),
    "Optional": ("g (float[2] x) => (optional(float[2]) y) { y = Optional(x) }", 17, (X[0, 0],), X[0, 0]),
    "Scatter": (
        "g (float[3] x, int64[1] i, float[1] u) => (float[3] y) { y = Scatter(x, i, u) }", 10,
        (np.zeros(3, np.float32), np.array([2]), np.float32([7])), np.array([0, 0, 7]),
    ),
    "Softmax": (SOFTMAX.format("Softmax"), 12, (X,), (EXP / EXP.sum(1, keepdims=True)).reshape(X.shape)),
    "LogSoftmax": (
        SOFTMAX.format("LogSoftmax"), 11, (X,), (FLAT - np.log(EXP.sum(1, keepdims=True))).reshape(X.shape),
    ),
    "SequenceInsert": (
        """g (float[2] x, float[2] z) => (float[2] y) {
            s = SequenceConstruct(x)
            at = Constant<value_int = 1>()
            t = SequenceInsert(s, z, at)
            y = SequenceAt(t, at)
        }""", 17, (np.array([1, 2], np.float32), np.array([3, 4], np.float32)), np.array([3, 4], np.float32),
    ),
    "Hardmax": (SOFTMAX.format("Hardmax"), 1, (X,), np.repeat([0, 1, 0, 1], [5, 1, 5, 1]).reshape(X.shape)),
}  # fmt: skip


@pytest.mark.parametrize("row", CORRECTIONS, ids=lambda row: row.operator)
def test_the_fault_is_there_and_corrected(row):
    text, opset, inputs, expected = CASES[row.operator]
    with suppress(NotImplementedError, TypeError, ValueError):  # it is no better
        assert not same(outputs(text, opset, (), *inputs), expected)
    assert same(outputs(text, opset, CORRECTED, *inputs), expected)


def test_a_name_is_corrected_once():
    assert [row.operator for row in CORRECTIONS] == [row.implementation.__name__ for row in CORRECTIONS]
    assert len({row.operator for row in CORRECTIONS}) == len(CORRECTIONS)
    for row in CORRECTIONS:
        assert row.source.startswith(("Operators.md, ", "Changelog.md, "))
        assert onnx.defs.has(row.operator)


@pytest.mark.parametrize(("axis", "rows"), [(0, 1), (1, 2), (2, 6), (-1, 6), (-3, 1)])
def test_the_axis_that_flattens(axis, rows):
    text = f"g (float[2,3,2] x) => (float[2,3,2] y) {{ y = Softmax<axis = {axis}>(x) }}"
    y = outputs(text, 11, CORRECTED, X)
    np.testing.assert_allclose(y.reshape(rows, -1).sum(1), np.ones(rows), rtol=1e-6)


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_from_13_on_they_are_as_they_were(kind, axis):
    text = f"g (float[2,3,2] x) => (float[2,3,2] y) {{ y = {kind}<axis = {axis}>(x) }}"
    theirs, ours = (outputs(text, 13, operators, X) for operators in ((), CORRECTED))
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_an_empty_optional_is_none():
    assert outputs("g () => (optional(float[2]) y) { y = Optional<type = float[2]>() }", 17, CORRECTED) is None
