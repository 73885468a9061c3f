"""A foreign model may name data outside of itself: only what lies in its own folder is read."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import TensorProto, helper, numpy_helper

from backends.external import check_external_data, read_inputs, read_model
from backends.protocol import InvalidCase


def tensor(location: str, **entries: object) -> TensorProto:
    made = numpy_helper.from_array(np.ones(4, np.float32), "w")
    made.ClearField("raw_data")
    made.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        made.external_data.add(key=key, value=str(value))
    return made


def model(initializers=(), nodes=()) -> bytes:
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy"]
    graph = helper.make_graph(
        [*nodes, helper.make_node("Identity", ["x"], ["y"])], "g", ports[:1], ports[1:], list(initializers)
    )
    return helper.make_model(graph).SerializeToString()


@pytest.fixture
def folder(tmp_path):
    own = tmp_path / "own"
    (own / "sub").mkdir(parents=True)
    (own / "w.bin").write_bytes(np.arange(4, dtype=np.float32).tobytes())
    (own / "sub" / "w.bin").write_bytes(bytes(16))
    (tmp_path / "secret.bin").write_bytes(bytes(1000))
    (own / "link.bin").symlink_to(tmp_path / "secret.bin")
    return own


@pytest.mark.parametrize("location", ["w.bin", "sub/w.bin", "sub/../w.bin", "./w.bin"])
def test_data_in_its_own_folder_is_fine(folder, location):
    check_external_data(model([tensor(location, offset=0, length=16)]), str(folder))


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("../secret.bin", "outside of the model's folder: refused"),
        ("sub/../../secret.bin", "outside"),
        ("link.bin", "outside"),
        ("/etc/passwd", "outside"),
        ("", "no regular file"),
        ("sub", "no regular file"),
        ("missing.bin", "missing"),
    ],
)
def test_data_elsewhere_is_refused(folder, location, words):
    with pytest.raises(InvalidCase, match=words):
        check_external_data(model([tensor(location)]), str(folder))


@pytest.mark.parametrize(
    "entries",
    [{"offset": 8, "length": 16}, {"offset": -4, "length": 8}, {"length": -1}, {"length": 2**62}, {"offset": "x"}],
)
def test_bytes_that_are_not_there_are_refused(folder, entries):
    with pytest.raises(InvalidCase):
        check_external_data(model([tensor("w.bin", **entries)]), str(folder))


def test_no_hiding_place_is_overlooked(folder):
    bad = tensor("../secret.bin")
    inner = helper.make_graph([helper.make_node("Constant", [], ["c"], value=bad)], "inner", [], [])
    sparse = helper.make_sparse_tensor(bad, numpy_helper.from_array(np.arange(4)), [4])
    places = [
        model(nodes=[helper.make_node("Constant", [], ["c"], value=bad)]),
        model(nodes=[helper.make_node("If", ["x"], ["z"], then_branch=inner, else_branch=inner)]),
        model(nodes=[helper.make_node("Constant", [], ["c"], sparse_value=sparse)]),
    ]
    whole = onnx.load_model_from_string(model())
    function = helper.make_function(
        "d", "F", [], ["c"], [helper.make_node("Constant", [], ["c"], value=bad)], [helper.make_opsetid("", 17)]
    )
    whole.functions.append(function)
    for place in [*places, whole.SerializeToString()]:
        with pytest.raises(InvalidCase, match="outside"):
            check_external_data(place, str(folder))


def test_a_model_without_a_folder_has_no_external_data():
    with pytest.raises(InvalidCase, match="lies in no folder"):
        check_external_data(model([tensor("w.bin")]), None)


def test_a_model_that_is_none_is_refused():
    with pytest.raises(InvalidCase, match="no readable ONNX model"):
        check_external_data(b"\xff location \xff", None)
    for garbage in (b"\xff\xff\xff", b""):
        with pytest.raises(InvalidCase):
            read_model(garbage, None)


def test_external_data_is_taken_in(folder):
    read = read_model(model([tensor("w.bin", offset=4, length=12)]), str(folder))
    assert np.frombuffer(read.graph.initializer[0].raw_data, np.float32).tolist() == [1, 2, 3]


def test_the_positions_of_inputs_that_are_read_are_those_of_a_data_set():
    text = """<ir_version: 8, opset_import: ["" : 17]>
        g (float[2] unread, float[2] d = {5, 6}, float[2] x, float[2] too, float[2] z) => (float[2] y, float[2] z) {
            y = Add (x, d)
        }"""
    assert read_inputs(onnx.parser.parse_model(text).SerializeToString()) == [1, 3]
