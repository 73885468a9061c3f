"""What a model claims of its values, against the values: numbers, symbols, types, and what is left open."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from backends.claims import Claim, claims, contradiction, exposing
from backends.reference import BACKEND as REFERENCE
from backends.tensor import from_numpy


def model(*infos):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])
    nodes = [helper.make_node("Add", ["x", "x"], ["a"]), helper.make_node("Abs", ["a"], ["y"])]
    graph = helper.make_graph(nodes, "g", [x], [y], value_info=infos)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_what_is_claimed():
    sequence = helper.make_tensor_sequence_value_info("a", TensorProto.FLOAT, [1])
    stranger = helper.make_tensor_value_info("nobody", TensorProto.FLOAT, [1])
    tensor = helper.make_tensor_value_info("a", TensorProto.FLOAT, ["n", None, 2])
    rankless = onnx.ValueInfoProto(name="a")
    rankless.type.tensor_type.elem_type = 0
    y = Claim("y", "float", ("n", 3))
    assert claims(model(sequence, stranger)) == [y]
    assert claims(model(tensor)) == [Claim("a", "float", ("n", None, 2)), y]
    assert claims(model(rankless)) == [Claim("a", "", None), y]


X = from_numpy(np.zeros((2, 3), np.float32))


@pytest.mark.parametrize(
    ("claim", "shape", "words"),
    [
        (Claim("a", "float", (2, 3)), (2, 3), ""),
        (Claim("a", "float", ("n", 3)), (2, 3), ""),
        (Claim("a", "float", ("n", "m")), (2, 7), ""),
        (Claim("a", "float", (None, 3)), (5, 3), ""),
        (Claim("a", "", None), (5, 3, 1), ""),
        (Claim("a", "float", (3, 3)), (2, 3), "'a' is float[3, 3], and it is float[2, 3]"),
        (Claim("a", "float", (2,)), (2, 3), "'a' is float[2], and it is float[2, 3]"),
        (Claim("a", "", (2, None, 1)), (2, 3), "'a' is a tensor[2, ?, 1], and it is float[2, 3]"),
        (Claim("a", "double", (2, 3)), (2, 3), "'a' is double[2, 3], and it is float[2, 3]"),
        (Claim("a", "double", None), (2, 3), "'a' is double, and it is float[2, 3]"),
        (Claim("a", "float", ("n",)), (3,), "'a' is float['n'] where n = 2, and it is float[3]"),
    ],
)
def test_a_claim_and_a_value(claim, shape, words):
    value = from_numpy(np.zeros(shape, np.float32))
    assert contradiction([claim], model(), [X], [value]) == words


def test_a_symbol_is_one_number_in_the_whole_graph():
    made = [Claim("a", "float", ("k",)), Claim("b", "float", ("k",))]
    values = [from_numpy(np.zeros(n, np.float32)) for n in (4, 5)]
    assert "k = 4" in contradiction(made, model(), [X], values)
    assert contradiction(made, model(), [X], [values[0], [values[1]]]) == ""


def test_values_inside_are_exposed():
    exposed = exposing(model().SerializeToString(), ["a", "y"])
    outputs = REFERENCE.compile(exposed, None, {}, lambda _: None).run([X])
    assert [value.shape for value in outputs] == [(2, 3), (2, 3)]
