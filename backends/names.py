"""Names of a model's values and nodes, which mean nothing, for converters that make names of their own out of them."""

from __future__ import annotations

from typing import Any

from backends.graph import graphs

__all__ = ["rename"]


def rename(graph: Any) -> None:
    """Give all values and nodes of a GraphProto plain names, each of its own.

    One name becomes one other name everywhere, so that bodies read what they did.
    """
    names: dict[str, str] = {"": ""}
    for number, inner in enumerate(graphs(graph)):
        inner.name = f"g{number}"
        for position, node in enumerate(inner.node):
            node.name = f"n{number}_{position}"
            for port in (node.input, node.output):
                port[:] = [names.setdefault(name, f"v{len(names)}") for name in port]
        for port in (*inner.input, *inner.output, *inner.value_info, *inner.initializer):
            port.name = names.setdefault(port.name, f"v{len(names)}")
        for sparse in inner.sparse_initializer:
            sparse.values.name = names.setdefault(sparse.values.name, f"v{len(names)}")
