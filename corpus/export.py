"""A model on its inputs, exported: torch.export, then ONNX by the exporter that works on exported programs.

The two steps are kept apart, since either may be at fault. Nothing is written here.
"""

from __future__ import annotations

import contextlib
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils import _pytree as pytree

from corpus.exporter import convert

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import onnx
    from torch.export import ExportedProgram

__all__ = ["OPSET", "adjust", "converted", "export", "inputs_of", "leaves", "matched", "outputs_of", "translate"]

OPSET = 20
"""ONNX's opset where none is asked for."""

_SMALLEST_EXTERNAL = 2**31 - 2**26  # bytes of weights from which one file cannot hold the model


@dataclass(frozen=True, slots=True)
class _Adjustment:
    """A setting of Hugging Face's configurations that exporting asks for: what it is, what it becomes and why."""

    name: str
    value: Any
    why: str


_ADJUSTMENTS = (
    _Adjustment("use_cache", value=False, why="a cache of keys and values is no tensor"),
    _Adjustment("return_dict", value=True, why="outputs have names"),
)


def adjust(module: torch.nn.Module) -> list[str]:
    """Settings that a model of Hugging Face needs to be exported, put in place; what was changed, in words.

    Other models are left as they are.
    """
    done = []
    configurations = {
        id(part.config): part.config for part in module.modules() if hasattr(getattr(part, "config", None), "to_dict")
    }
    for config in configurations.values():
        for adjustment in _ADJUSTMENTS:
            if getattr(config, adjustment.name, adjustment.value) != adjustment.value:
                with contextlib.suppress(AttributeError, ValueError, TypeError):
                    setattr(config, adjustment.name, adjustment.value)
                    done.append(f"{adjustment.name}={adjustment.value}: {adjustment.why}")
    experts = getattr(module, "set_experts_implementation", None)
    if experts is not None and any("expert" in name.lower() for name, _ in module.named_modules()):
        # The kernel that is the default has no translation to ONNX.
        with contextlib.suppress(Exception):
            experts("batched_mm")
            done.append("experts=batched_mm: the default kernel has no translation to ONNX")
    return sorted(set(done))


def export(module: torch.nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ExportedProgram:
    """The exported program of a model on its inputs, with static shapes. Raises whatever torch.export raises."""
    with _quiet():
        return torch.export.export(module, args, dict(kwargs), strict=False)


def translate(program: ExportedProgram, path: Path, opset: int = OPSET) -> onnx.ModelProto:
    """Write the ONNX model of a program, without the places in files that its nodes come from; the model.

    Weights lie in the same file, but for those of a model that is too large for one. The model that is returned is
    without them then. Raises whatever the exporter raises, and OSError.
    """
    import onnx

    with _quiet():
        made = convert(program, opset)
        tensors = (*program.state_dict.values(), *program.constants.values())
        size = sum(tensor.nbytes for tensor in tensors if isinstance(tensor, torch.Tensor))
        if size > _SMALLEST_EXTERNAL:
            made.save(path, external_data=True)
            model = onnx.load(path, load_external_data=False)
        else:
            model = made.model_proto
    _strip(model)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return model


def converted(program: ExportedProgram, opset: int = OPSET) -> tuple[ExportedProgram, onnx.ModelProto]:
    """The program as the exporter decomposed it, whose nodes are named like the values of the model; and the model.

    Raises whatever the exporter raises.
    """
    with _quiet():
        made = convert(program, opset)
        return made.exported_program, made.model_proto


def _strip(model: onnx.ModelProto) -> None:
    """Leave out what tells of the machine: the lines of source files."""
    for function in (model.graph, *model.functions):
        for node in function.node:
            kept = [prop for prop in node.metadata_props if prop.key != "pkg.torch.onnx.stack_trace"]
            del node.metadata_props[:]
            node.metadata_props.extend(kept)


def leaves(values: Any) -> list[Any]:
    """All leaves of nested arguments or outputs."""
    return list(pytree.tree_leaves(values))


def inputs_of(program: ExportedProgram, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The leaves of the arguments, in the program's order, each with the name that it has there."""
    from torch.export._tree_utils import reorder_kwargs
    from torch.export.graph_signature import InputKind

    ordered = reorder_kwargs(dict(kwargs), program.call_spec.in_spec)
    names = [spec.arg.name for spec in program.graph_signature.input_specs if spec.kind is InputKind.USER_INPUT]
    return list(zip(names, leaves((args, ordered)), strict=True))


def outputs_of(outputs: Any) -> list[torch.Tensor]:
    """The tensors of a model's outputs, in the order in which the exported model gives them."""
    return [leaf.detach() for leaf in leaves(outputs) if isinstance(leaf, torch.Tensor)]


def matched(model: onnx.ModelProto, given: Sequence[tuple[str, Any]]) -> tuple[list[str], list[torch.Tensor]]:
    """The names of the exported model's inputs and what each is given: by order, or by name where some are left out.

    Raises ValueError where the model has one that was not given.
    """
    constants = {constant.name for constant in model.graph.initializer}
    ports = [port.name for port in model.graph.input if port.name not in constants]
    tensors = {name: value for name, value in given if isinstance(value, torch.Tensor)}
    if len(tensors) == len(ports):  # the exporter renames an input that is an output as well
        return ports, list(tensors.values())
    missing = [name for name in ports if name not in tensors]
    if missing:
        raise ValueError(f"the exported model has an input {missing[0]!r} that the model was not called with")
    return ports, [tensors[name] for name in ports]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings that exporters give about every model."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        yield
