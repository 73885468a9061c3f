"""The static form of a dynamic case at the sizes of one of its data sets: the same graph with every size a number.

Not only what inputs declare: target shapes, pads and other parameters, which the dynamic model says relatively or
computes, are numbers too. Compilers take other paths for the two; both must give the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from abstract.constraints import equal
from abstract.dims import Expr
from abstract.types import ContainerType
from fuzz.diversify.concrete import Dropped, at_sizes, check
from fuzz.generate.emit import emit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from abstract.constraints import Constraint, Constraints
    from abstract.dims import Symbol
    from abstract.graph import Graph

__all__ = ["sizes_of", "specialised"]


def specialised(graph: Graph, opened: Sequence[Symbol], shapes: Mapping[str, Sequence[int]]) -> bytes:
    """The static model at which inputs have these shapes; ``opened`` are the symbols that the dynamic one leaves open.

    Raises Dropped where the graph has no such sizes, or ONNX's checker refuses the model.
    """
    with at_sizes(graph, sizes_of(graph, opened, shapes)):
        model = emit(graph, dynamic=False).model
    check(onnx.ModelProto.FromString(model))
    return model


def sizes_of(graph: Graph, opened: Sequence[Symbol], shapes: Mapping[str, Sequence[int]]) -> dict[Symbol, int]:
    """The values of the open symbols at which the inputs have these shapes.

    Raises Dropped where there are none.
    """
    store = graph.store
    equations = [found for found in _equations(graph, shapes) if not isinstance(found[0], int)]
    sizes = {dim.symbol: size for dim, size in equations if isinstance(dim, Expr) and dim.symbol is not None}
    if not set(opened) <= set(sizes):
        sizes = _solved(store, opened, [equal(dim, size) for dim, size in equations]) or sizes
    chosen = {symbol: sizes.get(symbol, store.witness(symbol)) for symbol in opened}

    def value(symbol: Symbol) -> int:
        return chosen[symbol] if symbol in chosen else store.witness(symbol)

    if not store.satisfied(value) or not all(equal(dim, size).holds(value) for dim, size in equations):
        raise Dropped("no sizes of the graph give these shapes")
    return chosen


def _equations(graph: Graph, shapes: Mapping[str, Sequence[int]]) -> Iterator[tuple[Expr | int, int]]:
    for value in graph.inputs:
        if not isinstance(value.type, ContainerType):
            yield from zip(map(graph.store.resolve, value.type.shape), shapes[value.name], strict=True)


def _solved(store: Constraints, opened: Sequence[Symbol], due: Sequence[Constraint]) -> dict[Symbol, int] | None:
    """What z3 makes of sizes such as d0+1 where d0 itself is the size of nothing."""
    from abstract.solver import solve

    fixed = {s: store.witness(s) for s in store.unbound() if s not in opened}
    return solve(store, fixed, [], due)
