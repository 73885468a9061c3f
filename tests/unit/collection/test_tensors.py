"""Tensors of torch as ONNX's messages."""

from __future__ import annotations

import onnx
import pytest
import torch

from corpus.tensors import to_proto


@pytest.mark.parametrize("tensor", [
    torch.arange(6.0).reshape(2, 3).T,
    torch.arange(32.0)[::16][:1],  # one element, with the stride of a larger tensor
    torch.tensor(3),
    torch.zeros(0, 2),
    torch.tensor([1 + 2j]).conj(),
])  # fmt: skip
def test_a_tensor_comes_back_as_it_was_whatever_its_strides(tensor):
    back = onnx.numpy_helper.to_array(to_proto(tensor, "x"))
    assert back.shape == tuple(tensor.shape)
    assert (back == tensor.resolve_conj().numpy()).all()
