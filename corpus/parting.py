"""Where eager PyTorch and the exported program part: the first module whose outputs differ.

The exporter notes at each node of a program in which module it stands. What a module returned is what one of its nodes
gives, so that eager PyTorch, watched by hooks, and the program can be held against each other module by module. Which
node it is nobody notes: a module that returns several tensors ends with any of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.fx import Interpreter, Node
from torch.utils import _pytree as pytree

from corpus.export import inputs_of
from corpus.precise import flat_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch.export import ExportedProgram

__all__ = ["TELLING", "Recorder", "differ", "first_parting"]

TELLING = 1e-3
"""Differences below this part of a tensor's largest element are rounding's."""


def differ(one: torch.Tensor, other: torch.Tensor, part: float = TELLING) -> bool:
    """Whether two tensors differ by more than rounding may.

    That is in shape, in a whole number, or by more than a part of the largest element.
    """
    if one.shape != other.shape:
        return True
    if not one.numel():
        return False
    if not (one.is_floating_point() and other.is_floating_point()):
        return not torch.equal(one, other)
    first, second = one.double(), other.double()
    unlike = first.isfinite() != second.isfinite()
    both = first.isfinite() & second.isfinite()
    if bool(unlike.any()):
        return True
    if not bool(both.any()):
        return False
    scale = max(float(first[both].abs().max()), 1e-30)
    return float((first[both] - second[both]).abs().max()) > part * scale


def first_parting(
    module: torch.nn.Module, program: ExportedProgram, args: tuple[Any, ...], kwargs: Mapping[str, Any],
    call: Callable[[], Any],
) -> str:  # fmt: skip
    """The path and class of the first module, in the order in which they are done, whose outputs differ; empty if none.

    ``call`` runs the module eagerly on its inputs. Modules that are called several times count once, by their first
    call.
    """
    eager = _eager_outputs(module, call)
    exported = _exported_outputs(program, [value for _, value in inputs_of(program, args, kwargs)])
    for path, (kind, value) in eager.items():
        others = exported.get(path)
        if others and all(differ(value, other) for other in others):
            return f"{path or 'the model'} ({kind})"
    return ""


def _eager_outputs(module: torch.nn.Module, call: Callable[[], Any]) -> dict[str, tuple[str, torch.Tensor]]:
    """The first tensor that each module returns in its first call, in the order in which the calls end."""
    found: dict[str, tuple[str, torch.Tensor]] = {}
    handles = []
    for path, part in module.named_modules():

        def hook(part: torch.nn.Module, _inputs: Any, output: Any, path: str = path) -> None:
            tensor = _first_tensor(output)
            if tensor is not None and path not in found:
                found[path] = (type(part).__name__, tensor.detach().clone())

        handles.append(part.register_forward_hook(hook))
    try:
        call()
    finally:
        for handle in handles:
            handle.remove()
    return found


def _exported_outputs(program: ExportedProgram, user: list[Any]) -> dict[str, list[torch.Tensor]]:
    """What the nodes of each module give, the last first, of modules that are called once."""
    given = [value.clone() if isinstance(value, torch.Tensor) else value for value in flat_inputs(program, user)]
    recorder = Recorder(program.graph_module)
    with torch.no_grad():
        recorder.run(*given)
    found: dict[str, list[torch.Tensor]] = {}
    calls: dict[str, set[str]] = {}
    for node in reversed(program.graph.nodes):
        for key, (path, _) in (node.meta.get("nn_module_stack") or {}).items():
            calls.setdefault(path, set()).add(key)
            if node.name in recorder.values:
                found.setdefault(path, []).append(recorder.values[node.name])
    return {path: values for path, values in found.items() if len(calls[path]) == 1}


class Recorder(Interpreter):  # type: ignore[misc]
    """Runs a program and keeps the first tensor that each node gives."""

    def __init__(self, module: torch.fx.GraphModule) -> None:
        super().__init__(module)
        self.values: dict[str, torch.Tensor] = {}

    def run_node(self, n: Node) -> Any:
        """Run a node, and keep what it gives."""
        result = super().run_node(n)
        tensor = _first_tensor(result)
        if tensor is not None and n.op == "call_function":
            self.values[n.name] = tensor.detach().clone()
        return result


def _first_tensor(value: Any) -> torch.Tensor | None:
    return next((leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, torch.Tensor)), None)
