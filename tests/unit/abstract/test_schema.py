"""Signatures: what onnx.defs says of an operator, as plain data."""

from __future__ import annotations

import onnx
import pytest

from abstract.dtypes import BY_NAME
from abstract.schema import newest_opset, signature


def names(dtypes):
    return {d.name for d in dtypes}


def test_formals_of_a_variadic_operator():
    concat = signature("Concat", 13)
    assert [(f.name, f.variable, f.variadic) for f in concat.inputs] == [("inputs", "T", True)]
    assert concat.formal(0) is concat.formal(7)


def test_optional_inputs_are_marked():
    clip = signature("Clip", 13)
    assert [(f.name, f.optional) for f in clip.inputs] == [("input", False), ("min", True), ("max", True)]


def test_types_of_a_variable_are_those_of_the_opset():
    assert "bfloat16" not in names(signature("Relu", 12).types["T"])
    assert "int32" not in names(signature("Relu", 13).types["T"])
    assert "int32" in names(signature("Relu", 14).types["T"])


def test_types_come_in_the_order_of_the_table():
    order = list(BY_NAME)
    types = [d.name for d in signature("Cast", 21).types["T1"]]
    assert types == sorted(types, key=order.index)


def test_a_fixed_type_is_a_variable_with_one_type():
    shape = signature("Reshape", 13).formal(1)
    assert shape.variable == "tensor(int64)"
    assert names(signature("Reshape", 13).types["tensor(int64)"]) == {"int64"}


def test_where_tensors_are_allowed_the_types_of_containers_are_left_out():
    allowed = signature("Identity", 16).types["V"]
    assert names(allowed) == names(signature("Identity", 13).types["T"])


def test_where_containers_alone_are_allowed_the_types_are_those_of_the_tensors_in_them():
    allowed = names(signature("SequenceLength", 13).types["S"])
    assert allowed == names(signature("SequenceAt", 13).types["T"])
    assert {"float", "string", "complex64"} <= allowed
    assert names(signature("Optional", 15).types["O"]) == names(signature("Optional", 15).types["V"])


def test_what_is_in_a_container_does_not_add_to_the_tensors_beside_it():
    """OptionalHasElement takes optionals, sequences and tensors; each element type is there once."""
    found = signature("OptionalHasElement", 18).types["O"]
    assert len(found) == len(names(found)) == 15


def test_attribute_defaults():
    assert signature("Gemm", 13).defaults == {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0}
    assert signature("Conv", 13).defaults["auto_pad"] == b"NOTSET"
    assert "axis" not in signature("Concat", 13).defaults


@pytest.mark.parametrize(
    ("operator", "attribute", "last_as_attribute", "first_as_input"),
    [("Squeeze", "axes", 11, 13), ("ReduceSum", "axes", 11, 13), ("ReduceMax", "axes", 13, 18)],
)
def test_attributes_that_became_inputs(operator, attribute, last_as_attribute, first_as_input):
    old, new = signature(operator, last_as_attribute), signature(operator, first_as_input)
    assert attribute in old.attributes
    assert attribute not in new.attributes
    assert attribute in [f.name for f in new.inputs]


def test_since_is_the_version_that_is_in_force():
    assert signature("Relu", 20).since == 14
    assert signature("LayerNormalization", 17).since == 17


def test_no_schema_is_an_error():
    for name, opset, domain in (("NoSuchThing", 21, ""), ("Gelu", 19, ""), ("Relu", 21, "com.example")):
        with pytest.raises(onnx.defs.SchemaError):
            signature(name, opset, domain)


def test_the_newest_opset_is_that_of_the_library():
    assert newest_opset() == onnx.defs.onnx_opset_version()
