"""The constraint store: symbols, one concrete value for each (the witness), equalities and the rest.

Equalities are resolved by substitution (a symbol is *bound* to an expression); inequalities, divisibility and
disequalities are kept as facts. Everything is checked under the witness: a few integer operations, no solver. Where
the witness fails, a *free* symbol is moved; a symbol is free until ``freeze`` is called, because from then on computed
tensors depend on its value. The solver (``abstract.solver``) is asked only when the caller asks for it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from abstract.dims import Dim, Expr, Symbol, evaluate, substitute, symbols

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["Constraint", "Constraints", "Infeasible", "Mark", "Relation", "at_least", "divisible", "equal",
           "not_equal"]  # fmt: skip


class Infeasible(Exception):
    """The witness does not satisfy a constraint and no free symbol can be moved so that it does."""


class Relation(enum.Enum):
    """What a constraint says of its expression."""

    NOT_NEGATIVE = ">= 0"
    ZERO = "== 0"
    NOT_ZERO = "!= 0"
    MULTIPLE = "% divisor == 0"


@dataclass(frozen=True, slots=True)
class Constraint:
    """``dim`` stands in ``relation``; ``divisor`` belongs to MULTIPLE alone."""

    relation: Relation
    dim: Dim
    divisor: Dim = 1

    def holds(self, value: Callable[[Symbol], int]) -> bool:
        """Whether the constraint is true under these values; it is not where they make a divisor zero."""
        try:
            return self._holds(value)
        except ZeroDivisionError:
            return False

    def _holds(self, value: Callable[[Symbol], int]) -> bool:
        number = evaluate(self.dim, value)
        if self.relation is Relation.NOT_NEGATIVE:
            return number >= 0
        if self.relation is Relation.ZERO:
            return number == 0
        if self.relation is Relation.NOT_ZERO:
            return number != 0
        divisor = evaluate(self.divisor, value)
        return divisor > 0 and number % divisor == 0

    def symbols(self) -> Iterable[Symbol]:
        """The symbols that decide it."""
        yield from symbols(self.dim)
        yield from symbols(self.divisor)


def at_least(left: Dim, right: Dim) -> Constraint:
    """``left >= right``."""
    return Constraint(Relation.NOT_NEGATIVE, left - right)


def equal(left: Dim, right: Dim) -> Constraint:
    """``left == right``, as a fact; ``Constraints.unify`` is what resolves it."""
    return Constraint(Relation.ZERO, left - right)


def not_equal(left: Dim, right: Dim) -> Constraint:
    """``left != right``."""
    return Constraint(Relation.NOT_ZERO, left - right)


def divisible(dim: Dim, divisor: Dim) -> Constraint:
    """``dim`` is a multiple of ``divisor``."""
    return Constraint(Relation.MULTIPLE, dim, divisor)


@dataclass(frozen=True, slots=True)
class _Range:
    low: int
    high: int
    fixed: bool
    counted: bool = False


Solver: TypeAlias = "Callable[[Constraints, Constraint], dict[Symbol, int] | None]"
"""New values for the free symbols of a store such that a constraint holds beside its facts; None where none exist."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment in the life of a store: how many symbols, facts, bindings and moves of symbols there were."""

    symbols: int
    facts: int
    bindings: int
    moves: int


