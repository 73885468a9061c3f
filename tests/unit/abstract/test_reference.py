"""The reference: float64 and declared integers, bounds that say nothing where nothing can be said."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from onnx import helper

from abstract.contract import Contract
from abstract.dtypes import dtype
from abstract.fallback import Unrunnable
from abstract.reference import TooLarge, Undefined, wrapped


def node(*args, **attributes):
    return helper.make_node(*args, **attributes)


def unary(model, operator, kind="float", shape=(3,), out=None, **attributes):
    made = node(operator, ["x"], ["y"], **attributes)
    return model([made], [("x", kind, list(shape))], [("y", out or kind, list(shape))])


def binary(model, operator, kind="float", shape=(3,)):
    ports = [(n, kind, list(shape)) for n in "ab"]
    return model([node(operator, ["a", "b"], ["y"])], ports, [("y", kind, list(shape))])


class TestValues:
    def test_floats_are_not_rounded_to_their_type(self, model, run):
        y = run(binary(model, "Add"), {"a": [1.0] * 3, "b": [2.0**-30] * 3})["y"]
        assert y.value.tolist() == [1 + 2.0**-30] * 3
        assert y.dtype is dtype("float")

    def test_every_value_of_the_graph_is_there(self, model, run):
        nodes = [node("Neg", ["x"], ["n"]), node("Abs", ["n"], ["y"])]
        values = run(model(nodes, [("x", "float", [1])], [("y", "float", [1])]), {"x": [3.0]})
        assert {name: v.value.tolist() for name, v in values.items()} == {"x": [3], "n": [-3], "y": [3]}

    @pytest.mark.parametrize(
        ("kind", "a", "b", "total"),
        [
            ("int8", 127, 1, -128),
            ("int8", -128, -128, 0),
            ("uint8", 250, 10, 4),
            ("int16", 32767, 2, -32767),
            ("int32", 2**31 - 1, 1, -(2**31)),
            ("uint32", 2**32 - 1, 2, 1),
            ("int64", 2**63 - 1, 1, -(2**63)),
            ("uint64", 2**64 - 1, 2, 1),
        ],
    )
    def test_integers_wrap_in_their_own_width(self, model, run, kind, a, b, total):
        y = run(binary(model, "Add", kind, (1,)), {"a": np.array([a], kind), "b": np.array([b], kind)})["y"]
        assert y.value.tolist() == [total]
        # No text says that they wrap, and of narrow ones some backends saturate (hazard H2.1).
        assert y.bound == (np.inf if dtype(kind).bits < 32 else 0.0)

    @pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int4", "uint4"])
    def test_wrapping_is_that_of_the_machine(self, kind):
        row = dtype(kind)
        numbers = np.arange(-700, 700, 37, dtype=np.int64) * (2 ** max(row.bits - 9, 0)) + 5
        assert wrapped(numbers, row).tolist() == numbers.astype(row.numpy).astype(np.int64).tolist()

    def test_products_of_integers_wrap_after_the_sum(self, model, run):
        made = model(
            [node("MatMul", ["a", "b"], ["y"])],
            [("a", "int32", [1, 2]), ("b", "int32", [2, 1])],
            [("y", "int32", [1, 1])],
        )
        y = run(made, {"a": [[2**20, 2**20]], "b": [[2**11], [2**10]]})["y"]
        assert y.value.tolist() == [[-(2**30)]]

    def test_booleans_stay_booleans(self, model, run):
        y = run(unary(model, "Not", "bool"), {"x": [True, False, True]})["y"]
        assert y.value.dtype == np.bool_
        assert y.value.tolist() == [False, True, False]


class TestRange:
    def test_what_may_leave_the_type_is_unknown(self, model, run):
        y = run(binary(model, "Mul", "float16"), {"a": [300.0, 200.0, 10.0], "b": [300.0, 300.0, 10.0]})["y"]
        assert np.isinf(y.bound).tolist() == [True, False, False]
        assert y.bound[2] < 0.1

    def test_also_what_a_later_operation_brings_back(self, model, run):
        nodes = [node("Mul", ["a", "b"], ["m"]), node("Div", ["m", "b"], ["y"])]
        ports = [(n, "float16", [2]) for n in "ab"]
        values = run(model(nodes, ports, [("y", "float16", [2])]), {"a": [300.0, 2.0], "b": [300.0, 4.0]})
        assert np.isinf(values["y"].bound).tolist() == [True, False]

    def test_a_conversion_out_of_range_is_unknown(self, model, run):
        made = unary(model, "Cast", "float", (4,), out="int8", to=dtype("int8").code)
        y = run(made, {"x": [1.5, 127.0, 300.0, np.nan]})["y"]
        assert np.isinf(np.broadcast_to(y.bound, 4)).tolist() == [False, False, True, True]

    def test_moved_values_are_exact_whatever_they_are(self, model, run):
        made = unary(model, "Transpose", "float16", (2, 2))
        y = run(made, {"x": [[1.0, np.inf], [np.nan, 65504.0]]})["y"]
        assert np.all(np.asarray(y.bound) == 0.0)

    def test_not_a_number_is_unknown_where_an_error_could_make_it_one(self, model, run):
        nodes = [node("Sub", ["x", "one"], ["d"]), node("Sqrt", ["d"], ["y"])]
        made = model(nodes, [("x", "float", [2])], [("y", "float", [2])], {"one": np.float32(1)})
        y = run(made, {"x": [1.0, 5.0]})["y"]
        assert np.isinf(y.bound).tolist() == [True, False]


class TestBounds:
    def test_a_correctly_rounded_operation_errs_by_half_an_ulp(self, model, run):
        y = run(binary(model, "Add"), {"a": [1.0] * 3, "b": [2.0**-30] * 3})["y"]
        assert np.all(y.bound >= np.abs(np.float32(y.value) - y.value))
        assert np.all(y.bound <= 1.01 * 2.0**-24)

    def test_bounds_grow_along_a_chain(self, model, run):
        nodes = [node("Add", [f"v{i}", "x"], [f"v{i + 1}"]) for i in range(6)]
        made = model(nodes, [("v0", "float", [1]), ("x", "float", [1])], [("v6", "float", [1])])
        values = run(made, {"v0": [1.0], "x": [1.0]})
        bounds = [float(np.max(values[f"v{i}"].bound)) for i in range(7)]
        assert bounds[0] == 0.0
        assert bounds == sorted(set(bounds))

    def test_narrow_types_err_more(self, model, run):
        feeds = {"a": [1.0] * 3, "b": [0.5] * 3}
        bounds = [float(np.max(run(binary(model, "Add", k), feeds)["y"].bound)) for k in ("double", "float", "float16")]
        assert bounds == sorted(bounds)
        assert bounds[1] > 1e6 * bounds[0]

    def test_a_late_parameter_that_errs_makes_everything_unknown(self, model, run):
        nodes = [
            node("Add", ["x", "x"], ["s"]),
            node("ReduceMax", ["s"], ["m"], keepdims=0),
            node("Clip", ["x", "", "m"], ["y"]),
        ]
        y = run(model(nodes, [("x", "float", [2])], [("y", "float", [2])]), {"x": [1.0, 2.0]})["y"]
        assert np.isinf(y.bound).all()
        assert y.value.tolist() == [1, 2]


class TestHeldTypes:
    HELD = Contract(narrow_double=True, narrow_int64=True)

    def test_inputs_lose_what_the_narrow_type_cannot_hold(self, model, run):
        values = run(unary(model, "Identity", "double", (2,)), {"x": [0.1, 0.5]}, contract=self.HELD)
        assert values["x"].bound[0] == abs(np.float64(np.float32(0.1)) - 0.1) > 0
        assert values["x"].bound[1] == 0

    def test_operations_round_with_the_narrow_unit(self, model, run):
        feeds = {"a": [0.1] * 3, "b": [0.7] * 3}
        plain = run(binary(model, "Add", "double"), feeds)["y"].bound
        held = run(binary(model, "Add", "double"), feeds, contract=self.HELD)["y"].bound
        assert np.all(held > 2.0**-26)
        assert np.all(plain < 2.0**-50)

    def test_parameters_lose_too(self, model, run):
        constants = {"low": np.float64(0.01), "pads": np.array([1, 1])}
        for operator, names in (("Clip", ["x", "low"]), ("Pad", ["x", "pads", "low"])):
            made = model([node(operator, names, ["y"])], [("x", "double", [2])], [("y", "double", [None])], constants)
            held = run(made, {"x": [-1.0, 0.5]}, contract=self.HELD)["y"]
            assert np.max(held.bound[held.value == 0.01]) >= abs(float(np.float32(0.01)) - 0.01)
            assert np.all(held.bound < 1e-9)
            assert np.all(run(made, {"x": [-1.0, 0.5]})["y"].bound == 0)

    def test_integers_outside_the_narrow_type_are_unknown(self, model, run):
        feeds = {"a": np.array([2**31 - 1, 2**40, 5]), "b": np.array([1, 1, 1])}
        values = run(binary(model, "Add", "int64"), feeds, contract=self.HELD)
        assert np.isinf(np.broadcast_to(values["y"].bound, 3)).tolist() == [True, True, False]
        assert values["y"].value.tolist() == [2**31, 2**40 + 1, 6]

    def test_so_are_unsigned_ones(self, model, run):
        feeds = {"a": np.array([2**32 + 1, 2**31, 5], np.uint64), "b": np.array([1, 1, 1], np.uint64)}
        values = run(binary(model, "BitwiseXor", "uint64"), feeds, contract=self.HELD)
        assert np.isinf(np.broadcast_to(values["y"].bound, 3)).tolist() == [True, True, False]
        assert values["y"].value.tolist() == [2**32, 2**31 + 1, 4]

    def test_other_types_are_as_they_were(self, model, run):
        feeds = {"a": [0.1] * 3, "b": [0.7] * 3}
        plain, held = (run(binary(model, "Add"), feeds, contract=c)["y"] for c in (Contract(), self.HELD))
        assert plain.bound.tolist() == held.bound.tolist()


class TestTooLarge:
    def refused(self, run, made, feeds, limit=1000):
        tracemalloc.start()
        try:
            with pytest.raises(TooLarge, match=r"\d+ elements"):
                run(made, feeds, limit=limit)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    def test_expand(self, model, run):
        made = model(
            [node("Expand", ["x", "s"], ["y"])],
            [("x", "float", [1])],
            [("y", "float", [None, None])],
            {"s": np.array([1 << 20, 1 << 20])},
        )
        assert self.refused(run, made, {"x": [1.0]}) < 10**6

    def test_a_late_shape(self, model, run):
        made = model([node("ConstantOfShape", ["s"], ["y"])], [("s", "int64", [1])], [("y", "float", [None])])
        assert self.refused(run, made, {"s": [1 << 30]}) < 10**6

    @pytest.mark.parametrize(
        ("operator", "a", "b"),
        [("Add", (4096, 1), (1, 4096)), ("MatMul", (4096, 1), (1, 4096)), ("Equal", (4096, 1), (1, 4096))],
    )
    def test_broadcasting_and_outer_products(self, model, run, operator, a, b):
        out = "bool" if operator == "Equal" else "float"
        made = model(
            [node(operator, ["a", "b"], ["y"])],
            [("a", "float", list(a)), ("b", "float", list(b))],
            [("y", out, [4096, 4096])],
        )
        assert self.refused(run, made, {"a": np.zeros(a), "b": np.zeros(b)}, 10**6) < 10**6

    def test_attributes_that_blow_up(self, model, run):
        pool = node("AveragePool", ["x"], ["y"], kernel_shape=[1000, 1000], pads=[999] * 4)
        made = model([pool], [("x", "float", [1, 1, 3, 3])], [("y", "float", [1, 1, None, None])])
        assert self.refused(run, made, {"x": np.zeros((1, 1, 3, 3))}) < 10**6

    def test_transposed_convolution(self, model, run):
        made = model(
            [node("ConvTranspose", ["x", "w"], ["y"], strides=[5000, 5000])],
            [("x", "float", [1, 1, 3, 3]), ("w", "float", [1, 1, 1, 1])],
            [("y", "float", [1, 1, None, None])],
        )
        assert self.refused(run, made, {"x": np.zeros((1, 1, 3, 3)), "w": np.zeros((1, 1, 1, 1))}, 10**6) < 10**6

    def test_what_is_not_larger_is_run(self, model, run):
        made = binary(model, "Add", "float", (1000,))
        assert run(made, {"a": np.zeros(1000), "b": np.zeros(1000)}, limit=1000)["y"].value.shape == (1000,)


class TestUndefined:
    """What the standard leaves open is undecidable for a stranger's model, and refused where that is asked for."""

    @pytest.mark.parametrize(
        ("operator", "kind", "a", "b", "open_"),
        [
            ("Div", "int32", [7, 7, -(2**31), 6], [0, 2, -1, -1], [True, False, True, False]),
            ("Mod", "int32", [7, 7, -(2**31), 6], [0, 2, -1, -1], [True, False, True, False]),
            ("Div", "uint8", [7, 0], [0, 5], [True, False]),
            ("Div", "int64", [-(2**63), 2**62], [-1, -1], [True, False]),
        ],
    )
    def test_quotients_of_integers(self, model, run, operator, kind, a, b, open_):
        made = binary(model, operator, kind, (len(a),))
        feeds = {"a": np.array(a, kind), "b": np.array(b, kind)}
        bound = np.broadcast_to(run(made, feeds)["y"].bound, len(a))
        assert np.isinf(bound).tolist() == open_
        assert np.all(bound[~np.array(open_)] == 0)
        with pytest.raises(Undefined, match=rf"{operator}: (integer|least-integer)-"):
            run(made, feeds, strict=True)

    def test_shifts_out_of_the_type(self, model, run):
        shift = node("BitShift", ["a", "b"], ["y"], direction="LEFT")
        made = model([shift], [(n, "uint8", [3]) for n in "ab"], [("y", "uint8", [3])])
        y = run(made, {"a": [3, 3, 3], "b": [7, 8, 200]})["y"]
        assert np.isinf(np.broadcast_to(y.bound, 3)).tolist() == [False, True, True]
        assert y.value[0] == 128
        with pytest.raises(Undefined):
            run(made, {"a": [3, 3, 3], "b": [7, 8, 200]}, strict=True)

    def test_overflow_is_refused_only_where_that_is_asked_for(self, model, run):
        feeds = {"a": np.int8([100]), "b": np.int8([100])}
        made = binary(model, "Add", "int8", (1,))
        assert run(made, feeds)["y"].value.tolist() == [-56]
        with pytest.raises(Undefined, match="Add overflows"):
            run(made, feeds, strict=True)

    def test_what_is_defined_is_run(self, model, run):
        made = binary(model, "Div", "int32", (2,))
        y = run(made, {"a": np.int32([7, -7]), "b": np.int32([2, 2])}, strict=True)["y"]
        assert (y.value.tolist(), y.bound) == ([3, -3], 0.0)


