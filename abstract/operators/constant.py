"""Constant as a node: every attribute that may hold its value."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper

from abstract.dtypes import BY_CODE, DType, Kind, dtype
from abstract.error import exact_zero
from abstract.operator import Array, Call, NotCovered, Operator, Params, Run, Scope, Typing

if TYPE_CHECKING:
    from abstract.schema import Signature
    from abstract.types import Shape

__all__ = ["OPERATORS"]

_PLAIN = {"value_float": "float", "value_floats": "float", "value_int": "int64", "value_ints": "int64",
          "value_string": "string", "value_strings": "string"}  # fmt: skip
_WORDS = ("a", "B", "", "ab", "é", "foo bar", "日本", "😀", "0")
_SPARSE = ("float", "double", "float16", "int32", "int64", "int8", "uint8")


def propose_constant(s: Scope) -> Call:
    """A tensor of any type, dense or with places for what is not 0; one number, text, or a list of them."""
    own = s.dtype("T")
    style = s.integer(0, 9)
    if own.name in ("float", "int64", "string") and style < 5:
        one = {"float": "value_float", "int64": "value_int", "string": "value_string"}[own.name]
        numbers = _drawn(s, own, s.integer(1, 6))
        plain = tuple(text.encode() for text in numbers) if own.kind is Kind.STRING else tuple(numbers)
        return Call((), {one + "s": plain} if style < 3 else {one: plain[0]})
    shape = tuple(s.integer(1, 4) for _ in range(s.integer(0, 3)))
    # Rarely: as an output of the graph some runtimes give it back sparse (docs/disputes.md).
    if style == 9 and s.coin(0.3) and shape and own.name in _SPARSE and "sparse_value" in s.signature.attributes:
        return Call((), {"sparse_value": _sparse(s, own, shape)})
    few = _drawn(s, own, min(prod(shape), 6))
    return Call((), {"value": _tensor(own, shape, [few[i * 7 % len(few)] for i in range(prod(shape))])})


def _drawn(s: Scope, own: DType, count: int) -> list[Any]:
    """Numbers that every type of the kind holds, or words."""
    if own.kind is Kind.STRING:
        return [s.pick(_WORDS) for _ in range(count)]
    if own.kind is Kind.BOOL:
        return [bool(s.integer(0, 1)) for _ in range(count)]
    if own.is_integer:
        least, most = max(own.minimum, -9), min(own.maximum, 9)
        return [s.integer(int(least), int(most)) for _ in range(count)]
    if own.bits < 16 or (own.is_float and own.minimum >= 0):
        return [s.pick((0.5, 1.0, 2.0, 4.0)) for _ in range(count)]
    numbers = [s.integer(-32, 32) / 8 for _ in range(count)]
    return [complex(number, 1 - number) for number in numbers] if own.kind is Kind.COMPLEX else numbers


def _tensor(own: DType, shape: tuple[int, ...], numbers: list[Any]) -> onnx.TensorProto:
    if own.kind is Kind.STRING:
        return onnx.helper.make_tensor("", own.code, shape, [text.encode() for text in numbers])
    if own.bits < 8:
        return onnx.helper.make_tensor("", own.code, shape, numbers)
    stored = np.array(numbers).astype(own.numpy)
    return onnx.TensorProto(data_type=own.code, dims=shape, raw_data=stored.tobytes())


def _sparse(s: Scope, own: DType, shape: tuple[int, ...]) -> onnx.SparseTensorProto:
    """Values at ascending places, counted through or an index for each axis."""
    whole = prod(shape)
    places = sorted({s.integer(0, whole - 1) for _ in range(s.integer(1, 4))})
    numbers = [number or 1 for number in _drawn(s, own, len(places))]
    values = _tensor(own, (len(places),), numbers)
    values.name = "sparse"
    at = np.array(places, dtype=np.int64)
    if s.coin(0.5):
        at = np.stack(np.unravel_index(at, shape), axis=-1)
    indices = onnx.TensorProto(data_type=dtype("int64").code, dims=at.shape, raw_data=at.tobytes())
    return onnx.SparseTensorProto(values=values, indices=indices, dims=shape)


def constant_shape(t: Typing) -> tuple[Shape, ...]:
    """The shape of what is given: none for one number, one axis for a list."""
    name, given = _given(t.params)
    if name in ("value", "sparse_value"):
        return (tuple(given.dims),)
    return ((len(given),) if isinstance(given, tuple) else (),)


def _given(params: Params) -> tuple[str, Any]:
    """The one attribute that there is."""
    for name in ("value", "sparse_value", *_PLAIN):
        if params.get(name) is not None:
            return name, params[name]
    raise NotCovered("Constant without a value")


def constant(run: Run) -> tuple[Array, ...]:
    """What is given, 0 where a sparse one gives nothing."""
    name, given = _given(run.params)
    own = run.output_dtypes[0]
    if name == "value":
        return (onnx.numpy_helper.to_array(given).astype(own.carrier),)
    if name == "sparse_value":
        dense = np.zeros(tuple(given.dims), own.carrier)
        at = onnx.numpy_helper.to_array(given.indices)
        index = np.unravel_index(at, dense.shape) if at.ndim == 1 else tuple(at.T)
        dense[index] = onnx.numpy_helper.to_array(given.values).astype(own.carrier)
        return (dense,)
    if own.kind is not Kind.STRING:
        return (np.array(given, dtype=own.carrier),)
    return (np.array([text.decode() for text in given] if isinstance(given, tuple) else given.decode(), dtype=object),)


def _dtype(t: Typing, sign: Signature) -> tuple[DType, ...]:
    del sign
    name, given = _given(t.params)
    if name == "value":
        return (BY_CODE[given.data_type],)
    return (BY_CODE[given.values.data_type] if name == "sparse_value" else dtype(_PLAIN[name]),)


OPERATORS: tuple[Operator, ...] = (
    Operator("Constant", propose_constant, constant_shape, constant, exact_zero, exact=True, weight=0.5,
             output_dtypes=_dtype),
)  # fmt: skip
