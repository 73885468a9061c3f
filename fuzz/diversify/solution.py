"""Sizes for aims: read off where the aim itself names a size for every symbol and nothing stands against it, else z3's.

The two give the same: where all that is wished can be granted, and decides everything, there is one answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from abstract.constraints import Relation, at_least
from abstract.dims import Expr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abstract.constraints import Constraint, Constraints
    from abstract.dims import Symbol
    from abstract.solver import Search
    from fuzz.diversify.aim import Aim

__all__ = ["RESOURCES", "Solutions"]

RESOURCES = 100_000
"""z3's resource units a question: some ten milliseconds at the most."""


class Solutions:
    """Answers for one graph: values of its free ``symbols``, none above ``most``, the others at their witness.

    ``asked`` counts the questions that z3 got.
    """

    def __init__(self, store: Constraints, symbols: Sequence[Symbol], most: int, resources: int = RESOURCES) -> None:
        self._store = store
        self._symbols = symbols
        self._most = most
        self._resources = resources
        self._search: Search | None = None
        self.asked = 0

    @property
    def unanswered(self) -> int:
        """How many questions z3 gave up."""
        return 0 if self._search is None else self._search.unanswered

    def answer(self, aim: Aim) -> dict[Symbol, int] | None:
        """Sizes that satisfy the store and what the aim asks for, and of its wishes the most; None for none."""
        named = self._named(aim)
        if named is not None:
            return named
        self.asked += 1
        found = self._solver().answer(aim.musts, aim.wishes)
        return None if found is None else {symbol: found[symbol] for symbol in self._symbols}

    def _named(self, aim: Aim) -> dict[Symbol, int] | None:
        """The sizes that musts name, and for what they leave open those of the first wishes, where that is all well."""
        due: dict[Symbol, int] = {}
        for must in aim.musts:
            due.update(filter(None, [_assignment(must)]))
        hoped = [wish[0] for wish in aim.wishes]
        sizes = {**dict(filter(None, map(_assignment, hoped))), **due}
        if len(sizes) < len(self._symbols) or max(sizes.values()) > self._most:
            return None
        binding = [wish for wish in hoped if not _decided(wish, due)]
        value = sizes.__getitem__
        if not all(constraint.holds(value) for constraint in (*aim.musts, *binding)):
            return None
        store = self._store
        if not store.satisfied(lambda s: sizes[s] if s in sizes else store.witness(s)):
            return None
        return {symbol: sizes[symbol] for symbol in self._symbols}

    def _solver(self) -> Search:
        if self._search is None:
            from abstract.solver import Search

            store = self._store
            fixed = {s: store.witness(s) for s in store.unbound() if s not in self._symbols}
            self._search = Search(store, fixed, self._resources)
            self._search.add(at_least(self._most, Expr.of(symbol)) for symbol in self._symbols)
        return self._search


def _assignment(constraint: Constraint) -> tuple[Symbol, int] | None:
    """The symbol and the number of ``symbol == number``; None for any other constraint."""
    dim = constraint.dim
    if constraint.relation is not Relation.ZERO or isinstance(dim, int):
        return None
    symbol = Expr(dim.terms, 0).symbol
    return None if symbol is None else (symbol, -dim.constant)


def _decided(wish: Constraint, due: dict[Symbol, int]) -> bool:
    """Whether a wish is for a symbol whose size a must names: it gives way, as it would before z3."""
    named = _assignment(wish)
    return named is not None and named[0] in due
