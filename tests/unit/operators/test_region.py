"""Regions of interest: by hand, against ONNX's evaluator and a runtime, and what rounding leaves open."""

from __future__ import annotations

import numpy as np
import pytest

from abstract.dtypes import dtype
from abstract.operator import NotCovered, Run
from abstract.operators import TABLE
from abstract.reference import Float64

PICTURE = np.arange(48.0).reshape(1, 1, 6, 8)
CALLS = [("MaxRoiPool", 13), ("RoiAlign", 13), ("RoiAlign", 16)]


def applied(name, inputs, e=(0.0, 0.0, 0.0), **params):
    kinds = (dtype("float"), dtype("float"), dtype("int64"))[: len(inputs)]
    run = Run(params, tuple(map(np.asarray, inputs)), kinds, kinds[:1], Float64())
    y = TABLE[name].evaluate(run)
    bound = np.broadcast_to(TABLE[name].error(run, y, e[: len(inputs)])[0], y[0].shape)
    return y[0], bound, TABLE[name].defined(run)


def pooled(region, height=1, width=1, x=PICTURE, **more):
    return applied("MaxRoiPool", (x, np.array([[0, *region]], float)), pooled_shape=(height, width), **more)


def aligned(region, x=PICTURE, **more):
    return applied("RoiAlign", (x, np.array([region], float), np.array([0])), **more)


@pytest.mark.parametrize(("name", "opset"), CALLS)
def test_generated_calls_are_valid_and_a_runtime_agrees(laboratory, name, opset):
    laboratory.generated(name, opset, 16, dtypes=("float", "float16", "int64"))


def test_the_newest_version_agrees_with_onnx_s_evaluator(laboratory):
    laboratory.generated("RoiAlign", 22, 10, dtypes=("float", "double", "int64"))


@pytest.mark.parametrize(("name", "opset"), CALLS)
def test_errors_cover_every_move_of_the_picture(laboratory, name, opset):
    assert laboratory.perturbed(name, opset, 40, dtypes=("double", "int64")) >= 9


@pytest.mark.untraced
@pytest.mark.parametrize(("name", "opset"), CALLS[:2])
@pytest.mark.parametrize("element_type", ["float", "float16", "double"])
def test_legal_recomputations_stay_within_the_bound(laboratory, name, opset, element_type):
    laboratory.recomputed(name, opset, (element_type, "int64"), 5)


def test_parts_of_a_region_by_hand():
    y, bound, sharp = pooled((1, 1, 4, 4), 2, 2)
    assert y.ravel().tolist() == [18, 20, 34, 36]
    assert (bound == 0).all()
    assert sharp
    assert pooled((2, 2, 2, 2))[0].item() == 18  # its last element belongs to a region
    assert pooled((4, 2, 8, 10), spatial_scale=0.5)[0].item() == 44
    assert pooled((9, 9, 9, 9))[0].item() == 0  # nothing there


def test_a_part_whose_end_hangs_on_a_rounding_spans_both():
    """7 columns in 3 parts: 7 / 3 * 3 may come out above 7, and then the eighth belongs to the last."""
    y, bound, sharp = pooled((0, 0, 6, 0), 1, 3)
    assert y.ravel().tolist() == [2, 4, 6]
    assert bound.ravel().tolist() == [0, 0, 1]
    assert not sharp
    assert pooled((0, 0, 5, 0), 1, 3)[2]


def test_a_corner_half_way_leaves_nothing_sure():
    assert np.isinf(pooled((0.5, 0, 3, 3))[1]).all()
    assert np.isinf(pooled((0, 0, 3, 3), e=(0.0, 0.1))[1]).all()


def test_the_errors_of_a_part_are_its_greatest():
    errors = np.zeros(PICTURE.shape)
    errors[0, 0, 1, 2] = 20.0
    _, bound, _ = pooled((1, 1, 4, 4), 2, 2, e=(errors, 0.0))
    assert bound.ravel().tolist() == [12, 0, 0, 0]


