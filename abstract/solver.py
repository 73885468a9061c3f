"""z3, for what the witness cannot settle: other solutions of the same constraints. Never on the hot path.

The same questions have the same answers in every process: each store gets a context of its own, so that nothing asked
before leaves a trace; a question is bounded by z3's deterministic resource limit, not by a clock; seeds are fixed; and
the solver for incremental questions is taken, which chooses no tactic at run time. A floor division ``n // s`` becomes
a fresh q with ``s*q <= n < s*(q+1)``: measured at well under a millisecond a query for chains of convolutions, where
``div`` and products hang.

Terms are built through z3's C interface: the objects that its Python interface wraps around them cost ten times what
most questions do. In a context without reference counting they live as long as it does.
"""

from __future__ import annotations

from ctypes import c_int64
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

from z3 import Ast, z3core

from abstract.constraints import Constraint, Constraints, Relation, equal
from abstract.dims import Dim, Expr, Quotient, Symbol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["RESOURCES", "Search", "Wish", "move_free", "solve"]

RESOURCES = 200_000
"""z3's resource units a query: some tens of milliseconds at the most."""

_TRUE, _FALSE = 1, -1  # Z3_lbool; 0 is: not known
_COMPLETED = True  # a number even for what no fact decides

Wish: TypeAlias = "Sequence[Constraint]"
"""What is hoped for, and then ever less of it: the first of these that can be is granted, or none."""


class _Terms:
    """Expressions of the store in z3's terms, over the unbound symbols that are not ``fixed``.

    ``sides`` are what must hold beside them: the ranges of symbols, what makes a division one.
    """

    def __init__(self, store: Constraints, fixed: Mapping[Symbol, int]) -> None:
        config = z3core.Z3_mk_config()
        self.context = z3core.Z3_mk_context(config)
        z3core.Z3_del_config(config)
        self.integers = z3core.Z3_mk_int_sort(self.context)
        self.store = store
        self.fixed = fixed
        self.unknowns: dict[Symbol, Any] = {}
        self.sides: list[Any] = []
        self.made = 0

    def __del__(self) -> None:
        z3core.Z3_del_context(self.context)

    def fresh(self, sort: Any) -> Any:
        """A new constant."""
        self.made += 1
        return z3core.Z3_mk_const(self.context, z3core.Z3_mk_int_symbol(self.context, self.made), sort)

    def number(self, value: int) -> Any:
        """An integer."""
        return z3core.Z3_mk_int64(self.context, value, self.integers)

    def symbol(self, symbol: Symbol) -> Any:
        """A number where it is fixed, else an unknown in its range."""
        if symbol in self.fixed:
            return self.number(self.fixed[symbol])
        if symbol not in self.unknowns:
            unknown = self.fresh(self.integers)
            low, high = self.store.range(symbol)
            self.sides.append(z3core.Z3_mk_ge(self.context, unknown, self.number(low)))
            self.sides.append(z3core.Z3_mk_le(self.context, unknown, self.number(high)))
            self.unknowns[symbol] = unknown
        return self.unknowns[symbol]

    def dim(self, dim: Dim) -> Any:
        """A size."""
        dim = self.store.resolve(dim)
        if isinstance(dim, int):
            return self.number(dim)
        terms = [self.number(dim.constant)] if dim.constant else []
        for monomial, coefficient in dim.terms:
            factors = [self.number(coefficient)] if coefficient != 1 else []
            factors += [self.quotient(f) if isinstance(f, Quotient) else self.symbol(f) for f in monomial]
            terms.append(self.product(*factors))
        return terms[0] if len(terms) == 1 else z3core.Z3_mk_add(self.context, len(terms), _array(terms))

    def product(self, *factors: Any) -> Any:
        """The product of one term or more."""
        return factors[0] if len(factors) == 1 else z3core.Z3_mk_mul(self.context, len(factors), _array(factors))

    def quotient(self, quotient: Quotient) -> Any:
        """A floor division, as an unknown of its own."""
        numerator, denominator = self.dim(quotient.numerator), self.dim(quotient.denominator)
        result, context = self.fresh(self.integers), self.context
        above = z3core.Z3_mk_add(context, 2, _array([self.product(denominator, result), denominator]))
        self.sides += [
            z3core.Z3_mk_gt(context, denominator, self.number(0)),
            z3core.Z3_mk_le(context, self.product(denominator, result), numerator),
            z3core.Z3_mk_lt(context, numerator, above),
        ]
        return result

    def constraint(self, constraint: Constraint) -> Any:
        """A fact."""
        expression, zero, context = self.dim(constraint.dim), self.number(0), self.context
        if constraint.relation is Relation.NOT_NEGATIVE:
            return z3core.Z3_mk_ge(context, expression, zero)
        if constraint.relation is Relation.ZERO:
            return z3core.Z3_mk_eq(context, expression, zero)
        if constraint.relation is Relation.NOT_ZERO:
            return z3core.Z3_mk_not(context, z3core.Z3_mk_eq(context, expression, zero))
        divisor, quotient = self.dim(constraint.divisor), self.fresh(self.integers)
        self.sides += [z3core.Z3_mk_gt(context, divisor, zero), z3core.Z3_mk_ge(context, quotient, zero)]
        return z3core.Z3_mk_eq(context, expression, self.product(divisor, quotient))


