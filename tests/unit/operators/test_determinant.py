"""Determinants: against numpy, by hand, and their bound."""

from __future__ import annotations

import numpy as np
import pytest

from abstract.dtypes import dtype
from abstract.operator import Run
from abstract.operators import TABLE
from abstract.reference import Float64


def determinant(x, kind="float", e=0.0):
    run = Run({}, (np.asarray(x, np.float64),), (dtype(kind),), (dtype(kind),), Float64())
    y = TABLE["Det"].evaluate(run)
    return y[0], TABLE["Det"].error(run, y, (e,))[0]


@pytest.mark.parametrize("opset", [13, 22])
def test_generated_calls_are_valid_and_a_runtime_agrees(laboratory, opset):
    laboratory.generated("Det", opset)


@pytest.mark.untraced
def test_symbolic_shapes_hold_at_other_sizes(laboratory):
    assert laboratory.at_other_sizes("Det", 22) >= 5


def test_errors_cover_every_move_of_the_inputs(laboratory):
    assert laboratory.perturbed("Det", 22, dtypes=("double",)) >= 9


@pytest.mark.untraced
@pytest.mark.parametrize("element_type", ["float", "float16", "double"])
def test_legal_recomputations_stay_within_the_bound(laboratory, element_type):
    laboratory.recomputed("Det", 22, (element_type,), 8)


@pytest.mark.parametrize("side", [1, 2, 3, 5, 8])
def test_it_is_numpy_s(side):
    x = np.random.default_rng(side).normal(size=(2, 3, side, side))
    y, bound = determinant(x)
    np.testing.assert_allclose(y, np.linalg.det(x), rtol=1e-10)
    assert y.shape == bound.shape == (2, 3)
    assert (bound < 1e-3 * np.linalg.norm(x, axis=-1).prod(axis=-1)).all()


def test_rows_are_exchanged():
    y, _ = determinant([[[0, 2], [3, 0]], [[0, 0], [0, 1]], [[1, 2], [2, 4]]])
    assert y.tolist() == [-6, 0, 0]


def test_an_empty_stack_has_none():
    y, bound = determinant(np.zeros((0, 3, 3)))
    assert y.shape == np.shape(bound) == (0,)


def test_products_that_overflow_are_unknown():
    assert np.isinf(determinant(np.eye(3) * 300.0, "float16")[1])
    assert np.isfinite(determinant(np.eye(3) * 20.0, "float16")[1])
