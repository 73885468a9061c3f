"""What a model claims of its values, types and shapes, against what the values have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import onnx

from backends.graph import required_inputs
from backends.tensor import ONNX_NUMBERS, Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backends.tensor import Value

__all__ = ["Claim", "claims", "contradiction", "exposing"]

_NAMES = {number: name for name, number in ONNX_NUMBERS.items()}


@dataclass(frozen=True, slots=True)
class Claim:
    """A value's element type (empty where that is open) and sizes: a number, a symbol, or None where that is open.

    ``sizes`` is None where not even the rank is claimed.
    """

    name: str
    element_type: str
    sizes: tuple[int | str | None, ...] | None

    def __str__(self) -> str:
        sizes = "" if self.sizes is None else [("?" if size is None else size) for size in self.sizes]
        return f"{self.name!r} is {self.element_type or 'a tensor'}{sizes}".replace("'?'", "?")


def claims(model: Any) -> list[Claim]:
    """What a model claims of the tensors that its main graph computes."""
    computed = {name for node in model.graph.node for name in node.output if name}
    infos = [info for info in (*model.graph.value_info, *model.graph.output) if info.name in computed]
    return [_claim(info) for info in infos if info.type.HasField("tensor_type")]


def _claim(info: Any) -> Claim:
    declared = info.type.tensor_type
    sizes = tuple(_size(dim) for dim in declared.shape.dim) if declared.HasField("shape") else None
    return Claim(info.name, _NAMES.get(declared.elem_type, ""), sizes)


def _size(dim: Any) -> int | str | None:
    which = dim.WhichOneof("value")
    return None if which is None else getattr(dim, which)


def exposing(model: bytes, names: Sequence[str]) -> bytes:
    """The model with these values for its outputs."""
    proto = onnx.load_model_from_string(model)
    known = {info.name: info for info in proto.graph.output}
    del proto.graph.output[:]
    proto.graph.output.extend(known.get(name) or onnx.ValueInfoProto(name=name) for name in names)
    content: bytes = proto.SerializeToString()
    return content


def contradiction(claimed: Sequence[Claim], model: Any, inputs: Sequence[Value], values: Sequence[Value]) -> str:
    """The first claim that a value contradicts, in words; empty where none does.

    A symbol has one value in the whole graph; those in the shapes of inputs have that of the given inputs.
    """
    symbols: dict[str, int] = {}
    for port, value in zip(required_inputs(model.graph), inputs, strict=False):
        if port.type.HasField("tensor_type") and isinstance(value, Tensor):
            _bind(symbols, _claim(port).sizes or (), value.shape)
    for claim, value in zip(claimed, values, strict=True):
        if not isinstance(value, Tensor):
            continue
        if not _holds(claim, value, symbols):
            bound = {size: symbols[size] for size in claim.sizes or () if isinstance(size, str) and size in symbols}
            where = f" where {', '.join(f'{name} = {size}' for name, size in bound.items())}" if bound else ""
            return f"{claim}{where}, and it is {value.element_type}{list(value.shape)}"
        _bind(symbols, claim.sizes or (), value.shape)
    return ""


def _holds(claim: Claim, value: Tensor, symbols: Mapping[str, int]) -> bool:
    if claim.element_type not in {"", value.element_type}:
        return False
    if claim.sizes is None:
        return True
    due = [symbols.get(size) if isinstance(size, str) else size for size in claim.sizes]
    return len(due) == len(value.shape) and all(a in {None, b} for a, b in zip(due, value.shape, strict=True))


def _bind(symbols: dict[str, int], sizes: Sequence[int | str | None], shape: Sequence[int]) -> None:
    for size, actual in zip(sizes, shape, strict=False):
        if isinstance(size, str) and size:
            symbols.setdefault(size, actual)
