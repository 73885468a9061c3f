"""What a contract grants enters the bounds, and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from abstract.contract import PERMISSIVE, TF32_UNIT, Contract
from abstract.dtypes import dtype

node = helper.make_node
WIDE = Contract(flush_subnormals=False, excess_half_precision=False, half_accumulator=False, half_steps=False)
"""16-bit types are computed in float32, and casts to them round."""


@pytest.fixture
def bound(model, run):
    """The bound of one node's result on operands ``a``, ``b``, ...; ``constants`` names those that are weights."""

    def of(operator, kind, *operands, contract=PERMISSIVE, constants="", **attributes):
        names = "abcd"[: len(operands)]
        given = {n: np.asarray(x, dtype=dtype(kind).numpy) for n, x in zip(names, operands, strict=True)}
        made = model(
            [node(operator, list(names), ["y"], **attributes)],
            [(n, kind, x.shape) for n, x in given.items() if n not in constants],
            [("y", kind, None)],
            {n: x for n, x in given.items() if n in constants},
        )
        feeds = {n: x for n, x in given.items() if n not in constants}
        return np.asarray(run(made, feeds, contract=contract)["y"].bound)

    return of


class TestTypes:
    def test_which_are_held_in_narrower_ones(self):
        assert PERMISSIVE.held == {}
        narrow = Contract(narrow_double=True, narrow_int64=True).held
        integers = {dtype("int64"): dtype("int32"), dtype("uint64"): dtype("int32")}
        assert narrow == {dtype("double"): dtype("float"), **integers}
        half = Contract(narrow_double=True, float_as="float16").held
        assert half == {dtype("float"): dtype("float16"), dtype("double"): dtype("float16")}

    @pytest.mark.parametrize("kind", ["float16", "bfloat16", "float8e5m2"])
    def test_half_types_are_summed_and_stepped_in_float_unless_granted(self, kind):
        own = dtype(kind)
        assert PERMISSIVE.accumulator(own) is PERMISSIVE.step(own) is own
        assert WIDE.accumulator(own) is WIDE.step(own) is dtype("float")

    @pytest.mark.parametrize("kind", ["float", "double", "int8"])
    def test_other_types_are_their_own(self, kind):
        assert WIDE.accumulator(dtype(kind)) is WIDE.step(dtype(kind)) is dtype(kind)


    def test_the_number_of_steps_hangs_on_the_type_in_which_they_are_counted(self, bound):
        steps = 0.0, 1.0, 1 / 3 - 1e-9  # four in double, three in float
        assert np.isfinite(bound("Range", "double", *steps, constants="abc")).all()
        assert np.isinf(bound("Range", "double", *steps, constants="abc", contract=Contract(narrow_double=True))).all()


class TestSums:
    ROW = np.linspace(0.5, 1.0, 256)

    @pytest.mark.parametrize("kind", ["float16", "bfloat16"])
    @pytest.mark.parametrize("operator", ["ReduceSum", "ReduceMean", "ReduceL1", "ReduceSumSquare", "ReduceL2"])
    def test_a_wide_accumulator_rounds_once(self, bound, operator, kind):
        result = {"ReduceSum": 192, "ReduceMean": 0.75, "ReduceL1": 192, "ReduceSumSquare": 149, "ReduceL2": 12.2}
        unit = dtype(kind).unit
        wide, narrow = (bound(operator, kind, self.ROW, contract=c).item() for c in (WIDE, PERMISSIVE))
        assert unit * result[operator] < wide < 5 * unit * result[operator]
        assert narrow > 20 * wide

    def test_of_products_as_well(self, bound):
        wide, narrow = (bound("MatMul", "float16", [self.ROW], self.ROW, contract=c).item() for c in (WIDE, PERMISSIVE))
        assert 149 * 2.0**-11 < wide < 2 * 149 * 2.0**-11
        assert narrow > 100 * wide

    def test_constant_weights_may_have_taken_in_a_scale(self, bound):
        """In float16: a scale that follows is multiplied into the weights, which are rounded again."""
        row = self.ROW * np.where(np.arange(256) % 2, 1, -1)
        free, folded = (bound("MatMul", "float16", [row], self.ROW, contract=WIDE, constants=c) for c in ("", "b"))
        assert float((folded - free)[0]) == pytest.approx(2 * 2.0**-11 * 149, rel=0.02)

    def test_partial_sums_overflow_their_accumulator_alone(self, bound):
        row = np.full(300, 300.0) * np.where(np.arange(300) % 2, 1, -1)
        assert np.isinf(bound("ReduceSum", "float16", row))
        assert np.isfinite(bound("ReduceSum", "float16", row, contract=WIDE))

    @pytest.mark.parametrize(("kind", "stuck"), [("float16", 2048), ("bfloat16", 256)])
    def test_stagnation_is_legal_in_half_accumulators_alone(self, bound, kind, stuck):
        """4096 ones, one after the other: from 2048 on (256) each is lost."""
        ones = np.ones(4096)
        assert bound("ReduceSum", kind, ones) >= 4096 - stuck
        assert bound("ReduceSum", kind, ones, contract=WIDE) < 4096 * 2 * dtype(kind).unit

    def test_beyond_the_worst_case_all_is_wrong(self, bound):
        """n u > 1 says little, but not nothing."""
        assert np.isfinite(bound("ReduceSum", "bfloat16", np.ones(4096)))


