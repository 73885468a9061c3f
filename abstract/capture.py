"""Names that the bodies of control flow read from the graph around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx

__all__ = ["captured", "read"]


def captured(node: onnx.NodeProto) -> Iterator[str]:
    """Names that the bodies of a node read from outside, and some that they make themselves: harmless."""
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            yield from read(graph)


def read(graph: onnx.GraphProto) -> Iterator[str]:
    """Names that a graph reads: from outside, or made by itself. An input that is left out is the empty name."""
    for node in graph.node:
        yield from node.input
        yield from captured(node)
    yield from (output.name for output in graph.output)
