"""One output against the reference: what is ok, what suspect, what wrong, and what nobody can tell."""

from __future__ import annotations

import json
import math

import ml_dtypes
import numpy as np
import pytest

from abstract.dtypes import dtype
from abstract.reference import Bounded
from backends.tensor import from_numpy
from fuzz.judge.compare import SUSPECT_FACTOR, Comparison, compare, worst
from fuzz.judge.verdict import Word


def reference(value, bound=0.0, kind="float"):
    carried = np.asarray(value, dtype=dtype(kind).carrier)
    return Bounded(carried, bound if isinstance(bound, float) else np.asarray(bound, np.float64), dtype(kind))


def judged(actual, value, bound=0.0, kind="float"):
    stored = np.asarray(actual, dtype=object if kind == "string" else None).astype(dtype(kind).numpy)
    return compare(from_numpy(stored), reference(value, bound, kind))


class TestBoundary:
    @pytest.mark.parametrize(
        ("times", "word"),
        [
            (0.0, Word.OK),
            (0.5, Word.OK),
            (1.0, Word.OK),
            (1.25, Word.SUSPECT),
            (SUSPECT_FACTOR, Word.SUSPECT),
            (SUSPECT_FACTOR + 0.25, Word.WRONG),
            (1e6, Word.WRONG),
        ],
    )
    def test_by_how_many_times_the_bound(self, times, word):
        bound = 2.0**-10
        found = judged([1.0, 1.0 + times * bound], [1.0, 1.0], bound, "double")
        assert found.word is word
        if word is not Word.OK:
            assert found.ratio == times
            assert found.index == (1,)
            assert (found.expected, found.actual, found.bound) == (1.0, 1.0 + times * bound, bound)

    def test_below_as_above(self):
        assert judged([1.0 - 2.0**-8], [1.0], 2.0**-10, "double").word is Word.SUSPECT
        assert judged([1.0 - 2.0**-7], [1.0], 2.0**-10, "double").word is Word.WRONG

    def test_each_element_has_its_own_bound(self):
        bounds = [2.0**-4, 2.0**-20]
        assert judged([1.0625, 1.0], [1.0, 1.0], bounds, "double").word is Word.OK
        assert judged([1.0, 1.0625], [1.0, 1.0], bounds, "double").word is Word.WRONG

    def test_the_worst_element_is_named(self):
        found = judged([[1.0, 1.1], [1.5, 1.2]], np.ones((2, 2)), 0.01, "double")
        assert found.index == (1, 0)
        assert found.ratio == pytest.approx(50)

    def test_an_exact_element_that_differs_has_no_ratio(self):
        found = judged([1.0, 2.5], [1.0, 2.0])
        assert (found.word, found.ratio, found.index) == (Word.WRONG, None, (1,))


class TestSpecialNumbers:
    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("bound", [0.0, 1e-3])
    def test_they_equal_themselves(self, value, bound):
        assert judged([value], [value], bound).word is Word.OK

    @pytest.mark.parametrize(
        ("actual", "expected"),
        [
            (math.nan, 1.0),
            (1.0, math.nan),
            (math.inf, 1.0),
            (1.0, math.inf),
            (math.inf, -math.inf),
            (math.nan, math.inf),
            (math.inf, math.nan),
        ],
    )
    @pytest.mark.parametrize("bound", [0.0, 1e-3])
    def test_they_equal_nothing_else(self, actual, expected, bound):
        found = judged([0.0, actual], [0.0, expected], bound)
        assert (found.word, found.ratio, found.index) == (Word.WRONG, None, (1,))

    def test_zeros_are_equal_whatever_their_sign(self):
        assert judged([-0.0], [0.0]).word is Word.OK

    def test_what_json_cannot_say_is_text(self):
        found = judged([math.nan], [math.inf])
        assert (found.expected, found.actual) == ("inf", "nan")
        json.dumps([found.expected, found.actual], allow_nan=False)


