"""Which sizes of a graph may be chosen."""

from __future__ import annotations

from abstract.dims import floor_div
from fuzz.diversify.freedom import elements, freedom


def test_symbols_of_tensors_and_parameters_are_free_unless_numbers_were_given(sketch):
    a, b, c = sketch.dim(4), sketch.dim(3), sketch.dim(2)
    x = sketch.value(a, b)
    sketch.value(c, recipe=None)
    scale = sketch.store.fresh(2, low=1, high=3)
    sketch.node("Relu", [x], (a, b), x.array, alpha=scale, axes=(b, 1))
    free = freedom(sketch.graph)
    assert free.symbols == (a.symbol, b.symbol, scale.symbol)
    assert free.dims == (a, b)
    assert free.quotients == ()


def test_what_the_values_decide_is_not_free_nor_what_is_tied_to_it(sketch):
    a, b = sketch.dim(4), sketch.dim(3)
    x = sketch.value(a)
    count = sketch.store.fresh(3, name="u", fixed=True, counted=True)
    sketch.store.unify(b, count + 1 - 1)
    y = sketch.node("NonZero", [x], (1, count), x.array)
    sketch.node("Relu", [y], (1, b), x.array)
    assert freedom(sketch.graph).symbols == (a.symbol,)


def test_bound_symbols_are_what_they_are_bound_to(sketch):
    a, b = sketch.dim(4), sketch.dim(8)
    sketch.store.unify(b, 2 * a)
    sketch.value(b)
    free = freedom(sketch.graph)
    assert free.symbols == (a.symbol,)
    assert free.dims == (2 * a,)


def test_floor_divisions_are_found_inside_of_others(sketch):
    a, s = sketch.dim(9), sketch.dim(2)
    inner = floor_div(a - 1, s)
    sketch.value(floor_div(inner + 1, 3))
    assert len(freedom(sketch.graph).quotients) == 2


def test_elements_of_the_largest_tensor(sketch):
    a, b = sketch.dim(4), sketch.dim(3)
    sketch.value(a, b)
    sketch.value(a - 2)
    sizes = {a.symbol: 5, b.symbol: 7}
    assert elements(sketch.graph, sizes.__getitem__) == 35
    assert elements(sketch.graph, {**sizes, a.symbol: 1}.__getitem__) is None


def test_a_division_by_zero_makes_no_sense(sketch):
    a, s = sketch.dim(4), sketch.dim(2, low=0)
    sketch.value(floor_div(a + 1, s))
    assert elements(sketch.graph, {a.symbol: 5, s.symbol: 0}.__getitem__) is None
