"""The constraint store: its witness satisfies everything at all times, or the constraint is refused."""

from __future__ import annotations

import pytest

from abstract.constraints import Constraint, Constraints, Infeasible, Relation, at_least, divisible, not_equal
from abstract.dims import floor_div
from abstract.solver import move_free


def zero(dim):
    return Constraint(Relation.ZERO, dim)


def everything(store):
    """All that a store says, for comparing two moments."""
    symbols = store.unbound()
    return (
        [(str(s), store.witness(s), store.range(s), store.free(s)) for s in symbols],
        [str(f) for f in store.facts],
    )


class TestWitness:
    def test_a_fresh_symbol_has_its_witness(self):
        store = Constraints()
        d = store.fresh(5)
        assert store.value(d) == 5
        assert store.value(2 * d + 1) == 11
        assert store.value(9) == 9

    def test_names_tell_symbols_apart(self):
        store = Constraints()
        assert (str(store.fresh(1)), str(store.fresh(1, name="p"))) == ("d0", "p1")

    def test_a_bound_symbol_follows_what_it_is_bound_to(self):
        store = Constraints()
        a, b = store.fresh(4), store.fresh(4)
        store.unify(a, b)
        store.require(at_least(a, 6))
        assert store.value(a) == store.value(b) == 6


class TestUnify:
    def test_equal_symbols_become_one(self):
        store = Constraints()
        a, b = store.fresh(4), store.fresh(4)
        store.unify(a, b)
        assert store.resolve(a) == store.resolve(b)
        assert len(store.unbound()) == 1

    def test_a_symbol_becomes_an_expression(self):
        store = Constraints()
        a, b = store.fresh(9), store.fresh(4)
        store.unify(a, 2 * b + 1)
        assert store.resolve(a + 1) == 2 * b + 2

    def test_a_symbol_becomes_a_number(self):
        store = Constraints()
        a = store.fresh(4)
        store.unify(4, a)
        assert store.resolve(3 * a) == 12

    def test_bindings_are_followed_to_the_end(self):
        store = Constraints()
        a, b, c = store.fresh(3), store.fresh(3), store.fresh(3)
        store.unify(a, b)
        store.unify(b, c)
        assert store.resolve(a) == store.resolve(c)
        store.unify(c, 3)
        assert store.resolve(a * b) == 9

    def test_a_free_symbol_moves_to_agree(self):
        store = Constraints()
        a = store.fresh(4)
        store.freeze()
        b = store.fresh(7)
        store.unify(a, b)
        assert store.value(a) == store.value(b) == 4

    def test_frozen_symbols_that_disagree_are_refused(self):
        store = Constraints()
        a, b = store.fresh(4), store.fresh(7)
        store.freeze()
        with pytest.raises(Infeasible, match=r"d0 = d1"):
            store.unify(a, b)

    def test_numbers_that_disagree_are_refused(self):
        with pytest.raises(Infeasible):
            Constraints().unify(3, 4)

    def test_a_symbol_leaves_its_range_for_nothing(self):
        store = Constraints()
        a = store.fresh(2, low=1, high=3)
        with pytest.raises(Infeasible):
            store.unify(a, 4)
        assert store.value(a) == 2

    def test_two_expressions_are_kept_as_an_equation(self):
        store = Constraints()
        a, b = store.fresh(6), store.fresh(4)
        store.unify(2 * a, 3 * b)
        assert store.satisfied(lambda s: {0: 9, 1: 6}[s.index])
        assert not store.satisfied(lambda s: {0: 9, 1: 4}[s.index])

    def test_a_symbol_is_not_bound_to_what_contains_it(self):
        store = Constraints()
        a, b = store.fresh(4), store.fresh(8)
        store.unify(a, b - a)
        assert store.resolve(a) == a
        assert not store.satisfied(lambda s: {0: 4, 1: 9}[s.index])

    def test_moving_a_symbol_moves_what_it_is_compared_with(self):
        store = Constraints()
        a = store.fresh(4)
        with pytest.raises(Infeasible):
            store.unify(a, a + 1)
        assert store.value(a) == 4
        assert all(f.holds(store.witness) for f in store.facts)

    def test_a_solution_in_one_symbol_is_taken_only_if_it_is_one(self):
        store = Constraints()
        a = store.fresh(9)
        try:
            store.unify(a, 2 * a - 4)
        except Infeasible:
            assert store.value(a) == 9
        else:
            assert store.value(a) == 4

    def test_a_frozen_symbol_does_not_move_with_the_fresh_one_that_it_equals(self):
        store = Constraints()
        a = store.fresh(3)
        store.freeze()
        b = store.fresh(3)
        store.unify(a, b)
        with pytest.raises(Infeasible):
            store.require(at_least(b, 5))
        assert store.value(a) == store.value(b) == 3

    def test_nor_with_an_expression_in_fresh_ones(self):
        store = Constraints()
        a = store.fresh(7)
        store.freeze()
        b = store.fresh(3)
        store.unify(a, 2 * b + 1)
        with pytest.raises(Infeasible):
            store.require(at_least(b, 5))
        assert (store.value(a), store.value(b)) == (7, 3)
        assert store.satisfied(lambda s: {0: 9, 1: 4}[s.index])
        assert not store.satisfied(lambda s: {0: 9, 1: 5}[s.index])


