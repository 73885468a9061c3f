"""Functions in generated models: valid, called as they are declared, and of the same meaning as the model before."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
import onnx.checker
import onnx.parser
import onnx.shape_inference
import pytest

from abstract.program import parse
from abstract.reference import interpret
from fuzz.generate.choices import Replayed, Seeded
from fuzz.generate.functions import fold
from fuzz.generate.opsets import mixed
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.selftest.run import carried

SETTINGS = mixed(Settings(nodes=(1, 15), dynamic=None))
FEW = Settings(
    nodes=(6, 14), operators=("Add", "Mul", "Relu", "Clip", "Transpose", "Concat", "If", "Less"),
    dtypes=("float", "bool"),
)  # fmt: skip


@cache
def folded(seed, settings):
    """A generated case, and its model with functions."""
    made = generate_case(Seeded(seed), settings)
    return made, fold(made.model, Seeded(seed + 1000), 1 + seed % 3)


def models(settings=FEW, seeds=range(80)):
    return [onnx.ModelProto.FromString(folded(seed, settings)[1]) for seed in seeds]


def functions(settings=FEW):
    return [(model, function) for model in models(settings) for function in model.functions]


def calls(model, function):
    """All calls of a function, in other functions too."""
    nodes = [*model.graph.node, *(node for other in model.functions for node in other.node)]
    return [node for node in nodes if (node.domain, node.op_type) == (function.domain, function.name)]


@pytest.mark.parametrize("settings", [SETTINGS, FEW])
def test_models_with_functions_pass_the_strict_checker(settings):
    for model in models(settings, range(30)):
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)


@pytest.mark.parametrize("settings", [SETTINGS, FEW])
def test_the_reference_gives_the_same_values_and_bounds_as_without_functions(settings):
    for seed in range(30):
        made, model = folded(seed, settings)
        plain, program = (parse(onnx.ModelProto.FromString(m)) for m in (made.model, model))
        for data_set in made.data_sets:
            before, after = (interpret(p, carried(p, data_set.inputs)) for p in (plain, program))
            for name in plain.outputs:
                assert after[name].dtype is before[name].dtype, (seed, name)
                if isinstance(before[name].value, np.ndarray):
                    np.testing.assert_array_equal(after[name].value, before[name].value)
                    np.testing.assert_array_equal(
                        *(np.broadcast_to(v.bound, v.value.shape) for v in (after[name], before[name]))
                    )


def test_every_function_is_called():
    assert all(calls(model, function) for model, function in functions())


def test_a_call_gives_no_more_than_the_function_takes():
    for model, function in functions():
        known = {*function.attribute, *(a.name for a in function.attribute_proto)}
        for call in calls(model, function):
            assert len(call.input) <= len(function.input)
            assert len(call.output) == len(function.output)
            assert {a.name for a in call.attribute} <= known


def test_an_attribute_without_a_default_refers_to_a_parameter():
    for _, function in functions():
        known = {*function.attribute, *(a.name for a in function.attribute_proto)}
        assert len(known) == len(function.attribute) + len(function.attribute_proto)
        assert {a.ref_attr_name for node in function.node for a in node.attribute} - {""} == known


@pytest.mark.parametrize(
    ("feature", "has"),
    [
        ("several outputs", lambda _, f: len(f.output) > 1),
        ("called twice", lambda m, f: len(calls(m, f)) > 1),
        ("calls of others", lambda _, f: any(node.domain for node in f.node)),
        ("attributes", lambda _, f: bool(f.attribute)),
        ("defaults", lambda _, f: bool(f.attribute_proto)),
        ("a constant inside", lambda _, f: any(node.op_type == "Constant" for node in f.node)),
        ("an input that is left out", lambda m, f: any("" in c.input or len(c.input) < len(f.input)
                                                       for c in calls(m, f))),
        ("an input that nothing reads", lambda _, f: any(name.startswith("unread") for name in f.input)),
        ("the name of a standard operator", lambda _, f: f.name in FEW.operators),
        ("another version of the operator set", lambda _, f: any(o.version < FEW.opset for o in f.opset_import
                                                                 if not o.domain)),
        ("a node with bodies", lambda _, f: any(node.op_type == "If" for node in f.node)),
    ],
)  # fmt: skip
def test_functions_come_in_many_forms(feature, has):
    assert any(has(model, function) for model, function in functions()), feature


def test_defaults_ask_for_the_version_of_the_format_that_has_them():
    for model, function in functions(SETTINGS):
        assert model.ir_version >= (9 if function.attribute_proto else 8)


def test_constants_stay_outside_where_no_operator_takes_them():
    for seed in range(20):
        made, _ = folded(seed, FEW)
        model = onnx.ModelProto.FromString(fold(made.model, Seeded(seed), 2, constants=False))
        assert not any(node.op_type == "Constant" for f in model.functions for node in f.node)


def test_no_constant_is_of_a_type_that_constant_lacks():
    text = """
        <ir_version: 8, opset_import: ["": 13]>
        g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { y = Add(x, w) }
    """
    model = onnx.parser.parse_model(text)
    model.graph.initializer[0].data_type = onnx.TensorProto.FLOAT8E4M3FN
    for seed in range(8):
        made = onnx.ModelProto.FromString(fold(model.SerializeToString(), Seeded(seed), 1))
        assert [node.op_type for node in made.functions[0].node] == ["Add"]


def test_what_moves_inside_is_no_longer_an_initializer_outside():
    text = """
        <ir_version: 8, opset_import: ["": 17]>
        g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { y = Add(x, w) }
    """
    made = [fold(onnx.parser.parse_model(text).SerializeToString(), Seeded(seed), 1) for seed in range(8)]
    inside = [onnx.ModelProto.FromString(m) for m in made]
    assert {(len(m.graph.initializer), len(m.functions[0].node)) for m in inside} == {(1, 1), (0, 2)}


def test_a_node_between_the_nodes_of_a_function_finds_its_place():
    text = """
        <ir_version: 8, opset_import: ["": 17]>
        g (float[2] x) => (float[2] z, float[2] b) { y = Relu(x) a = Abs(y) b = Neg(a) z = Add(y, x) }
    """
    model = onnx.parser.parse_model(text).SerializeToString()
    orders = set()
    for seed in range(60):
        made = onnx.ModelProto.FromString(fold(model, Seeded(seed), 1))
        onnx.checker.check_model(made, full_check=True)
        orders.add(tuple(sorted(node.op_type for node in made.functions[0].node)))
    assert ("Add", "Relu") in orders
    assert ("Abs", "Relu") in orders


def test_no_path_leaves_a_function_and_enters_it_again():
    text = """
        <ir_version: 8, opset_import: ["": 17]>
        g (float[2] x) => (float[2] z) { y = Relu(x) a = Abs(y) z = Add(y, a) }
    """
    model = onnx.parser.parse_model(text).SerializeToString()
    found = set()
    for seed in range(60):
        made = onnx.ModelProto.FromString(fold(model, Seeded(seed), 1))
        found.add(tuple(sorted(node.op_type for node in made.functions[0].node)))
    assert ("Add", "Relu") not in found
    assert ("Abs", "Add", "Relu") in found


def test_a_model_without_nodes_stays_as_it_is():
    text = '<ir_version: 8, opset_import: ["": 17]> g (float[2] x) => (float[2] x) { }'
    model = onnx.parser.parse_model(text)
    assert onnx.ModelProto.FromString(fold(model.SerializeToString(), Seeded(0), 3)) == model


def test_the_same_choices_give_the_same_functions():
    made, _ = folded(5, FEW)
    choices = Seeded(7)
    first = fold(made.model, choices, 2)
    assert fold(made.model, Replayed(choices.record), 2) == first


def test_settings_ask_for_functions():
    asked = Settings(nodes=(3, 8), structure=("functions",))
    found = [bool(onnx.ModelProto.FromString(generate_case(Seeded(s), asked).model).functions) for s in range(20)]
    assert 4 < sum(found) < 20
