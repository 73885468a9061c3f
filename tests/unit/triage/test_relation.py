"""How a wrong answer relates to what is due."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from fuzz.triage.relation import OTHER, relation

DUE = np.array([[1.1, -2.3, 3.7], [4.2, 0.5, 6.9]], np.float32)
WHOLE = np.array([1, 7, 300, -5], np.int32)


def narrow(kind):
    return DUE.astype(kind).astype(np.float32)


@pytest.mark.parametrize(
    ("got", "name"),
    [
        (DUE, ""),
        (np.nextafter(DUE, 9), ""),
        (-DUE, "negated"),
        (np.abs(DUE), "of another sign in places"),
        (1 / DUE, "the reciprocal"),
        (DUE * 3, "times a constant"),
        (DUE + 1, "plus a constant"),
        (np.zeros_like(DUE), "a constant"),
        (DUE[::-1], "in reverse"),
        (np.roll(DUE, 1, 1), "shifted by one"),
        (DUE.ravel()[[3, 1, 0, 2, 5, 4]].reshape(2, 3), "permuted"),
        (narrow(np.float16), "held in float16"),
        (narrow(ml_dtypes.bfloat16), "held in bfloat16"),
        (DUE.astype(np.float64), "another element type"),
        (DUE[None], "axes of size 1 more"),
        (DUE.T, "shape in another order"),
        (DUE[:1], "another shape"),
        (DUE * np.linspace(1.2, 1.3, 6, dtype=np.float32).reshape(2, 3), "too large"),
        (DUE * np.linspace(0.9, 0.8, 6, dtype=np.float32).reshape(2, 3), "too small"),
        (DUE * np.array([1.01, 0.99, 1.02], np.float32), "imprecise"),
        (np.where(DUE > 4, np.inf, DUE), "finite elsewhere"),
        (DUE + np.array([0, 0, 7], np.float32), "wrong at the end"),
        (DUE + np.array([7, 0, 0], np.float32), "wrong at the beginning"),
        (DUE + np.array([7, 0, -3], np.float32), OTHER),
    ],
)
def test_of_floats(got, name):
    assert relation(DUE, got.astype(got.dtype)) == name


@pytest.mark.parametrize(
    ("got", "name"),
    [
        (WHOLE + np.array([1, 0, -1, 0], np.int32), "off by one"),
        (np.where(WHOLE > 100, np.int32(2**31 - 1), WHOLE), "saturated"),
        (WHOLE * np.array([2, 3, 5, 7], np.int32), OTHER),
    ],
)
def test_of_integers(got, name):
    assert relation(WHOLE, got) == name


def test_the_other_truth_is_a_negation():
    due = np.array([True, False, True])
    assert relation(due, ~due) == "negated"


def test_an_operand_is_known_again_though_it_is_broadcast():
    row = np.array([9.0, 8.0, 7.0], np.float32)
    assert relation(DUE, np.broadcast_to(row, DUE.shape), [DUE * 2, row]) == "an operand passed through"


def test_a_square_is_transposed():
    due = np.arange(9, dtype=np.float32).reshape(3, 3)
    assert relation(due, due.T) == "transposed"


def test_double_that_was_held_in_float():
    due = np.array([0.1, 0.2, -0.7])
    assert relation(due, due.astype(np.float32).astype(np.float64)) == "held in float32"


def test_float16_has_not_the_range_of_tf32():
    due = np.array([1.3337, 3.17e-6, -2.7182], np.float32)
    cut = (due.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)
    assert relation(due, cut) == "held in tf32"


def test_texts_are_the_same_or_other():
    due = np.array(["a", "b"], object)
    assert relation(due, due.copy()) == ""
    assert relation(due, due[::-1]) == OTHER


def test_a_lost_axis_and_an_axis_of_size_1():
    assert relation(DUE[None], DUE) == "axes of size 1 less"
