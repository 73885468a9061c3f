"""Graphs of double in extended precision: sharper bounds, the same values, and double where nothing wider will do."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from onnx import helper

from abstract import reference
from abstract.contract import Contract
from abstract.extended import AVAILABLE, LARGEST, admits, narrowed, outward, widened

node = helper.make_node
UNIT = 2.0**-53
pytestmark = pytest.mark.skipif(not AVAILABLE, reason="numpy's longdouble is double on this machine")


@pytest.fixture
def both(model, run):
    """A model of double computed in double and in extended precision: the value and bound of ``y`` in each."""

    def of(nodes, feeds, kind="double", **more):
        ports = [(n, "double", np.shape(a)) for n, a in feeds.items()]
        made = model(nodes, ports, [("y", kind, None)])
        return tuple(run(made, feeds, extended=e, **more)["y"] for e in (False, True))

    return of


def test_a_rounding_is_one_rounding(both):
    plain, extended = both([node("Div", ["a", "b"], ["y"])], {"a": [1.0, 2.0], "b": [3.0, 7.0]})
    assert extended.value.dtype == np.longdouble
    assert extended.bound.dtype == np.float64
    assert np.all(extended.bound < 0.51 * plain.bound)
    for value, exact, bound in zip(extended.value, (Fraction(1, 3), Fraction(2, 7)), extended.bound, strict=True):
        assert abs(Fraction(*value.as_integer_ratio()) - exact) <= Fraction(2) ** -64 * exact
        assert float(exact) * 4 * UNIT < bound  # Div is granted four ulps


def test_sums_are_as_exact_as_their_terms(both):
    row = [1.0, 1e17, 1.0, -1e17, 1.0]
    plain, extended = both([node("ReduceSum", ["x"], ["y"], keepdims=0)], {"x": row})
    assert extended.value == 3
    assert plain.bound > 1.9 * extended.bound


def test_values_agree_within_the_plain_bound(both):
    nodes = [node("Exp", ["x"], ["e"]), node("MatMul", ["e", "e"], ["m"]), node("Sqrt", ["m"], ["y"])]
    plain, extended = both(nodes, {"x": np.linspace(-2, 2, 16).reshape(4, 4)})
    assert np.all(np.abs(plain.value - extended.value) < plain.bound)
    assert np.all(extended.bound < 0.6 * plain.bound)


@pytest.mark.parametrize("operator", ["Erf", "Gelu"])
def test_what_is_computed_in_double_has_the_reference_roundings_in_its_bound(both, operator):
    plain, extended = both([node(operator, ["x"], ["y"])], {"x": [0.3, 1.7]})
    assert extended.value.dtype == np.longdouble
    assert plain.bound.tolist() == extended.bound.tolist()


def test_operands_that_are_rounded_to_double_err_by_that(both):
    nodes = [node("Div", ["a", "b"], ["q"]), node("Erf", ["q"], ["y"])]
    feeds = {"a": [1.0], "b": [3.0]}
    plain, extended = both(nodes, feeds)
    assert extended.bound < plain.bound


def test_large_tensors_are_computed_in_double(both):
    x = np.linspace(0, 1, LARGEST)
    plain, extended = both([node("Add", ["x", "x"], ["s"]), node("Div", ["s", "x"], ["y"])], {"x": x + 1})
    assert plain.bound.max() == extended.bound.max()


def test_other_types_are_carried_in_double(both):
    nodes = [node("Div", ["a", "b"], ["q"]), node("Cast", ["q"], ["y"], to=1)]
    plain, extended = both(nodes, {"a": [1.0], "b": [3.0]}, kind="float")
    assert extended.value.dtype == np.float64
    assert abs(extended.value - plain.value) <= UNIT
    assert 0.9 * plain.bound < extended.bound < plain.bound * (1 + 1e-6)


def test_double_that_is_held_in_float_needs_no_more_than_double(both):
    narrow = Contract(narrow_double=True)
    _, extended = both([node("Div", ["a", "b"], ["y"])], {"a": [1.0], "b": [3.0]}, contract=narrow)
    assert extended.value.dtype == np.float64
    assert extended.bound > 2.0**-26


def test_parameters_and_nodes_without_rows(both):
    nodes = [
        node("Div", ["a", "b"], ["q"]),
        node("Clip", ["a", "", "b"], ["c"]),
        node("Einsum", ["q", "c"], ["y"], equation="...i,i->i"),
    ]
    plain, extended = both(nodes, {"a": [1.0], "b": [3.0]})
    assert extended.value.dtype == np.longdouble
    assert abs(plain.value - extended.value) <= plain.bound


def test_without_a_wider_type_all_is_as_in_double(both, monkeypatch):
    monkeypatch.setattr(reference, "AVAILABLE", False)
    plain, extended = both([node("Div", ["a", "b"], ["y"])], {"a": [1.0], "b": [3.0]})
    assert extended.value.dtype == np.float64
    assert plain.bound.tolist() == extended.bound.tolist()


def test_narrowing_moves_the_bound_by_what_it_loses():
    third = np.array([1, 2], np.longdouble) / 3
    y, bound = narrowed(third, 0.0)
    assert y.dtype == np.float64
    assert np.all(bound >= np.abs(third - y))
    assert np.all(bound <= UNIT)
    whole = np.array([3.0, np.inf], np.longdouble)
    assert narrowed(whole, 0.5)[1] == 0.5
    assert narrowed(y, 0.5)[0] is y


def test_a_bound_in_double_is_no_smaller():
    bound = np.array([1, 2], np.longdouble) / 3
    assert np.all(outward(bound) >= bound)
    assert outward(0.5) == 0.5
    double = np.array([0.1])
    assert outward(double) is double


def test_only_doubles_are_widened():
    assert widened(np.zeros(1)).dtype == np.longdouble
    assert widened(np.zeros(1, np.int64)).dtype == np.int64
    assert widened([1]) == [1]


def series(term, ratio):
    """The sum of a series: its first term, and the k-th over the one before."""
    total, k = term, 1
    while abs(term) > Decimal(10) ** -45:
        term *= ratio(k)
        total, k = total + term, k + 1
    return total


def atan(x):
    for _ in range(6):
        x = x / (1 + (1 + x * x).sqrt())
    power, total = x, x
    for k in range(1, 40):
        power *= -x * x
        total += power / (2 * k + 1)
    return 64 * total


def asin(x):
    return atan(x / (1 - x * x).sqrt())


def sin(x):
    return series(x, lambda k: -x * x / (2 * k * (2 * k + 1)))


def cos(x):
    return series(Decimal(1), lambda k: -x * x / (2 * k * (2 * k - 1)))


EXACT = {
    np.exp: lambda x: x.exp(), np.expm1: lambda x: x.exp() - 1, np.sqrt: lambda x: x.sqrt(), np.log: lambda x: x.ln(),
    np.sin: sin, np.cos: cos, np.tan: lambda x: sin(x) / cos(x), np.arctan: atan, np.arcsin: asin,
    np.arccos: lambda x: 2 * atan(Decimal(1)) - asin(x), np.sinh: lambda x: (x.exp() - (-x).exp()) / 2,
    np.cosh: lambda x: (x.exp() + (-x).exp()) / 2, np.tanh: lambda x: 1 - 2 / ((2 * x).exp() + 1),
    np.arcsinh: lambda x: (x + (x * x + 1).sqrt()).ln(), np.arccosh: lambda x: (x + (x * x - 1).sqrt()).ln(),
    np.arctanh: lambda x: ((1 + x) / (1 - x)).ln() / 2,
}  # fmt: skip


@pytest.mark.parametrize("function", EXACT, ids=lambda f: f.__name__)
def test_the_functions_of_the_c_library_are_exact_next_to_double(function):
    """The bound counts on 2**-62 in extended precision: a small part of what double rounds."""
    points = np.concatenate([np.linspace(-0.9, 0.9, 61), np.linspace(1.1, 7.0, 60)]).astype(np.longdouble)
    with np.errstate(all="ignore"):
        values = function(points)
    known = [(x, y) for x, y in zip(points, values, strict=True) if np.isfinite(y) and x != 0]
    assert len(known) >= 30
    with localcontext(prec=60):
        for x, y in known:
            at, found = (Decimal(n) / Decimal(d) for n, d in (x.as_integer_ratio(), y.as_integer_ratio()))
            exact = EXACT[function](at)
            assert abs(found - exact) <= abs(exact) * Decimal(2) ** -62, x


def test_what_is_admitted():
    assert admits("Exp", LARGEST)
    assert not admits("Exp", LARGEST + 1)
    assert not admits("Erf", 1)
