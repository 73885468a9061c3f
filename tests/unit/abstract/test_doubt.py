"""What must not be called wrong: answers that legal backends differ in, each once reported as a fault of one."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from backends.tensor import from_numpy
from fuzz.judge.compare import compare
from fuzz.judge.verdict import Word

node = helper.make_node
NAN = np.nan


def floats(*values):
    return np.array(values, np.float32)


class TestShapesThatHangOnValues:
    def near_ties(self):
        x = np.linspace(0.1, 0.9, 64, dtype=np.float32)
        constants = {"third": np.float32(1 / 3), "threshold": (x.astype(np.float64) / 3).astype(np.float32)}
        return x, constants, [node("Mul", ["x", "third"], ["m"]), node("Greater", ["m", "threshold"], ["b"])]

    def test_nothing_is_due_of_what_nonzero_finds_next_to_zero(self, model, run):
        x, constants, nodes = self.near_ties()
        nodes = [nodes[0], node("Sub", ["m", "threshold"], ["d"]), node("NonZero", ["d"], ["y"])]
        y = run(model(nodes, [("x", "float", [64])], [("y", "int64", [1, "n"])], constants), {"x": x})["y"]
        assert not y.shaped
        assert compare(from_numpy(np.zeros((1, 0), np.int64)), y).word is Word.UNDECIDABLE

    def test_one_unsure_element_next_to_zero_is_enough(self, model, run):
        nodes = [node("Sub", ["x", "c"], ["a"]), node("Relu", ["a"], ["r"]), node("NonZero", ["r"], ["y"])]
        constants = {"c": np.float32(1 / 3)}
        x = floats(np.nextafter(np.float32(1 / 3), np.float32(1)), 0.9)
        twice = [node("Mul", ["z", "one"], ["w"]), node("Mul", ["w", "one"], ["x"])]
        ports = [("z", "float", [2])], [("y", "int64", [1, "n"])]
        made = model(twice + nodes, *ports, {**constants, "one": np.float32(1)})
        assert not run(made, {"z": x})["y"].shaped

    def test_nor_of_what_is_computed_from_it(self, model, run):
        x, constants, nodes = self.near_ties()
        nodes += [node("Compress", ["x", "b"], ["c"]), node("Shape", ["c"], ["s"]), node("Cast", ["s"], ["y"], to=1)]
        values = run(model(nodes, [("x", "float", [64])], [("y", "float", [1])], constants), {"x": x})
        assert [values[n].shaped for n in "mbcsy"] == [True, True, False, False, False]
        assert values["y"].bound == np.inf

    @pytest.mark.parametrize(
        ("start", "limit", "delta", "sure"),
        [(0, 0.3, 0.1, False), (1, 1.7, 0.1, False), (0, 0.35, 0.1, True), (0, 4, 1, True), (-3, 3, 0.5, True)],
    )
    def test_the_number_of_steps_of_a_range(self, model, run, start, limit, delta, sure):
        constants = {n: np.float32(v) for n, v in (("s", start), ("l", limit), ("d", delta))}
        y = run(model([node("Range", list("sld"), ["y"])], (), [("y", "float", ["n"])], constants))["y"]
        assert y.shaped is sure

    def test_random_numbers_have_a_shape(self, model, run):
        y = run(model([node("RandomNormal", [], ["y"], shape=[2])], (), [("y", "float", [2])]))["y"]
        assert y.shaped
        assert compare(from_numpy(floats(1)), y).word is Word.WRONG


class TestNan:
    @pytest.mark.parametrize("operator", ["Relu", "Sign", "ThresholdedRelu"])
    def test_no_text_says_what_becomes_of_it(self, model, run, operator):
        y = run(model([node(operator, ["x"], ["y"])], [("x", "float", [3])], [("y", "float", [3])]),
                {"x": floats(NAN, 2, -1)})["y"]  # fmt: skip
        assert np.broadcast_to(y.bound, 3).tolist() == [np.inf, 0, 0]

    @pytest.mark.parametrize("operator", ["Max", "Min"])
    def test_nor_which_operand_wins(self, model, run, operator):
        y = run(model([node(operator, ["x", "z"], ["y"])], [("x", "float", [2])], [("y", "float", [2])],
                      {"z": floats(1, 1)}), {"x": floats(NAN, 2)})["y"]  # fmt: skip
        assert y.bound.tolist() == [np.inf, 0]

    def test_what_moves_it_keeps_it(self, model, run):
        y = run(
            model([node("Identity", ["x"], ["y"])], [("x", "float", [1])], [("y", "float", [1])]), {"x": floats(NAN)}
        )
        assert y["y"].bound == 0.0


class TestSubnormals:
    @pytest.mark.parametrize(("operator", "bound"), [("Relu", [1e-40, 0]), ("Sign", [2, 0])])
    def test_an_input_may_be_read_as_zero(self, model, run, operator, bound):
        y = run(model([node(operator, ["x"], ["y"])], [("x", "float", [2])], [("y", "float", [2])]),
                {"x": floats(1e-40, 1)})["y"]  # fmt: skip
        assert (np.broadcast_to(y.bound, 2) >= np.float32(bound) * 0.49).all()
        assert np.broadcast_to(y.bound, 2)[1] == 0

    def test_a_quotient_of_them_is_anything(self, model, run):
        x = floats(1e-39)
        y = run(model([node("Div", ["x", "x"], ["y"])], [("x", "float", [1])], [("y", "float", [1])]), {"x": x})["y"]
        assert y.bound == np.inf

    def test_those_of_float16_are_not(self, model, run):
        x = np.array([1e-7], np.float16)
        y = run(model([node("Relu", ["x"], ["y"])], [("x", "float16", [1])], [("y", "float16", [1])]), {"x": x})["y"]
        assert y.bound == 0.0


def residue(scale):
    """x - 3 (x / 3), times a number: nothing but the roundings of the body."""
    return [
        node("Constant", [], ["t"], value_float=3.0), node("Constant", [], ["k"], value_float=scale),
        node("Div", ["x", "t"], ["q"]), node("Mul", ["q", "t"], ["p"]), node("Sub", ["p", "x"], ["d"]),
        node("Mul", ["d", "k"], ["o"]),
    ]  # fmt: skip


class TestBodies:
    x = np.random.default_rng(0).random(64, dtype=np.float32)

    def test_what_a_branch_cancels_is_not_due(self, model, run):
        port = helper.make_tensor_value_info("o", TensorProto.FLOAT, [64])
        branch = helper.make_graph(residue(1e7), "branch", [], [port])
        made = model([node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)],
                     [("x", "float", [64]), ("c", "bool", [])], [("y", "float", [64])])  # fmt: skip
        y = run(made, {"x": self.x, "c": np.array([True])[0]})["y"]
        assert compare(from_numpy(np.zeros(64, np.float32)), y).word is Word.OK

    def test_nor_what_a_function_cancels(self, model, run):
        own = helper.make_function("own", "F", ["x"], ["o"], residue(1e7), [helper.make_opsetid("", 21)])
        made = model([node("F", ["x"], ["y"], domain="own")], [("x", "float", [64])], [("y", "float", [64])],
                     opsets={"": 21, "own": 1}, functions=[own])  # fmt: skip
        assert isinstance(made, onnx.ModelProto)
        y = run(made, {"x": self.x})["y"]
        assert compare(from_numpy(np.zeros(64, np.float32)), y).word is Word.OK
        assert compare(from_numpy(np.full(64, 100, np.float32)), y).word is Word.WRONG