class TestUnknown:
    def test_an_element_without_a_bound_is_not_judged(self):
        assert judged([5.0, 1.0], [1.0, 1.0], [np.inf, 0.0]).word is Word.OK
        assert judged([5.0, 2.0], [1.0, 1.0], [np.inf, 0.0]).word is Word.WRONG

    def test_nothing_known_is_undecidable(self):
        found = judged([5.0, 2.0], [1.0, 1.0], [np.inf, np.inf])
        assert found.word is Word.UNDECIDABLE
        assert found.message

    def test_nothing_known_but_equal_is_ok(self):
        assert judged([1.0, 2.0], [1.0, 2.0], float("inf")).word is Word.OK

    def test_one_bound_for_all(self):
        assert judged([1.0, 2.0], [0.0, 0.0], float("inf")).word is Word.UNDECIDABLE

    def test_a_nan_where_nothing_is_known(self):
        assert judged([math.nan, 1.0], [1.0, 1.0], [np.inf, 0.0]).word is Word.OK


class TestIntegers:
    @pytest.mark.parametrize(
        ("kind", "actual", "expected"),
        [
            ("int64", 2**53 + 1, 2**53),
            ("int64", -(2**63), -(2**63) + 1),
            ("uint64", 2**64 - 1, 2**64 - 2),
            ("int8", -128, 127),
            ("uint8", 0, 255),
        ],
    )
    def test_one_off_is_wrong_however_large(self, kind, actual, expected):
        found = judged([actual], [expected], 0.0, kind)
        assert (found.word, found.ratio) == (Word.WRONG, None)
        assert judged([expected], [expected], 0.0, kind).word is Word.OK

    def test_a_bound_of_one_allows_one(self):
        words = [judged([7 + d], [7], [1.0], "int32").word for d in (0, 1, -1, 2, 5)]
        assert words == [Word.OK, Word.OK, Word.OK, Word.SUSPECT, Word.WRONG]

    def test_neighbours_beyond_the_reach_of_float64_are_one_apart(self):
        assert judged([2**62 + 1], [2**62], [1.0], "int64").word is Word.OK
        assert judged([2**62 + 1], [2**62], [0.125], "int64").word is Word.WRONG

    @pytest.mark.parametrize("kind", ["int4", "uint4", "int2"])
    def test_parts_of_bytes(self, kind):
        assert judged([1, 0, 1], [1, 0, 1], 0.0, kind).word is Word.OK
        assert judged([1, 1, 1], [1, 0, 1], 0.0, kind).index == (1,)


class TestOtherTypes:
    def test_booleans(self):
        assert judged([True, False], [True, False], 0.0, "bool").word is Word.OK
        assert judged([True, True], [True, False], 0.0, "bool").index == (1,)
        assert judged([True, True], [True, False], [0.0, np.inf], "bool").word is Word.OK

    def test_strings(self):
        assert judged(["é", ""], ["é", ""], 0.0, "string").word is Word.OK
        found = judged(["é", "b"], ["é", "c"], 0.0, "string")
        assert (found.word, found.index, found.expected, found.actual) == (Word.WRONG, (1,), "c", "b")

    def test_complex_numbers(self):
        assert judged([1 + 1j], [1 + 1j], 0.0, "complex64").word is Word.OK
        assert judged([1 + 2j], [1 + 1j], 0.0, "complex64").word is Word.WRONG

    @pytest.mark.parametrize("kind", ["bfloat16", "float8e4m3fn", "float16"])
    def test_narrow_floats(self, kind):
        stored = np.asarray([1.5, -2.0]).astype(dtype(kind).numpy)
        assert compare(from_numpy(stored), reference([1.5, -2.0], 0.0, kind)).word is Word.OK
        assert compare(from_numpy(stored), reference([1.5, -1.0], 0.0, kind)).word is Word.WRONG

    def test_a_carrier_is_compared_in_full(self):
        """The reference is not rounded to the declared type before: 1 + 2**-30 is not 1 in float."""
        assert judged([1.0], [1.0 + 2.0**-30], 2.0**-40).word is Word.WRONG
        assert judged([1.0], [1.0 + 2.0**-30], 2.0**-24).word is Word.OK