class TestFallback:
    """What has no row is run by ONNX's own operators."""

    def test_if_reads_values_of_the_outer_graph(self, model, run):
        branches = {
            f"{way}_branch": helper.make_graph(
                [node(operator, ["x"], [f"{way}_y"])],
                way,
                [],
                [helper.make_tensor_value_info(f"{way}_y", dtype("float").code, [2])],
            )
            for way, operator in (("then", "Neg"), ("else", "Abs"))
        }
        made = model(
            [node("If", ["c"], ["y"], **branches)],
            [("c", "bool", []), ("x", "float", [2])],
            [("y", "float", [2])],
        )
        for flag, expected in ((True, [-1, 2]), (False, [1, 2])):
            y = run(made, {"c": flag, "x": [1.0, -2.0]})["y"]
            assert y.value.tolist() == expected
            assert y.bound == 0.0

    def test_loop(self, model, run):
        ports = [("i", "int64", []), ("go", "bool", []), ("v", "float", [1])]
        body = helper.make_graph(
            [node("Add", ["v", "x"], ["w"]), node("Identity", ["go"], ["on"])],
            "body",
            [helper.make_tensor_value_info(n, dtype(k).code, s) for n, k, s in ports],
            [
                helper.make_tensor_value_info("on", dtype("bool").code, []),
                helper.make_tensor_value_info("w", dtype("float").code, [1]),
            ],
        )
        made = model(
            [node("Loop", ["n", "", "zero"], ["y"], body=body)],
            [("x", "float", [1])],
            [("y", "float", [1])],
            {"n": np.array(4), "zero": np.float32([0])},
        )
        assert run(made, {"x": [2.5]})["y"].value.tolist() == [10]

    @pytest.mark.parametrize("shape", [[], [2], [2, 3]])
    def test_scan_outputs_of_a_loop_are_stacked(self, model, run, shape):
        ports = [("i", "int64", []), ("go", "bool", [])]
        body = helper.make_graph(
            [node("Neg", ["x"], ["w"]), node("Identity", ["go"], ["on"])],
            "body",
            [helper.make_tensor_value_info(n, dtype(k).code, s) for n, k, s in ports],
            [
                helper.make_tensor_value_info("on", dtype("bool").code, []),
                helper.make_tensor_value_info("w", dtype("float").code, shape),
            ],
        )
        loop = node("Loop", ["n", "go"], ["y"], body=body)
        constants = {"n": np.array(4), "go": np.ones((), bool)}
        made = model([loop], [("x", "float", shape)], [("y", "float", [4, *shape])], constants)
        x = np.arange(np.prod(shape)).reshape(shape)
        assert run(made, {"x": x})["y"].value.tolist() == [(-x).tolist()] * 4

    def test_a_loop_ends_when_its_condition_says_so(self, model, run):
        ports = [("i", "int64", []), ("go", "bool", []), ("v", "int64", [])]
        body = helper.make_graph(
            [node("Add", ["v", "i"], ["w"]), node("Less", ["w", "top"], ["on"])],
            "body",
            [helper.make_tensor_value_info(n, dtype(k).code, s) for n, k, s in ports],
            [helper.make_tensor_value_info("on", dtype("bool").code, []), helper.make_tensor_value_info("w", 7, [])],
        )
        made = model(
            [node("Loop", ["", "", "v0"], ["y"], body=body)],
            [("top", "int64", [])],
            [("y", "int64", [])],
            {"v0": np.array(0)},
        )
        y = run(made, {"top": 5})["y"]
        assert y.value.tolist() == 0 + 1 + 2 + 3
        # The text's pseudocode ignores the body's condition and never ends (hazard loop-without-end).
        assert not y.shaped

    def test_sequences(self, model, run):
        nodes = [
            node("SequenceConstruct", ["x", "x"], ["s"]),
            node("SequenceInsert", ["s", "x"], ["t"]),
            node("SequenceLength", ["t"], ["n"]),
            node("ConcatFromSequence", ["t"], ["y"], axis=0),
        ]
        values = run(model(nodes, [("x", "float", [1])], [("y", "float", [3]), ("n", "int64", [])]), {"x": [2.0]})
        assert isinstance(values["t"].value, list)
        assert values["n"].value.tolist() == 3
        assert values["y"].value.tolist() == [2, 2, 2]

    def test_strings(self, model, run):
        made = model(
            [node("StringConcat", ["a", "b"], ["y"])],
            [("a", "string", [2]), ("b", "string", [2])],
            [("y", "string", [2])],
        )
        y = run(made, {"a": np.array(["é", ""], object), "b": np.array(["x", "y"], object)})["y"]
        assert (y.value.tolist(), y.bound, y.dtype) == (["éx", "y"], 0.0, dtype("string"))

    def test_an_inexact_operand_widens_the_bound(self, model, run, rowless):
        rowless("Det")
        det = node("Det", ["m"], ["y"])
        alone = model([det], [("m", "float", [2, 2])], [("y", "float", [])])
        nodes = [node("MatMul", ["x", "x"], ["m"]), det]
        after = model(nodes, [("x", "float", [2, 2])], [("y", "float", [])])
        x = np.array([[1e3, 1e3], [1e3, 1e3 + 1]])
        exact, inexact = run(alone, {"m": x @ x})["y"].bound, run(after, {"x": x})["y"].bound
        assert float(inexact) > float(exact)

    @pytest.mark.parametrize(
        "random",
        [
            node("RandomNormal", [], ["y"], shape=[3]),
            node("RandomUniformLike", ["x"], ["y"]),
            node("Bernoulli", ["x"], ["y"]),
        ],
        ids=lambda n: n.op_type,
    )
    def test_random_numbers_are_undecidable(self, model, run, random):
        made = model([random], [("x", "float", [3])], [("y", "float", [3])])
        y = run(made, {"x": [0.5] * 3})["y"]
        assert y.value.shape == (3,)
        assert np.isinf(np.broadcast_to(y.bound, 3)).all()

    def test_dropout_in_training_too_and_in_inference_not(self, model, run):
        def dropped(training):
            constants = {"r": np.float32(0.5), "t": np.array(training)}
            made = model(
                [node("Dropout", ["x", "r", "t"], ["y"])], [("x", "float", [9])], [("y", "float", [9])], constants
            )
            return run(made, {"x": np.ones(9)})["y"]

        assert np.isinf(np.broadcast_to(dropped(training=True).bound, 9)).all()
        assert dropped(training=False).value.tolist() == [1] * 9
        assert dropped(training=False).bound == 0.0

    def test_random_numbers_inside_of_a_branch_are_undecidable(self, model, run):
        branches = {
            f"{way}_branch": helper.make_graph(
                [node("RandomUniform", [], [f"{way}_y"], shape=[3])],
                way,
                [],
                [helper.make_tensor_value_info(f"{way}_y", dtype("float").code, [3])],
            )
            for way in ("then", "else")
        }
        made = model([node("If", ["c"], ["y"], **branches)], [("c", "bool", [])], [("y", "float", [3])])
        assert np.isinf(np.broadcast_to(run(made, {"c": True})["y"].bound, 3)).all()

    def test_random_numbers_inside_of_a_function_are_undecidable(self, model, run):
        body = [node("RandomUniformLike", ["a"], ["b"])]
        function = helper.make_function("own", "Noise", ["a"], ["b"], body, [helper.make_opsetid("", 21)])
        call = node("Noise", ["x"], ["y"], domain="own")
        made = model(
            [call], [("x", "float", [3])], [("y", "float", [3])], functions=[function], opsets={"": 21, "own": 1}
        )
        assert np.isinf(np.broadcast_to(run(made, {"x": [1.0] * 3})["y"].bound, 3)).all()

    @pytest.mark.parametrize(("kind", "least"), [("float", 1e-3), ("float16", 2.0**-10), ("bfloat16", 2.0**-7)])
    def test_narrow_types_are_granted_some_units(self, model, run, kind, least):
        made = model([node("Einsum", ["x"], ["y"], equation="...i->i")], [("x", kind, [1])], [("y", kind, [1])])
        assert least <= float(run(made, {"x": [1.0]})["y"].bound[0]) < 0.1

    def test_the_bound_is_that_of_the_type_in_which_a_target_holds_it(self, model, run, rowless):
        rowless("Det")
        made = model([node("Det", ["x"], ["y"])], [("x", "float", [1, 1])], [("y", "float", [])])
        held = run(made, {"x": [[1.0]]}, contract=Contract(float_as="bfloat16"))["y"]
        assert float(held.bound) >= 2.0**-7

    def test_integers_outside_of_the_type_in_which_a_target_holds_them_are_unknown(self, model, run):
        square = node("Einsum", ["x", "x"], ["y"], equation="i,i->i")
        made = model([square], [("x", "int64", [2])], [("y", "int64", [2])])
        contracts = (Contract(), Contract(narrow_int64=True))
        plain, narrow = (run(made, {"x": [3, 2**20]}, contract=c)["y"].bound for c in contracts)
        assert np.all(np.asarray(plain) == 0)
        assert np.isinf(narrow).tolist() == [False, True]

    def test_quantisation_may_fall_on_either_side_of_a_tie(self, model, run):
        quantise = node("QuantizeLinear", ["x", "scale", "zero"], ["y"])
        constants = {"scale": np.float32(0.1), "zero": np.int8(0)}
        y = run(model([quantise], [("x", "float", [3])], [("y", "int8", [3])], constants), {"x": [0.25, 1.0, 0.3]})["y"]
        np.testing.assert_array_equal(y.bound, [1, 0, 0])
        np.testing.assert_array_equal(y.value, [2, 10, 3])

    def test_what_follows_the_unknown_is_unknown(self, model, run, rowless):
        rowless("Det")
        nodes = [node("RandomNormal", [], ["r"], shape=[2, 2]), node("Det", ["r"], ["y"])]
        y = run(model(nodes, [], [("y", "float", [])]))["y"]
        assert np.isinf(y.bound)

    def test_what_follows_an_unsure_integer_is_unknown(self, model, run):
        nodes = [
            node("Add", ["x", "x"], ["s"]),
            node("Cast", ["s"], ["i"], to=dtype("int64").code),
            node("NonZero", ["i"], ["y"]),
        ]
        values = run(model(nodes, [("x", "float", [1])], [("y", "int64", [1, None])]), {"x": [0.5]})
        assert np.all(values["i"].bound == 1)
        assert np.isinf(values["y"].bound).all()

    def test_so_is_a_sequence_of_the_unknown(self, model, run):
        nodes = [
            node("RandomNormal", [], ["r"], shape=[2]),
            node("SequenceConstruct", ["r"], ["s"]),
            node("ConcatFromSequence", ["s"], ["y"], axis=0),
        ]
        values = run(model(nodes, [], [("y", "float", [2])]))
        assert np.isinf(values["s"].bound)
        assert np.isinf(np.broadcast_to(values["y"].bound, 2)).all()

    def test_what_onnx_cannot_run_raises(self, model, run):
        made = model([node("Relu", ["x"], ["y"], domain="com.example")], [("x", "float", [1])], [("y", "float", [1])])
        with pytest.raises(Unrunnable, match="Relu"):
            run(made, {"x": [1.0]})


def test_inputs_that_do_not_fit_are_an_error_of_one_line(model, run):
    made = model(
        [node("Reshape", ["x", "s"], ["y"])], [("x", "float", [6])], [("y", "float", [2, 2])], {"s": np.array([2, 2])}
    )
    with pytest.raises(ValueError, match=r"^Reshape: the node does not fit its inputs"):
        run(made, {"x": np.zeros(6)})
