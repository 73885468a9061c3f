"""Two results: what may differ, what may not, what cannot be said."""

from __future__ import annotations

import numpy as np
import pytest

from abstract.dtypes import dtype
from abstract.reference import Bounded
from backends.tensor import from_numpy
from fuzz.relations.pair import agreement, bounded_rows, sides, value_rows
from fuzz.relations.variant import View

FLOAT = dtype("float")


def tensor(*values):
    return from_numpy(np.array(values, np.float32))


def due(*values, bound=1e-3, shaped=True):
    return Bounded(np.array(values, np.float64), bound, FLOAT, shaped=shaped)


@pytest.mark.parametrize(
    ("other", "word"), [(1.0, "ok"), (1.0019, "ok"), (1.004, "suspect"), (1.1, "wrong"), (np.nan, "wrong")]
)
def test_both_bounds_together_are_allowed(other, word):
    assert agreement(tensor(1.0), tensor(other), due(1.0), due(1.0)).word.value == word


def test_what_the_original_answers_is_expected_even_where_it_is_wrong():
    assert agreement(tensor(7.0), tensor(7.0), due(1.0), due(1.0)).word.value == "ok"
    found = agreement(tensor(7.0), tensor(1.0), due(1.0), due(1.0))
    assert (found.word.value, found.expected, found.actual) == ("wrong", 7.0, 1.0)
    text = sides(tensor(7.0), tensor(1.0), due(1.0), due(1.0))
    assert text == "against the reference the original is wrong (6e+03 times its bound), the variant ok"


def test_an_element_without_a_bound_is_compared_between_the_same_programs_alone():
    unknown = due(1.0, 2.0, bound=np.array([np.inf, 0.0]))
    one, other = tensor(1.0, 2.0), tensor(5.0, 2.0)
    assert agreement(one, other, unknown, unknown).word.value == "ok"
    assert agreement(one, other, unknown, unknown, same_program=True).word.value == "wrong"
    assert agreement(one, one, unknown, unknown, same_program=True).word.value == "ok"


def test_a_shape_that_is_not_sure():
    unsure = due(1.0, bound=np.inf, shaped=False)
    assert agreement(tensor(1.0), tensor(1.0, 2.0), unsure, unsure).word.value == "undecidable"
    assert agreement(tensor(1.0), tensor(1.0, 2.0), unsure, unsure, same_program=True).word.value == "wrong"


def test_an_original_of_a_wrong_shape():
    assert agreement(tensor(1.0, 2.0), tensor(1.0, 2.0), due(1.0), due(1.0)).word.value == "ok"
    assert agreement(tensor(1.0, 2.0), tensor(1.0, 3.0), due(1.0), due(1.0)).word.value == "undecidable"
    assert agreement(tensor(1.0, 2.0), tensor(1.0), due(1.0), due(1.0)).word.value == "wrong"


def test_sequences_and_absent_values():
    listed = Bounded([np.array([1.0], np.float32)], 0.0, None)
    assert agreement([tensor(1.0)], [tensor(1.0)], listed, listed).word.value == "ok"
    assert agreement([tensor(1.0)], [tensor(2.0)], listed, listed).word.value == "wrong"
    absent = Bounded(None, 0.0, None)
    assert agreement(None, None, absent, absent).word.value == "ok"


def test_rows():
    array = np.arange(12, dtype=np.float32).reshape(4, 3)
    view = View(0, {}, (1, 3))
    assert value_rows(from_numpy(array), view) == from_numpy(array[1:3])
    known = Bounded(array.astype(np.float64), np.arange(4.0).reshape(4, 1), FLOAT)
    part = bounded_rows(known, view)
    np.testing.assert_array_equal(part.value, array[1:3])
    np.testing.assert_array_equal(part.bound, [[1.0] * 3, [2.0] * 3])
    assert value_rows(from_numpy(array), View(0, {})) == from_numpy(array)
    assert bounded_rows(known, View(0, {})) is known
    assert value_rows(None, view) is None
    exact = Bounded(array.astype(np.float64), 0.0, FLOAT)
    assert bounded_rows(exact, view).bound == 0.0
