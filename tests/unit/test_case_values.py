"""TensorProto, SequenceProto and OptionalProto files against the onnx package, and hostile bytes."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper, parser

from backends.tensor import ONNX_NUMBERS, Tensor, from_numpy, to_numpy
from fuzz.signature import ValueType, signature
from fuzz.values import decode_value, encode_value
from fuzz.wire import WireError, fields, packed, varint

NUMPY = sorted(
    {name for name in ONNX_NUMBERS if name != "string" and not name.startswith(("float6", "complex"))}
)


def array_of(name: str) -> np.ndarray:
    kind = to_numpy(Tensor(name, (0,), b"")).dtype
    return np.array([[0, 1, 1], [1, 0, 1], [1, 1, 1]]).astype(kind)[:, :3]


@pytest.mark.parametrize("name", NUMPY)
def test_our_bytes_are_those_of_the_onnx_package(name):
    tensor = from_numpy(array_of(name))
    assert encode_value("v", tensor) == numpy_helper.from_array(array_of(name), "v").SerializeToString()


@pytest.mark.parametrize("name", NUMPY)
def test_the_typed_fields_read_like_raw_data(name):
    array = array_of(name)
    typed = helper.make_tensor("v", ONNX_NUMBERS[name], array.shape, array.reshape(-1).tolist())
    assert not typed.HasField("raw_data")
    assert decode_value(typed.SerializeToString()) == from_numpy(array)


@pytest.mark.parametrize("values", [[-1, 5, -(2**63), 2**63 - 1], []])
def test_int64_data_with_any_sign(values):
    typed = helper.make_tensor("v", TensorProto.INT64, [len(values)], values)
    np.testing.assert_array_equal(to_numpy(decode_value(typed.SerializeToString())), values)


def test_unpacked_repeated_fields_are_read_too():
    message = b"\x08\x02\x10\x07" + b"\x38\x05" + b"\x38" + varint(2**64 - 3)
    assert TensorProto.FromString(message).int64_data == [5, -3]
    np.testing.assert_array_equal(to_numpy(decode_value(message)), [5, -3])


def test_packed_dims_are_read_too():
    message = b"\x0a\x02\x01\x02" + b"\x10\x02" + b"\x4a\x02ab"
    assert decode_value(message).shape == (1, 2)


def test_strings_with_bytes_that_are_no_text():
    proto = TensorProto(data_type=TensorProto.STRING, dims=[2], string_data=[b"caf\xc3\xa9", b"\xff\x00"])
    tensor = decode_value(proto.SerializeToString())
    assert TensorProto.FromString(encode_value("s", tensor)).string_data == [b"caf\xc3\xa9", b"\xff\x00"]


SEQUENCE = ValueType("sequence", element=ValueType("tensor", "float", None))
OPTIONAL = ValueType("optional", element=SEQUENCE)
ONE = from_numpy(np.float32([1, 2]))


@pytest.mark.parametrize("values", [[], [ONE], [ONE, from_numpy(np.zeros((0, 3)))]])
def test_a_sequence_goes_to_onnx_and_back(values):
    data = encode_value("q", values, "sequence")
    proto = onnx.SequenceProto.FromString(data)
    assert proto.name == "q"
    assert [numpy_helper.to_array(item).tolist() for item in proto.tensor_values] == [
        to_numpy(item).tolist() for item in values
    ]
    assert decode_value(proto.SerializeToString(), SEQUENCE) == values


@pytest.mark.parametrize("value", [None, ONE, [], [ONE, ONE]])
def test_an_optional_goes_to_onnx_and_back(value):
    data = encode_value("o", value, "optional")
    proto = onnx.OptionalProto.FromString(data)
    assert proto.elem_type == (0 if value is None else 3 if isinstance(value, list) else 1)
    assert decode_value(proto.SerializeToString(), OPTIONAL) == value


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (TensorProto(data_type=1, dims=[4]), r"float\[4\] needs 16 bytes but the file holds 0"),
        (TensorProto(data_type=1, dims=[2**40, 2**40]), "needs .* but the file holds 0"),
        (TensorProto(data_type=1, dims=[-1], raw_data=b"1234"), "negative dim"),
        (TensorProto(data_type=1, dims=[], raw_data=b"12"), r"float\[scalar\] needs 4 bytes"),
        (TensorProto(data_type=8, dims=[3], string_data=[b"a"]), "needs 3 strings but the file holds 1"),
        (TensorProto(data_type=99, dims=[]), "element type 99 is none"),
        (TensorProto(dims=[1]), "element type 0 is none"),
        (TensorProto(data_type=22, dims=[3], raw_data=b"1"), r"int4\[3\] needs 2 bytes"),
    ],
)
def test_shapes_and_data_that_do_not_agree(message, words):
    with pytest.raises(WireError, match=words):
        decode_value(message.SerializeToString())


@pytest.mark.parametrize("kind", ["map", "sparse_tensor"])
def test_kinds_that_no_backend_here_takes(kind):
    with pytest.raises(WireError, match=f"{kind} values are not supported"):
        decode_value(b"", ValueType(kind))


def test_a_sequence_of_maps_is_refused():
    with pytest.raises(WireError, match="something else than tensors"):
        decode_value(onnx.SequenceProto(elem_type=4).SerializeToString(), SEQUENCE)
    with pytest.raises(WireError, match="something else than a tensor or a sequence"):
        decode_value(onnx.OptionalProto(elem_type=4).SerializeToString(), OPTIONAL)


def said_of(reader, *arguments) -> str:
    """The reader's complaint, or that it had none; any other error than its own is a test's failure."""
    try:
        reader(*arguments)
    except WireError as error:
        return str(error)
    return "fine"


@given(st.binary(max_size=60), st.sampled_from([None, SEQUENCE, OPTIONAL, ValueType("optional")]))
def test_no_bytes_bring_down_the_reader(data, kind):
    assert said_of(decode_value, data, kind)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=8))
def test_packed_numbers_read_one_by_one_and_all_at_once_alike(numbers):
    proto = TensorProto(data_type=7, dims=[len(numbers)], int64_data=numbers)
    message = proto.SerializeToString()
    one_by_one = [item for number, value in fields(message) if number == 7 for item in packed(value)]
    assert one_by_one == numbers
    assert to_numpy(decode_value(message)).tolist() == numbers


@pytest.mark.parametrize("data", [b"\x3a\x01\x80", b"\x3a\x0b" + b"\x80" * 10 + b"\x01"])
def test_packed_numbers_that_are_cut_off(data):
    with pytest.raises(WireError):
        decode_value(b"\x08\x01\x10\x07" + data)


def test_bfloat16_survives():
    array = np.array([1.5, -2], ml_dtypes.bfloat16)
    np.testing.assert_array_equal(to_numpy(decode_value(encode_value("b", from_numpy(array)))), array)


# --- signatures --------------------------------------------------------------------------------------------------


def test_the_signature_of_a_model():
    model = parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[2,N,?] x, seq(int64[]) s, optional(float16[3]) o, bool b) => (float[2,N,M] y, double z)
        { y = Relu (x)  z = Identity (x) }""")
    model.graph.input[3].type.tensor_type.ClearField("shape")
    found = signature(model.SerializeToString())
    assert [(port.name, port.type) for port in found.inputs] == [
        ("x", ValueType("tensor", "float", (2, "N", None))),
        ("s", ValueType("sequence", element=ValueType("tensor", "int64", None))),
        ("o", ValueType("optional", element=ValueType("tensor", "float16", (3,)))),
        ("b", ValueType("tensor", "bool", None)),
    ]
    assert [port.name for port in found.outputs] == ["y", "z"]


def test_an_input_with_an_initializer_is_a_default_and_no_input():
    model = parser.parse_model("""
        <ir_version: 3, opset_import: ["" : 8]>
        g (float[1] x, float[1] w) => (float[1] y) <float[1] w = {2}> { y = Add (x, w) }""")
    found = signature(model.SerializeToString())
    assert [port.name for port in found.inputs] == ["x"]
    assert [port.name for port in found.defaults] == ["w"]


@pytest.mark.parametrize("data", [b"", b"\x08\x08"])
def test_a_model_without_a_graph(data):
    with pytest.raises(WireError, match="no graph"):
        signature(data)


def test_types_nested_without_end_are_refused():
    tower = onnx.TypeProto()
    for _ in range(20):
        above = onnx.TypeProto()
        above.sequence_type.elem_type.CopyFrom(tower)
        tower = above
    model = onnx.ModelProto()
    model.graph.input.add(name="x").type.CopyFrom(tower)
    with pytest.raises(WireError, match="nested too deeply"):
        signature(model.SerializeToString())


@given(st.binary(max_size=80))
def test_no_bytes_bring_down_the_signature(data):
    assert said_of(signature, data)
