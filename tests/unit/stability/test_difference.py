"""Bit by bit, or by more than the bound: what counts as a difference."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from abstract.dtypes import dtype
from abstract.reference import Bounded
from backends.tensor import Tensor, from_numpy
from fuzz.judge.verdict import Word
from fuzz.stability.difference import beyond, first_difference


def values(*arrays):
    return [from_numpy(np.asarray(array)) for array in arrays]


FLOATS = np.float32([1.0, 2.0])


class TestBitByBit:
    @pytest.mark.parametrize(
        ("one", "two"),
        [
            (FLOATS, FLOATS),
            (np.float32([0.0]), np.float32([-0.0])),
            (np.uint32([0x7FC00000]).view(np.float32), np.uint32([0xFFC00001]).view(np.float32)),
            (np.array([np.nan, 1], ml_dtypes.bfloat16), np.array([-np.nan, 1], ml_dtypes.bfloat16)),
            (np.complex64([complex(np.nan, 0)]), np.complex64([complex(np.nan, 1)])),
            (np.array(["a"], object), np.array(["a"], object)),
            (np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32)),
        ],
    )
    def test_the_same(self, one, two):
        assert first_difference(values(one), values(two)) is None
        assert first_difference([values(one)], [values(two)]) is None

    @pytest.mark.parametrize(
        ("one", "two", "index"),
        [
            (FLOATS, np.nextafter(FLOATS, np.float32(9)), (0,)),
            (np.float32([[1], [2]]), np.float32([[1], [np.nan]]), (1, 0)),
            (np.int64([2**53, 1]), np.int64([2**53 + 1, 1]), (0,)),
            (np.complex64([1]), np.complex64([1 + 1e-6j]), (0,)),
            (np.array(["a", "b"], object), np.array(["a", "c"], object), (1,)),
            (np.array([1], ml_dtypes.int4), np.array([2], ml_dtypes.int4), (0,)),
            (np.float32(1), np.float32(2), ()),
        ],
    )
    def test_the_first_element_that_differs(self, one, two, index):
        position, found = first_difference(values(FLOATS, one), values(FLOATS, two))
        assert (position, found.word, found.index) == (1, Word.NONDETERMINISTIC, index)
        assert found.expected != found.actual
        assert "elements differ" in found.message
        assert first_difference([values(one)], [values(two)])[1].index == index

    @pytest.mark.parametrize(
        ("one", "two", "words"),
        [
            (values(FLOATS), values(FLOATS, FLOATS), "2 outputs where the plain run gave 1"),
            (values(FLOATS), values(FLOATS.astype(np.float64)), "double[2] where the plain run gave float[2]"),
            (values(FLOATS), values(FLOATS[None]), "float[1, 2] where the plain run gave float[2]"),
            (values(FLOATS), [None], "another form"),
            ([values(FLOATS)], [values(FLOATS, FLOATS)], "another form"),
        ],
    )
    def test_another_form(self, one, two, words):
        _, found = first_difference(one, two)
        assert (found.word, words in found.message) == (Word.NONDETERMINISTIC, True)


class TestBeyondTheBound:
    @pytest.mark.parametrize(("apart", "word"), [(1.9, None), (2.1, Word.NONDETERMINISTIC)])
    def test_either_may_err_by_the_bound(self, apart, word):
        known = [Bounded(FLOATS.astype(np.float64), np.array([1e-3, 0.0]), dtype("float"))]
        found = beyond(values(FLOATS), values(FLOATS + np.float32([apart * 1e-3, 0])), known)
        assert (found and found[1].word) == word

    def test_what_is_exact_must_be_the_same(self):
        known = [Bounded(np.int64([1]), 0.0, dtype("int64"))]
        assert beyond(values(np.int64([1])), values(np.int64([2])), known)[1].word is Word.NONDETERMINISTIC

    def test_of_what_nothing_is_known_nothing_is_said(self):
        unknown = Bounded(FLOATS.astype(np.float64), np.inf, dtype("float"))
        known = [unknown, Bounded(FLOATS.astype(np.float64), 0.0, dtype("float"))]
        assert beyond(values(FLOATS, FLOATS), values(-FLOATS, FLOATS), known)[1].word is Word.UNDECIDABLE
        assert beyond(values(FLOATS, FLOATS), values(-FLOATS, -FLOATS), known)[0] == 1

    def test_nor_where_not_even_the_shape_is_known(self):
        known = [Bounded(FLOATS.astype(np.float64), np.inf, dtype("float"), shaped=False)]
        assert beyond(values(FLOATS), values(FLOATS[:1]), known)[1].word is Word.UNDECIDABLE

    def test_nan_payloads_and_the_number_of_outputs(self):
        known = [Bounded(FLOATS.astype(np.float64), 0.0, dtype("float"))]
        assert beyond(values(np.float32([0, 1])), values(np.float32([-0.0, 1])), known) is None
        assert beyond(values(FLOATS), [], known)[1].message == "0 outputs where the plain run gave 1"

    def test_sequences_are_compared_item_by_item(self):
        known = [Bounded([FLOATS.astype(np.float64)], 0.5, None)]
        assert beyond([values(FLOATS)], [values(FLOATS + 3)], known)[1].word is Word.NONDETERMINISTIC


def test_a_type_without_arrays_is_told(monkeypatch):
    with pytest.raises(ValueError, match="bytes"):
        first_difference([Tensor("float", (2,), b"1234")], values(FLOATS))
