"""Layout, joining, cropping and rearrangement: Reshape to ReverseSequence."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from abstract.constraints import Constraints, Infeasible
from abstract.dtypes import dtype
from abstract.operator import Run, Typing
from abstract.operators import TABLE
from abstract.reference import Float64

OPERATORS = {
    "Reshape": (13, 14, 21, 25), "Identity": (13, 14, 21), "Flatten": (13, 21), "Squeeze": (13, 21),
    "Unsqueeze": (13, 21), "Transpose": (13, 21), "Expand": (13,), "Tile": (13,), "Concat": (13,), "Split": (13, 18),
    "Slice": (13,), "Pad": (13, 18, 19, 24), "CenterCropPad": (18,), "Trilu": (14,), "DepthToSpace": (13,),
    "SpaceToDepth": (13,), "ReverseSequence": (13,), "Shape": (13, 15, 24), "Size": (13, 19),
    "ConstantOfShape": (13, 20), "EyeLike": (13, 22), "Range": (13,),
}  # fmt: skip
PAIRS = [(name, opset) for name, opsets in OPERATORS.items() for opset in opsets]
NEWEST = [(name, opsets[-1]) for name, opsets in OPERATORS.items()]
# These have no operand of floats.
VALUELESS = ("Shape", "Size", "ConstantOfShape", "EyeLike", "Range")
# Every size of these is fixed by a constant.
RIGID = ("ReverseSequence", "ConstantOfShape", "Range")


@pytest.mark.parametrize(("name", "opset"), PAIRS)
def test_generated_calls_are_valid_and_a_runtime_agrees(laboratory, name, opset):
    laboratory.generated(name, opset)


@pytest.mark.untraced
@pytest.mark.parametrize(("name", "opset"), NEWEST)
def test_symbolic_shapes_hold_at_other_sizes(laboratory, name, opset):
    checked = laboratory.at_other_sizes(name, opset)
    assert checked >= (0 if name in RIGID else 10)


@pytest.mark.parametrize(("name", "opset"), [p for p in NEWEST if p[0] not in VALUELESS])
def test_errors_move_with_their_elements(laboratory, name, opset):
    assert laboratory.perturbed(name, opset) >= 9


def ints(*values):
    return np.array(values, dtype=np.int64)


X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
FAR = 2**63 - 1


@pytest.mark.parametrize(
    ("name", "inputs", "attributes"),
    [
        ("Reshape", (X, ints(0, -1)), {}),
        ("Reshape", (X[:0], ints(0, 5, 0)), {"allowzero": 1}),
        ("Reshape", (np.float32(3), ints()), {}),
        ("Flatten", (np.float32(3),), {"axis": 0}),
        ("Squeeze", (X[:1, :1],), {}),
        ("Squeeze", (X[:1, :1], ints(-3)), {}),
        ("Transpose", (np.float32(3),), {}),
        ("Transpose", (X,), {}),
        ("Expand", (X[:1, :1], ints(3, 1, 2, 1)), {}),
        ("Expand", (X[:, :1], ints(1)), {}),
        ("Tile", (X, ints(2, 0, 1)), {}),
        ("Split", (np.repeat(X, 2, axis=2),), {"axis": 2, "num_outputs": 3}),
        ("Split", (X, ints(0, 4)), {"axis": -1}),
        ("Slice", (X, ints(1, FAR), ints(-FAR, -5), ints(2, 1), ints(-1, -2)), {}),
        ("Slice", (X, ints(-100), ints(100), ints(-1)), {}),
        ("Slice", (X, ints(3), ints(1), ints(-1)), {}),
        ("Slice", (X, ints(5), ints(7), ints(-1)), {}),
        ("Slice", (X[:0], ints(1), ints(0), ints(0), ints(-1)), {}),
        ("Pad", (X, ints(0, 0, 7, 0, 0, 9)), {"mode": "wrap"}),
        ("Pad", (X, ints(0, 0, 3, 0, 0, 2)), {"mode": "reflect"}),
        ("Pad", (X, ints(2, 0), np.float32(7), ints(-1)), {}),
        ("Pad", (X > 3, ints(1, 0, 0, 0, 0, 0), np.array(1, bool)), {}),
        ("CenterCropPad", (X, ints(5, 1)), {"axes": [-1, 0]}),
        ("CenterCropPad", (X, ints(1, 6, 3)), {}),
        ("Trilu", (X, ints(-1)[0]), {"upper": 0}),
        ("Trilu", (X > 3, np.array(50)), {}),
        ("DepthToSpace", (np.arange(48, dtype=np.float32).reshape(1, 8, 2, 3),), {"blocksize": 2, "mode": "CRD"}),
        ("SpaceToDepth", (np.arange(48, dtype=np.float32).reshape(1, 2, 4, 6),), {"blocksize": 2}),
        ("ReverseSequence", (X, ints(2, 1, 2)), {}),
        ("ReverseSequence", (X, ints(2, 3)), {"batch_axis": 0, "time_axis": 1}),
        ("Shape", (X,), {"start": -10, "end": 10}),
        ("Shape", (X,), {"start": 2, "end": 1}),
        ("EyeLike", (X[0],), {"k": 1, "dtype": 7}),
        ("Range", (np.array(10), np.array(4), np.array(-2)), {}),
        ("Range", (np.float32(1), np.float32(5), np.float32(2)), {}),
        ("Range", (np.array(10), np.array(4), np.array(2)), {}),
    ],
)
def test_attributes_that_are_not_proposed(laboratory, name, inputs, attributes):
    outputs = 3 if attributes.get("num_outputs") else 2 if name == "Split" else 1
    inputs = tuple(None if x is None else np.asarray(x) for x in inputs)
    model, feeds, found = laboratory.by_hand(name, inputs, outputs=outputs, **attributes)
    expected = ReferenceEvaluator(model).run(None, feeds)
    for (value, bound), want in zip(found if outputs > 1 else (found,), expected, strict=True):
        np.testing.assert_array_equal(value, want)
        assert np.all(np.asarray(bound) == 0)


def test_a_backward_slice_starts_at_the_first_element_when_its_start_lies_before_the_axis(laboratory):
    # The specification clamps such a start to 0; ONNX's reference, which slices as numpy does, gives nothing.
    _, _, (value, _) = laboratory.by_hand("Slice", (X[0, 0], ints(-9), ints(-FAR), ints(0), ints(-1)))
    np.testing.assert_array_equal(value, [0])


def test_a_tensor_without_elements_is_flattened_to_counted_sizes(laboratory):
    # ONNX's reference asks numpy to work out the second size, which it cannot.
    _, _, (value, _) = laboratory.by_hand("Flatten", (X[:0],), axis=2)
    assert value.shape == (0, 4)


def test_negative_pads_take_elements_away(laboratory):
    # ONNX's reference hands them to numpy.pad, which refuses them.
    _, _, (value, bound) = laboratory.by_hand("Pad", (X, ints(-1, 0, 2, 1, 0, -3)))
    expected = np.zeros((2, 3, 3))
    expected[0, :, 2] = X[1, :, 0]
    np.testing.assert_array_equal(value, expected)
    assert np.all(np.asarray(bound) == 0)


def test_edge_padding_may_take_away(laboratory):
    _, _, (value, _) = laboratory.by_hand("Pad", (X[0, 0], ints(-1, 2)), mode="edge")
    np.testing.assert_array_equal(value, [1, 2, 3, 3, 3])


def test_strings_are_padded_with_nothing(laboratory):
    _, _, (value, _) = laboratory.by_hand("Pad", (np.array(["a", "b"], object), ints(1, 0)), opset=21)
    assert value.tolist() == ["", "a", "b"]


@pytest.mark.parametrize("name", ["Trilu", "CenterCropPad"])
def test_what_has_no_zero_is_left_to_onnx(laboratory, name):
    text = np.array([["a", "b"], ["c", "d"]], object)
    extra = (ints(2, 2),) if name == "CenterCropPad" else ()
    model, feeds, _ = laboratory.by_hand(name, (text.astype(object), *extra))
    assert model.graph.node[0].op_type == name
    assert feeds["x0"].dtype == object


def test_a_range_of_fractions_may_be_accumulated(laboratory):
    step = np.float32(0.1)
    _, _, (value, bound) = laboratory.by_hand("Range", (np.float32(0), np.float32(3), step))
    running = np.cumsum(np.full(value.size, step, np.float32), dtype=np.float32) - step
    assert value.size == 30
    assert np.all(np.abs(running - value) <= bound)


def test_a_filled_tensor_has_the_type_of_its_value(laboratory):
    value = numpy_helper.from_array(np.array([3], np.int8))
    _, _, (found, bound) = laboratory.by_hand("ConstantOfShape", (ints(2, 0),), value=value)
    assert found.shape == (2, 0)
    assert bound == 0
    plain = partial(laboratory.by_hand, "ConstantOfShape", (ints(2),))
    np.testing.assert_array_equal(plain()[2][0], [0.0, 0.0])


def test_text_is_padded_by_empty_text():
    """As Pad does, of which CenterCropPad's body is made."""
    run = Run({"shape": (1, 3), "axes": (0, 1)}, (np.array([["a"], ["b"]], object),), (dtype("string"),),
              (dtype("string"),), Float64())  # fmt: skip
    (found,) = TABLE["CenterCropPad"].evaluate(run)
    assert found.tolist() == [["", "a", ""]]


@pytest.mark.parametrize(("name", "shape"), [("SpaceToDepth", (1, 1, 1, 0)), ("DepthToSpace", (0, 3, 2, 2))])
def test_blocks_divide_what_they_are_cut_from_though_there_is_nothing_in_it(name, shape):
    typing = Typing({"blocksize": 2}, (shape,), (), 1, Constraints())
    with pytest.raises(Infeasible):
        TABLE[name].shape(typing)
