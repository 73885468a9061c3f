"""The words by which each backend says that it lacks something, each drawn from it by a small model."""

from __future__ import annotations

import numpy as np
import pytest

from backends.protocol import Outcome

X = np.ones(2, np.float32)
TRACT = (
    ("Unimplemented", "g (float[2, 2] x) => (float y) { y = Det (x) }"),
    ("Unknown DatumType", "g (bfloat16[2] x) => (bfloat16[2] y) { y = Neg (x) }"),
    ("unknown ONNX TensorProto.DataType", "g (float[2] x) => (int2[2] y) { y = Cast <to = 26> (x) }"),
    ("has no type value", "g (seq(float[2]) x) => (int64 y) { y = SequenceLength (x) }"),
    (
        "Unsupported",
        'g (float[2] x) => (float[3] y) <int64[2] p = {1, 0}> { y = Pad <mode = "wrap"> (x, p) }',
    ),
    ("as a constant", "g (float[2, 2] x, int64[1] a) => (float[n, m] y) { y = ReduceSum (x, a) }"),
    ("is a const", "g (float[4] x, int64[1] a) => (float[n] y) { y = Slice (x, a, a, a, a) }"),
    ("to be a const", "g (float[4] x, int64 a) => (float[n] y) { y = CumSum (x, a) }"),
    ("be constant", "g (float[4] x, int64[2] a) => (float[n] y) { y = Pad (x, a) }"),
    ("not const", "g (float[1, 2, 3] x, float[2] s) => (float[1, 2, 3] y) { y = BatchNormalization (x, s, s, s, s) }"),
    ("shape input is variable", "g (float[4] x, int64[2] a) => (float[n, m] y) { y = Reshape (x, a) }"),
    ("can not be typed", "g (float[4] x, bool[4] c) => (float[n] y) { y = Compress (x, c) }"),
    ("be determined", "g (int64[2] x, int64[1] d, float[2] v) => (float[2, n] y) { y = OneHot (x, d, v) }"),
    ("sizes: None", "g (float[1, 1, 2, 2] x, float[4] s) => (float[n, m, h, w] y) { y = Resize (x, , s) }"),
    ("Undetermined symbol", "g (float[n] x) => (int64[1] y) { y = Shape (x) }"),
    ("expects a const", "g (float[1, 8, 1] x, int64 s, int64 n) => (float[1, a, b, 2] y) { y = STFT (x, s, , n) }"),
)


@pytest.mark.parametrize(("words", "body"), TRACT)
def test_what_tract_lacks_is_unsupported(execute, model, words, body):
    attempt = execute("tract", model(body, opset=25 if "int2" in body else 19), [X])
    assert attempt.outcome is Outcome.UNSUPPORTED, attempt.message
    assert words in attempt.message
