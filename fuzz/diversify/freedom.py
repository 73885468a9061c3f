"""What of a graph may be chosen anew: the symbols that its tensors and parameters hang on, and the sizes of those."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from abstract.dims import Dim, Expr, Quotient, Symbol, evaluate, quotients, symbols
from abstract.types import ContainerType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from abstract.graph import Graph, Value

__all__ = ["Freedom", "elements", "freedom", "placeholders", "tensors"]


@dataclass(frozen=True, slots=True)
class Freedom:
    """``symbols`` may be chosen, oldest first; ``dims`` are the distinct sizes of tensors that hang on them.

    ``quotients`` are the floor divisions in those sizes: a stride that divides, or does not.
    """

    symbols: tuple[Symbol, ...]
    dims: tuple[Expr, ...]
    quotients: tuple[Quotient, ...]


def freedom(graph: Graph) -> Freedom:
    """The free sizes of a graph and the bodies in it.

    Those are not free that the values of tensors decide, nor those of tensors whose numbers were given.
    """
    store = graph.store
    shapes = dict.fromkeys(
        resolved for value in tensors(graph) for dim in value.type.shape
        if isinstance(resolved := store.resolve(dim), Expr)
    )  # fmt: skip
    params = [resolved for dim in _parameters(graph) if isinstance(resolved := store.resolve(dim), Expr)]
    given = {
        symbol for value in placeholders(graph) if value.recipe is None
        for dim in value.type.shape for symbol in symbols(store.resolve(dim))
    }  # fmt: skip
    shut = given | store.chained()
    found = {s for dim in (*shapes, *params) for s in symbols(dim)} - shut
    chosen = tuple(sorted((s for s in found if not store.counted(s)), key=lambda s: s.index))
    dims = tuple(d for d in shapes if all(s in found for s in symbols(d)))
    return Freedom(chosen, dims, tuple(dict.fromkeys(q for d in dims for q in quotients(d))))


def tensors(graph: Graph) -> Iterator[Value]:
    """Every tensor of a graph and of the bodies in it, formal inputs of bodies among them."""
    values = [*graph.inputs, *graph.initializers, *(v for node in graph.nodes for v in node.outputs)]
    yield from (v for v in values if not isinstance(v.type, ContainerType))
    for node in graph.nodes:
        for body in node.bodies:
            yield from tensors(body)


def placeholders(graph: Graph) -> Iterator[Value]:
    """The inputs of a graph, and the initializers of it and of the bodies in it."""
    yield from graph.inputs
    yield from initializers(graph)


def initializers(graph: Graph) -> Iterator[Value]:
    """The initializers of a graph and of the bodies in it."""
    yield from graph.initializers
    for node in graph.nodes:
        for body in node.bodies:
            yield from initializers(body)


def elements(graph: Graph, value: Callable[[Symbol], int]) -> int | None:
    """Elements of the largest tensor at other values of the unbound symbols; None where a shape makes no sense."""
    largest = 0
    for tensor in tensors(graph):
        try:
            shape = [evaluate(graph.store.resolve(dim), value) for dim in tensor.type.shape]
        except ZeroDivisionError:
            return None
        if min(shape, default=0) < 0:
            return None
        largest = max(largest, prod(shape))
    return largest


def _parameters(graph: Graph) -> Iterator[Dim]:
    for node in graph.nodes:
        for given in node.params.values():
            yield from (item for item in (given if isinstance(given, tuple) else (given,)) if isinstance(item, Expr))
        for body in node.bodies:
            yield from _parameters(body)
