"""Inference that does not end the process, and says what ONNX's own says where that does not either."""

from __future__ import annotations

import subprocess
import sys

import onnx
import onnx.parser
import onnx.shape_inference
import pytest

from abstract.inference import check_fully, infer_types

HEAD = '<ir_version: 8, opset_import: ["" : 20, "ai.onnx.ml" : 1, "f" : 1, "g" : 1]> g '
EYE = "EyeLike <dtype = 1>"
BODIES = f"""(float[2,2] x, bool c) => (float[2,2] z) {{
    z = If (c) <
        then_branch = t () => (float[2,2] a) {{ q = Relu (x) p = {EYE} (q) a = Relu (p) }},
        else_branch = e () => (float[2,2] b) {{ q = SECOND (x) p = {EYE} (q) b = Relu (p) }}
    >
}}"""
FUNCTION = f"""(float[2,2] x) => (float[2,2] z) {{ y = BEFORE (x) w = f.F (y) z = Relu (w) }}
    <domain: "f", opset_import: ["" : 20, "g" : 1]> F (x) => (y) {{ q = INSIDE (x) y = {EYE} (q) }}"""
SAFE = {
    "behind-a-type": f"(float[2,2] x) => (float[2,2] z) {{ y = Relu (x) w = {EYE} (y) v = {EYE} (w) z = Relu (v) }}",
    "without-a-type-to-copy": "(float[2,2] x) => (float[2,2] z) { y = f.Op (x) w = EyeLike (x) z = Relu (w) }",
    "bodies": BODIES.replace("SECOND", "Neg"),
    "function": FUNCTION.replace("BEFORE", "Neg").replace("INSIDE", "Neg"),
    "strings": '(string[2] x) => (bool[2] z) { z = RegexFullMatch <pattern = "a"> (x) }',
}
DEADLY = {
    "eye": f"(float[2,2] x) => (float[2,2] z) {{ y = f.Op (x) w = {EYE} (y) z = Relu (w) }}",
    "failed": f"(float[2,3] x) => (float[2,2] z) {{ y = MatMul (x, x) z = {EYE} (y) }}",
    "body": BODIES.replace("SECOND", "f.Op"),
    "call": FUNCTION.replace("BEFORE", "f.Op").replace("INSIDE", "Neg"),
    "function": FUNCTION.replace("BEFORE", "Neg").replace("INSIDE", "g.Op"),
    "strings": '(string[2] x) => (bool[2] z) { y = f.Op (x) z = RegexFullMatch <pattern = "a"> (y) }',
    "labels": "(int64[2] x) => (string[2] z) { y = f.Op (x) z = ai.onnx.ml.LabelEncoder (y) }",
}


def model(text):
    return onnx.parser.parse_model(HEAD + text)


@pytest.mark.parametrize("text", SAFE.values(), ids=SAFE)
def test_it_says_what_onnx_says(text):
    asked = model(text)
    for strict in (False, True):
        flags = {"check_type": strict, "strict_mode": strict}
        for data_prop in (False, True):
            theirs = onnx.shape_inference.infer_shapes(asked, data_prop=data_prop, **flags)
            assert infer_types(asked, strict=strict, data_prop=data_prop) == theirs
    check_fully(asked)
    assert asked == model(text)


@pytest.mark.parametrize("text", DEADLY.values(), ids=DEADLY)
def test_where_onnx_ends_the_process_it_says_what_is_known(text):
    asked = model(text)
    theirs = [sys.executable, "-c", "import onnx, sys; onnx.shape_inference.infer_shapes(sys.stdin.buffer.read())"]
    died = subprocess.run(theirs, input=asked.SerializeToString(), check=False).returncode
    assert died == -11  # where it does not any more this module has nothing to do
    inferred = infer_types(asked, data_prop=True)
    assert inferred.opset_import == asked.opset_import
    assert inferred.functions == asked.functions
    assert [node.domain for node in inferred.graph.node] == [node.domain for node in asked.graph.node]
    assert asked == model(text)


def test_what_is_known_beside_such_a_node_is_told():
    asked = model(f"(float[2,2] x) => (float[2,2] z) {{ y = f.Op (x) w = {EYE} (y) v = Relu (x) z = Add (v, w) }}")
    assert [info.name for info in infer_types(asked).graph.value_info] == ["v"]
    check_fully(asked)


def test_what_is_wrong_with_such_a_model_is_still_said():
    with pytest.raises(onnx.shape_inference.InferenceError, match="MatMul"):
        check_fully(model(DEADLY["failed"]))
    with pytest.raises(onnx.checker.ValidationError, match="k_"):
        check_fully(model(f"(float[2,2] x) => (float[2,2] z) {{ y = f.Op (x) z = {EYE[:-1]}, k_ = 1> (y) }}"))
