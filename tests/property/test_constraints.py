"""The constraint store under any sequence of calls: what it accepted is true under its witness, always."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from abstract.constraints import Constraint, Constraints, Infeasible, Relation, at_least, divisible, not_equal
from abstract.dims import floor_div
from abstract.solver import move_free

NUMBERS = st.integers(-3, 9)
PICKS = st.integers(0, 30)


@st.composite
def recipes(draw):
    """How to make a dimension of whatever symbols there are: a few picks and a form."""
    return (
        draw(st.sampled_from(["number", "symbol", "affine", "product", "quotient"])),
        draw(PICKS),
        draw(PICKS),
        draw(NUMBERS),
    )


class Store(RuleBasedStateMachine):
    """``accepted`` is the shadow: every constraint that was taken, over the symbols as they were named then."""

    def __init__(self):
        super().__init__()
        self.store = Constraints(move_free, queries=1)
        self.made = []
        self.accepted = []
        self.frozen = {}
        self.marks = []

    def dim(self, recipe):
        form, first, second, number = recipe
        if form == "number" or not self.made:
            return abs(number)
        a, b = (self.made[i % len(self.made)] for i in (first, second))
        return {
            "symbol": a,
            "affine": (number or 1) * a + second % 5,
            "product": a * b,
            "quotient": floor_div(a + second % 7, abs(number) + 1),
        }[form]

    @rule(witness=st.integers(0, 12), below=st.integers(0, 4), above=st.integers(0, 4), wide=st.booleans())
    def fresh(self, witness, below, above, wide):
        low, high = (0, 2**31 - 1) if wide else (max(0, witness - below), witness + above)
        self.made.append(self.store.fresh(witness, low=low, high=high))
        self.accepted.append(at_least(self.made[-1], low))
        self.accepted.append(at_least(high, self.made[-1]))

    @rule(left=recipes(), right=recipes())
    def unify(self, left, right):
        a, b = self.dim(left), self.dim(right)
        with suppress(Infeasible):
            self.store.unify(a, b)
            self.accepted.append(Constraint(Relation.ZERO, a - b))
            assert self.store.value(a) == self.store.value(b)

    @rule(kind=st.sampled_from([at_least, not_equal, divisible]), left=recipes(), right=recipes())
    def require(self, kind, left, right):
        constraint = kind(self.dim(left), self.dim(right))
        with suppress(Infeasible):
            self.store.require(constraint)
            self.accepted.append(constraint)

    @rule()
    def freeze(self):
        self.store.freeze()
        self.frozen = {i: self.store.value(d) for i, d in enumerate(self.made)}
        self.marks.clear()

    @rule()
    def mark(self):
        self.marks.append((self.store.mark(), len(self.made), len(self.accepted), self.picture()))

    @precondition(lambda self: self.marks)
    @rule()
    def rollback(self):
        mark, made, accepted, picture = self.marks.pop()
        self.store.rollback(mark)
        del self.made[made:], self.accepted[accepted:]
        assert self.picture() == picture

    def picture(self):
        return (
            [self.store.value(d) for d in self.made],
            [str(self.store.resolve(d)) for d in self.made],
            [self.store.free(d.symbol) for d in self.made],
            [str(f) for f in self.store.facts],
        )

    @invariant()
    def the_witness_satisfies_all_that_was_accepted(self):
        broken = [str(c) for c in self.accepted if not c.holds(self.store.witness)]
        assert broken == []

    @invariant()
    def the_witness_is_a_solution_in_its_own_eyes(self):
        assert self.store.satisfied(self.store.witness)

    @invariant()
    def frozen_values_never_change(self):
        assert {i: self.store.value(self.made[i]) for i in self.frozen} == self.frozen

    @invariant()
    def resolving_keeps_the_value(self):
        for dim in self.made:
            assert self.store.value(self.store.resolve(dim)) == self.store.value(dim)


TestStore = Store.TestCase
TestStore.settings = settings(max_examples=120, stateful_step_count=25)
