"""z3 behind the store: other solutions of the same constraints, bounded by a resource limit and not by a clock."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from abstract.constraints import Constraint, Constraints, Relation, at_least, divisible, equal, not_equal
from abstract.dims import evaluate, floor_div
from abstract.solver import Search, move_free, solve


def chain(length=40):
    """The sizes along a chain of convolutions, kernels and strides fixed: each is at least 1."""
    store = Constraints()
    first = store.fresh(900, low=1, high=4096)
    size = first
    for layer in range(length):
        kernel, stride = (3, 1) if layer % 8 else (2, 2)
        size = floor_div(size + 2 * (layer % 2) - kernel, stride) + 1
        store.require(at_least(size, 1))
    return store, first.symbol, size


def holds(store, solution):
    return store.satisfied(lambda s: solution.get(s, store.witness(s)))


def test_a_chain_of_forty_convolutions_is_answered():
    store, first, size = chain()
    store.require(at_least(size, 3))
    solution = solve(store, {}, [(first, 777)])
    assert solution == {first: 777}
    assert holds(store, solution)


def test_a_chain_is_solved_backwards():
    store, first, size = chain()
    solution = solve(store, {}, [(first, 33)], [Constraint(Relation.ZERO, size - 10)])
    assert solution is not None
    assert holds(store, solution)
    assert evaluate(size, lambda s: solution[s]) == 10


def test_symbolic_kernels_and_strides_are_answered():
    store = Constraints()
    sizes = [store.fresh(40, low=8, high=64)]
    for _ in range(6):
        kernel, stride = store.fresh(3, low=1, high=5), store.fresh(1, low=1, high=2)
        sizes.append(floor_div(sizes[-1] - kernel, stride) + 1)
        store.require(at_least(sizes[-1], 1))
    solution = solve(store, {}, [], resources=5_000_000)
    assert solution is not None
    assert holds(store, solution)


@pytest.mark.parametrize(
    "contradiction",
    [
        lambda d: [at_least(d, 5), at_least(4, d)],
        lambda d: [divisible(d, 2), Constraint(Relation.ZERO, floor_div(d, 2) * 2 - d + 1)],
        lambda d: [at_least(d, 101)],
        lambda d: [not_equal(d, d)],
        lambda d: [divisible(d, 200), at_least(d, 1)],
    ],
)
def test_what_has_no_solution_is_none(contradiction):
    store = Constraints()
    d = store.fresh(4, high=100)
    assert solve(store, {}, [], contradiction(d)) is None


def test_ranges_bind_the_solver():
    store = Constraints()
    d = store.fresh(4, low=3, high=6)
    assert solve(store, {}, [(d.symbol, 9)], [not_equal(d, 4)])[d.symbol] in {3, 5, 6}


def test_wishes_are_granted_in_order_while_they_can_be():
    store = Constraints()
    a, b, c = (store.fresh(4, high=20) for _ in range(3))
    store.require(at_least(12, a + b))
    solution = solve(store, {}, [(a.symbol, 9), (b.symbol, 8), (c.symbol, 7)])
    assert solution[a.symbol] == 9
    assert solution[b.symbol] <= 3
    assert solution[c.symbol] == 7


def test_fixed_symbols_are_not_answered():
    store = Constraints()
    a, b = store.fresh(4, high=20), store.fresh(4, high=20)
    store.unify(2 * a, 4 * b - 8)
    solution = solve(store, {a.symbol: 6}, [(a.symbol, 10)])
    assert solution == {b.symbol: 5}


def test_bound_symbols_are_answered_by_what_they_are_bound_to():
    store = Constraints()
    a, b = store.fresh(8, high=40), store.fresh(4, high=20)
    store.unify(a, 2 * b)
    solution = solve(store, {}, [], [Constraint(Relation.ZERO, a - 14)])
    assert solution == {b.symbol: 7}


def test_every_relation_and_products_and_quotients_are_understood():
    store = Constraints()
    a, b = store.fresh(4, low=1, high=30), store.fresh(3, low=1, high=30)
    extra = [
        not_equal(a, b),
        divisible(a, b),
        Constraint(Relation.ZERO, a * b - 32),
        at_least(floor_div(a, b), 3),
    ]
    assert solve(store, {}, [], extra) == {a.symbol: 16, b.symbol: 2}


def test_a_floor_division_is_that_of_integers():
    store = Constraints()
    a, q = store.fresh(4, high=100), store.fresh(0, high=100)
    for number in range(1, 30):
        solution = solve(store, {a.symbol: number}, [], [Constraint(Relation.ZERO, floor_div(a + 3, 7) - q)])
        assert solution == {q.symbol: (number + 3) // 7}


def hard():
    """Factoring: more than a handful of resource units can do."""
    store = Constraints()
    a, b = store.fresh(2, low=2, high=2**20), store.fresh(2, low=2, high=2**20)
    return store, Constraint(Relation.ZERO, a * b - 1_000_003 * 999_983)


def test_out_of_resources_is_none():
    store, constraint = hard()
    assert solve(store, {}, [], [constraint], resources=1000) is None


def test_the_default_limit_ends_hard_questions_and_leaves_the_store_alone():
    store, constraint = hard()
    assert move_free(store, constraint) is None
    assert [store.witness(s) for s in store.unbound()] == [2, 2]


def test_moving_keeps_what_need_not_move():
    store = Constraints()
    a, b, c = (store.fresh(4, low=1, high=9) for _ in range(3))
    moved = move_free(store, Constraint(Relation.ZERO, a * b - 20))
    assert moved is not None
    assert moved[a.symbol] * moved[b.symbol] == 20
    assert moved[a.symbol] == 4
    assert moved.get(c.symbol, 4) == 4


def test_nothing_moves_where_all_is_frozen():
    store = Constraints()
    a = store.fresh(4)
    store.freeze()
    assert move_free(store, at_least(a, 5)) is None


def answers():
    """Several questions with more than one answer each."""
    store, first, size = chain()
    given = [solve(store, {}, [(first, 500 + i)], [divisible(size, 2)]) for i in range(3)]
    free = Constraints()
    a, b, c = (free.fresh(3, low=1, high=50) for _ in range(3))
    given.append(solve(free, {}, [], [at_least(a * b, 60), not_equal(b, c), divisible(c, 5)]))
    return [sorted((s.index, v) for s, v in (solution or {}).items()) for solution in given]


SCRIPT = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("questions", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(json.dumps(module.answers()))
"""


