import pytest

from fuzz.execute.variant import varied


@pytest.mark.parametrize(
    ("text", "version", "options", "expected"),
    [
        ("onnxruntime", None, {"opt": "0"}, "onnxruntime:opt=0"),
        ("onnxruntime:opt=0", None, {"opt": None}, "onnxruntime"),
        ("onnxruntime:opt=0,disable=A+B", None, {"disable": "C"}, "onnxruntime:disable=C,opt=0"),
        ("onnxruntime", "1.20.1", None, "onnxruntime==1.20.1"),
        ("onnxruntime==1.20.1:opt=1@cuda", "1.21.0", {}, "onnxruntime==1.21:opt=1@cuda"),
        ("onnxruntime==1.20.1", "", {}, "onnxruntime"),
        ("tvm:env.NAME=a,python=/some/python", None, {"opt": "2"}, "tvm:env.NAME=a,opt=2,python=/some/python"),
        ("onnx-version-converter:to=13", None, {}, "onnx-version-converter:to=13"),
    ],
)
def test_other_version_or_options(text, version, options, expected):
    assert varied(text, version=version, options=options) == expected
