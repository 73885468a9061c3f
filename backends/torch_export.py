"""The round trip through PyTorch: onnx2torch makes a module, torch.export a program, torch.onnx a model again."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch

from backends.graph import required_inputs
from backends.protocol import Unsupported, Words
from backends.rewriting import Rewriter
from backends.tensor import ONNX_NUMBERS, Tensor, byte_size
from backends.torch_module import WORDS as MODULE_WORDS
from backends.torch_module import Converted, convert, tensor_of
from backends.torch_trace import trace

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BACKEND", "WORDS"]

WORDS = Words(
    unsupported=(
        *MODULE_WORDS.unsupported,
        # What torch.export says where values of inputs decide, and torch.onnx where it has no function for an operator.
        r"data-dependent",
        r"No ONNX function found for",
    )
)


def _exported(model: Any, options: Mapping[str, str]) -> Any:
    """What torch.onnx.export makes of the module, with the names and types that the model had."""
    inputs, outputs = _names(model)
    arguments = tuple(_example(port) for port in inputs)
    converted = convert(model)
    _need_nodes(converted)
    module = trace(converted.module, arguments) or converted.module
    with torch.no_grad():
        program = torch.export.export(_Flat(module, converted), arguments, strict=options.get("strict") == "yes")
        made = torch.onnx.export(
            program, dynamo=True, verbose=False, optimize=options.get("optimize", "yes") == "yes",
            opset_version=int(options.get("opset", "18")),
            input_names=[port.name for port in inputs], output_names=[port.name for port in outputs],
        )  # fmt: skip
    return made.model_proto


class _Flat(torch.nn.Module):  # type: ignore[misc]
    """A module that returns the model's outputs one by one, in their order."""

    def __init__(self, module: Any, converted: Converted) -> None:
        super().__init__()
        self._module = module
        self._converted = converted

    def forward(self, *arguments: Any) -> tuple[Any, ...]:
        """Compute the outputs."""
        returned = self._module(*arguments)
        arity = self._converted.arity
        for count, value in zip(arity, returned, strict=True):
            if count > 1 and not isinstance(value, (tuple, list)):
                raise Unsupported(f"onnx2torch made one output of a node that has {count}")
        return tuple(returned[n] if arity[n] == 1 else returned[n][m] for _, n, m in self._converted.places)


def _names(model: Any) -> tuple[list[Any], list[Any]]:
    """The inputs and outputs of the model, before its outputs are taken apart."""
    return copy.deepcopy(required_inputs(model.graph)), copy.deepcopy(list(model.graph.output))


def _need_nodes(converted: Converted) -> None:
    if any(kind != "node" for kind, _, _ in converted.places):
        raise Unsupported("an output that no node makes has no place in the module that onnx2torch makes")


def _example(port: Any) -> torch.Tensor:
    """An input to export with: ones, of the declared type and shape."""
    kind = port.type.tensor_type
    name = next((name for name, number in ONNX_NUMBERS.items() if number == kind.elem_type), "")
    shape = tuple(size.dim_value if size.HasField("dim_value") else -1 for size in kind.shape.dim)
    if not name or not kind.HasField("shape") or -1 in shape:
        raise Unsupported("only models whose inputs are tensors of known sizes are exported here")
    return torch.ones_like(tensor_of(Tensor(name, shape, bytes(byte_size(name, shape) or 0))))


BACKEND = Rewriter("torch-export", _exported, WORDS)