class TestRangesSurviveBinding:
    def test_the_lower_end(self):
        store = Constraints()
        a, b = store.fresh(4, low=3), store.fresh(4)
        store.unify(a, b)
        assert not store.satisfied(lambda _: 2)
        assert store.satisfied(lambda _: 3)

    def test_the_upper_end(self):
        store = Constraints()
        a, b = store.fresh(4, high=5), store.fresh(4)
        store.unify(a, b)
        assert not store.satisfied(lambda _: 6)
        with pytest.raises(Infeasible):
            store.require(at_least(b, 6))

    def test_a_symbol_that_is_never_negative_is_not_so_when_bound(self):
        store = Constraints()
        a, b = store.fresh(2, low=0), store.fresh(7)
        store.unify(a, b - 5)
        assert not store.satisfied(lambda _: 4)
        with pytest.raises(Infeasible):
            store.require(at_least(4, b))
        assert store.value(a) >= 0

    def test_a_frozen_range_too(self):
        store = Constraints()
        a, b = store.fresh(4, low=2, high=6), store.fresh(4, low=0, high=100)
        store.freeze()
        store.unify(a, b)
        assert [store.satisfied(lambda _, n=n: n) for n in (1, 2, 6, 7)] == [False, True, True, False]


class TestRequire:
    @pytest.mark.parametrize(
        ("constraint", "moved"),
        [
            (lambda d: at_least(d, 8), 8),
            (lambda d: at_least(2, d), 2),
            (lambda d: divisible(d, 4), 4),
            (lambda d: not_equal(d, 5), 4),
            (lambda d: zero(2 * d - 14), 7),
            (lambda d: zero(floor_div(d - 3, 2) - 4), 11),
        ],
    )
    def test_a_free_symbol_moves_to_the_nearest_value_that_will_do(self, constraint, moved):
        store = Constraints()
        d = store.fresh(5)
        store.require(constraint(d))
        assert store.value(d) == moved

    @pytest.mark.parametrize(
        "constraint",
        [lambda d: at_least(d, 8), lambda d: divisible(d, 4), lambda d: not_equal(d, 5), lambda d: zero(d - 6)],
    )
    def test_a_frozen_one_does_not(self, constraint):
        store = Constraints()
        d = store.fresh(5)
        store.freeze()
        with pytest.raises(Infeasible):
            store.require(constraint(d))
        assert store.facts == []

    def test_what_holds_becomes_a_fact_about_other_values(self):
        store = Constraints()
        d = store.fresh(6)
        store.freeze()
        store.require(divisible(d, 3))
        assert store.satisfied(lambda _: 9)
        assert not store.satisfied(lambda _: 8)

    def test_numbers_are_decided_at_once(self):
        store = Constraints()
        store.require(at_least(3, 3))
        store.require(divisible(12, 4))
        assert store.facts == []
        for broken in (at_least(2, 3), divisible(12, 5), not_equal(4, 4), zero(1)):
            with pytest.raises(Infeasible):
                store.require(broken)

    def test_no_divisor_is_below_one(self):
        store = Constraints()
        with pytest.raises(Infeasible):
            store.require(divisible(12, 0))

    def test_earlier_facts_hold_a_symbol_back(self):
        store = Constraints()
        d = store.fresh(5)
        store.require(at_least(6, d))
        with pytest.raises(Infeasible):
            store.require(at_least(d, 7))
        assert store.value(d) == 5

    def test_ranges_hold_a_symbol_back(self):
        store = Constraints()
        d = store.fresh(5, low=4, high=6)
        with pytest.raises(Infeasible):
            store.require(divisible(d, 7))

    def test_what_a_bound_symbol_stands_for_may_move(self):
        store = Constraints()
        a, b = store.fresh(5), store.fresh(5)
        store.unify(a, b)
        store.require(divisible(a, 4))
        assert store.value(b) == 4

    def test_a_trial_value_at_which_a_divisor_is_zero_is_passed_over(self):
        store = Constraints()
        d, s = store.fresh(8), store.fresh(1, low=0, high=1)
        store.require(at_least(floor_div(d, s), 1))
        with pytest.raises(Infeasible):
            store.require(at_least(0, s))
        assert store.value(s) == 1