def _array(terms: Sequence[Any]) -> Any:
    return (Ast * len(terms))(*terms)


@dataclass(slots=True)
class _Literal:
    """A Boolean that is true only where a constraint holds, and its identity in unsatisfiable cores."""

    term: Any
    identity: int


class Search:
    """One solver over the facts of a store, asked again and again for values of the symbols that are not ``fixed``.

    ``unanswered`` counts the questions that it gave up, each after so many ``resources``.
    """

    def __init__(self, store: Constraints, fixed: Mapping[Symbol, int], resources: int = RESOURCES) -> None:
        self.unanswered = 0
        self._terms = _Terms(store, fixed)
        self._context = self._terms.context
        self._solver = z3core.Z3_mk_simple_solver(self._context)
        z3core.Z3_solver_inc_ref(self._context, self._solver)
        settings = z3core.Z3_mk_params(self._context)
        z3core.Z3_params_inc_ref(self._context, settings)
        for name, value in (("rlimit", resources), ("random_seed", 0)):
            key = z3core.Z3_mk_string_symbol(self._context, name)
            z3core.Z3_params_set_uint(self._context, settings, key, value)
        z3core.Z3_solver_set_params(self._context, self._solver, settings)
        z3core.Z3_params_dec_ref(self._context, settings)
        self._booleans = z3core.Z3_mk_bool_sort(self._context)
        self._literals: dict[Constraint, _Literal] = {}
        self.add(store.facts)

    def __del__(self) -> None:
        z3core.Z3_solver_dec_ref(self._context, self._solver)

    def add(self, constraints: Iterable[Constraint]) -> None:
        """Facts beside those of the store, from now on."""
        for constraint in constraints:
            self._assert(self._terms.constraint(constraint))

    def answer(self, musts: Sequence[Constraint], wishes: Sequence[Wish]) -> dict[Symbol, int] | None:
        """Values that grant all of ``musts``, and of ``wishes`` as many as may be: of those at odds the last gives way.

        They are of every symbol that occurs in the facts or in what was ever asked. None where there are none, or where
        none were found within the resources.
        """
        self._meet(chain(musts, *wishes))
        hoped = {number: self._literal(wish[0]) for number, wish in enumerate(wishes)}
        # A must leaves no trace: one that is too hard to decide would make all later questions hard.
        known = set(self._literals)
        z3core.Z3_solver_push(self._context, self._solver)
        self.add(musts)
        found = self._granted(wishes, hoped)
        z3core.Z3_solver_pop(self._context, self._solver, 1)
        for constraint in self._literals.keys() - known:
            del self._literals[constraint]
        return found

    def _meet(self, constraints: Iterable[Constraint]) -> None:
        """Know all symbols, with their ranges, before anything is asserted that is taken back."""
        for symbol in dict.fromkeys(symbol for constraint in constraints for symbol in constraint.symbols()):
            self._terms.dim(Expr.of(symbol))
        self._settle()

    def _granted(self, wishes: Sequence[Wish], hoped: dict[int, _Literal]) -> dict[Symbol, int] | None:
        """Values for what is asserted, and as much of ``hoped`` as may be: the literal of each wish by its number."""
        rungs = [0] * len(wishes)
        while True:
            asked = _array([literal.term for literal in hoped.values()])
            found = z3core.Z3_solver_check_assumptions(self._context, self._solver, len(asked), asked)
            if found == _TRUE:
                return self._model()
            if found != _FALSE:
                self.unanswered += 1
                return None
            core = self._core()
            number = next((n for n in reversed(hoped) if hoped[n].identity in core), None)
            if number is None:
                return None
            rungs[number] += 1
            if rungs[number] < len(wishes[number]):
                hoped[number] = self._literal(wishes[number][rungs[number]])
            else:
                del hoped[number]

    def _core(self) -> set[int]:
        """The identities of assumptions that contradict one another."""
        context = self._context
        vector = z3core.Z3_solver_get_unsat_core(context, self._solver)
        z3core.Z3_ast_vector_inc_ref(context, vector)
        size = z3core.Z3_ast_vector_size(context, vector)
        core = {z3core.Z3_get_ast_id(context, z3core.Z3_ast_vector_get(context, vector, i)) for i in range(size)}
        z3core.Z3_ast_vector_dec_ref(context, vector)
        return core

    def _model(self) -> dict[Symbol, int]:
        context = self._context
        model = z3core.Z3_solver_get_model(context, self._solver)
        z3core.Z3_model_inc_ref(context, model)
        values, term, number = {}, (Ast * 1)(), c_int64()
        for symbol, unknown in self._terms.unknowns.items():
            z3core.Z3_model_eval(context, model, unknown, _COMPLETED, term)
            if not z3core.Z3_get_numeral_int64(context, term[0], number):
                raise AssertionError(f"z3 has no number for {symbol}")
            values[symbol] = number.value
        z3core.Z3_model_dec_ref(context, model)
        return values

    def _literal(self, constraint: Constraint) -> _Literal:
        """What stands for a constraint in questions."""
        known = self._literals.get(constraint)
        if known is None:
            literal = self._terms.fresh(self._booleans)
            meaning = self._terms.constraint(constraint)
            self._assert(z3core.Z3_mk_implies(self._context, literal, meaning))
            known = self._literals[constraint] = _Literal(literal, z3core.Z3_get_ast_id(self._context, literal))
        return known

    def _assert(self, term: Any) -> None:
        """A fact, and what its terms brought along."""
        z3core.Z3_solver_assert(self._context, self._solver, term)
        self._settle()

    def _settle(self) -> None:
        for side in self._terms.sides:
            z3core.Z3_solver_assert(self._context, self._solver, side)
        self._terms.sides.clear()


def solve(
    store: Constraints, fixed: Mapping[Symbol, int], wishes: Sequence[tuple[Symbol, int]],
    extra: Iterable[Constraint] = (), resources: int = RESOURCES,
) -> dict[Symbol, int] | None:  # fmt: skip
    """Values for the symbols that are not fixed, satisfying every fact; wishes are granted in order while they can be.

    None where there is no solution, or none was found within the resources.
    """
    search = Search(store, fixed, resources)
    search.add(extra)
    return search.answer((), [(equal(Expr.of(symbol), value),) for symbol, value in wishes if symbol not in fixed])


def move_free(store: Constraints, constraint: Constraint) -> dict[Symbol, int] | None:
    """New values for the free symbols such that the constraint holds beside all facts, near to the old ones."""
    unbound = store.unbound()
    fixed = {s: store.witness(s) for s in unbound if not store.free(s)}
    free = [s for s in unbound if store.free(s)]
    if not free:
        return None
    return solve(store, fixed, [(s, store.witness(s)) for s in free], (constraint,))
