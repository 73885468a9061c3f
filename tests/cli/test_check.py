"""`fuzz check`: one model of the user's own."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

BODY = "g (float[2,N] x, int64[2] i) => (float[2,N] y) { t = Relu (x)  y = Gather <axis = 0> (t, i) }"


@pytest.fixture
def model(fuzz, add_case):
    """A model file alone, without inputs."""
    folder = add_case(fuzz.home, "case", BODY, np.ones((2, 3), np.float32), np.array([1, 0]))
    path = fuzz.home / "mine.onnx"
    path.write_bytes((folder / "model.onnx").read_bytes())
    return path


def test_inputs_are_made_up_where_none_are_given_the_same_each_time(fuzz, model):
    first, second = (fuzz("check", "mine.onnx", "--backend", "onnxruntime", "--json") for _ in range(2))
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == second.stdout
    (verdict,) = json.loads(first.stdout)["verdicts"]
    assert (verdict["target"], verdict["verdict"]) == ("onnxruntime", "ok")
    assert sorted(path.name for path in fuzz.home.iterdir()) == ["case", "mine.onnx"]


def test_inputs_beside_the_model_are_used(fuzz, model, refused):
    (fuzz.home / "case/test_data_set_0/input_1.pb").unlink()
    refused(fuzz("check", "case/model.onnx", "--backend", "onnxruntime"), "input_1.pb", "'i'")


@pytest.mark.parametrize("folder", ["case", "case/test_data_set_0"])
def test_inputs_from_a_folder(fuzz, model, folder):
    done = fuzz("check", "mine.onnx", "--inputs", folder, "--backend", "onnxruntime", "--backend", "onnxruntime:opt=0")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["mine.onnx on onnxruntime: ok", "mine.onnx on onnxruntime:opt=0: ok"]


def test_external_data_beside_the_model_is_read(fuzz, add_case):
    folder = add_case(fuzz.home, "e", "g (float[3] x) => (float[3] y) { y = Add (x, w) }", np.zeros(3, np.float32))
    proto = onnx.load(folder / "model.onnx")
    proto.graph.initializer.add(name="w", data_type=1, dims=[3], raw_data=np.float32([1, 2, 3]).tobytes())
    onnx.save(proto, folder / "model.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    assert (folder / "w.bin").exists()
    done = fuzz("check", "e/model.onnx", "--backend", "onnxruntime", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdicts"][0]["verdict"] == "ok"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere.onnx", "--backend", "onnxruntime"), ("no model file nowhere.onnx",)),
        (("mine.onnx", "--backend", "nothing"), ("nothing", "onnxruntime")),
        (("mine.onnx", "--backend", "onnxruntime", "--inputs", "nowhere"), ("nowhere", "input_0.pb")),
        (("mine.onnx", "--backend", "onnxruntime", "--inputs", "."), ("input_0.pb",)),
        (("mine.onnx", "--backend", "onnxruntime", "--timeout", "-1"), ("--timeout",)),
        (("corrupt.onnx", "--backend", "onnxruntime"), ("corrupt.onnx is no ONNX model", "onnx.checker")),
        (("text.onnx", "--backend", "onnxruntime"), ("text.onnx is no ONNX model",)),
        (("strings.onnx", "--backend", "onnxruntime"), ("cannot be made up", "--inputs")),
        (("huge.onnx", "--backend", "onnxruntime"), ("too large to make up", "--inputs")),
    ],
)
def test_misuse(fuzz, model, refused, arguments, words):
    (fuzz.home / "corrupt.onnx").write_bytes(model.read_bytes()[:-30])
    (fuzz.home / "text.onnx").write_text("hello")
    for name, port in (("strings", "string[2]"), ("huge", "float[9999999,9999999]")):
        text = f'<ir_version: 8, opset_import: ["" : 17]> g ({port} x) => ({port} y) {{ y = Identity (x) }}'
        (fuzz.home / f"{name}.onnx").write_bytes(onnx.parser.parse_model(text).SerializeToString())
    refused(fuzz("check", *arguments), *words)


def test_inputs_that_do_not_fit(fuzz, model, refused):
    data = numpy_helper.from_array(np.ones((2, 3))).SerializeToString()
    (fuzz.home / "case/test_data_set_0/input_0.pb").write_bytes(data)
    done = fuzz("check", "mine.onnx", "--inputs", "case", "--backend", "onnxruntime")
    refused(done, "does not fit input 'x'", "asks for float, the file holds double")
