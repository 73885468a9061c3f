"""What a picture says of a node, and the colour that it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpus.graphs.vocabulary import bare_name
from fuzz.report.families import family
from fuzz.report.graph import tensor_label

if TYPE_CHECKING:
    from corpus.graphs.computation import ComputationGraph, Node, Resolution

__all__ = ["caption", "kind", "lines", "title"]

_LONGEST = 36  # characters of a line; the tooltip has them all
_KINDS = {
    "Input": "end", "Output": "end", "Conv": "linear", "Depthwise": "linear", "MatMul": "linear",
    "BatchNorm": "pooling", "Maxpool": "pooling", "Avgpool": "pooling", "Global": "pooling", "Mean": "reduction",
    "Add": "arithmetic", "Mul": "arithmetic", "Concat": "movement", "Paddings": "movement", "Identity": "movement",
    "Zero": "other",
    **dict.fromkeys(("ReLU", "ReLU6", "Sigmoid", "Tanh", "Swish", "GeLU"), "activation"),
    **dict.fromkeys(("SpacetoBatchND", "BatchtoSpaceND", "SpacetoDepthND", "DepthtoSpaceND"), "movement"),
}  # fmt: skip
# Of operators without a label in languages whose names are not ONNX's: the first of these words in their name.
_WORDS = (
    ("norm", "pooling"), ("softmax", "activation"), ("attention", "linear"), ("einsum", "linear"),
    *((word, "movement") for word in ("view", "shape", "permute", "transpose", "slice", "select", "split", "chunk",
                                      "squeeze", "expand", "flatten", "gather", "index", "stack", "embedding", "pack")),
    *((word, "arithmetic") for word in ("sub", "div", "pow", "sqrt", "neg", "exp", "log", "sin", "cos", "abs")),
    *((word, "reduction") for word in ("sum", "max", "min", "arg", "cum")),
    ("lu", "activation"), ("mish", "activation"), ("cast", "conversion"), ("to", "conversion"),
)  # fmt: skip


def kind(node: Node) -> str:
    """The family of operators that a node is coloured as."""
    known = _KINDS.get(node.operator) or family(node.source)
    if known != "other":
        return known
    name = _bare(node.source).lower()
    return next((found for word, found in _WORDS if word in name), "other")


def _bare(source: str) -> str:
    return bare_name(source).rpartition("::")[2]


def lines(node: Node, place: int) -> tuple[str, ...]:
    """The lines of a node's box: its number and operator, its kernel, its resolution, the tensor that it gives."""
    if node.operator in {"Input", "Output"}:
        return tuple(map(_short, (f"{place} {node.operator}", node.name, _tensor(node))))
    name = _bare(node.source) if node.operator == "<OOV>" else node.operator
    return tuple(map(_short, filter(None, (f"{place} {name}", _kernel(node), _resolution(node), _tensor(node)))))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _tensor(node: Node) -> str:
    return tensor_label(node.type or "?", node.shape) if node.type or node.shape is not None else ""


def _kernel(node: Node) -> str:
    """`3×3, 64→128, bias`: the window, the channels of the kernel."""
    parts = ["×".join(map(str, node.kernel))] if node.kernel else []
    if node.weighted is not None:
        before, after, *_ = node.weighted
        parts.append(f"{before}→{after}")
    elif node.weights:
        parts.append(" ".join("×".join(map(str, weight)) for weight in node.weights[:2]))
    return ", ".join([*parts, *(["bias"] if node.bias else [])])


def _resolution(node: Node) -> str:
    """`56×56×64 → 28×28×128`: height, width and channels before and after; once where they are the same."""
    before = _size(node.resolution_in, node.channels_in)
    after = _size(node.resolution_out, node.channels_out)
    return before if before == after else f"{before or '?'} → {after or '?'}"


def _size(resolution: Resolution | None, channels: int | None) -> str:
    return f"{resolution[0]}×{resolution[1]}×{channels}" if resolution is not None and channels is not None else ""


def title(node: Node, place: int) -> str:
    """All that is known of a node, for a tooltip."""
    told = [f"{place} {node.operator} ({node.source})", node.name]
    told += [f"in {path}: {kind_}" for path, kind_ in node.modules[-1:]]
    told += [f"{name} = {text}" for name, text in node.arguments]
    told += [
        f"{name or 'weight'}: {'×'.join(map(str, shape))}"
        for name, shape in zip(node.parameters or [""] * len(node.weights), node.weights, strict=False)
    ]
    reads = ", ".join(tensor_label("", shape).strip() or "?" for shape in node.shapes_in)
    return "\n".join([*told, f"reads {reads}" if reads else "", f"gives {_tensor(node)}"]).replace("\n\n", "\n")


def caption(graph: ComputationGraph) -> str:
    """`net (family): 176 nodes, 11.7 M parameters, 3.6 G operations, accuracy 0.93`."""
    name = f"{graph.name} ({graph.family})" if graph.family else graph.name
    parts = [f"{len(graph.nodes):,} nodes", f"{_count(graph.parameters())} parameters"]
    operations = graph.flops()
    parts += [f"{_count(operations)} operations"] if operations is not None else []
    labels = {key: value for key, value in graph.labels.items() if key not in {"parameters", "flops", "name"}}
    parts += [f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in labels.items()]
    return f"{name}: {', '.join(parts)}"


def _count(number: int) -> str:
    for factor, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.3g} {unit}"
    return str(number)
