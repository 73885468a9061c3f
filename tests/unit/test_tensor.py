from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from backends.tensor import ONNX_NUMBERS, Tensor, TensorError, byte_size, check, from_numpy, to_numpy

NUMERIC = sorted(set(ONNX_NUMBERS) - {"string"})


@pytest.mark.parametrize("element_type", NUMERIC)
@pytest.mark.parametrize("shape", [(), (0,), (5,), (3, 1, 3), (2, 0, 4)])
def test_every_type_agrees_with_onnx_to_the_byte(element_type, shape):
    dtype = helper.tensor_dtype_to_np_dtype(ONNX_NUMBERS[element_type])
    array = (np.arange(np.prod(shape, dtype=int)) % 2).astype(dtype).reshape(shape)
    tensor = from_numpy(array)
    assert (tensor.element_type, tensor.shape) == (element_type, shape)
    assert tensor.data == numpy_helper.from_array(array).raw_data
    assert len(tensor.data) == byte_size(element_type, shape)
    back = to_numpy(tensor)
    assert back.dtype == dtype
    assert back.shape == shape
    assert back.tobytes() == array.tobytes()
    assert back.flags.writeable


def test_the_numbers_are_onnx_own():
    assert {name: getattr(TensorProto, name.upper()) for name in ONNX_NUMBERS} == dict(ONNX_NUMBERS)


@pytest.mark.parametrize(("name", "values"), [("int4", [-8, 7, -1]), ("int2", [-2, 1, -1, 0, 1])])
def test_negative_values_of_packed_types_survive(name, values):
    array = np.array(values).astype(getattr(ml_dtypes, name))
    assert to_numpy(from_numpy(array)).astype(int).tolist() == values


def test_order_of_memory_does_not_show():
    array = np.arange(6, dtype=">i4").reshape(2, 3).T
    assert to_numpy(from_numpy(array)).tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize("texts", [[], ["a", "", "ü€😀", '\x00\n"', "\udcff"]])
def test_strings(texts):
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    tensor = from_numpy(array)
    assert tensor.element_type == "string"
    assert to_numpy(tensor).tolist() == texts


def test_bytes_that_are_no_utf8_survive_as_escapes():
    tensor = from_numpy(np.array([b"\xff!"], dtype=object))
    assert to_numpy(tensor).tolist()[0].encode("utf-8", "surrogateescape") == b"\xff!"


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (Tensor("float", (2,), b"1234567"), "8 bytes, not 7"),
        (Tensor("float", (-1,), b""), "negative size"),
        (Tensor("real", (1,), b"1"), "unknown element type 'real'"),
        (Tensor("int4", (3,), b"1"), "2 bytes, not 1"),
    ],
)
def test_what_does_not_fit_is_refused(tensor, words):
    with pytest.raises(TensorError, match=words):
        check(tensor)
    with pytest.raises(TensorError, match=words):
        to_numpy(tensor)


def test_a_list_of_strings_of_another_length_is_refused():
    with pytest.raises(TensorError, match="does not hold that many"):
        to_numpy(Tensor("string", (3,), b'["a"]'))


def test_an_array_type_that_onnx_lacks_is_refused():
    with pytest.raises(TensorError, match="no element type"):
        from_numpy(np.array([1], dtype=np.longdouble))
    with pytest.raises(TensorError, match="no element type"):
        from_numpy(np.array(["2020-01-01"], dtype="datetime64[D]"))


def test_a_type_that_the_environment_lacks_is_said(monkeypatch):
    monkeypatch.delattr(ml_dtypes, "int2")
    with pytest.raises(TensorError, match="no array type for int2 in this environment"):
        to_numpy(Tensor("int2", (1,), b"\x01"))