class TestForm:
    def test_another_shape_is_wrong(self):
        found = judged([[1.0, 2.0]], [1.0, 2.0])
        assert found.word is Word.WRONG
        assert found.message == "shape [1, 2] where [2] is due"

    def test_another_shape_is_wrong_when_empty_too(self):
        assert compare(from_numpy(np.zeros((0, 2), np.float32)), reference(np.zeros((2, 0)))).word is Word.WRONG
        assert compare(from_numpy(np.zeros((0, 2), np.float32)), reference(np.zeros((0, 2)))).word is Word.OK

    def test_a_scalar_is_no_vector(self):
        assert judged([1.0], 1.0).word is Word.WRONG
        assert judged(1.0, 1.0).word is Word.OK

    def test_another_type_is_wrong(self):
        found = compare(from_numpy(np.float64([1.0])), reference([1.0]))
        assert found.word is Word.WRONG
        assert found.message == "element type double where float is due"

    def test_half_floats_are_told_apart(self):
        stored = from_numpy(np.asarray([1.0]).astype(ml_dtypes.bfloat16))
        assert compare(stored, reference([1.0], 0.0, "float16")).word is Word.WRONG

    def test_absent_optionals(self):
        assert compare(None, Bounded(None, 0.0, None)).word is Word.OK
        assert compare(None, reference([1.0])).word is Word.WRONG
        assert compare(from_numpy(np.float32([1])), Bounded(None, 0.0, None)).word is Word.WRONG


class TestSequences:
    def of(self, *arrays):
        return Bounded([np.asarray(a) for a in arrays], 0.0, None)

    def test_element_by_element(self):
        sequence = self.of(np.float32([1, 2]), np.float32([3]))
        good = [from_numpy(np.float32([1, 2])), from_numpy(np.float32([3]))]
        assert compare(good, sequence).word is Word.OK
        assert compare([good[0], from_numpy(np.float32([4]))], sequence).word is Word.WRONG
        assert compare(good[::-1], sequence).word is Word.WRONG

    def test_floats_have_the_tolerance_of_onnx_backend_tests(self):
        assert compare([from_numpy(np.float32([1.0005]))], self.of(np.float32([1]))).word is Word.OK
        assert compare([from_numpy(np.float32([1.01]))], self.of(np.float32([1]))).word is Word.WRONG

    def test_integers_have_none(self):
        assert compare([from_numpy(np.int64([1001]))], self.of(np.int64([1000]))).word is Word.WRONG

    def test_their_length_counts(self):
        found = compare([], self.of(np.float32([1])))
        assert found.word is Word.WRONG
        assert found.message == "a sequence of 0 where 1 are due"
        assert compare([], self.of()).word is Word.OK

    def test_a_sequence_is_no_tensor(self):
        tensor = from_numpy(np.float32([1]))
        assert compare([tensor], reference([1.0])).word is Word.WRONG
        assert compare(tensor, self.of(np.float32([1]))).word is Word.WRONG

    def test_of_the_unknown_nothing_is_known(self):
        unknown = Bounded([np.float32([1, 2])], float("inf"), None)
        assert compare([from_numpy(np.float32([7, 8]))], unknown).word is Word.UNDECIDABLE

    def test_of_strings(self):
        texts = Bounded([np.array(["a"], object)], 0.0, None)
        assert compare([from_numpy(np.array(["a"], object))], texts).word is Word.OK
        assert compare([from_numpy(np.array(["b"], object))], texts).word is Word.WRONG


class TestWorst:
    def test_severity_first(self):
        order = [Word.OK, Word.UNDECIDABLE, Word.DISPUTE, Word.SUSPECT, Word.WRONG]
        for i, word in enumerate(order):
            assert worst([Comparison(w) for w in order[: i + 1]]).word is word

    def test_then_the_ratio_none_being_infinite(self):
        ratios = [worst([Comparison(Word.WRONG, a), Comparison(Word.WRONG, b)]).ratio for a, b in ((5, 9), (9, None))]
        assert ratios == [9, None]

    def test_of_nothing_is_ok(self):
        assert worst([]).word is Word.OK
