"""Other sizes for a dynamic model: new values of its open symbols, inputs drawn anew, everything evaluated again."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np
import onnx

from abstract.bounded import Content
from abstract.dims import evaluate, symbols
from abstract.fallback import Unrunnable
from abstract.operator import Array, NotCovered
from abstract.program import parse
from abstract.reference import Bounded, TooLarge, interpret
from abstract.types import ContainerType
from fuzz.generate.tensors import fill

if TYPE_CHECKING:
    from collections.abc import Mapping

    from abstract.dims import Symbol
    from abstract.graph import Graph
    from fuzz.generate.choices import Choices
    from fuzz.generate.emit import Emitted

__all__ = ["LARGEST", "Resized", "other_sizes", "sound"]

_BOUNDARIES = (0, 1)
_SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33, 0)
_SMALL = 4
_TRIES = 6
LARGEST = 8192  # elements of a tensor
_BROKEN = (TooLarge, Unrunnable, NotCovered, ArithmeticError, IndexError, ValueError)
"""What becomes of a data set that the specification does not define, or that is too large."""

Resized = tuple[dict[str, Array], dict[str, Content]]
"""Inputs and reference outputs by name, in carrier types."""


def other_sizes(graph: Graph, emitted: Emitted, choices: Choices, count: int) -> tuple[list[Resized], int]:
    """Up to ``count`` other data sets, and how many candidates were dropped: undefined or out of range there.

    First one open size is 0 and the others are as they were, then one is 1: there compilers that specialise break.
    The others are any mix of sizes.
    """
    search = _Search(graph, emitted)
    for size in _BOUNDARIES[: count - 1]:
        search.boundary(size, choices)
    search.mixed(count, choices)
    return search.found, search.dropped


class _Search:
    """The data sets of a model so far. ``seen`` are the sizes that were tried."""

    def __init__(self, graph: Graph, emitted: Emitted) -> None:
        self.graph, self.open = graph, emitted.open
        self.program = parse(onnx.ModelProto.FromString(emitted.model))
        self.witness = {s: graph.store.witness(s) for s in emitted.open}
        self.seen = {tuple(self.witness.values())}
        self.found: list[Resized] = []
        self.dropped = 0

    def boundary(self, size: int, choices: Choices) -> None:
        """One data set in which a single symbol has this size."""
        first = choices.integer(0, len(self.open) - 1)
        for symbol in (self.open[first:] + self.open[:first])[:_TRIES]:
            sizes = {**self.witness, symbol: size}
            if _satisfies(self.graph, sizes) and self.keep(sizes):
                return

    def mixed(self, count: int, choices: Choices) -> None:
        """Any sizes, until there are so many data sets."""
        for turn in range(_TRIES * count):
            if len(self.found) >= count:
                return
            # Tensors of many open axes get too large in most draws: the later ones are small.
            last = len(_SIZES) - 1 if turn < _TRIES else _SMALL - 1
            wished = {s: _SIZES[choices.integer(0, last)] for s in self.open}
            sizes = wished if _satisfies(self.graph, wished) else _nearest(self.graph, wished, self.seen)
            if sizes is not None:
                self.keep(sizes)

    def keep(self, sizes: dict[Symbol, int]) -> bool:
        """Whether these sizes make a new data set."""
        key = tuple(sizes.values())
        if key in self.seen:
            return False
        self.seen.add(key)
        inputs = _inputs(self.graph, sizes)
        if inputs is None:
            return False
        try:
            values = interpret(self.program, inputs, limit=LARGEST, strict=True)
        except _BROKEN:
            values = {}
        if not values or not (all(map(sound, values.values())) and self._as_said(sizes, values)):
            self.dropped += 1
            return False
        self.found.append((inputs, {v.name: values[v.name].value for v in self.graph.outputs}))
        return True

    def _as_said(self, sizes: dict[Symbol, int], values: Mapping[str, Bounded]) -> bool:
        """Whether tensors have the shapes that the graph says: a size that values decide may have been one by luck."""
        store = self.graph.store
        for node in self.graph.nodes:
            for value in node.outputs:
                found = values.get(value.name)
                if found is None or isinstance(value.type, ContainerType) or not isinstance(found.value, np.ndarray):
                    continue
                for dim, have in zip(map(store.resolve, value.type.shape), found.value.shape, strict=True):
                    counted = any(map(store.counted, symbols(dim)))
                    if not counted and evaluate(dim, lambda s: _value(self.graph, sizes, s)) != have:
                        return False
        return True


def _value(graph: Graph, sizes: Mapping[Symbol, int], symbol: Symbol) -> int:
    chosen = sizes.get(symbol)
    return graph.store.witness(symbol) if chosen is None else chosen


def _satisfies(graph: Graph, sizes: Mapping[Symbol, int]) -> bool:
    return graph.store.satisfied(lambda s: _value(graph, sizes, s))


def _nearest(graph: Graph, wished: Mapping[Symbol, int], seen: set[tuple[int, ...]]) -> dict[Symbol, int] | None:
    """What the solver makes of wishes that break a constraint; it is asked only while nothing else was found."""
    if len(seen) > 1 or not any(symbol in wished for fact in graph.store.facts for symbol in fact.symbols()):
        return None
    from abstract.constraints import at_least
    from abstract.dims import Expr
    from abstract.solver import solve

    small = [at_least(4 * max(_SIZES), Expr.of(symbol)) for symbol in wished]  # else any number would do
    fixed = {s: graph.store.witness(s) for s in graph.store.unbound() if s not in wished}
    found = solve(graph.store, fixed, list(wished.items()), small)
    if found is None:
        return None
    sizes = {symbol: found.get(symbol, graph.store.witness(symbol)) for symbol in wished}
    return sizes if _satisfies(graph, sizes) else None


def _inputs(graph: Graph, sizes: Mapping[Symbol, int]) -> dict[str, Array] | None:
    result: dict[str, Array] = {}
    for value in graph.inputs:
        if value.recipe is None:
            return None
        dims = (graph.store.resolve(d) for d in value.type.shape)
        shape = tuple(evaluate(d, lambda s: _value(graph, sizes, s)) for d in dims)
        if prod(shape) > LARGEST or any(n < 0 for n in shape):
            return None
        result[value.name] = fill(value.recipe, shape, value.type.dtype)
    return result


def sound(bounded: Bounded) -> bool:
    """Finite, within its type, and known."""
    value, dtype = bounded.value, bounded.dtype
    if not isinstance(value, np.ndarray) or dtype is None or not dtype.is_float or not value.size:
        return True
    return bool(np.isfinite(value).all()) and float(np.abs(value).max()) <= dtype.maximum / 8
