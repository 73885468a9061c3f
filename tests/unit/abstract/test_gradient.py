"""The training operator Gradient."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import parser

from abstract.program import parse
from abstract.reference import interpret

TEXT = """<ir_version: 8, opset_import: ["" : 17, "ai.onnx.preview.training" : 1]>
g (float[2] x, float[2] w) => (float[2] dx, float[2] dw) {{
    h = Mul(x, w) k = Exp(h) y = {last}
    dx, dw = ai.onnx.preview.training.Gradient <xs = ["{x}", "w"], y = "{y}"> ({x}, w)
}}"""


def run(last="Add(k, x)", x="x", y="y"):
    model = parser.parse_model(TEXT.format(last=last, x=x, y=y))
    values = interpret(parse(model), {"x": np.array([0.5, -1.0]), "w": np.array([2.0, 0.25])})
    return values["dx"], values["dw"]


def test_it_differentiates_between_the_tensors_that_it_names():
    x, w = np.array([0.5, -1.0]), np.array([2.0, 0.25])
    dx, dw = run()
    np.testing.assert_allclose(dx.value, w * np.exp(x * w) + 1, rtol=1e-9)
    np.testing.assert_allclose(dw.value, x * np.exp(x * w), rtol=1e-9)
    assert np.isinf(dx.bound)


def test_an_intermediate_tensor_is_a_variable_like_another():
    dx, dw = run("Mul(h, w)", x="h")
    np.testing.assert_allclose(dx.value, [2.0, 0.25], rtol=1e-9)
    np.testing.assert_allclose(dw.value, [1.0, -0.25], rtol=1e-9)


def test_what_is_not_computed_has_no_gradient():
    with pytest.raises(ValueError, match="'nowhere' is not computed from x, w"):
        run(y="nowhere")
