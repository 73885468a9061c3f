"""C code of emx-onnx-cgen: what its functions are given, what it shows, how its words are found."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest

from backends.protocol import Outcome, Unsupported
from backends.tensor import from_numpy, to_numpy

pytest.importorskip("emx_onnx_cgen", reason="pip install emx-onnx-cgen")
emx = pytest.importorskip("backends.emx")

NAME = "emx-onnx-cgen"
X = np.array([1, -2], np.float32)
WORDS = (
    ("Unsupported op", "g (bfloat16[2] x) => (bfloat16[2] y) { y = Neg (x) }", [X]),
    ("shape must be non-negative", "g (float[2] x) => (int64[1, n] y) { y = NonZero (x) }", [X]),
    ("are those of no input", "g (float[n] x) => (float[m] y) { y = Concat <axis = 0> (x, x) }", [X]),
    ("sequences and optionals", "g (seq(float[2]) x) => (int64 y) { y = SequenceLength (x) }", [[from_numpy(X)]]),
    ("string tensors are not passed", "g (string[2] x) => (string[2] y) { y = Identity (x) }", []),
)


@pytest.mark.parametrize(("words", "body", "inputs"), WORDS)
def test_what_it_lacks_is_unsupported(execute, model, words, body, inputs):
    attempt = execute(NAME, model(body), inputs)
    assert attempt.outcome is Outcome.UNSUPPORTED, attempt.message
    assert words in attempt.message


@pytest.mark.parametrize(
    "body",
    [
        "g (float[2] x) => (float[2] y, float[2] y) { y = Neg (x) }",
        "g (float[2] x) => (float[2] x, float[2] y) { y = Neg (x) }",
    ],
)
def test_code_that_the_c_compiler_refuses_is_its_fault(execute, model, body):
    attempt = execute(NAME, model(body), [X])
    assert attempt.outcome is Outcome.REJECTED
    assert attempt.message.startswith("model.c:")


def test_tensors_of_no_and_of_one_element_keep_their_shapes(execute, model):
    body = "g (float[0, 3] e, float s, float[1] o) => (f, t, p) { f = Neg (e) t = Neg (s) p = Neg (o) }"
    one = np.float32(2)
    attempt = execute(NAME, model(body), [np.zeros((0, 3), np.float32), np.array(one), np.array([one])])
    assert [value.shape for value in attempt.outputs[0]] == [(0, 3), (), (1,)], attempt.message


def test_names_that_c_knows_are_no_trouble(execute, model):
    body = "g (float[2] int, float[2] model) => (float[2] double) { double = Sub (int, model) }"
    attempt = execute(NAME, model(body), [X, 2 * X])
    assert attempt.outputs == ((from_numpy(-X),),)


def test_a_tensor_of_another_shape_is_the_fault_of_the_case(execute, model):
    attempt = execute(NAME, model("g (float[2] x) => (float[2] y) { y = Neg (x) }"), [np.ones(3, np.float32)])
    assert attempt.outcome is Outcome.ERROR
    assert attempt.message == "'x' has the shape [3], the model says [2]"


def test_a_sanitizer_tells_what_c_leaves_undefined(execute, model):
    body = "g (int32[1] x) => (int32[1] y) { y = Add (x, x) }"
    attempt = execute(f"{NAME}:opt=0,restrict=no,sanitize=undefined", model(body), [np.array([2**31 - 1], np.int32)])
    assert attempt.outcome is Outcome.CRASH
    assert "signed integer overflow" in attempt.stderr


@pytest.mark.parametrize("preloaded", ["", "/lib/libasan.so"])
def test_the_address_sanitizer_asks_for_its_libraries(monkeypatch, preloaded):
    monkeypatch.setenv("LD_PRELOAD", preloaded)
    monkeypatch.setattr(emx.ctypes, "CDLL", lambda _name: SimpleNamespace(**({"__asan_init": 1} if preloaded else {})))
    with pytest.raises(Unsupported, match=r"add env\.LD_PRELOAD=.*libasan\.so\):.*libstdc\+\+\.so"):
        emx.build_command({"sanitize": "address"})


def test_under_the_address_sanitizer_exceptions_of_others_are_no_crash(execute, model):
    """onnx's shape inference throws one for the second model, and catches it."""
    asked = [["gcc", f"-print-file-name={name}.so"] for name in ("libasan", "libstdc++")]
    libraries = [subprocess.run(each, capture_output=True, text=True, check=True).stdout.strip() for each in asked]
    if not all(Path(library).is_absolute() for library in libraries):
        pytest.skip("install AddressSanitizer's library for gcc")
    target = f"emx-onnx-cgen:sanitize=address,env.LD_PRELOAD={':'.join(libraries)},env.ASAN_OPTIONS=detect_leaks=0"
    body = "g (float[{}] x, float[3] z) => (float[3] y) {{ t = Neg (x) y = Add (t, z) }}"
    x = np.array([1, -2, 3], np.float32)
    attempt = execute(target, model(body.format(3)), [x, x])
    assert (attempt.outcome, attempt.message) == (Outcome.OK, "")
    assert to_numpy(attempt.outputs[0][0]).tolist() == [0, 0, 0]
    attempt = execute(target, model(body.format(2)), [x[:2], x])
    assert attempt.outcome not in {Outcome.CRASH, Outcome.OK}
    attempt = execute(target, model(body.format(3)), [x, x])
    assert attempt.outcome is Outcome.OK


def test_the_compiler_is_the_one_that_the_environment_names(monkeypatch):
    monkeypatch.setenv("CC", "ccache my-gcc")
    assert emx.build_command({"opt": "s"}) == ["ccache", "my-gcc", "-Os", "-w", "-shared", "-fPIC"]
    monkeypatch.delenv("CC")
    monkeypatch.setattr(emx.shutil, "which", lambda _name: None)
    with pytest.raises(Unsupported, match="install gcc or clang"):
        emx.build_command({})


def test_it_shows_the_c_code_and_its_assembly(model):
    compiled = emx.BACKEND.compile(
        model("g (float[n] x) => (float[n] y) { y = Neg (x) }"), None, {"restrict": "no"}, lambda _stage: None
    )
    shown = compiled.artefacts()
    assert list(shown) == ["model.c", "model.s"]
    assert b"void model(int n, const float x[n], float y[n])" in shown["model.c"]
    assert shown == compiled.artefacts()


def test_powers_of_two_in_a_byte_are_passed(execute, model):
    scales = np.array([0.5, 2], ml_dtypes.float8_e8m0fnu)
    attempt = execute(NAME, model("g (float8e8m0[2] x) => (float[2] y) { y = Cast <to = 1> (x) }", opset=24), [scales])
    assert attempt.outputs == ((from_numpy(np.array([0.5, 2], np.float32)),),), attempt.message


def test_the_headers_that_generated_code_includes_are_found():
    assert (emx._HEADERS / "stb_image.h").is_file()