class TestFreeze:
    def test_only_what_exists_is_frozen(self):
        store = Constraints()
        a = store.fresh(3)
        store.freeze()
        b = store.fresh(3)
        assert not store.free(a.symbol)
        assert store.free(b.symbol)

    def test_a_bound_symbol_is_not_free(self):
        store = Constraints()
        a, b = store.fresh(3), store.fresh(3)
        store.unify(a, b)
        assert sorted(map(store.free, (a.symbol, b.symbol))) == [False, True]


class TestRollback:
    def test_symbols_facts_and_bindings_are_forgotten(self):
        store = Constraints()
        a, b = store.fresh(4), store.fresh(4)
        store.require(at_least(a, 2))
        store.freeze()
        before, mark = everything(store), store.mark()
        c = store.fresh(3)
        store.unify(a, b)
        store.unify(c, b)
        store.require(divisible(a, 2))
        store.rollback(mark)
        assert everything(store) == before
        assert str(store.fresh(1)) == "d2"

    def test_moved_symbols_move_back(self):
        store = Constraints()
        store.fresh(4)
        d = store.fresh(5)
        before, mark = everything(store), store.mark()
        store.require(divisible(d, 4))
        store.rollback(mark)
        assert everything(store) == before

    def test_a_symbol_that_was_bound_gets_its_own_witness_back(self):
        store = Constraints()
        a, b = store.fresh(5), store.fresh(7)
        before, mark = everything(store), store.mark()
        store.unify(a, b)
        store.require(at_least(b, 9))
        store.rollback(mark)
        assert everything(store) == before

    def test_marks_nest(self):
        store = Constraints()
        a = store.fresh(5)
        outer, first = store.mark(), everything(store)
        store.require(at_least(a, 6))
        inner, second = store.mark(), everything(store)
        store.require(divisible(a, 4))
        assert store.value(a) == 8
        store.rollback(inner)
        assert everything(store) == second
        store.rollback(outer)
        assert everything(store) == first


class TestSatisfied:
    def test_ranges_and_facts_alike(self):
        store = Constraints()
        a, b = store.fresh(4, low=2), store.fresh(3)
        store.require(at_least(a, b))
        assert store.satisfied(lambda _: 5)
        assert not store.satisfied(lambda _: 1)
        assert not store.satisfied(lambda s: {0: 3, 1: 4}[s.index])

    def test_bound_symbols_are_computed_not_asked(self):
        store = Constraints()
        a, b = store.fresh(8), store.fresh(4)
        store.unify(a, 2 * b)
        store.require(divisible(a, 8))
        assert store.satisfied(lambda s: {1: 8}[s.index])
        assert not store.satisfied(lambda s: {1: 6}[s.index])


class TestSolverAsLastResort:
    def far(self, store):
        """Two free symbols, neither of which can meet the constraint alone."""
        a, b = store.fresh(2, low=1, high=9), store.fresh(2, low=1, high=9)
        return a, b, zero(a * b - 56)

    def test_several_symbols_give_way_together(self):
        store = Constraints(move_free)
        a, b, constraint = self.far(store)
        store.require(constraint)
        assert sorted((store.value(a), store.value(b))) == [7, 8]

    def test_not_without_a_query_left(self):
        store = Constraints(move_free, queries=0)
        a, b, constraint = self.far(store)
        with pytest.raises(Infeasible):
            store.require(constraint)
        assert (store.value(a), store.value(b)) == (2, 2)

    def test_queries_are_spent(self):
        store = Constraints(move_free, queries=1)
        store.require(self.far(store)[2])
        with pytest.raises(Infeasible):
            store.require(self.far(store)[2])

    def test_what_the_solver_moved_moves_back(self):
        store = Constraints(move_free)
        a, b, constraint = self.far(store)
        mark = store.mark()
        store.require(constraint)
        store.rollback(mark)
        assert (store.value(a), store.value(b)) == (2, 2)

    def test_frozen_symbols_stay(self):
        store = Constraints(move_free)
        a = store.fresh(7, low=1, high=9)
        store.freeze()
        b, c = store.fresh(2, low=1, high=9), store.fresh(2, low=1, high=9)
        store.require(zero(a + b * c - 63))
        assert store.value(a) == 7
        assert sorted((store.value(b), store.value(c))) == [7, 8]
