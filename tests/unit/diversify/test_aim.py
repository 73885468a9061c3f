"""Each class of sizes is reached where the constraints allow it, and never at their cost."""

from __future__ import annotations

import pytest

from abstract.constraints import at_least, divisible
from abstract.dims import Expr, evaluate, floor_div
from abstract.solver import Search
from fuzz.diversify.aim import AIMS, Situation
from fuzz.diversify.freedom import freedom
from fuzz.generate.choices import Seeded

POWERS = {1 << n for n in range(2, 9)}


def answers(sketch, name, count=12, most=4096):
    """What sizes of the graph's dims come of an aim, over some draws."""
    free = freedom(sketch.graph)
    search = Search(sketch.store, {})
    search.add(at_least(most, Expr.of(symbol)) for symbol in free.symbols)
    found = []
    for seed in range(count):
        aim = AIMS[name](Situation(sketch.graph, free, Seeded(seed), most))
        sizes = search.answer(aim.musts, aim.wishes)
        if sizes is not None:
            assert sketch.store.satisfied(lambda s, sizes=sizes: sizes[s])
            assert all(must.holds(sizes.__getitem__) for must in aim.musts)
            found.append([evaluate(dim, sizes.__getitem__) for dim in free.dims])
    return found


@pytest.fixture
def plain(sketch):
    sketch.value(sketch.dim(4), sketch.dim(3), sketch.dim(3))
    return sketch


def test_the_least(plain):
    assert answers(plain, "least") == [[1, 1, 1]] * 12


def test_the_least_that_constraints_allow(sketch):
    a, b = sketch.dim(8, low=2), sketch.dim(3)
    sketch.store.require(at_least(a, b + 2))
    sketch.store.require(divisible(a, 2))
    sketch.value(a, b)
    assert answers(sketch, "least", 1) == [[4, 1]]


def test_the_greatest_for_the_most_elements(plain):
    found = answers(plain, "greatest")
    assert {tuple(sizes) for sizes in found} == {(455, 3, 3), (4, 341, 3), (4, 3, 341)}
    assert all(found)


def test_the_greatest_that_a_range_allows(sketch):
    sketch.value(sketch.dim(4, high=9))
    assert answers(sketch, "greatest", 1) == [[9]]


@pytest.mark.parametrize(("name", "number"), [("one", 1), ("zero", 0)])
def test_numbers(sketch, name, number):
    a = sketch.dim(4, low=0)
    sketch.value(a, 2 * a + 1)
    found = answers(sketch, name)
    assert found
    assert all(number in sizes for sizes in found)


def test_zero_is_kept_out_by_ranges(plain):
    assert answers(plain, "zero") == []


def test_powers_of_two_and_their_neighbours(plain):
    near = [next(n for n in sizes if {n, n - 1, n + 1} & POWERS) for sizes in answers(plain, "power", 60)]
    assert len(near) == 60
    assert {n for n in near if n in POWERS} >= {8, 16, 32, 64}
    assert {n for n in near if n > 5 and n - 1 in POWERS}
    assert {n for n in near if n > 5 and n + 1 in POWERS}


def test_vector_widths_and_one_off(plain):
    found = {n for sizes in answers(plain, "lanes", 80) for n in sizes if n > 9}
    assert {12, 16, 24, 32} <= found
    assert found & {15, 17, 31, 33, 95, 97}
    assert all(min(n % 4, -n % 4) <= 1 for n in found)


def test_equal_and_different(plain):
    assert all(len(set(sizes)) < 3 for sizes in answers(plain, "same"))
    assert any(len(set(sizes)) == 1 for sizes in answers(plain, "same"))
    assert all(len(set(sizes)) > 1 for sizes in answers(plain, "different"))
    assert any(len(set(sizes)) == 3 for sizes in answers(plain, "different"))


def test_strides_that_divide_and_that_do_not(sketch):
    a, s = sketch.dim(8), sketch.dim(2, high=4)
    sketch.value(floor_div(a - 1, s) + 1)
    sketch.value(a, s)
    for name, due in (("ragged", True), ("even", False)):
        found = answers(sketch, name)
        assert found
        assert all(bool((size - 1) % stride) is due for _, size, stride in found)


def test_other_sizes_stay_small_where_no_wish_decides(sketch):
    a, b = sketch.dim(4), sketch.dim(3)
    sketch.store.require(at_least(b, a))
    sketch.value(a, b)
    assert all(max(sizes) <= 9 for sizes in answers(sketch, "one"))
