"""The torch module of an ONNX model, made by onnx2torch, and torch tensors of values.

onnx2torch goes by the names of nodes and gives back what the nodes that make outputs return. Such names mean nothing in
ONNX, so nodes get others first, and the outputs are put in the model's order here.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module, util
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from onnx.helper import make_tensor_value_info

from backends.graph import required_inputs, taken
from backends.layout import Layout, arranged
from backends.protocol import Rejected, Unsupported, Words, heard
from backends.tensor import Tensor, Value, byte_size, to_numpy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["WORDS", "Converted", "convert", "tensor_of", "value_of"]

WORDS = Words(
    unsupported=(
        r"NotImplementedError",
        # onnx2torch reads these parameters from constants alone.
        r"is not found in constant values",
        # What numpy's types are to torch.
        r"can't convert np\.ndarray of type",
        # A kernel of torch for a type: `"addmm_impl_cpu_" not implemented for 'Short'`.
        r"not (yet |currently )?(implemented|supported)",
        r"Promotion for uint16, uint32, uint64 types is not supported",
    )
)

# ONNX's element types that torch holds, with the integers of the same width in which numpy hands over what it lacks.
_TYPES: Mapping[str, tuple[torch.dtype, type[np.generic] | None]] = MappingProxyType({
    "float": (torch.float32, None), "double": (torch.float64, None), "float16": (torch.float16, None),
    "bfloat16": (torch.bfloat16, np.int16), "bool": (torch.bool, None),
    "int8": (torch.int8, None), "int16": (torch.int16, None), "int32": (torch.int32, None),
    "int64": (torch.int64, None), "uint8": (torch.uint8, None), "uint16": (torch.uint16, None),
    "uint32": (torch.uint32, None), "uint64": (torch.uint64, None),
    "complex64": (torch.complex64, None), "complex128": (torch.complex128, None),
    "float8e4m3fn": (torch.float8_e4m3fn, np.int8), "float8e4m3fnuz": (torch.float8_e4m3fnuz, np.int8),
    "float8e5m2": (torch.float8_e5m2, np.int8), "float8e5m2fnuz": (torch.float8_e5m2fnuz, np.int8),
})  # fmt: skip
_NAMES: Mapping[torch.dtype, str] = MappingProxyType({dtype: name for name, (dtype, _) in _TYPES.items()})


@dataclass(frozen=True, slots=True)
class Converted:
    """A module, how many inputs it takes, and where each output of the model is found in what it returns.

    A place is `("input", n, 0)`, `("constant", n, 0)`, or `("node", n, m)`: output `m` of the n-th value that is
    returned. `arity` says of each of these values how many outputs its node has.
    """

    module: torch.nn.Module
    inputs: int
    places: tuple[tuple[str, int, int], ...]
    arity: tuple[int, ...]
    constants: tuple[torch.Tensor, ...]

    def arguments(
        self, inputs: Sequence[Value], device: str, layout: Layout | None = None
    ) -> tuple[torch.Tensor, ...]:
        """Tensors on the device for the inputs of a data set. Raises `InvalidCase` where there are too few."""
        return tuple(tensor_of(value, layout).to(device) for value in taken(inputs, self.inputs))

    def outputs(self, arguments: Sequence[torch.Tensor], returned: Any) -> list[Value]:
        """The model's outputs, from what the module was given and what it returned."""
        sources = {"input": arguments, "constant": self.constants}
        results: list[Value] = []
        for kind, position, output in self.places:
            found = returned[position] if kind == "node" else sources[kind][position]
            if kind == "node" and self.arity[position] > 1:
                if not isinstance(found, (tuple, list)):
                    raise Unsupported(f"onnx2torch made one output of a node that has {self.arity[position]}")
                found = found[output]
            results.append(value_of(found))
        return results


