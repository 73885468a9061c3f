"""Resize in every mode."""

from __future__ import annotations

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from abstract.dtypes import dtype
from abstract.operator import NotCovered, Run
from abstract.operators import TABLE
from abstract.reference import Float64

TRANSFORMS = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric")


@pytest.mark.parametrize("opset", [13, 18, 19])
def test_generated_calls_are_valid_and_a_runtime_agrees(laboratory, opset):
    laboratory.generated("Resize", opset, 40)


@pytest.mark.untraced
def test_symbolic_shapes_hold_at_other_sizes(laboratory):
    assert laboratory.at_other_sizes("Resize", 19) >= 10


@pytest.mark.untraced
@pytest.mark.parametrize("kind", ["float", "float16"])
def test_legal_recomputations_stay_within_the_bound(laboratory, kind):
    laboratory.recomputed("Resize", 19, (kind,), 20)


def test_errors_propagate(laboratory):
    assert laboratory.perturbed("Resize", 19, 40) >= 60


def image():
    return np.random.default_rng(1).standard_normal((1, 2, 5, 6)).astype(np.float32)


def floats(*values):
    return np.array(values, dtype=np.float32)


def ints(*values):
    return np.array(values, dtype=np.int64)


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("sizes", [(9, 4), (10, 12), (3, 2), (5, 9)])
def test_every_transform_of_coordinates(laboratory, mode, transform, sizes):
    model, feeds, (value, bound) = laboratory.by_hand(
        "Resize", (image(), None, None, ints(1, 2, *sizes)), mode=mode, coordinate_transformation_mode=transform
    )
    (want,) = ReferenceEvaluator(model).run(None, feeds)
    assert np.all(np.abs(value - want) <= bound)
    if mode != "nearest":
        assert np.max(bound) < 1e-4


@pytest.mark.parametrize("rounding", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
@pytest.mark.parametrize("transform", ["half_pixel", "asymmetric"])
@pytest.mark.parametrize("scale", [0.5, 2.0, 4.0])
def test_nearest_with_scales_that_round_nowhere_is_exact(laboratory, rounding, transform, scale):
    x = np.arange(12, dtype=np.float32).reshape(1, 1, 2, 6)
    model, feeds, (value, bound) = laboratory.by_hand(
        "Resize", (x, None, floats(1, 1, scale, scale)), nearest_mode=rounding, coordinate_transformation_mode=transform
    )
    (want,) = ReferenceEvaluator(model).run(None, feeds)
    np.testing.assert_array_equal(value, want)
    assert np.max(bound) < 1e-5


@pytest.mark.parametrize("coefficient", [-0.5, -0.75])
@pytest.mark.parametrize("outside", [0, 1])
def test_cubic_kernels(laboratory, coefficient, outside):
    model, feeds, (value, bound) = laboratory.by_hand(
        "Resize", (image(), None, floats(1, 1, 2, 3)), mode="cubic", cubic_coeff_a=coefficient, exclude_outside=outside
    )
    (want,) = ReferenceEvaluator(model).run(None, feeds)
    assert np.all(np.abs(value - want) <= bound)
    assert np.max(bound) < 2e-4


@pytest.mark.parametrize("policy", ["not_larger", "not_smaller"])
def test_the_aspect_ratio_may_be_kept(laboratory, policy):
    model, feeds, (value, bound) = laboratory.by_hand(
        "Resize", (image(), None, None, ints(10, 18)), axes=[2, 3], keep_aspect_ratio_policy=policy, mode="linear"
    )
    (want,) = ReferenceEvaluator(model).run(None, feeds)
    assert value.shape == want.shape
    assert np.all(np.abs(value - want) <= bound)


def test_axes_in_any_spelling_and_order(laboratory):
    # ONNX's reference knows axes from the front alone.
    model, feeds, _ = laboratory.by_hand("Resize", (image(), None, floats(3, 2)), axes=[2, 3], mode="linear")
    (want,) = ReferenceEvaluator(model).run(None, feeds)
    _, _, (value, bound) = laboratory.by_hand("Resize", (image(), None, floats(2, 3)), axes=[-1, 2], mode="linear")
    assert value.shape == (1, 2, 15, 12)
    assert np.all(np.abs(value - want) <= bound)


def resized(x, **params):
    x = np.asarray(x, dtype=np.float64)
    run = Run(params, (x,), (dtype("float"),), (dtype("float"),), Float64())
    y = TABLE["Resize"].evaluate(run)
    (bound,) = TABLE["Resize"].error(run, y, (0.0,))
    return y[0], np.broadcast_to(bound, y[0].shape)


def test_a_coordinate_on_a_step_may_read_either_neighbour():
    # Asymmetric floor by 3: position 3 is 3/3, and 3 * (1/3) may come out below 1.
    y, bound = resized([10.0, 20.0], scales=(3.0,), coordinate_transformation_mode=b"asymmetric", nearest_mode=b"floor")
    np.testing.assert_array_equal(y, [10, 10, 10, 20, 20, 20])
    np.testing.assert_array_equal(bound, [0, 0, 0, 10, 0, 0])


@pytest.mark.parametrize(
    ("params", "given", "ratio"),
    [
        # 4 * 0.6 is 2.4, so 2: the scale is 0.6 as given or 2/4; with align_corners the length is 2 or 2.4.
        ({"mode": b"linear"}, [4 / 3, 3.0], [1.5, 3.5]),
        ({"mode": b"linear", "coordinate_transformation_mode": b"align_corners"}, [1.0, 4.0], [1.0, 1 + 3 / 1.4]),
        ({"mode": b"nearest", "nearest_mode": b"round_prefer_ceil"}, [1.0, 3.0], [2.0, 4.0]),
    ],
)
def test_a_scale_that_gives_no_whole_size_is_read_both_ways(params, given, ratio):
    y, bound = resized([1.0, 2.0, 3.0, 4.0], scales=(0.6,), **params)
    np.testing.assert_allclose(y, given, rtol=1e-12)
    apart = np.abs(np.array(ratio) - given)
    assert (bound >= apart - 1e-12).all()
    assert (bound <= apart + 1e-5).all()


def test_strings_of_either_reading_are_open():
    kind = dtype("string")
    x = np.array(["a", "a", "c", "d"], dtype=object)
    run = Run({"scales": (0.6,), "nearest_mode": b"round_prefer_ceil"}, (x,), (kind,), (kind,), Float64())
    y = TABLE["Resize"].evaluate(run)
    (bound,) = TABLE["Resize"].error(run, y, (0.0,))
    assert (y[0].tolist(), bound.tolist()) == (["a", "c"], [0.0, np.inf])


@pytest.mark.parametrize(
    "params", [{"antialias": 1}, {"coordinate_transformation_mode": b"tf_crop_and_resize", "roi": (0.0, 1.0)}]
)
def test_what_is_left_to_onnx(params):
    with pytest.raises(NotCovered):
        resized([1.0, 2.0], scales=(2.0,), mode=b"linear", **params)


def test_interpolated_integers_are_left_to_onnx():
    kind = dtype("int8")
    run = Run({"scales": (2.0,), "mode": b"linear"}, (np.array([1, 2]),), (kind,), (kind,), Float64())
    with pytest.raises(NotCovered):
        TABLE["Resize"].evaluate(run)


def test_nothing_is_resized_to_nothing_alone():
    kind = dtype("float")
    run = Run({"sizes": (1, 4)}, (np.zeros((1, 0)),), (kind,), (kind,), Float64())
    with pytest.raises(ValueError, match="no elements"):
        TABLE["Resize"].evaluate(run)