class Constraints:
    """The store. ``facts`` are the constraints that substitution could not resolve.

    ``solver`` (``abstract.solver.move_free``) is asked last of all, to move several free symbols at once, and at most
    ``queries`` times in the life of the store.
    """

    def __init__(self, solver: Solver | None = None, queries: int = 2) -> None:
        self._solver = solver
        self._queries = queries
        self._witness: list[int] = []
        self._ranges: list[_Range] = []
        self._symbols: list[Symbol] = []
        self._bindings: dict[int, Dim] = {}  # by index of the symbol
        self.facts: list[Constraint] = []
        self._frozen = 0
        self._moves: list[tuple[int, int]] = []  # index and former witness of each symbol moved since the last freeze

    def fresh(
        self, witness: int, *, low: int = 0, high: int = 2**31 - 1, name: str = "d", fixed: bool = False,
        counted: bool = False,
    ) -> Expr:  # fmt: skip
        """A new symbol in [low, high] whose witness is given; ``fixed`` where something depends on it already.

        ``counted``: it stands for a size that the values of tensors decide, so nobody can choose it.
        """
        symbol = Symbol(len(self._witness), f"{name}{len(self._witness)}")
        self._witness.append(witness)
        self._ranges.append(_Range(low, high, fixed, counted))
        self._symbols.append(symbol)
        return Expr.of(symbol)

    def witness(self, symbol: Symbol) -> int:
        """The concrete value of a symbol."""
        bound = self._bindings.get(symbol.index)
        return self._witness[symbol.index] if bound is None else evaluate(bound, self.witness)

    def value(self, dim: Dim) -> int:
        """The concrete value of an expression under the witness."""
        if isinstance(dim, int):
            return dim
        symbol = dim.symbol
        return evaluate(dim, self.witness) if symbol is None else self.witness(symbol)

    def resolve(self, dim: Dim) -> Dim:
        """The expression with every bound symbol replaced by what it is bound to."""
        if isinstance(dim, int) or not self._bindings:
            return dim
        if not any(s.index in self._bindings for s in symbols(dim)):
            return dim
        bound = self._bindings
        return self.resolve(substitute(dim, lambda s: bound[s.index] if s.index in bound else Expr.of(s)))

    def range(self, symbol: Symbol) -> tuple[int, int]:
        """The bounds that the symbol was made with, both included."""
        limits = self._ranges[symbol.index]
        return limits.low, limits.high

    def counted(self, symbol: Symbol) -> bool:
        """Whether the values of tensors decide the symbol."""
        return self._ranges[symbol.index].counted

    def chained(self) -> set[Symbol]:
        """The symbols whose value hangs on a counted one: equal to it, or in a fact with it."""
        every = [s for s in self._symbols if self.counted(s)]
        if not every:
            return set()
        found = {part for s in every for part in symbols(self.resolve(Expr.of(s)))}
        for fact in self.facts:
            parts = {part for s in fact.symbols() for part in symbols(self.resolve(Expr.of(s)))}
            if parts & found:
                found |= parts
        return found

    def free(self, symbol: Symbol) -> bool:
        """Whether the symbol may still be moved or bound away from its witness."""
        if symbol.index < self._frozen or symbol.index in self._bindings:
            return False
        return not self._ranges[symbol.index].fixed

    @property
    def moved(self) -> bool:
        """Whether a witness was changed since the last ``freeze``: tensors drawn at its old value are stale."""
        return bool(self._moves)

    def unbound(self) -> list[Symbol]:
        """All symbols that stand for themselves, oldest first."""
        return [s for s in self._symbols if s.index not in self._bindings]

    def freeze(self) -> None:
        """From now on no symbol that exists is moved: a computed value depends on it."""
        self._frozen = len(self._witness)
        self._moves.clear()

    def mark(self) -> Mark:
        """A point to which ``rollback`` can return."""
        return Mark(len(self._witness), len(self.facts), len(self._bindings), len(self._moves))

    def rollback(self, mark: Mark) -> None:
        """Forget the symbols, facts and bindings made since the mark, and move back what was moved.

        What was frozen in between is forgotten too: only symbols made since the mark could move before that.
        """
        while len(self._bindings) > mark.bindings:
            self._bindings.popitem()
        while len(self._moves) > mark.moves:
            index, before = self._moves.pop()
            self._witness[index] = before
        del self.facts[mark.facts :]
        del self._witness[mark.symbols :], self._ranges[mark.symbols :], self._symbols[mark.symbols :]
        self._frozen = min(self._frozen, mark.symbols)

    def _move(self, symbol: Symbol, value: int) -> None:
        self._moves.append((symbol.index, self._witness[symbol.index]))
        self._witness[symbol.index] = value

    def unify(self, left: Dim, right: Dim) -> None:
        """Make two dimensions equal: substitute where one side is a symbol, keep the equation otherwise.

        Raises Infeasible where the witness disagrees and cannot be moved.
        """
        if left is right or (isinstance(left, int) and left == right):
            return
        left, right = self.resolve(left), self.resolve(right)
        if left == right:
            return
        if not self._agree(left, right):
            raise Infeasible(f"{left} = {right}")
        for symbol_side, other in ((left, right), (right, left)):
            symbol = None if isinstance(symbol_side, int) else symbol_side.symbol
            if symbol is not None and self._replaceable(symbol, other):
                self._bind(symbol, other)
                return
        self.facts.append(Constraint(Relation.ZERO, left - right))

    def _replaceable(self, symbol: Symbol, other: Dim) -> bool:
        """A symbol can stand for what lacks it; a frozen one only for what is frozen too, or it would move along."""
        parts = set(symbols(other))
        return symbol not in parts and (self.free(symbol) or not any(map(self.free, parts)))

    def _bind(self, symbol: Symbol, other: Dim) -> None:
        """The range of the symbol that disappears lives on as facts about what replaces it."""
        if not isinstance(other, int):
            low, high = self.range(symbol)
            own = other.symbol
            least, most = self.range(own) if own is not None else (low - 1, 2**31 - 1)
            if low > least:
                self.facts.append(at_least(other, low))
            if high < most:
                self.facts.append(at_least(high, other))
        self._bindings[symbol.index] = other

    def _agree(self, left: Dim, right: Dim) -> bool:
        a, b = self.value(left), self.value(right)
        if a == b:
            return True
        equal = Constraint(Relation.ZERO, left - right)
        return self._move_to(left, b, equal) or self._move_to(right, a, equal)

    def _move_to(self, dim: Dim, target: int, equal: Constraint) -> bool:
        symbol = None if isinstance(dim, int) else dim.symbol
        return symbol is not None and self._try(symbol, target, equal)

    def _try(self, symbol: Symbol, target: int, also: Constraint) -> bool:
        low, high = self.range(symbol)
        if not self.free(symbol) or not low <= target <= high:
            return False
        self._move(symbol, target)
        if also.holds(self.witness) and all(f.holds(self.witness) for f in self.facts):
            return True
        index, before = self._moves.pop()
        self._witness[index] = before
        return False

    def require(self, constraint: Constraint) -> None:
        """Add a constraint, moving a free symbol if the witness fails it; Infeasible where none can be moved."""
        if isinstance(constraint.dim, int) and isinstance(constraint.divisor, int):
            if not constraint.holds(self.witness):
                raise Infeasible(str(constraint))
            return
        if not constraint.holds(self.witness) and not self._repair(constraint):
            raise Infeasible(str(constraint))
        self.facts.append(constraint)

    def _repair(self, unresolved: Constraint) -> bool:
        # What bound symbols stand for may be free to move.
        dim, divisor = self.resolve(unresolved.dim), self.resolve(unresolved.divisor)
        constraint = Constraint(unresolved.relation, dim, divisor)
        for symbol in dict.fromkeys(constraint.symbols()):
            if not self.free(symbol):
                continue
            low, high = self.range(symbol)
            at = self._witness[symbol.index]
            # Nearest values first; 64 steps either way is farther than any attribute goes.
            for step in range(1, 65):
                if any(self._try(symbol, v, constraint) for v in (at - step, at + step) if low <= v <= high):
                    return True
        return self._solve(constraint)

    def _solve(self, constraint: Constraint) -> bool:
        """Last of all the solver, and only where more than one free symbol could give way."""
        if self._solver is None or self._queries <= 0 or sum(map(self.free, dict.fromkeys(constraint.symbols()))) < 2:
            return False
        self._queries -= 1
        moved = self._solver(self, constraint)
        for symbol, value in (moved or {}).items():
            self._move(symbol, value)
        return moved is not None

    def adopt(self, values: Mapping[Symbol, int]) -> None:
        """Make these values of unbound symbols their witness, frozen or not: tensors drawn before are stale.

        Whether they satisfy the facts is for the caller to ask first (``satisfied``).
        """
        for symbol, value in values.items():
            self._witness[symbol.index] = value

    def satisfied(self, values: Callable[[Symbol], int]) -> bool:
        """Whether another assignment (of the unbound symbols) satisfies ranges and facts alike."""

        def value(symbol: Symbol) -> int:
            bound = self._bindings.get(symbol.index)
            return values(symbol) if bound is None else evaluate(bound, value)

        for symbol in self.unbound():
            low, high = self.range(symbol)
            if not low <= values(symbol) <= high:
                return False
        return all(fact.holds(value) for fact in self.facts)
