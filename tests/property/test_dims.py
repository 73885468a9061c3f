"""Dimensions against Python's integers: evaluating and substituting commute with every operation."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from abstract.dims import Expr, Symbol, ceil_div, evaluate, floor_div, product, substitute, symbols

SYMBOLS = [Symbol(i, f"s{i}") for i in range(4)]
LEAVES = st.one_of(st.integers(-6, 12), st.sampled_from(SYMBOLS))
# A divisor is positive whatever the symbols are: they are at least 1 here.
DIVISORS = st.one_of(
    st.integers(1, 6), st.sampled_from(SYMBOLS), st.tuples(st.integers(1, 4), st.sampled_from(SYMBOLS))
)


def _trees(inner):
    return st.one_of(
        st.tuples(st.sampled_from("+-*"), inner, inner),
        st.tuples(st.sampled_from(["floor", "ceil"]), inner, DIVISORS),
    )


TREES = st.recursive(LEAVES, _trees, max_leaves=8)
VALUES = st.lists(st.integers(1, 40), min_size=4, max_size=4)


def symbolic(tree):
    """The expression that a tree stands for."""
    if isinstance(tree, int):
        return tree
    if isinstance(tree, Symbol):
        return Expr.of(tree)
    operation, left, right = (tree[0], *map(symbolic, tree[1:])) if len(tree) == 3 else ("*", *map(symbolic, tree))
    return _apply(operation, left, right, floor_div, ceil_div)


def concrete(tree, values):
    """The same, computed by Python alone."""
    if isinstance(tree, int):
        return tree
    if isinstance(tree, Symbol):
        return values[tree.index]
    parts = tree[1:] if len(tree) == 3 else tree
    left, right = (concrete(part, values) for part in parts)
    operation = tree[0] if len(tree) == 3 else "*"
    return _apply(operation, left, right, lambda a, b: a // b, lambda a, b: -(-a // b))


def _apply(operation, left, right, floor, ceil):
    if operation == "floor":
        return floor(left, right)
    if operation == "ceil":
        return ceil(left, right)
    return left + right if operation == "+" else left - right if operation == "-" else left * right


@given(TREES, VALUES)
def test_evaluation_is_a_homomorphism(tree, values):
    assert evaluate(symbolic(tree), lambda s: values[s.index]) == concrete(tree, values)


POSITIVE = st.one_of(
    st.integers(1, 9), st.tuples(st.integers(1, 3), st.sampled_from(SYMBOLS)), st.sampled_from(SYMBOLS)
)


@given(TREES, st.lists(POSITIVE, min_size=4, max_size=4), VALUES)
def test_substituting_then_evaluating_is_evaluating_the_replacements(tree, replacements, values):
    dims = [symbolic(r) for r in replacements]
    inner = [evaluate(d, lambda s: values[s.index]) for d in dims]
    replaced = substitute(symbolic(tree), lambda s: dims[s.index])
    assert evaluate(replaced, lambda s: values[s.index]) == evaluate(symbolic(tree), lambda s: inner[s.index])


@given(TREES)
def test_the_normal_form_is_a_fixed_point(tree):
    dim = symbolic(tree)
    again = substitute(dim, Expr.of)
    assert again == dim
    assert str(again) == str(dim)


@given(TREES, TREES, TREES)
def test_sums_and_products_commute_and_associate_as_identical_objects(x, y, z):
    a, b, c = symbolic(x), symbolic(y), symbolic(z)
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a * b == b * a
    assert (a * b) * c == a * (b * c)
    assert a * (b + c) == a * b + a * c
    assert (a - b) + b == a


@given(TREES)
def test_equal_expressions_hash_alike_and_what_has_no_symbol_is_an_integer(tree):
    dim = symbolic(tree)
    assert hash(dim) == hash(substitute(dim, Expr.of))
    assert isinstance(dim, int) == (not list(symbols(dim)))


@given(st.lists(TREES, max_size=4), VALUES)
@settings(max_examples=50)
def test_a_product_is_the_product(trees, values):
    number = 1
    for tree in trees:
        number *= concrete(tree, values)
    assert evaluate(product([symbolic(t) for t in trees]), lambda s: values[s.index]) == number
