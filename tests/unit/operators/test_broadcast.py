"""Operators whose operands broadcast, and Cast: integer semantics, shapes, what a decision on inexact values leaves."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from abstract.constraints import Constraints, Infeasible
from abstract.dtypes import dtype
from abstract.operator import Run
from abstract.operators import TABLE
from abstract.operators.broadcast import broadcast_shape
from abstract.program import parse, to_carrier
from abstract.reference import Float64, interpret


def ints(*values):
    return np.array(values, dtype=np.int32)


def floats(*values):
    return np.array(values, dtype=np.float32)


@pytest.mark.parametrize(
    ("name", "inputs", "attributes", "expected"),
    [
        ("Div", (ints(7, -7, 7, -7, 6, -6), ints(2, 2, -2, -2, 3, 3)), {}, (3, -3, -3, 3, 2, -2)),
        ("Div", (np.array([200, 13], np.uint8), np.array([3, 17], np.uint8)), {}, (66, 0)),
        ("Div", (floats(1, 0), floats(4, 5)), {}, (0.25, 0)),
        ("Mod", (ints(7, -7, 7, -7), ints(3, 3, -3, -3)), {}, (1, 2, -2, -1)),
        ("Mod", (ints(7, -7, 7, -7), ints(3, 3, -3, -3)), {"fmod": 1}, (1, -1, 1, -1)),
        ("Mod", (floats(7.5, -7.5), floats(2, 2)), {"fmod": 1}, (1.5, -1.5)),
        ("Pow", (ints(-2, 3, 0), ints(3, 0, 0)), {}, (-8, 1, 1)),
        ("Pow", (floats(2, -2, 9), ints(-1, 3, 0)), {}, (0.5, -8, 1)),
        ("Pow", (ints(2, 3), floats(1.5, 2)), {}, (2, 9)),
        ("Max", (ints(1, 5), ints(3)), {}, (3, 5)),
        ("Min", (floats(1),), {}, (1,)),
        ("Sum", (floats(1, 2), floats(10), floats(100, 200)), {}, (111, 212)),
        ("Mean", (floats(1, 2), floats(10), floats(100, 201)), {}, (37, 71)),
        ("Where", (np.array([True, False]), floats(1, np.nan), floats(np.nan, 2)), {}, (1, 2)),
        ("PRelu", (floats(-2, 3), floats(0.5)), {}, (-1, 3)),
        ("PRelu", (ints(-2, 3), ints(4)), {}, (-8, 3)),
        ("Equal", (np.array([True, False]), np.array([True, True])), {}, (True, False)),
        ("LessOrEqual", (ints(1, 2, 3), ints(2)), {}, (True, True, False)),
        ("Greater", (floats(np.nan, 1), floats(0)), {}, (False, True)),
        ("Xor", (np.array([True, False]), np.array([True])), {}, (False, True)),
        ("BitShift", (np.array([1, 255], np.uint8), np.array([7, 1], np.uint8)), {"direction": "LEFT"}, (128, 254)),
        ("BitShift", (np.array([200], np.uint8), np.array([9], np.uint8)), {"direction": "RIGHT"}, (0,)),
        ("BitwiseAnd", (ints(-1, 12), ints(7)), {}, (7, 4)),
        ("Mul", (np.array([200], np.uint8), np.array([2], np.uint8)), {}, (144,)),
        ("Add", (floats(), floats(1)), {}, ()),
    ],
)
def test_values(laboratory, name, inputs, attributes, expected):
    _, _, (value, _) = laboratory.by_hand(name, inputs, **attributes)
    np.testing.assert_allclose(value.astype(np.float64), np.array(expected, dtype=np.float64), rtol=1e-12)


def test_strings_are_compared(laboratory):
    left, right = np.array(["a", "b"], dtype=object), np.array(["a", "c"], dtype=object)
    node = helper.make_node("Equal", ["x", "y"], ["z"])
    infos = [helper.make_tensor_value_info(n, onnx.TensorProto.STRING, [2]) for n in "xy"]
    out = helper.make_tensor_value_info("z", onnx.TensorProto.BOOL, [2])
    model = helper.make_model(helper.make_graph([node], "g", infos, [out]), opset_imports=[helper.make_opsetid("", 19)])
    result = interpret(parse(model), {"x": left, "y": right})["z"]
    np.testing.assert_array_equal(result.value, [True, False])
    assert np.all(np.asarray(result.bound) == 0)


# -- shapes ----------------------------------------------------------------------------------------------------


def test_what_is_one_under_the_witness_stays_one():
    store = Constraints()
    one, many = store.fresh(1), store.fresh(5)
    assert broadcast_shape(store, (one, many), (many, 1)) == (many, many)
    assert store.resolve(one) == 1


def test_what_is_not_one_is_made_equal():
    store = Constraints()
    a, b = store.fresh(5), store.fresh(5)
    store.freeze()
    assert broadcast_shape(store, (a,), (3, b)) == (3, a)
    assert store.resolve(a) == store.resolve(b)


def test_two_ones_are_equal_and_nothing_more():
    store = Constraints()
    a, b = store.fresh(1), store.fresh(1)
    assert broadcast_shape(store, (a,), (b,)) == (a,)
    assert store.resolve(a) == store.resolve(b) != 1


def test_sizes_that_do_not_broadcast_are_refused():
    store = Constraints()
    with pytest.raises(Infeasible):
        broadcast_shape(store, (3,), (4,))


# -- error rules -----------------------------------------------------------------------------------------------


def bound_of(name, arrays, bounds, types=("float",), out="float", **params):
    kinds = tuple(dtype(types[min(i, len(types) - 1)]) for i in range(len(arrays)))
    carried = tuple(np.asarray(a).astype(k.carrier) for a, k in zip(arrays, kinds, strict=True))
    run = Run(params, carried, kinds, (dtype(out),), Float64())
    with np.errstate(all="ignore"):
        y = tuple(map(np.asarray, TABLE[name].evaluate(run)))
        given = tuple(b if isinstance(b, float) else np.asarray(b, dtype=np.float64) for b in bounds)
        return TABLE[name].error(run, y, given)[0]


def test_a_comparison_is_sure_beyond_both_errors():
    bound = bound_of("Less", ([1.0, 1.0, 1.0], [1.1, 1.3, 1.0]), ([0.1, 0.1, 0.0], [0.1, 0.1, 0.0]), out="bool")
    np.testing.assert_array_equal(bound, [np.inf, 0, 0])


def test_where_an_unsure_condition_leaves_both_branches():
    bound = bound_of(
        "Where", ([True, True], [1.0, 1.0], [4.0, 4.0]), ([np.inf, 0.0], 0.0, [0.5, 0.5]), ("bool", "float", "float")
    )
    np.testing.assert_allclose(bound, [3.5, 0])


def test_where_an_unsure_condition_chooses_among_bools():
    bound = bound_of(
        "Where", ([True, True], [True, True], [True, False]), ([np.inf, np.inf], 0.0, 0.0), ("bool",), "bool"
    )
    np.testing.assert_array_equal(bound, [0, np.inf])


@pytest.mark.parametrize(
    ("name", "other", "expected"), [("And", False, 0), ("And", True, np.inf), ("Or", True, 0), ("Or", False, np.inf),
                                    ("Xor", True, np.inf)]
)  # fmt: skip
def test_a_decisive_operand_settles_the_matter(name, other, expected):
    bound = bound_of(name, ([True], [other]), ([np.inf], 0.0), ("bool",), "bool")
    assert np.max(bound) == expected


def test_a_divisor_that_may_be_zero_leaves_nothing():
    bound = bound_of("Div", ([1.0, 1.0], [0.1, 2.0]), (0.0, [0.2, 0.2]))
    assert np.isinf(bound[0])
    assert bound[1] == pytest.approx(1 / 1.8 - 0.5)


def test_a_remainder_near_its_jump_may_be_anything_in_the_period():
    bound = bound_of("Mod", ([5.999, 5.5], [2.0, 2.0]), ([0.01, 0.01], 0.0), fmod=1)
    assert bound[0] >= 2
    assert bound[1] < 0.011


def test_integers_that_err_shift_to_anything():
    bound = bound_of("BitShift", ([4, 8], [1, 1]), ([1.0, 0.0], 0.0), ("uint8",), "uint8", direction=b"LEFT")
    np.testing.assert_array_equal(bound, [np.inf, 0])


def test_an_integer_to_a_float_power_is_cut_off_where_some_compute_it():
    x, p = ints(7, 2, 3, 2, 2, -2), floats(2, 1.5, 0, -1, 2000, 0.5)
    bound = bound_of("Pow", (x, p), (0.0, 0.0), ("int32", "float"))
    assert bound[:3].tolist() == [1, 0, 1]  # 49 may come out as 48.999..., 2.83 is 2
    assert np.isinf(bound[3:]).all()
    assert np.isinf(bound_of("Pow", (x, p), (1.0, 0.0), ("int32", "float"))).all()
    assert np.max(bound_of("Pow", (ints(7, 2), ints(2, 0)), (0.0, 0.0), ("int32", "int64"))) == 0
    assert np.isinf(bound_of("Pow", (ints(7), ints(-1)), (0.0, 0.0), ("int32", "int64"))).all()


def test_a_power_covers_the_corners_of_its_box():
    bound = bound_of("Pow", ([2.0], [3.0]), ([0.1], [0.1]))
    assert bound[0] >= 2.1**3.1 - 8
    bound = bound_of("Pow", ([-2.0, 0.05], [3.0, -2.0]), ([0.1, 0.1], 0.0))
    assert bound[0] >= 2.1**3 - 8
    assert np.isinf(bound[1])


def test_an_exponent_of_another_type_may_be_rounded_to_the_base():
    assert np.max(bound_of("Pow", ([3.0], [1.1]), (0.0, 0.0), ("float", "double"))) > 0
    assert np.max(bound_of("Pow", ([3.0], [2]), (0.0, 0.0), ("float", "int64"))) == 0


# -- Cast ------------------------------------------------------------------------------------------------------


def cast_to(name, x, bound=0.0, source="float"):
    x = np.asarray(x).astype(dtype(source).carrier)
    run = Run({"to": dtype(name).code}, (x,), (dtype(source),), (dtype(name),), Float64())
    with np.errstate(all="ignore"):
        y = TABLE["Cast"].evaluate(run)
        given = bound if isinstance(bound, float) else np.asarray(bound, dtype=np.float64)
        return y[0], TABLE["Cast"].error(run, y, (given,))[0]


def test_floats_are_cut_off_towards_zero():
    value, bound = cast_to("int32", [-1.7, 1.7, 0.2])
    np.testing.assert_array_equal(value, [-1, 1, 0])
    assert bound == 0.0


def test_what_is_out_of_range_is_undefined():
    _, bound = cast_to("int8", [127.9, 128.0, -129.0, np.nan, np.inf])
    np.testing.assert_array_equal(bound, [0, np.inf, np.inf, np.inf, np.inf])


def test_an_error_across_a_whole_number_is_a_step():
    _, bound = cast_to("int32", [1.95, 1.5, -0.5], [0.1, 0.1, 0.1])
    np.testing.assert_array_equal(bound, [1, 0, 0])


def test_zero_is_false_and_everything_else_true():
    value, bound = cast_to("bool", [0.0, -0.0, 1e-30, np.nan, 0.05], [0.0, 0.0, 0.0, 0.0, 0.1])
    np.testing.assert_array_equal(value, [False, False, True, True, True])
    np.testing.assert_array_equal(bound, [0, 0, 0, 0, np.inf])


def test_a_bool_that_is_unsure_is_a_number_off_by_one():
    _, bound = cast_to("float", [True, False], [np.inf, 0.0], source="bool")
    np.testing.assert_array_equal(bound, [1, 0])


def test_integers_wrap(laboratory):
    _, _, (value, bound) = laboratory.by_hand("Cast", (np.array([300, -1, 128], np.int32),), to=onnx.TensorProto.INT8)
    np.testing.assert_array_equal(value, [44, -1, -128])
    assert np.all(np.asarray(bound) == 0)


def test_cast_like_takes_the_type_of_its_second_operand(laboratory):
    _, _, (value, _) = laboratory.by_hand("CastLike", (floats(2.5), np.array([], np.int64)))
    assert value.dtype == np.int64
    assert to_carrier(np.array([2]), dtype("int64")) == value
