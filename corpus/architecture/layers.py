"""The abstract architecture of a network: layers with their parameters and dimensions, and connections between them.

A layer is a module of PyTorch's own library with all that is computed inside of it (`LIBRARY`), or one operator that
stands in none of these. Modules that somebody wrote are opened, for their names say what the network is called and not
what it is: LlamaRMSNorm and Qwen2RMSNorm compute the same. A graph without modules, as most ONNX models, has operators
alone. What leads back to a layer that came earlier, as where a module is called twice, is left out and counted, so that
every architecture is a graph without cycles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from corpus.graphs.computation import ComputationGraph, Node, Shape
    from corpus.trace import Graph

__all__ = [
    "LIBRARY", "Architecture", "ArchitectureError", "Connection", "Layer", "abstract_architecture", "of_trace",
]  # fmt: skip

LIBRARY = frozenset({
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
    "AvgPool1d", "AvgPool2d", "AvgPool3d", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "Bilinear", "CELU",
    "ConstantPad1d", "ConstantPad2d", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d",
    "ConvTranspose3d", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "ELU", "Embedding", "EmbeddingBag", "Flatten",
    "Fold", "GELU", "GLU", "GRU", "GroupNorm", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "Identity",
    "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "LSTM", "LayerNorm", "LeakyReLU", "Linear",
    "LocalResponseNorm", "LogSoftmax", "MaxPool1d", "MaxPool2d", "MaxPool3d", "Mish", "PReLU", "PixelShuffle",
    "PixelUnshuffle", "RMSNorm", "RNN", "RReLU", "ReLU", "ReLU6", "ReflectionPad1d", "ReflectionPad2d",
    "ReplicationPad1d", "ReplicationPad2d", "SELU", "SiLU", "Sigmoid", "Softmax", "Softplus", "Softshrink", "Softsign",
    "Tanh", "Tanhshrink", "Threshold", "Unfold", "Upsample", "ZeroPad1d", "ZeroPad2d",
})  # fmt: skip
"""The layers of torch.nn that hold no other module."""

_SIZES = frozenset({
    "size", "shape", "sizes", "repeats", "split_size", "split_sizes", "normalized_shape", "start", "end", "length",
    "output_size", "N", "C", "HxW", "padding_idx", "dtype", "device", "pin_memory", "layout", "memory_format",
    "training", "train", "cudnn_enable", "cudnn_enabled", "non_blocking", "copy", "fill_value", "other", "value",
    "scale",
})  # fmt: skip
"""Arguments of operators that are no parameters of the architecture: sizes, constants, where and how it is run."""

_CHECKS = "assert"
"""What only checks a value is no layer: its operators begin so."""
_LONGEST = 80  # characters of a parameter's value


class ArchitectureError(ValueError):
    """What was read is no architecture, or no collection of them; the text is one line."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer.

    ``kind`` is a class of torch.nn, or the name of an operator in lower case (``add``). ``parameters`` are pairs of a
    name and a text, sorted. ``shape_in`` is that of the first value that comes from another layer, ``shape_out`` of the
    last that it gives; None where it is not known or there is none.
    """

    name: str
    kind: str
    parameters: tuple[tuple[str, str], ...] = ()
    shape_in: Shape | None = None
    shape_out: Shape | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """A value that one layer gives and another reads, by their places."""

    source: int
    target: int


@dataclass(frozen=True, slots=True)
class Architecture:
    """Layers in the order in which they first compute, and connections that all lead forwards, each pair once."""

    layers: tuple[Layer, ...]
    connections: tuple[Connection, ...]
    removed: int = 0

    def to_json(self) -> dict[str, Any]:
        """As plain data: a row a layer, [name, kind, parameters, shape_in, shape_out]."""
        return {
            "layers": [[one.name, one.kind, dict(one.parameters), one.shape_in, one.shape_out] for one in self.layers],
            "connections": [[one.source, one.target] for one in self.connections],
            "removed": self.removed,
        }

    @staticmethod
    def from_json(content: Any) -> Architecture:
        """What `to_json` gave. Raises ArchitectureError."""
        try:
            layers = tuple(_layer(row) for row in content["layers"])
            connections = tuple(Connection(int(source), int(target)) for source, target in content["connections"])
            removed = int(content.get("removed", 0))
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise ArchitectureError(f"it is no architecture: {type(problem).__name__}: {problem}") from None
        if any(not 0 <= one.source < one.target < len(layers) for one in connections):
            raise ArchitectureError("it is no architecture: a connection does not lead forwards")
        return Architecture(layers, connections, removed)


def abstract_architecture(graph: ComputationGraph, *, operators: bool = False) -> Architecture:
    """The architecture of a computation graph; one made with ``whole`` has the layers that compute nothing, too.

    With ``operators`` each node is a layer, whatever module it is in: as in a graph that nobody exported.
    """
    layer_of: list[int] = []
    members: list[list[Node]] = []
    names: list[tuple[str, str]] = []
    known: dict[str, int] = {}
    for node in graph.nodes:
        path, kind = ("", _bare(node.source)) if operators else _layer_of(node)
        if kind.startswith(_CHECKS):
            layer_of.append(-1)
            continue
        place = known.get(path) if path else None
        if place is None:
            place = len(members)
            members.append([])
            names.append((path or node.name, kind))
            if path:
                known[path] = place
        members[place].append(node)
        layer_of.append(place)
    ends = ((layer_of[edge.source], layer_of[edge.target]) for edge in graph.edges)
    pairs = dict.fromkeys((source, target) for source, target in ends if target >= 0 <= source)
    shapes = _shapes_in(graph, layer_of)
    layers = tuple(
        Layer(name, kind, _parameters(nodes), shapes.get(place), nodes[-1].shape)
        for place, ((name, kind), nodes) in enumerate(zip(names, members, strict=True))
    )
    forward = sorted((source, target) for source, target in pairs if source < target)
    removed = sum(source > target for source, target in pairs)
    return Architecture(layers, tuple(Connection(*pair) for pair in forward), removed)


def of_trace(graph: Graph) -> Architecture:
    """The architecture of the trace of an exported program (`corpus.trace.trace`), as of its whole graph."""
    from corpus.graphs.torch_graph import from_trace

    return abstract_architecture(from_trace(graph, whole=True))


def _layer_of(node: Node) -> tuple[str, str]:
    """The path and class of the layer that a node belongs to; without a path it is one of its own."""
    for path, name in node.modules:
        kind = name.rpartition(".")[2].removeprefix("NonDynamicallyQuantizable")
        if kind in LIBRARY:
            return path, kind
    return "", _bare(node.source)


def _bare(source: str) -> str:
    """An operator's name without the language and the overload: ``aten.add.Tensor`` and ``Add`` are both ``add``."""
    parts = source.split(".")
    return (parts[1] if len(parts) > 1 and parts[0] in {"aten", "prims"} else parts[-1]).strip("_").lower()


