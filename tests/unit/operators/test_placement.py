"""Col2Im and MaxUnpool: by hand, against ONNX's evaluator and a runtime."""

from __future__ import annotations

import numpy as np
import pytest

from abstract.dtypes import dtype
from abstract.operator import NotCovered, Run
from abstract.operators import TABLE
from abstract.reference import Float64


def applied(name, inputs, kind="float", e=(0.0, 0.0), **params):
    kinds = (dtype(kind), dtype("int64"))[: len(inputs)]
    run = Run(params, tuple(map(np.asarray, inputs)), kinds, kinds[:1], Float64())
    y = TABLE[name].evaluate(run)
    return y[0], np.broadcast_to(TABLE[name].error(run, y, e[: len(inputs)])[0], y[0].shape)


def test_generated_pictures_are_valid_and_onnx_agrees(laboratory):
    # ONNX Runtime puts dilated blocks of three axes elsewhere (docs/disputes.md), and has float alone.
    laboratory.generated("Col2Im", 18, 16, dtypes=("double", "int8", "uint64"))


@pytest.mark.parametrize("opset", [13, 22])
def test_generated_calls_are_valid_and_a_runtime_agrees(laboratory, opset):
    laboratory.generated("MaxUnpool", opset, dtypes=("float", "float16", "int64"))


@pytest.mark.parametrize(("name", "opset"), [("Col2Im", 18), ("MaxUnpool", 22)])
def test_errors_cover_every_move_of_the_inputs(laboratory, name, opset):
    assert laboratory.perturbed(name, opset, dtypes=("double", "int64")) >= 9


@pytest.mark.untraced
@pytest.mark.parametrize("element_type", ["float", "float16", "double"])
def test_legal_recomputations_stay_within_the_bound(laboratory, element_type):
    laboratory.recomputed("Col2Im", 18, (element_type,), 8)


@pytest.mark.untraced
def test_symbolic_shapes_hold_at_other_sizes(laboratory):
    assert laboratory.at_other_sizes("Col2Im", 18) >= 5


def test_what_overlaps_is_added():
    y, bound = applied("Col2Im", (np.arange(1.0, 9).reshape(1, 2, 4),), image_shape=(1, 5), block_shape=(1, 2))
    assert y.ravel().tolist() == [1, 2 + 5, 3 + 6, 4 + 7, 8]
    assert bound[0, 0, 0, 0] == bound[0, 0, 0, 4] == 0 < bound[0, 0, 0, 1]


def test_strides_pads_and_dilations():
    x = np.arange(1.0, 5).reshape(1, 2, 2)
    y, _ = applied("Col2Im", (x,), image_shape=(1, 3), block_shape=(1, 2), strides=(1, 2), pads=(0, 1, 0, 1))
    assert y.ravel().tolist() == [3, 2, 4]
    y, _ = applied("Col2Im", (x,), image_shape=(1, 4), block_shape=(1, 2), dilations=(1, 2))
    assert y.ravel().tolist() == [1, 2, 3, 4]


def test_integers_are_exact_and_flags_cannot_be_added():
    y, bound = applied("Col2Im", (np.ones((1, 2, 4), int),), "int8", image_shape=(1, 5), block_shape=(1, 2))
    assert (y.dtype, bound.max()) == (np.int64, 0)
    with pytest.raises(NotCovered):
        applied("Col2Im", (np.ones((1, 2, 4), bool),), "bool", image_shape=(1, 5), block_shape=(1, 2))
    with pytest.raises(NotCovered):
        applied("Col2Im", (np.ones((1, 2, 4)),), image_shape=(1, 1), block_shape=(1, 2))


@pytest.mark.parametrize("given", [{}, {"output_shape": (1, 1, 4)}])
def test_elements_go_where_their_indices_say(given):
    inputs = (np.array([[[5.0, 6.0]]]), np.array([[[1, 2]]]))
    e = (np.array([[[0.5, 0.25]]]), 0.0)
    y, bound = applied("MaxUnpool", inputs, e=e, kernel_shape=(2,), strides=(2,), **given)
    assert (y.ravel().tolist(), bound.ravel().tolist()) == ([0, 5, 6, 0], [0, 0.5, 0.25, 0])
    assert np.isinf(applied("MaxUnpool", inputs, e=(0.0, 1.0), kernel_shape=(2,), strides=(2,), **given)[1]).all()


def test_a_larger_output_has_what_is_given_back_in_its_corner():
    inputs = (np.array([[[[5.0]]]]), np.array([[[[3]]]]))
    y, _ = applied("MaxUnpool", inputs, kernel_shape=(2, 2), output_shape=(1, 1, 3, 3))
    assert y.ravel().tolist() == [0, 0, 0, 0, 5, 0, 0, 0, 0]
    with pytest.raises(NotCovered):
        applied("MaxUnpool", inputs, kernel_shape=(2, 2), output_shape=(1, 1, 1, 1))


def test_indices_beyond_the_output_are_left_to_onnx():
    with pytest.raises(NotCovered):
        applied("MaxUnpool", (np.ones((1, 1, 2)), np.array([[[1, 9]]])), kernel_shape=(2,))
