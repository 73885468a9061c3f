"""Deformable convolution: against plain convolution, ONNX's evaluator and a runtime."""

from __future__ import annotations

import numpy as np
import pytest

from abstract.dtypes import dtype
from abstract.operator import NotCovered, Run
from abstract.operators import TABLE
from abstract.reference import Float64

RANDOM = np.random.default_rng(0)
X, W = RANDOM.normal(size=(2, 4, 5, 6)), RANDOM.normal(size=(6, 2, 2, 3))


def applied(name, inputs, e=(0.0,) * 5, **params):
    kinds = tuple(None if x is None else dtype("double") for x in inputs)
    run = Run(params, tuple(inputs), kinds, kinds[:1], Float64())
    y = TABLE[name].evaluate(run)
    return y[0], np.broadcast_to(TABLE[name].error(run, y, e[: len(inputs)])[0], y[0].shape)


def offsets(out, taps=6, groups=1, value=0.0, rank=2, n=2):
    return np.full((n, groups * taps * rank, *out), value)


@pytest.mark.parametrize("opset", [19, 22])
def test_generated_calls_are_valid_and_a_runtime_agrees(laboratory, opset):
    decided = 0
    with np.errstate(all="ignore"):
        for trial in laboratory.trials("DeformConv", opset, 14, dtypes=("float", "float16", "double")):
            laboratory.check_valid(trial)
            # ONNX Runtime takes pictures alone (docs/disputes.md).
            if len(trial.graph.nodes[-1].inputs[0].type.shape) == 4:
                decided += laboratory.check_values(trial, laboratory.run(trial, onnx_too=False))
    assert decided


def test_errors_cover_every_move_of_the_inputs(laboratory):
    assert laboratory.perturbed("DeformConv", 22, 14, dtypes=("double",)) >= 9


@pytest.mark.untraced
@pytest.mark.parametrize("element_type", ["float", "float16", "double"])
def test_legal_recomputations_stay_within_the_bound(laboratory, element_type):
    laboratory.recomputed("DeformConv", 22, (element_type,), 4)


@pytest.mark.untraced
def test_symbolic_shapes_hold_at_other_sizes(laboratory):
    assert laboratory.at_other_sizes("DeformConv", 22, 25) >= 1


@pytest.mark.parametrize(
    ("params", "out"),
    [
        ({}, (4, 4)),
        ({"strides": (2, 1), "pads": (1, 0, 1, 2)}, (3, 6)),
        ({"dilations": (2, 1), "pads": (1, 1, 0, 1)}, (4, 6)),
    ],
)
@pytest.mark.parametrize("moved", [1, 2])
def test_without_offsets_it_is_a_convolution(params, out, moved):
    attributes = {**params, "group": 2, "offset_group": moved}
    bias = np.arange(6.0)
    y, bound = applied("DeformConv", (X, W, offsets(out, groups=moved), bias), **attributes)
    plain, _ = applied("Conv", (X, W, bias), **{k: v for k, v in attributes.items() if k != "offset_group"})
    np.testing.assert_allclose(y, plain, atol=1e-12)
    assert (bound < 1e-11).all()


def test_whole_offsets_move_the_picture():
    y, _ = applied("DeformConv", (X, W, offsets((4, 4), value=1.0)), group=2)
    moved, _ = applied("Conv", (X, W), pads=(0, 0, 1, 1), group=2)
    np.testing.assert_allclose(y, moved[:, :, 1:, 1:], atol=1e-12)


def test_a_mask_multiplies_each_tap():
    mask = np.full((2, 6, 4, 4), 0.5)
    y, bound = applied("DeformConv", (X, W, offsets((4, 4)), None, mask), group=2, e=(0.0, 0.0, 0.0, 0.0, 0.25))
    plain, _ = applied("Conv", (X, W), group=2)
    np.testing.assert_allclose(y, plain / 2, atol=1e-12)
    sizes, _ = applied("Conv", (np.abs(X), np.abs(W)), group=2)
    np.testing.assert_allclose(bound, sizes / 4, rtol=1e-9)


def test_a_half_element_outside_half_is_read():
    x, w = np.full((1, 1, 2, 2), 8.0), np.ones((1, 1, 1, 1))
    y, _ = applied("DeformConv", (x, w, offsets((2, 2), 1, value=-0.5, n=1)))
    assert y.ravel().tolist() == [2, 4, 4, 8]


def test_an_offset_that_errs_costs_the_slope_around_it():
    """The ramp rises by 1 a column: an error of 0.01 of a tap costs 0.01."""
    x, w = np.arange(100.0, 110.0).reshape(1, 1, 1, 10), np.ones((1, 1, 1, 1))
    e = np.zeros((1, 2, 1, 10))
    e[:, 1] = 0.01
    offset = offsets((1, 10), 1, n=1)
    offset[:, 1] = 0.3
    _, bound = applied("DeformConv", (x, w, offset), (0.0, 0.0, e))
    np.testing.assert_allclose(bound[..., :9], 0.01, rtol=1e-6)


def test_other_than_pictures():
    x, w = X[:, :, 0], W[:, :, 0]
    y, _ = applied("DeformConv", (x, w, offsets((4,), 3, rank=1)), group=2)
    np.testing.assert_allclose(y, applied("Conv", (x, w), group=2)[0], atol=1e-12)
    with pytest.raises(NotCovered, match="mask"):
        applied("DeformConv", (x, w, offsets((4,), 3, rank=1), None, np.ones((2, 3, 4))), group=2)