def convert(model: Any) -> Converted:
    """Make a torch module of a parsed model. Raises `Unsupported` or `Rejected`."""
    onnx2torch = _onnx2torch()
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    inputs = [port.name for port in required_inputs(graph)]
    wanted = [port.name for port in graph.output]
    names = {*inputs, *constants} | {name for node in graph.node for name in node.output}
    for number, node in enumerate(graph.node):
        node.name = next(n for n in (f"node{number}{'_' * extra}" for extra in range(99)) if n not in names)
    # onnx2torch looks ranks up by the values that are described, where it could ask the constants themselves.
    described = {port.name for port in (*graph.input, *graph.value_info)}
    for name, constant in constants.items():
        if name not in described:
            graph.value_info.append(make_tensor_value_info(name, constant.data_type, constant.dims))
    made = {name: (node, n) for node in graph.node for n, name in enumerate(node.output) if name}
    # Outputs that no node makes: onnx2torch has no place for them.
    kept = [port for port in graph.output if port.name in made]
    del graph.output[:]
    graph.output.extend(kept)
    with heard(WORDS):
        module = onnx2torch.convert(model)
        held = tuple(onnx2torch.onnx_tensor.OnnxTensor(constants[n]).to_torch() for n in wanted if n in constants)
    nodes = list(dict.fromkeys(made[name][0].name for name in wanted if name in made))
    _return_nodes(module, nodes)
    places: list[tuple[str, int, int]] = []
    for name in wanted:
        if name in made:
            node, output = made[name]
            places.append(("node", nodes.index(node.name), output))
        elif name in inputs:
            places.append(("input", inputs.index(name), 0))
        else:
            places.append(("constant", sum(kind == "constant" for kind, _, _ in places), 0))
    arity = {node.name: len(node.output) for node in graph.node}
    return Converted(module.eval(), len(inputs), tuple(places), tuple(arity[name] for name in nodes), held)


def _return_nodes(module: Any, names: Sequence[str]) -> None:
    """Have a graph module return the values of these nodes, as a tuple."""
    calls = {node.target: node for node in module.graph.nodes if node.op == "call_module"}
    for node in list(module.graph.nodes):
        if node.op == "output":
            module.graph.erase_node(node)
    module.graph.output(tuple(calls[name] for name in names))
    module.recompile()


def tensor_of(value: Value, layout: Layout | None = None) -> torch.Tensor:
    """A torch tensor of a value, which lies as `layout` says. Raises `Unsupported` for what torch has no tensors of."""
    if not isinstance(value, Tensor):
        raise Unsupported("sequences and optionals are no arguments of the modules that onnx2torch makes")
    if value.element_type not in _TYPES:
        raise Unsupported(f"torch has no tensors of {value.element_type}")
    dtype, carrier = _TYPES[value.element_type]
    array = to_numpy(value)
    if layout is not None:
        array = arranged(array, layout)
    if carrier is None:
        return torch.from_numpy(array)
    return torch.from_numpy(array.view(carrier)).view(dtype)


def value_of(result: Any) -> Tensor:
    """The value of what a module returned."""
    if not isinstance(result, torch.Tensor):
        raise Rejected(f"the module returns a {type(result).__name__} where the model has a tensor")
    name = _NAMES.get(result.dtype)
    if name is None:
        raise Rejected(f"the module returns a tensor of {result.dtype}, which ONNX lacks")
    shape = tuple(int(size) for size in result.shape)
    flat = result.detach().resolve_conj().resolve_neg().cpu().reshape(-1)
    # A copy, since one element may have any stride and still count as contiguous.
    flat = flat.clone(memory_format=torch.contiguous_format)
    data = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    if len(data) != byte_size(name, shape):
        raise Rejected(f"the module returns {len(data)} bytes for a {name} tensor of shape {list(shape)}")
    return Tensor(name, shape, data)


def _onnx2torch() -> Any:
    """onnx2torch, imported without torchvision where that does not work: it uses three functions for two operators.

    Wheels of torchvision fit one build of torch each, and most environments have none that fits.
    """
    if "onnx2torch" in sys.modules or _torchvision_works():
        return import_module("onnx2torch")

    def missing(*_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError("torchvision is not installed for this torch: it has the boxes of this operator")

    package, operators = ModuleType("torchvision"), ModuleType("torchvision.ops")
    for name in ("nms", "box_convert", "roi_align"):
        setattr(operators, name, missing)
    package.ops = operators  # type: ignore[attr-defined]
    stand_in = {"torchvision": package, "torchvision.ops": operators}
    sys.modules.update(stand_in)
    try:
        return import_module("onnx2torch")
    finally:
        # torch looks for torchvision too, and is to find none.
        for name in stand_in:
            del sys.modules[name]


def _torchvision_works() -> bool:
    """Whether torchvision is installed and its compiled operators load; without them it cannot be imported."""
    spec = util.find_spec("torchvision")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for library in sorted(Path(folder).glob("_C.*")):
            try:
                torch.ops.load_library(library)
            except OSError:
                continue
            return True
    return False
