"""Operators on strings: joined, split, matched, normalised, counted."""

from __future__ import annotations

import numpy as np
import pytest

from abstract.dtypes import dtype
from abstract.operator import NotCovered, Run
from abstract.operators import TABLE
from abstract.reference import Float64, interpret
from fuzz.selftest.null import METHODS, recompute

OPERATORS = ("StringConcat", "StringNormalizer", "StringSplit", "RegexFullMatch", "TfIdfVectorizer")
TYPES = ("string", "int64", "int32")


def text(*values):
    return np.array(values, object)


@pytest.mark.parametrize("name", OPERATORS)
def test_generated_calls_are_valid_and_a_runtime_agrees(laboratory, name):
    laboratory.generated(name, 21, 30, dtypes=TYPES, onnx_too=False)


@pytest.mark.parametrize("name", OPERATORS)
def test_every_size_that_words_decide_is_open_in_the_model(laboratory, name):
    for trial in laboratory.trials(name, 21, 12, dtypes=TYPES):
        for value, info in zip(trial.graph.outputs, trial.model.graph.output, strict=True):
            for dim in value.type.shape:
                if not isinstance(dim, int) and trial.graph.store.counted(dim.symbol):
                    assert any(d.dim_param for d in info.type.tensor_type.shape.dim)


def run_of(name, inputs, outputs, **params):
    dtypes = tuple(dtype("string" if x.dtype == object else "int64") for x in inputs)
    return Run(params, inputs, dtypes, tuple(map(dtype, outputs)), Float64())


def values_of(name, inputs, outputs, **params):
    return TABLE[name].evaluate(run_of(name, inputs, outputs, **params))


class TestNormalizer:
    def normalized(self, x, **params):
        (y,) = values_of("StringNormalizer", (x,), ("string",), **params)
        return y.tolist()

    def test_stopwords_are_compared_whatever_their_case_unless_it_matters(self):
        assert self.normalized(text("Ab", "b", "ab"), stopwords=(b"AB",)) == ["b"]
        assert self.normalized(text("Ab", "b", "ab"), stopwords=(b"Ab",), is_case_sensitive=1) == ["b", "ab"]

    def test_what_is_left_changes_its_case(self):
        assert self.normalized(text("Ab", "b"), case_change_action=b"UPPER") == ["AB", "B"]
        assert self.normalized(text("Ab", "b"), case_change_action=b"LOWER", is_case_sensitive=1) == ["ab", "b"]

    def test_of_nothing_one_empty_word_is_left(self):
        assert self.normalized(text("a", "A"), stopwords=(b"a",)) == [""]
        assert self.normalized(text("a", "A").reshape(1, 2), stopwords=(b"a",)) == [[""]]

    def test_words_are_in_a_line(self, laboratory):
        y, _ = laboratory.by_hand("StringNormalizer", (text("a", "b"),))[2]
        assert y.tolist() == ["a", "b"]
        run = run_of("StringNormalizer", (text("a"),), ("string",))
        assert np.isnan(TABLE["StringNormalizer"].error(run, (text("a"),), (np.inf,))[0])


class TestSplit:
    def parts(self, x, **params):
        y, counts = values_of("StringSplit", (x,), ("string", "int64"), **params)
        return y.tolist(), counts.tolist()

    def test_at_a_delimiter_nothing_is_a_part_as_well(self):
        assert self.parts(text(",a,,b", "c"), delimiter=b",") == ([["", "a", "", "b"], ["c", "", "", ""]], [4, 1])

    def test_at_blanks_it_is_not(self):
        assert self.parts(text("  a  b ", "")) == ([["a", "b"], ["", ""]], [2, 0])
        assert self.parts(text("  "), delimiter=b"") == ([[]], [0])

    def test_so_many_splits_and_no_more(self):
        assert self.parts(text("a,b,c"), delimiter=b",", maxsplit=1) == ([["a", "b,c"]], [2])

    def test_a_scalar_has_one_axis_of_parts(self):
        assert self.parts(np.array("a b", object)) == (["a", "b"], 2)

    def test_no_text_is_left_to_others(self):
        with pytest.raises(NotCovered):
            self.parts(text())

    def test_parts_of_unsure_text_are_unknown(self):
        run = run_of("StringSplit", (text("a", "b"),), ("string", "int64"))
        y = TABLE["StringSplit"].evaluate(run)
        parts, counts = TABLE["StringSplit"].error(run, y, (np.array([0.0, np.inf]),))
        assert np.isnan(parts)
        np.testing.assert_array_equal(counts, [0, np.inf])