def test_the_same_question_has_the_same_answer():
    first = answers()
    assert all(first)
    assert answers() == first


def test_in_another_process_too():
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, __file__], capture_output=True, text=True, check=True, env=environment
    )
    assert [[tuple(pair) for pair in solution] for solution in json.loads(done.stdout)] == answers()


def test_a_wish_gives_way_step_by_step():
    store = Constraints()
    a, b = store.fresh(4, high=20), store.fresh(4, high=20)
    store.require(at_least(12, a + b))
    search = Search(store, {})
    wishes = [(equal(a, 9),), (equal(b, 8), equal(b, 5), equal(b, 3), equal(b, 1))]
    assert search.answer((), wishes) == {a.symbol: 9, b.symbol: 3}
    assert search.answer([equal(b, 12)], wishes) == {a.symbol: 0, b.symbol: 12}
    assert search.answer([equal(b, 13)], wishes) is None
    assert search.unanswered == 0


def test_what_was_asked_for_once_does_not_bind_later_answers():
    store = Constraints()
    a = store.fresh(4, high=20)
    search = Search(store, {})
    for number in (3, 20, 0, 7):
        assert search.answer([equal(a, number)], []) == {a.symbol: number}
    search.add([not_equal(a, 7)])
    assert search.answer([equal(a, 7)], []) is None


def test_a_search_counts_what_it_gave_up():
    store, constraint = hard()
    search = Search(store, {}, resources=1000)
    assert search.answer([constraint], []) is None
    assert search.unanswered == 1
    assert search.answer([], []) is not None
