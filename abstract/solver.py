"""z3, for what the witness cannot settle: other solutions of the same constraints. Never on the hot path.

Bounded by z3's deterministic resource limit, not by a clock, so that the same question has the same answer on any
machine. A floor division ``n // s`` becomes a fresh q with ``s*q <= n < s*(q+1)``: measured at well under a
millisecond a query for chains of convolutions, where ``div`` and products hang.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import z3

from abstract.constraints import Constraint, Constraints, Relation
from abstract.dims import Dim, Quotient, Symbol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["RESOURCES", "move_free", "solve"]

RESOURCES = 200_000
"""z3's resource units a query: some tens of milliseconds at the most."""


class _Translator:
    """Expressions of the store in z3's terms, over the unbound symbols; divisions add side conditions."""

    def __init__(self, store: Constraints, fixed: Mapping[Symbol, int]) -> None:
        self.store = store
        self.context = z3.Context()
        self.fixed = fixed
        self.unknowns: dict[Symbol, Any] = {}
        self.sides: list[Any] = []

    def symbol(self, symbol: Symbol) -> Any:
        if symbol in self.fixed:
            return z3.IntVal(self.fixed[symbol], self.context)
        if symbol not in self.unknowns:
            unknown = z3.Int(f"s{symbol.index}", self.context)
            low, high = self.store.range(symbol)
            self.sides += [unknown >= low, unknown <= high]
            self.unknowns[symbol] = unknown
        return self.unknowns[symbol]

    def dim(self, dim: Dim) -> Any:
        dim = self.store.resolve(dim)
        if isinstance(dim, int):
            return z3.IntVal(dim, self.context)
        total = z3.IntVal(dim.constant, self.context)
        for monomial, coefficient in dim.terms:
            term = z3.IntVal(coefficient, self.context)
            for factor in monomial:
                term = term * (self.quotient(factor) if isinstance(factor, Quotient) else self.symbol(factor))
            total = total + term
        return total

    def quotient(self, quotient: Quotient) -> Any:
        numerator, denominator = self.dim(quotient.numerator), self.dim(quotient.denominator)
        result = z3.Int(f"q{len(self.sides)}", self.context)
        self.sides += [denominator > 0, denominator * result <= numerator, numerator < denominator * (result + 1)]
        return result

    def constraint(self, constraint: Constraint) -> Any:
        expression = self.dim(constraint.dim)
        if constraint.relation is Relation.NOT_NEGATIVE:
            return expression >= 0
        if constraint.relation is Relation.ZERO:
            return expression == 0
        if constraint.relation is Relation.NOT_ZERO:
            return expression != 0
        divisor = self.dim(constraint.divisor)
        quotient = z3.Int(f"m{len(self.sides)}", self.context)
        self.sides += [divisor > 0, quotient >= 0]
        return expression == divisor * quotient


def solve(
    store: Constraints, fixed: Mapping[Symbol, int], wishes: Sequence[tuple[Symbol, int]],
    extra: Iterable[Constraint] = (), resources: int = RESOURCES,
) -> dict[Symbol, int] | None:  # fmt: skip
    """Values for the symbols that are not fixed, satisfying every fact; wishes are granted in order while they can be.

    None where there is no solution, or none was found within the resources.
    """
    translator = _Translator(store, fixed)
    solver = z3.Solver(ctx=translator.context)
    solver.set("rlimit", resources)
    solver.set("random_seed", 0)
    solver.add(*[translator.constraint(c) for c in (*store.facts, *extra)])
    for symbol, _ in wishes:
        translator.symbol(symbol)
    solver.add(*translator.sides)
    if solver.check() != z3.sat:
        return None
    model = solver.model()
    for symbol, value in wishes:
        if symbol in fixed:
            continue
        solver.push()
        solver.add(translator.unknowns[symbol] == value)
        if solver.check() == z3.sat:
            model = solver.model()
        else:
            solver.pop()
    return {
        symbol: model.eval(unknown, model_completion=True).as_long() for symbol, unknown in translator.unknowns.items()
    }


def move_free(store: Constraints, constraint: Constraint) -> dict[Symbol, int] | None:
    """New values for the free symbols such that the constraint holds beside all facts, near to the old ones."""
    unbound = store.unbound()
    fixed = {s: store.witness(s) for s in unbound if not store.free(s)}
    free = [s for s in unbound if store.free(s)]
    if not free:
        return None
    return solve(store, fixed, [(s, store.witness(s)) for s in free], (constraint,))