class TestFunctions:
    def test_one_rounding_where_steps_are_wide(self, bound):
        for operator in ("Exp", "Tanh", "Sigmoid", "Erf"):
            wide, narrow = (bound(operator, "float16", [1.0], contract=c).item() for c in (WIDE, PERMISSIVE))
            assert wide < 1.1 * 2.0**-11 * 2.8
            assert narrow > 5 * wide

    def test_steps_may_be_half_where_sums_are_not(self, bound):
        mixed = Contract(half_accumulator=False)
        assert bound("Softmax", "float16", [0.0, 1.0], contract=mixed)[0] > 2 * bound(
            "Softmax", "float16", [0.0, 1.0], contract=WIDE)[0]  # fmt: skip

    def test_subnormals_of_float16_are_kept_by_float(self, bound):
        tiny = [1e-6]
        assert bound("Exp", "float16", [-13.8], contract=WIDE) < 2.0**-20
        assert bound("Neg", "float16", tiny) == bound("Neg", "float16", tiny, contract=WIDE) == 0
        assert bound("Mul", "float16", tiny, tiny, contract=WIDE) < 2.0**-20 < bound("Mul", "float16", tiny, tiny)

    def test_subnormal_operands_are_zero_where_that_is_granted(self, bound):
        assert bound("Neg", "float", [1e-40]) == pytest.approx(1e-40)
        assert bound("Neg", "float", [1e-40], contract=WIDE) == 0


class TestCasts:
    def cast(self, model, run, kind, x, contract):
        nodes = [node("Cast", ["x"], ["y"], to=dtype("float16").code)]
        made = model(nodes, [("x", kind, [1])], [("y", "float16", [1])])
        return run(made, {"x": [x]}, contract=contract)["y"]

    def test_one_may_be_left_out_where_excess_is_legal(self, model, run):
        y = self.cast(model, run, "float", np.float32(0.1), PERMISSIVE)
        assert y.bound[0] == abs(y.value[0] - np.float16(0.1)) > 0

    def test_else_the_result_is_rounded(self, model, run):
        y = self.cast(model, run, "float", np.float32(0.1), WIDE)
        assert y.value[0] == np.float16(0.1)
        assert y.bound == 0.0

    def test_double_may_be_rounded_twice(self, model, run):
        assert self.cast(model, run, "double", 0.1, WIDE).bound[0] > 0

    def test_an_operand_that_errs_moves_by_whole_steps(self, model, run):
        nodes = [node("Sqrt", ["x"], ["s"]), node("Cast", ["s"], ["y"], to=dtype("float16").code)]
        made = model(nodes, [("x", "float", [3])], [("y", "float16", [3])])
        tie = (1 + 2.0**-11) ** 2  # its root lies between two numbers of float16
        y = run(made, {"x": [2.0, 3.0, tie]}, contract=WIDE)["y"]
        assert y.value[:2].tolist() == [np.float16(np.sqrt(2)), np.float16(np.sqrt(3))]
        assert y.bound[:2].tolist() == [0, 0]
        assert y.bound[2] == 2.0**-10


class TestConstants:
    """(x + c) + d is x + (c + d) in one backend, (x + c) d is x d + c d: an error of u |c| where x + c is 0."""

    def test_a_sum_with_a_constant_errs_with_the_constant(self, bound):
        x, c = [-1000.1], [1000.1]
        assert bound("Add", "float", x, c) < 1e-30
        assert 1000 * 2.0**-24 < bound("Add", "float", x, c, constants="b") < 3 * 1000 * 2.0**-24
        assert bound("Sub", "float", c, [1000.1], constants="a") > 1000 * 2.0**-24

    def test_what_is_made_of_constants_is_one(self, model, run):
        nodes = [node("Neg", ["c"], ["d"]), node("Add", ["x", "d"], ["y"])]
        made = model(nodes, [("x", "float", [1])], [("y", "float", [1])], {"c": np.float32([1000.1])})
        assert run(made, {"x": [np.float32(1000.1)]})["y"].bound > 1e-5

    def test_integers_are_exact(self, bound):
        assert bound("Add", "int32", [-7], [7], constants="b") == 0


TF32 = Contract(tf32=True)


class TestTf32:
    def test_operands_of_float_products_lose_bits(self, bound):
        row = np.linspace(0.5, 1.0, 16)
        plain, tf32 = (bound("MatMul", "float", [row], row, contract=c).item() for c in (PERMISSIVE, TF32))
        size = float(row @ row)
        assert plain < 20 * 2.0**-24 * size
        assert 2 * TF32_UNIT * size < tf32 < 2.1 * TF32_UNIT * size

    def test_other_types_and_operators_do_not(self, bound):
        row = np.linspace(0.5, 1.0, 16)
        for kind in ("double", "float16"):
            plain, tf32 = (bound("MatMul", kind, [row], row, contract=c).item() for c in (PERMISSIVE, TF32))
            assert tf32 <= 2 * plain
        plain, tf32 = (bound("ReduceSum", "float", row, contract=c).item() for c in (PERMISSIVE, TF32))
        assert plain == tf32

    def test_nodes_without_rules_may_be_products(self, bound):
        a, b = np.float32([[1000, 1]]), np.float32([[1], [-1000]])
        plain, tf32 = (bound("Einsum", "float", a, b, contract=c, equation="...ij,jk->ik") for c in (PERMISSIVE, TF32))
        assert plain < 0.1
        assert tf32 > 2 * 1000 * TF32_UNIT


@pytest.mark.parametrize(("loose", "strict", "admitted"), [
    (PERMISSIVE, PERMISSIVE, True),
    (PERMISSIVE, WIDE, True),
    (WIDE, PERMISSIVE, False),
    (PERMISSIVE, Contract(winograd=4), False),
    (Contract(winograd=6), Contract(winograd=4), True),
    (Contract(float_as="float16"), PERMISSIVE, False),
])  # fmt: skip
def test_a_contract_admits_one_that_allows_no_more(loose, strict, admitted):
    assert loose.admits(strict) is admitted
