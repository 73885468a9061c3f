"""Arithmetic operations of a node, counted from its shapes: a multiplication with its addition is two.

Of an ONNX model `abstract.cost` counts more exactly, from all attributes; here all sources are counted alike.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from corpus.graphs.vocabulary import bare_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from corpus.graphs.computation import Node

__all__ = ["elements", "operations"]

Sizes = tuple[int, ...]


def operations(node: Node) -> int | None:
    """The operations of one run of a node; None where a size is not fixed, or a shape is not known.

    A convolution has a product with one filter for each element that it gives (a transposed one: that it reads), a
    matrix product a sum over the last dimension of what it reads, a pooling its window, a recurrent layer each of its
    weights once for each step and each of a batch, attention two products. Everything else counts the elements of the
    largest tensor.
    """
    if node.operator in {"Input", "Output"}:
        return 0
    shapes = [_fixed(shape) for shape in (node.shape, *node.shapes_in)]
    if any(shape is None for shape in shapes):
        return None
    sizes = [shape for shape in shapes if shape is not None]
    row = _ROWS.get(bare_name(node.source)) or _ROWS.get(node.operator, _largest)
    return row(node, sizes[0], sizes[1:] or sizes[:1])


def elements(shape: tuple[int | str, ...] | None) -> int | None:
    """The elements of a tensor; None where a size is not fixed, or its shape is not known."""
    sizes = _fixed(shape)
    return None if sizes is None else prod(sizes)


def _fixed(shape: tuple[int | str, ...] | None) -> Sizes | None:
    if shape is None or any(not isinstance(dim, int) for dim in shape):
        return None
    return tuple(int(dim) for dim in shape)


def _largest(_: Node, out: Sizes, read: list[Sizes]) -> int:
    return max(map(prod, (out, *read)))


def _filter(node: Node) -> int:
    return prod(node.weights[0][1:]) if node.weights else prod(node.kernel)


def _convolution(node: Node, out: Sizes, _: list[Sizes]) -> int:
    return 2 * prod(out) * _filter(node)


def _transposed(node: Node, _: Sizes, read: list[Sizes]) -> int:
    return 2 * prod(read[0]) * _filter(node)


def _product(_: Node, out: Sizes, read: list[Sizes]) -> int:
    return 2 * prod(out) * (read[0][-1] if read[0] else 1)


def _window(node: Node, out: Sizes, _: list[Sizes]) -> int:
    return prod(out) * prod(node.kernel)


def _recurrent(node: Node, _: Sizes, read: list[Sizes]) -> int:
    return 2 * prod(read[0][:-1]) * sum(prod(weight) for weight in node.weights if len(weight) > 1)


def _attention(node: Node, out: Sizes, read: list[Sizes]) -> int:
    if len(read) < 2 or len(read[1]) < 2:
        return _largest(node, out, read)
    return 4 * prod(read[0]) * read[1][-2]


_ROWS: Mapping[str, Callable[[Node, Sizes, list[Sizes]], int]] = {
    **dict.fromkeys(("Conv", "Depthwise"), _convolution), "MatMul": _product,
    **dict.fromkeys(("Maxpool", "Avgpool"), _window),
    **dict.fromkeys(("ConvTranspose", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
                     "Conv2DBackpropInput", "Conv3DBackpropInputV2"), _transposed),
    **dict.fromkeys(("LSTM", "GRU", "RNN", "lstm", "gru", "rnn_tanh", "rnn_relu"), _recurrent),
    **dict.fromkeys(("Attention", "scaled_dot_product_attention"), _attention),
}  # fmt: skip
