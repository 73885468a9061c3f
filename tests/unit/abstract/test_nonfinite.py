"""NaN and infinities: where they have one meaning they are judged, elsewhere nothing is said."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from abstract.hazards import HAZARDS, Treatment
from abstract.nonfinite import COMPUTED, MOVED, carries
from abstract.operators import TABLE
from abstract.program import parse
from abstract.reference import Bounded, interpret
from backends.tensor import from_numpy
from fuzz.generate.choices import Seeded
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.judge.compare import compare
from fuzz.judge.verdict import Word

NAN, INF = np.nan, np.inf


def run(nodes, inputs, output="y", kinds=None):
    """What the reference knows of a value of a model of these nodes."""
    kinds = kinds or {}
    infos = [helper.make_tensor_value_info(name, kinds.get(name, 1), x.shape) for name, x in inputs.items()]
    out = helper.make_tensor_value_info(output, kinds.get(output, 1), None)
    graph = helper.make_graph(nodes, "g", infos, [out])
    program = parse(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]))
    return interpret(program, inputs)[output]


def known(result):
    return np.isfinite(np.broadcast_to(result.bound, result.value.shape))


def f(*values):
    return np.array(values, np.float64)


PAIRS = [
    ("Add", (INF, -INF, NAN, INF), (INF, INF, 1, 1), (INF, NAN, NAN, INF)),
    ("Sub", (INF, INF, 1, -INF), (INF, 1, NAN, 1), (NAN, INF, NAN, -INF)),
    ("Mul", (0, INF, -INF, NAN), (INF, -2, -INF, 0), (NAN, -INF, INF, NAN)),
    ("Div", (INF, 1, NAN, -INF), (INF, INF, 2, 2), (NAN, 0, NAN, -INF)),
]


@pytest.mark.parametrize(("name", "left", "right", "due"), PAIRS)
def test_arithmetic_is_that_of_ieee_754(name, left, right, due):
    result = run([helper.make_node(name, ["a", "b"], ["y"])], {"a": f(*left), "b": f(*right)})
    np.testing.assert_array_equal(result.value, due)
    special = ~np.isfinite(due)
    assert known(result)[special].all()
    right_answer = from_numpy(result.value.astype(np.float32))
    assert compare(right_answer, result).word is Word.OK
    wrong = result.value.astype(np.float32)
    wrong[np.argmax(special)] = 0.0
    assert compare(from_numpy(wrong), result).word is Word.WRONG


def test_an_infinity_of_the_other_sign_is_wrong_and_so_is_nan_for_a_number():
    due = Bounded(f(INF, 1.0), 0.0, TABLE and None)
    assert compare(from_numpy(np.float32([-INF, 1])), due).word is Word.WRONG
    assert compare(from_numpy(np.float32([INF, NAN])), due).word is Word.WRONG
    assert compare(from_numpy(np.float32([INF, 1])), due).word is Word.OK


def test_what_is_not_finite_goes_through_a_chain():
    nodes = [
        helper.make_node("Exp", ["a"], ["e"]),  # rounded: the numbers beside have bounds
        helper.make_node("Transpose", ["x"], ["t"]),
        helper.make_node("Mul", ["t", "e"], ["m"]),
        helper.make_node("Neg", ["t"], ["n"]),
        helper.make_node("Concat", ["m", "n"], ["y"], axis=0),
    ]
    result = run(nodes, {"a": f([0.5, 1]), "x": f([NAN], [INF])})
    np.testing.assert_array_equal(result.value, [[NAN, INF], [NAN, -INF]])
    # NaN whatever stands beside it; of infinity times a number that errs nothing is said, though its sign is sure.
    np.testing.assert_array_equal(known(result), [[True, False], [True, True]])


def test_what_may_be_no_number_is_not_judged():
    """inf - x where x itself may overflow."""
    nodes = [helper.make_node("Exp", ["a"], ["e"]), helper.make_node("Sub", ["x", "e"], ["y"])]
    result = run(nodes, {"a": f(88.8), "x": f(INF)})
    assert not known(result).any()


@pytest.mark.parametrize("name", ["Relu", "Tanh", "Sigmoid", "Sign", "Softplus"])
def test_other_operators_are_not_judged_on_nan(name):
    result = run([helper.make_node("Exp", ["a"], ["e"]), helper.make_node("Add", ["e", "x"], ["z"]),
                  helper.make_node(name, ["z"], ["y"])], {"a": f(0.5), "x": f(NAN)})  # fmt: skip
    assert not carries(name)
    assert not known(result).any()


def test_of_what_a_cast_is_like_the_type_alone_counts():
    cast = helper.make_node("CastLike", ["x", "l"], ["y"])
    y = run([cast], {"x": f(NAN, INF, 1.0), "l": np.zeros(0)}, kinds={"x": 11})
    assert known(y).all()


def test_classes_and_comparisons():
    x = {"x": f(NAN, INF, -INF, 1)}
    for name, due in (("IsNaN", (1, 0, 0, 0)), ("IsInf", (0, 1, 1, 0))):
        result = run([helper.make_node(name, ["x"], ["y"])], x, kinds={"y": 9})
        np.testing.assert_array_equal(result.value, np.array(due, bool))
        assert known(result).all()


def test_the_table_names_operators_that_no_hazard_takes_from_judgement():
    assert set(TABLE) >= MOVED | COMPUTED
    assert not MOVED & COMPUTED
    nan = {h for h in HAZARDS if "nan" in h.id and h.treatment is not Treatment.COMPARE}
    assert not {name for h in nan for name in h.operators} & (MOVED | COMPUTED - {"Cast", "CastLike"})


class TestGenerator:
    def test_models_hold_what_is_asked_for_and_give_it_to_operators_that_carry_it(self):
        special = judged = models = 0
        for seed in range(60):
            made = generate_case(Seeded(seed), Settings(nonfinite=True, nodes=(4, 8)))
            model = onnx.ModelProto.FromString(made.model)
            onnx.checker.check_model(model, full_check=True)
            program = parse(model)
            values = interpret(program, {
                name: np.asarray(array) for name, array in ((n, _array(v)) for n, v in made.data_sets[0].inputs.items())
            })  # fmt: skip
            found = 0
            for step in program.steps:
                for name in filter(None, step.inputs):
                    value = values[name].value
                    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and not np.isfinite(value).all():
                        assert carries(step.node.op_type), step.node.op_type
            for name in program.dtypes.keys() & values.keys():
                value = values[name].value
                if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                    nan = np.isnan(value)
                    special, found = special + int(nan.sum()), found + int((~np.isfinite(value)).sum())
                    judged += int((nan & known(values[name])).sum())
            models += found > 0
        assert models >= 10
        assert special > 100
        assert judged > 0.9 * special

    def test_without_it_everything_is_finite(self):
        for seed in range(30):
            made = generate_case(Seeded(seed), Settings(nodes=(4, 8)))
            for value in made.data_sets[0].inputs.values():
                array = _array(value)
                assert array.dtype.kind != "f" or np.isfinite(array).all()


def _array(value):
    from abstract.dtypes import dtype
    from abstract.program import to_carrier
    from backends.tensor import to_numpy

    return to_carrier(to_numpy(value), dtype(value.element_type))
