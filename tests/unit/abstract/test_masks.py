"""Masks of -inf, as attention makes them: what they shut out is certain, and the rest stays so."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper, parser

from abstract.program import parse
from abstract.reference import interpret

OPEN = np.array([[0, -np.inf, 0], [0, 0, -np.inf]])


def run(body, **inputs):
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 21]> {body}')
    program = parse(model)
    return interpret(program, {n: np.asarray(a, program.dtypes[n].carrier) for n, a in inputs.items()})


SCORES = """g (float[2,3] x, float[2,3] m) => (float[2,3] y) {
    e = Exp(x) s = Add(e, m) y = Softmax<axis = -1>(s)
}"""


def test_softmax_gives_zero_where_it_is_masked_and_a_bound_elsewhere():
    y = run(SCORES, x=np.zeros((2, 3)), m=OPEN)["y"]
    np.testing.assert_allclose(y.value, [[0.5, 0, 0.5], [0.5, 0.5, 0]])
    assert (y.bound[np.isinf(OPEN)] < 1e-37).all()
    assert (y.bound < 1e-5).all()


def test_a_row_that_is_masked_altogether_is_unknown():
    y = run(SCORES, x=np.zeros((2, 3)), m=[[0, 0, 0], [-np.inf] * 3])["y"]
    assert np.isfinite(y.bound[0]).all()
    assert np.isinf(y.bound[1]).all()


def test_what_is_unknown_beside_a_mask_leaves_the_row_unknown():
    body = SCORES.replace("e = Exp(x)", "h = Exp(x) e = Exp(h)")
    y = run(body, x=[[100, 0, 0], [0, 0, 0]], m=OPEN)["y"]
    assert np.isinf(y.bound[0]).all()
    assert np.isfinite(y.bound[1]).all()


@pytest.mark.parametrize("kind", [10, 16, 1])
def test_casts_keep_infinities(kind):
    y = run(f"g (double[3] m) => (float[3] y) {{ c = Cast<to = {kind}>(m) y = Cast<to = 1>(c) }}", m=OPEN[0])["y"]
    assert np.max(y.bound) < 1e-30
    assert y.value.tolist() == OPEN[0].tolist()


def test_the_greatest_of_a_masked_row_is_minus_infinity():
    body = """g (float[2,3] x, float[2,3] m) => (float[2] y) {
        e = Exp(x) s = Add(e, m) a = Constant<value_ints = [1]>() y = ReduceMax<keepdims = 0>(s, a)
    }"""
    y = run(body, x=np.zeros((2, 3)), m=[[0, -np.inf, 0], [-np.inf] * 3])["y"]
    assert y.value.tolist() == [1.0, -np.inf]
    assert np.max(y.bound) < 1e-5


def test_a_constant_mask_that_is_added_is_no_error():
    model = parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 21]> g (float[3] x) => (float[3] y) { y = Add(x, m) }'
    )
    model.graph.initializer.append(numpy_helper.from_array(OPEN[0].astype(np.float32), "m"))
    y = interpret(parse(model), {"x": np.array([1.0, 2.0, 3.0])})["y"]
    assert y.value.tolist() == [1, -np.inf, 3]
    assert np.max(y.bound) < 1e-5
