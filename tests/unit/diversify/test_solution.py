"""Sizes that are read off are those that z3 would give."""

from __future__ import annotations

import pytest

from abstract.constraints import at_least, divisible, equal, not_equal
from abstract.dims import Expr
from abstract.solver import Search
from fuzz.diversify.aim import AIMS, DIVISIONS, Aim, Situation
from fuzz.diversify.freedom import freedom
from fuzz.diversify.solution import Solutions
from fuzz.generate.choices import Seeded
from fuzz.generate.graph import generate_graph
from fuzz.generate.settings import Settings


@pytest.fixture
def two(sketch):
    """a, b and a way to ask for them."""
    a, b = sketch.dim(4), sketch.dim(3)
    solutions = Solutions(sketch.store, (a.symbol, b.symbol), 100)
    return sketch, a, b, solutions


def test_what_is_named_and_holds_is_read_off(two):
    sketch, a, b, solutions = two
    sketch.store.require(at_least(a, 2))
    found = solutions.answer(Aim((equal(a, 16),), ((equal(a, 5), equal(a, 4)), (equal(b, 7),))))
    assert found == {a.symbol: 16, b.symbol: 7}
    assert solutions.asked == solutions.unanswered == 0


@pytest.mark.parametrize("sizes", [(16, 1), (101, 7), (0, 7), (7, 16)])
def test_what_breaks_a_constraint_or_a_limit_is_asked(two, sizes):
    sketch, a, b, solutions = two
    sketch.store.require(at_least(10, b))
    sketch.store.require(divisible(a, 4))
    sketch.store.require(not_equal(b, 1))
    found = solutions.answer(Aim((), ((equal(a, sizes[0]),), (equal(b, sizes[1]),))))
    assert solutions.asked == 1
    assert sketch.store.satisfied(found.__getitem__)
    assert max(found.values()) <= 100


def test_musts_and_wishes_that_name_nothing_must_hold_too(two):
    _, a, b, solutions = two
    wishes = ((equal(a, 5),), (equal(b, 5),))
    found = solutions.answer(Aim((not_equal(a, b),), wishes))
    assert found[a.symbol] == 5 != found[b.symbol]
    assert solutions.answer(Aim((at_least(2 * a, 10),), ((at_least(b, 6),), *wishes)))[b.symbol] >= 6
    assert solutions.asked == 2
    assert solutions.answer(Aim((equal(a, 3), equal(a, 4)), wishes)) is None


def test_they_are_those_of_the_solver():
    for seed in range(12):
        graph, _ = generate_graph(Seeded(seed), Settings(nodes=(4, 8), dtypes=("float", "int64")))
        free, store = freedom(graph), graph.store
        if not free.dims:
            continue
        fixed = {s: store.witness(s) for s in store.unbound() if s not in free.symbols}
        search = Search(store, fixed)
        search.add(at_least(512, Expr.of(symbol)) for symbol in free.symbols)
        solutions = Solutions(store, free.symbols, 512)
        now = Situation(graph, free, Seeded(seed), 512)
        for name in sorted(AIMS.keys() - DIVISIONS):
            aim, before = AIMS[name](now), solutions.asked
            found = solutions.answer(aim)
            if solutions.asked == before:
                theirs = search.answer(aim.musts, aim.wishes)
                assert found == {symbol: theirs[symbol] for symbol in free.symbols}, (seed, name)