def test_a_ramp_is_averaged_to_its_middle():
    half, bound, _ = aligned((1.0, 1.0, 5.0, 3.0), sampling_ratio=2, coordinate_transformation_mode=b"half_pixel")
    assert half.item() == 8 * 1.5 + 2.5
    assert bound.item() < 4e-4
    whole, _, _ = aligned((1.0, 1.0, 5.0, 3.0), sampling_ratio=2)
    assert whole.item() == 8 * 2 + 3
    scaled, _, _ = aligned((2.0, 2.0, 10.0, 6.0), sampling_ratio=2, spatial_scale=0.5)
    assert scaled.item() == whole.item()


def test_as_many_samples_as_fit():
    """Two parts of 1.25 take two samples each, and the ramp's average is the middle all the same."""
    y, bound, settled = aligned((1.0, 1.0, 3.5, 2.0), output_width=2)
    np.testing.assert_allclose(y.ravel(), [8 * 1.5 + 1.625, 8 * 1.5 + 2.875])
    assert settled
    assert np.isfinite(bound).all()
    # Exactly two is two in any arithmetic; two but for a rounding may be three.
    assert aligned((1.0, 1.0, 5.0, 2.0), output_width=2)[2]
    y, bound, settled = aligned((1.1, 1.0, 5.1, 2.0), output_width=2)
    assert not settled
    assert np.isinf(bound).all()


def test_a_region_that_ends_before_it_starts_is_not_defined():
    """The text says nothing of one; ONNX Runtime refuses it: it would have less than no samples."""
    assert aligned((1.0, 2.0, 5.0, 2.0), sampling_ratio=2)[2]
    assert not aligned((1.0, 3.0, 5.0, 2.0), sampling_ratio=2)[2]


def test_beyond_one_element_outside_are_zeros():
    y, bound, _ = aligned((-5.0, -5.0, -3.0, -3.0), sampling_ratio=1)
    assert (y.item(), bound.item() < 1e-6) == (0, True)
    assert np.isinf(aligned((-2.0, 0.0, 0.0, 2.0), sampling_ratio=1)[1])  # its sample lies at -1, where they begin


def test_positions_that_err_move_weights():
    y, bound, _ = aligned((1.0, 1.0, 5.0, 3.0), sampling_ratio=1, e=(0.0, np.full((1, 4), 0.01), 0.0))
    assert y.item() == 19
    assert 0.09 <= bound.item() < 5
    assert np.isinf(aligned((1.0, 1.0, 5.0, 3.0), e=(0.0, 0.0, 1.0))[1])


@pytest.mark.parametrize("name", ["MaxRoiPool", "RoiAlign"])
def test_no_regions(name):
    inputs = (PICTURE, np.zeros((0, 5))) if name == "MaxRoiPool" else (PICTURE, np.zeros((0, 4)), np.zeros(0, int))
    more = {"pooled_shape": (1, 2)} if name == "MaxRoiPool" else {"mode": b"max"}
    y, bound, _ = applied(name, inputs, **more)
    assert y.shape == bound.shape == ((0, 1, 1, 2) if name == "MaxRoiPool" else (0, 1, 1, 1))


def test_the_greatest_of_samples_is_open(laboratory):
    inputs = (PICTURE.astype(np.float32), np.array([[1, 1, 3, 3]], np.float32), np.array([0]))
    _, _, (_, bound) = laboratory.by_hand("RoiAlign", inputs, 16, mode="max")
    assert np.isinf(bound).all()


def test_what_is_left_to_onnx():
    with pytest.raises(NotCovered):
        applied("RoiAlign", (PICTURE, np.ones((1, 4)), np.array([3])))
    with pytest.raises(NotCovered):
        aligned((0.0, 0.0, 1e9, 1.0))
    with pytest.raises(NotCovered):
        applied("MaxRoiPool", (PICTURE, np.array([[3.0, 0, 0, 1, 1]])), pooled_shape=(1, 1))
