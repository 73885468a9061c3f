"""What several adapters do with a parsed graph."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from backends.protocol import InvalidCase, Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backends.tensor import Value

__all__ = ["OVERRIDES", "graphs", "numbered", "required_inputs", "small_model", "taken"]


OVERRIDES = "it takes no values for inputs that have a default"


def graphs(graph: Any) -> Iterator[Any]:
    """A GraphProto, or a FunctionProto, and the bodies inside it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for body in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                yield from graphs(body)


def required_inputs(graph: Any) -> list[Any]:
    """The inputs (ValueInfoProto) of a GraphProto for which a data set must have values: those without a default."""
    defaults = {tensor.name for tensor in graph.initializer}
    defaults |= {tensor.values.name for tensor in graph.sparse_initializer}
    return [port for port in graph.input if port.name not in defaults]


def taken(values: Sequence[Value], required: int, most: int | None = None) -> Sequence[Value]:
    """Of a data set those values that a model takes: for inputs without a default, or (up to `most`) with one as well.

    Raises `InvalidCase` where the data set is not of this model, and `Unsupported` where it has values for inputs with
    a default of a model that takes none (`most` is None): a runtime MAY allow that (IR.md, Names Within a Graph).
    """
    if len(values) < required or (most is not None and len(values) > most):
        raise InvalidCase(f"the model has {required} inputs, the data set {len(values)}")
    if most is None and len(values) > required:
        raise Unsupported(OVERRIDES)
    return values


def numbered(text: str, pattern: str, prefix: str = "") -> str:
    """A text in which what a pattern finds is counted from 0: addresses, or numbers that go on from model to model."""
    numbers: dict[str, str] = {}
    return re.sub(pattern, lambda found: numbers.setdefault(found[0], f"{prefix}{len(numbers)}"), text)


def small_model() -> Any:
    """A ModelProto of one Relu, for which a compiler that tells its passes runs them all the same."""
    from onnx import TensorProto, helper

    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "graph", ports[:1], ports[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