def _shapes_in(graph: ComputationGraph, layer_of: list[int]) -> dict[int, Shape | None]:
    """The shape that each layer reads first from another."""
    found: dict[int, Shape | None] = {}
    for edge in sorted(graph.edges, key=lambda edge: (edge.target, edge.position)):
        if layer_of[edge.target] != layer_of[edge.source] >= 0:
            found.setdefault(layer_of[edge.target], graph.nodes[edge.source].shape)
    return found


def _parameters(nodes: list[Node]) -> tuple[tuple[str, str], ...]:
    """What the operators of a layer are told; a name that several are told differently has all values."""
    found: dict[str, dict[str, None]] = {}
    for node in nodes:
        for name, text in _of_node(node):
            found.setdefault(name, {})[text[:_LONGEST]] = None
    return tuple(sorted((name, " ".join(texts)) for name, texts in found.items()))


def _of_node(node: Node) -> Iterator[tuple[str, str]]:
    if node.kernel:
        yield "kernel", str(list(node.kernel))
    if node.weighted:
        yield "bias", str(node.bias)
    elif node.weights:
        yield "weights", str(len(node.weights))
    for name, text in node.arguments:
        if name not in _SIZES and text:
            yield name, text


def _layer(row: Any) -> Layer:
    name, kind, parameters, shape_in, shape_out = row
    told: Mapping[str, str] = parameters
    return Layer(
        str(name), str(kind), tuple(sorted((str(key), str(text)) for key, text in told.items())),
        _shape(shape_in), _shape(shape_out),
    )  # fmt: skip


def _shape(value: Any) -> Shape | None:
    return None if value is None else tuple(dim if isinstance(dim, int) else str(dim) for dim in value)
