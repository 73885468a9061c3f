"""Symbolic dimensions: one normal form, so that equal means identical."""

from __future__ import annotations

import pytest

from abstract.dims import (
    Expr,
    Symbol,
    ceil_div,
    content,
    evaluate,
    floor_div,
    product,
    substitute,
    symbols,
)

A, B, C = (Expr.of(Symbol(i, name)) for i, name in enumerate("abc"))
VALUES = {0: 7, 1: 3, 2: 5}


def at(dim):
    return evaluate(dim, lambda s: VALUES[s.index])


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (A + B, B + A),
        (A * B, B * A),
        (A * B * C, C * (B * A)),
        (A + 0, A),
        (1 * A, A),
        (A + A, 2 * A),
        (2 * A - A, A),
        ((A + 1) * (A - 1), A * A - 1),
        ((A + B) * C, A * C + B * C),
        (3 - (A + 3), -A),
        (A - 2 * B + 4, 4 + A - B - B),
        (floor_div(A + 1, 2) + floor_div(A + 1, 2), 2 * floor_div(A + 1, 2)),
        (floor_div(A, 2) * B, B * floor_div(A, 2)),
    ],
    ids=str,
)
def test_identities_have_one_normal_form(left, right):
    assert left == right
    assert hash(left) == hash(right)
    assert str(left) == str(right)


@pytest.mark.parametrize(
    ("dim", "number"),
    [(A - A, 0), (A + 3 - A, 3), (0 * A, 0), (A * 0, 0), ((A - B) - (A - B), 0), (5 - 5 * (A - A), 5)],
)
def test_what_cancels_is_a_plain_integer(dim, number):
    assert type(dim) is int
    assert dim == number


@pytest.mark.parametrize("pair", [(A, B), (A, 2 * A), (A, A + 1), (A * A, A), (floor_div(A, 2), floor_div(A, 3))])
def test_different_expressions_differ(pair):
    assert pair[0] != pair[1]


@pytest.mark.parametrize(
    ("numerator", "denominator", "quotient"),
    [
        (7, 2, 3),
        (-7, 2, -4),
        (A, 1, A),
        (A, A, 1),
        (0, A, 0),
        (4 * A, 2, 2 * A),
        (4 * A + 6, 2, 2 * A + 3),
        (4 * A + 7, 2, 2 * A + 3),
        (4 * A - 1, 4, A - 1),
        (4 * A + B, 4, A + floor_div(B, 4)),
        (A * B, B, A),
        (6 * A * B + 2 * B, 2 * B, 3 * A + 1),
        (A * A * B, A, A * B),
    ],
    ids=str,
)
def test_floor_division_divides_out_what_is_exact(numerator, denominator, quotient):
    assert floor_div(numerator, denominator) == quotient


@pytest.mark.parametrize(
    ("numerator", "denominator"),
    [(A, 2), (A + 1, B), (3 * A + 1, 2), (A * B + 1, B), (5, A), (A * B, 2 * B), (A - 20, 4), (A, B * C)],
    ids=str,
)
def test_what_does_not_come_out_even_is_divided_when_it_is_known(numerator, denominator):
    quotient = floor_div(numerator, denominator)
    assert isinstance(quotient, Expr)
    assert at(quotient) == at(numerator) // at(denominator)


def test_the_division_operator_is_floor_division():
    assert (2 * A + 1) // 2 == A
    assert at(20 // B) == 6


@pytest.mark.parametrize(("numerator", "denominator"), [(7, 2), (8, 2), (A, 2), (A + B, C), (4 * A, 2), (A * B, B)])
def test_ceil_division_is_the_least_integer_above(numerator, denominator):
    assert at(ceil_div(numerator, denominator)) == -(-at(numerator) // at(denominator))


def test_the_shape_of_a_convolution_evaluates_as_onnx_says():
    size = floor_div(A + 2 * B - C, 2) + 1
    assert at(size) == (7 + 6 - 5) // 2 + 1
    assert str(size) == "(a-c)//2+b+1"
    assert [s.name for s in symbols(size)] == ["a", "c", "b"]


def test_a_zero_divisor_is_an_error_not_a_number():
    with pytest.raises(ZeroDivisionError):
        evaluate(floor_div(A, B), lambda _: 0)


def test_substitution_reaches_numerators_and_denominators():
    dim = floor_div(A + 1, B) * C
    replaced = substitute(dim, lambda s: {0: 2 * C + 1, 1: 2, 2: C}[s.index])
    assert replaced == (C + 1) * C


def test_substituting_numbers_leaves_a_number():
    replaced = substitute(A * B + floor_div(C, 2), lambda s: VALUES[s.index])
    assert type(replaced) is int
    assert replaced == 7 * 3 + 2


def test_the_product_of_no_dimensions_is_one():
    assert product(()) == 1
    assert product([A, 2, B]) == 2 * A * B
    assert product((A, 0)) == 0


def test_only_a_bare_symbol_is_a_symbol():
    assert A.symbol is not None
    assert A.symbol.name == "a"
    for dim in (2 * A, A + 1, A * B, A + B, floor_div(A, 2), -A):
        assert dim.symbol is None


def test_symbols_come_in_the_order_of_the_normal_form_with_repetitions():
    assert [s.name for s in symbols(B * A + A + 3)] == ["a", "a", "b"]
    assert list(symbols(12)) == []


def test_content_is_the_greatest_common_divisor():
    assert content(6 * A - 9 * B + 12) == 3
    assert content(2 * A + 1) == 1


def test_expressions_read_as_people_write_them():
    assert str(2 * A - B + 1) == "2*a-b+1"
    assert str(floor_div(A + 1, 2) + 3) == "(a+1)//2+3"


def test_symbols_are_told_apart_by_index_not_by_name():
    assert Symbol(0, "x") == Symbol(0, "y")
    assert Symbol(0, "x") != Symbol(1, "x")
    assert Symbol(0, "x") != "x"


def test_nested_quotients_of_unequal_depth_still_sort():
    deep = floor_div(floor_div(A + 1, 2) + 1, 3)
    assert deep + floor_div(A, 2) + B == B + floor_div(A, 2) + deep