class TestMatch:
    @pytest.mark.parametrize(("pattern", "due"), [
        (rb"\w+", [True, False, False]), (b".", [False, True, False]), (b"ab?", [True, False, False]),
        (b"^ab$", [True, False, False]), ("[a-z]+|é".encode(), [True, True, False]), (b"", [False, False, True]),
    ])  # fmt: skip
    def test_the_whole_text_has_to_match_by_letters_of_ascii(self, pattern, due):
        (y,) = values_of("RegexFullMatch", (text("ab", "é", ""),), ("bool",), pattern=pattern)
        assert y.tolist() == due

    @pytest.mark.parametrize("pattern", [b"(?i)a", b"(?=a)a", rb"\pL", rb"\bab\b", b"[[:alpha:]]", b"a++", None])
    def test_what_engines_read_in_their_own_way_is_left_to_others(self, pattern):
        with pytest.raises(NotCovered):
            values_of("RegexFullMatch", (text("a"),), ("bool",), pattern=pattern)

    def test_so_are_line_breaks(self):
        with pytest.raises(NotCovered):
            values_of("RegexFullMatch", (text("a\n"),), ("bool",), pattern=b".*")


POOL = {"ngram_counts": (0, 2), "pool_int64s": (1, 2, 1, 2, 2, 1), "ngram_indexes": (0, 1, 2, 3)}


class TestVectorizer:
    def counted(self, x, mode=b"TF", **params):
        given = {"mode": mode, "min_gram_length": 1, "max_gram_length": 2, "max_skip_count": 0, **POOL, **params}
        (y,) = values_of("TfIdfVectorizer", (np.array(x),), ("float",), **given)
        return y.tolist()

    def test_n_grams_are_counted_in_each_row(self):
        assert self.counted([1, 2, 2, 1]) == [2, 2, 1, 1]
        assert self.counted([[1, 2], [2, 1]]) == [[1, 1, 1, 0], [1, 1, 0, 1]]

    def test_skips_add_pairs_that_are_farther_apart_and_no_single_tokens(self):
        assert self.counted([1, 2, 2, 1], max_skip_count=1) == [2, 2, 2, 2]
        assert self.counted([1, 2, 2, 1], max_skip_count=1, min_gram_length=2) == [0, 0, 2, 2]

    def test_counts_stop_at_one_or_are_weighted(self):
        weights = (0.5, 1.0, 2.0, 4.0)
        assert self.counted([1, 2, 2, 1], b"IDF") == [1, 1, 1, 1]
        assert self.counted([1, 1, 1], b"IDF", weights=weights) == [0.5, 0, 0, 0]
        assert self.counted([1, 1, 1], b"TFIDF", weights=weights) == [1.5, 0, 0, 0]

    def test_places_may_be_others_but_not_with_weights(self):
        assert self.counted([1, 2], ngram_indexes=(5, 1, 2, 3)) == [0, 1, 1, 0, 0, 1]
        with pytest.raises(NotCovered):
            self.counted([1], b"TFIDF", ngram_indexes=(3, 1, 2, 0), weights=(1.0,) * 4)

    def test_a_row_with_an_unsure_token_is_unknown(self):
        given = {"mode": b"TF", "min_gram_length": 1, "max_gram_length": 2, "max_skip_count": 0, **POOL}
        run = run_of("TfIdfVectorizer", (np.array([[1, 2], [2, 1]]),), ("float",), **given)
        y = TABLE["TfIdfVectorizer"].evaluate(run)
        (bound,) = TABLE["TfIdfVectorizer"].error(run, y, (np.array([[0, 1], [0, 0]]),))
        np.testing.assert_array_equal(np.isinf(bound).all(axis=1), [True, False])


@pytest.mark.untraced
@pytest.mark.parametrize("name", OPERATORS)
def test_legal_recomputations_give_the_same(laboratory, name):
    from abstract.program import parse

    for trial in laboratory.trials(name, 21, 8, dtypes=TYPES):
        program = parse(trial.model)
        reference = interpret(program, trial.inputs)
        for method in METHODS[:4]:
            for _, output, kind, value in recompute(program, trial.inputs, method, trial.seed):
                if kind.name == "string":
                    assert (value == reference[output].value).all()
