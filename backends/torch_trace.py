"""One graph of a module for inputs of given shapes, in which all that hangs on constants alone is computed.

onnx2torch's modules take shapes, axes and pads as tensors and read them in Python. torch.compile does not follow the
values of tensors: it breaks the graph there, or gives up (`torch.Size` of one). In a graph from here they are numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["trace"]


# What makes a tensor to write into, as often as a constant.
_BUFFERS = frozenset({"aten::zeros", "aten::ones", "aten::full", "aten::empty.memory_format"})


class _Fold(TorchDispatchMode):  # type: ignore[misc]
    """Compute at once what has constants for operands; tensors without values stand for what hangs on inputs."""

    def __init__(self, keep: frozenset[str]) -> None:
        super().__init__()
        self._keep = keep

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        del types
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if any(isinstance(tensor, FakeTensor) for tensor in tensors):
            written = [tensor for tensor in _written(func, args) if isinstance(tensor, torch.Tensor)]
            if not all(isinstance(tensor, FakeTensor) for tensor in written):
                # A constant would change when the graph is made, and again with each run.
                raise _NotConstantError(f"{func} writes to a constant")
            return func(*args, **(kwargs or {}))
        if func.name() in self._keep:
            return func(*args, **(kwargs or {}))
        with _disable_current_modes():
            return func(*args, **(kwargs or {}))


def _written(func: Any, args: Sequence[Any]) -> list[Any]:
    """The operands that an operator writes to."""
    formal = func._schema.arguments  # noqa: SLF001 - torch has no other word for it
    return [value for argument, value in zip(formal, args, strict=False) if argument.is_write]


class _NotConstantError(Exception):
    """A constant is written to by what hangs on inputs."""


def trace(module: torch.nn.Module, arguments: Sequence[torch.Tensor]) -> torch.fx.GraphModule | None:
    """A graph that computes what the module computes for all arguments of these shapes, strides and types.

    None where there is none: something hangs on the values of inputs. What else goes wrong is left to torch.compile
    to tell, from the module.
    """
    for keep in (frozenset[str](), _BUFFERS):

        def folded(*inputs: torch.Tensor, keep: frozenset[str] = keep) -> Any:
            with _Fold(keep):
                return module(*inputs)

        try:
            with torch.no_grad():
                return make_fx(folded, tracing_mode="fake", _allow_non_fake_inputs=True)(*arguments)
        except _NotConstantError:
            continue
        except Exception:  # noqa: BLE001 - torch raises many kinds, and tells them again where the module is compiled
            return None
    return None
