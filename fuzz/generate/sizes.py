"""Other sizes for a dynamic model: new values of its open symbols, inputs drawn anew, everything evaluated again."""

from __future__ import annotations

from math import isfinite, prod
from typing import TYPE_CHECKING

import numpy as np
import onnx

from abstract.bounded import Content, tensors
from abstract.dims import evaluate, symbols
from abstract.fallback import Unrunnable
from abstract.operator import Array, NotCovered
from abstract.program import parse
from abstract.reference import Bounded, TooLarge, interpret
from abstract.types import ContainerType
from fuzz.generate.tensors import fill

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from abstract.dims import Symbol
    from abstract.dtypes import DType
    from abstract.graph import Graph
    from fuzz.generate.choices import Choices
    from fuzz.generate.emit import Emitted

__all__ = ["LARGEST", "Resized", "chosen", "misshapen", "other_sizes", "sound"]

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
        fits = all(map(sound, values.values())) and not misshapen(self.graph, chosen(self.graph, sizes), values)
        if not values or not fits:
            self.dropped += 1
            return False
        self.found.append((inputs, {v.name: values[v.name].value for v in self.graph.outputs}))
        return True

def chosen(graph: Graph, sizes: Mapping[Symbol, int]) -> Callable[[Symbol], int]:
    """The value of each symbol of a graph that stands for itself: the one that is given, else its witness."""

    def value(symbol: Symbol) -> int:
        size = sizes.get(symbol)
        return graph.store.witness(symbol) if size is None else size

    return value


def _satisfies(graph: Graph, sizes: Mapping[Symbol, int]) -> bool:
    return graph.store.satisfied(chosen(graph, sizes))


def misshapen(graph: Graph, value: Callable[[Symbol], int], known: Mapping[str, Bounded]) -> str:
    """What the reference finds of another shape than the graph says at these values of its symbols; "" for nothing.

    A size that values decide may have been one by luck.
    """
    store = graph.store
    for node in graph.nodes:
        for output in node.outputs:
            found = known.get(output.name)
            if found is None or isinstance(output.type, ContainerType) or not isinstance(found.value, np.ndarray):
                continue
            dims = map(store.resolve, output.type.shape)
            due = [None if any(map(store.counted, symbols(dim))) else evaluate(dim, value) for dim in dims]
            have = found.value.shape
            if len(due) != len(have) or any(d not in (None, h) for d, h in zip(due, have, strict=True)):
                return f"{node.operator}: {due} and {list(have)}"
    return ""


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
    size = chosen(graph, sizes)
    for value in graph.inputs:
        if isinstance(value.type, ContainerType):  # whose sizes are numbers
            result[value.name] = value.array
            continue
        if value.recipe is None:
            return None
        dims = (graph.store.resolve(d) for d in value.type.shape)
        shape = tuple(evaluate(d, size) for d in dims)
        if prod(shape) > LARGEST or any(n < 0 for n in shape):
            return None
        result[value.name] = fill(value.recipe, shape, value.type.dtype)
    return result


def sound(known: Bounded, margin: int = 8) -> bool:
    """Whether a value is finite and so many times below the largest number of its type; of a sequence, each part."""
    return all(_within(np.asarray(part), known.dtype, margin) for part in tensors(known.value))


def _within(array: Array, dtype: DType | None, margin: int) -> bool:
    if array.dtype.kind not in "fc" or not array.size:
        return True
    largest = float(np.abs(array).max())
    return isfinite(largest) and (dtype is None or not dtype.maximum or largest <= dtype.maximum / margin)
