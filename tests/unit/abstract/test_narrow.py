"""Rounding to the floats of 8 bits and fewer, against tables of all their numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstract.dtypes import DTYPES, dtype
from abstract.narrow import between, is_narrow, settled, to_narrow

NARROW = [row for row in DTYPES if is_narrow(row)]
SIGNED = [row for row in NARROW if row.name != "float8e8m0"]


def numbers(kind):
    """Every finite number of a type, in order."""
    codes = np.arange(2**kind.bits, dtype=np.uint8).view(kind.numpy).astype(np.float64)
    return np.unique(codes[np.isfinite(codes)])


def nearest(x, kind):
    """The number nearest to x by comparison with all, of two alike the one whose last significand bit is 0."""
    table = numbers(kind)
    apart = np.abs(table - x)
    candidates = table[apart == apart.min()]
    even = [n for n in candidates if n == 0 or (abs(n) / spacing(n, kind)) % 2 == 0]
    return candidates[0] if len(candidates) == 1 else even[0]


def spacing(n, kind):
    exponent = max(np.floor(np.log2(abs(n))), np.log2(kind.smallest_normal))
    return 2.0 ** (exponent - kind.precision + 1)


def test_there_are_as_many_as_the_standard_has():
    assert [row.name for row in NARROW] == [
        "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "float8e8m0", "float4e2m1", "float6e2m3",
        "float6e3m2",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", NARROW, ids=repr)
def test_their_own_numbers_stay(kind):
    np.testing.assert_array_equal(to_narrow(numbers(kind), kind), numbers(kind))


@pytest.mark.parametrize("kind", SIGNED, ids=repr)
@given(data=st.data())
def test_others_go_to_the_nearest_and_ties_to_even(kind, data):
    table = numbers(kind)
    place = data.draw(st.integers(0, len(table) - 2))
    weight = data.draw(st.sampled_from([0.5, 0.25, 0.75, 0.5 + 2.0**-20, 0.5 - 2.0**-20]))
    x = table[place] + weight * (table[place + 1] - table[place])
    assert to_narrow(np.array(x), kind) == nearest(x, kind)


def test_a_tie_is_missed_by_less_than_float_can_tell():
    """What goes by way of float is rounded twice."""
    kind = dtype("float8e4m3fn")
    np.testing.assert_array_equal(to_narrow(np.array([1.0625, 1.0625 + 2.0**-40]), kind), [1, 1.125])


@pytest.mark.parametrize("kind", SIGNED, ids=repr)
def test_what_lies_beyond_saturates(kind):
    x = np.array([1e6, np.inf, -1e6, -np.inf])
    np.testing.assert_array_equal(to_narrow(x, kind), kind.maximum * np.array([1, 1, -1, -1]))
    assert to_narrow(np.array(kind.maximum * (1 + kind.unit / 8)), kind, saturate=False) == kind.maximum


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("float8e4m3fn", [np.nan, np.nan]), ("float8e4m3fnuz", [np.nan, np.nan]), ("float8e5m2", [np.inf, -np.inf]),
        ("float8e5m2fnuz", [np.nan, np.nan]), ("float4e2m1", [6, -6]), ("float6e3m2", [28, -28]),
    ],
)  # fmt: skip
def test_or_is_no_number_any_more(name, expected):
    np.testing.assert_array_equal(to_narrow(np.array([1e6, -1e6]), dtype(name), saturate=False), expected)


def test_zeros_have_a_sign_where_their_type_has_it():
    for row in SIGNED:
        assert np.signbit(to_narrow(np.array(-0.0), row)) != row.name.endswith("uz")


def test_nan_stays_where_there_is_one():
    for row in SIGNED:
        assert np.isnan(to_narrow(np.array(np.nan), row)) == (row.bits == 8)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(b"up", [1, 2, 2, 2, 2, 4]), (b"down", [1, 1, 1, 1, 2, 2]), (b"nearest", [1, 1, 2, 2, 2, 4])],
)
def test_powers_of_two_in_every_rounding(mode, expected):
    x = np.array([1, 1.25, 1.5, 1.75, 2, 3.5])
    np.testing.assert_array_equal(to_narrow(x, dtype("float8e8m0"), mode=mode), expected)


def test_powers_of_two_end():
    kind = dtype("float8e8m0")
    x = np.array([1e39, np.inf, 1e-40, np.nan, -1.0])
    np.testing.assert_array_equal(to_narrow(x, kind), [2.0**127, 2.0**127, 2.0**-127, np.nan, np.nan])
    np.testing.assert_array_equal(to_narrow(x, kind, saturate=False), [np.nan] * 5)


def test_the_ends_of_an_interval():
    y = np.array([1, 2, np.nan, 4.0])
    assert between(y, y, y) == 0.0
    np.testing.assert_array_equal(between(y, y, np.array([1, 3, np.nan, np.inf])), [0, 1, 0, np.inf])


def test_a_margin_is_kept_from_ties_that_are_not_meant():
    low, high = np.array([1.0]), np.array([2.0])
    assert settled(np.array([1.5]), low, high)
    assert not settled(np.array([1.4999]), low, high)
    assert settled(np.array([1.2]), low, low)
