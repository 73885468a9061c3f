"""What sizes compilers trip over, as wishes for the solver: a table of aims.

Kernels are unrolled, vectorised and tiled; what is left over at the end is done by other code. So the sizes of interest
are the least and the greatest, powers of two and multiples of vector widths with their neighbours, a stride that does
not come out even, sizes that are the same by chance, and those that no longer are.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING

from abstract.constraints import Constraint, Relation, at_least, equal, not_equal
from abstract.dims import Dim, Expr, Symbol
from fuzz.diversify.freedom import elements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from abstract.graph import Graph
    from abstract.solver import Wish
    from fuzz.diversify.freedom import Freedom
    from fuzz.generate.choices import Choices

__all__ = ["AIMS", "Aim", "Situation"]

_SMALL = (1, 1, 2, 2, 3, 4, 5, 7, 8, 9)
_POWERS = (4, 8, 16, 32, 64, 128, 256)
_LANES = (4, 8, 16, 32)
_SIDES = (-1, 0, 0, 1)
_NEAR = 9  # a size that no wish decides is at most this, or what it was


@dataclass(frozen=True, slots=True)
class Situation:
    """What aims are drawn from: a graph, what of it is free, a source of decisions, the most elements of a tensor."""

    graph: Graph
    free: Freedom
    choices: Choices
    most: int

    def dim(self) -> Expr:
        """One of the sizes of its tensors."""
        return self.free.dims[self.choices.integer(0, len(self.free.dims) - 1)]

    def pick(self, options: Sequence[int]) -> int:
        """One of some numbers."""
        return options[self.choices.integer(0, len(options) - 1)]

    def witness(self, dim: Dim) -> int:
        """A size as it is in the case."""
        return self.graph.store.value(dim)


@dataclass(frozen=True, slots=True)
class Aim:
    """What is due of an answer, and what is hoped for beside it, the most wanted first."""

    musts: tuple[Constraint, ...]
    wishes: tuple[Wish, ...]


def _around(now: Situation) -> Iterator[Wish]:
    """The symbols about as they are: half of them anew and small; else as in the case; at any rate not large."""
    for symbol in map(Expr.of, now.free.symbols):
        size = now.witness(symbol)
        stay: Wish = (equal(symbol, size), at_least(max(_NEAR, size), symbol))
        yield (equal(symbol, now.pick(_SMALL)), *stay) if now.choices.integer(0, 1) else stay


def _number(*numbers: int) -> Callable[[Situation], Aim]:
    """A size that is one of these numbers."""

    def aim(now: Situation) -> Aim:
        return Aim((equal(now.dim(), now.pick(numbers)),), tuple(_around(now)))

    return aim


def _least(now: Situation) -> Aim:
    """Everything as small as it may be."""
    store = now.graph.store
    lows = [(Expr.of(symbol), store.range(symbol)[0]) for symbol in now.free.symbols]
    return Aim((), tuple((*(equal(s, low + step) for step in range(3)), at_least(low + _NEAR, s)) for s, low in lows))


def _greatest(now: Situation) -> Aim:
    """One symbol as large as tensors may get, the others as they are."""
    symbol = now.free.symbols[now.choices.integer(0, len(now.free.symbols) - 1)]
    size, largest = Expr.of(symbol), _largest(now, symbol)
    close = (equal(size, largest), equal(size, largest - 1), at_least(size, largest // 2 + 1))
    others = ((equal(Expr.of(s), now.witness(Expr.of(s))),) for s in now.free.symbols if s != symbol)
    return Aim((at_least(size, now.witness(size) + 1), at_least(largest, size)), (close, *others))


def _largest(now: Situation, symbol: Symbol) -> int:
    """The greatest value of a symbol, the others as they are, at which no tensor has too many elements."""
    store = now.graph.store
    low, high = store.witness(symbol), min(store.range(symbol)[1], now.most)
    while low < high:
        middle = (low + high + 1) // 2
        count = elements(now.graph, lambda s, m=middle: m if s == symbol else store.witness(s))  # type: ignore[misc]
        if count is not None and count <= now.most:
            low = middle
        else:
            high = middle - 1
    return low


def _same(now: Situation) -> Aim:
    """Two sizes that may be equal are, and then as many others as will."""
    first, second = now.dim(), now.dim()
    alike = ((equal(first, dim),) for dim in now.free.dims if dim not in (first, second))
    return Aim((equal(first, second),), ((equal(first, now.pick(_SMALL)),), *alike, *_around(now)))


def _different(now: Situation) -> Aim:
    """Two sizes that may differ do, and their neighbours too."""
    dims = now.free.dims
    first, second = now.dim(), now.dim()
    pairs = ((not_equal(a, b),) for a, b in pairwise(dims))
    return Aim((not_equal(first, second),), (*pairs, *_around(now)))


def _ragged(now: Situation) -> Aim:
    """A stride, or a number of parts, that does not come out even."""
    return _division(now, Relation.NOT_ZERO)


def _even(now: Situation) -> Aim:
    """One that does."""
    return _division(now, Relation.ZERO)


def _division(now: Situation, relation: Relation) -> Aim:
    quotient = now.free.quotients[now.choices.integer(0, len(now.free.quotients) - 1)]
    remainder = quotient.numerator - quotient.denominator * Expr((((quotient,), 1),), 0)
    return Aim((Constraint(relation, remainder),), tuple(_around(now)))


AIMS: Mapping[str, Callable[[Situation], Aim]] = MappingProxyType({
    "least": _least,
    "lanes": _number(*(lanes * count + side for lanes in _LANES for count in (1, 2, 3) for side in _SIDES)),
    "zero": _number(0),
    "power": _number(*(power + side for power in _POWERS for side in _SIDES)),
    "greatest": _greatest,
    "same": _same,
    "one": _number(1),
    "ragged": _ragged,
    "different": _different,
    "even": _even,
})  # fmt: skip
"""The classes of sizes, by name, in the order in which a case's models take turns."""

DIVISIONS = frozenset({"ragged", "even"})
"""Those that need a floor division in the graph."""
