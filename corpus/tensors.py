"""Tensors of torch as ONNX's messages."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from onnx import TensorProto

__all__ = ["element_type", "to_proto"]

_TYPES: Mapping[str, int] = MappingProxyType({
    "float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "bool": 9, "float16": 10,
    "float64": 11, "uint32": 12, "uint64": 13, "complex64": 14, "complex128": 15, "bfloat16": 16,
    "float8_e4m3fn": 17, "float8_e4m3fnuz": 18, "float8_e5m2": 19, "float8_e5m2fnuz": 20,
})  # fmt: skip
"""ONNX's number (TensorProto.DataType) of an element type of torch."""


def element_type(tensor: torch.Tensor) -> int:
    """ONNX's number of a tensor's element type. Raises ValueError where ONNX has none."""
    name = str(tensor.dtype).removeprefix("torch.")
    if name not in _TYPES:
        raise ValueError(f"ONNX has no element type {name}")
    return _TYPES[name]


def to_proto(tensor: torch.Tensor, name: str) -> TensorProto:
    """A tensor as a message with raw data. Raises ValueError where ONNX has no such element type."""
    import onnx
    import torch

    # A copy: one element of a larger tensor counts as contiguous, and keeps a stride that no other type may view.
    plain = tensor.detach().cpu().resolve_conj().clone(memory_format=torch.contiguous_format)
    # numpy has no bfloat16 and no floats of 8 bits: only the bytes pass through it.
    data = plain.reshape(-1).view(torch.uint8).numpy().tobytes() if plain.numel() else b""
    return onnx.TensorProto(name=name, data_type=element_type(plain), dims=plain.shape, raw_data=data)
