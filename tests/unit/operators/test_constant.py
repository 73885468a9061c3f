"""Constant as a node: each attribute that may hold the value."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from abstract.operator import NotCovered, Typing
from abstract.operators import TABLE
from abstract.program import parse
from abstract.reference import interpret
from abstract.schema import signature
from fuzz.generate.choices import Seeded
from fuzz.generate.graph import generate_graph
from fuzz.generate.plan import draw_plan, menu
from fuzz.generate.settings import Settings

TYPES = ("float", "double", "float16", "bfloat16", "int64", "int8", "uint8", "bool", "string", "complex64", "int4")


@pytest.mark.parametrize("opset", [13, 21, 25])
def test_models_hold_each_kind_of_constant_and_the_reference_reads_them(laboratory, opset):
    kinds = set()
    for trial in laboratory.trials("Constant", opset, 500, dtypes=TYPES if opset >= 21 else TYPES[:-1]):
        laboratory.check_valid(trial)
        (node,) = trial.model.graph.node
        (output,) = trial.graph.outputs
        kinds.add(node.attribute[0].name)
        assert len(node.attribute) == 1
        found = interpret(parse(trial.model), {})[output.name]
        assert found.dtype is output.type.dtype
        np.testing.assert_array_equal(found.value, output.array)
    assert kinds == {"value", "sparse_value", "value_float", "value_floats", "value_int", "value_ints", "value_string",
                     "value_strings"}  # fmt: skip


def test_a_runtime_reads_them_too(laboratory):
    read = 0
    for trial in laboratory.trials("Constant", 21, 40, dtypes=("float", "int64", "string", "double")):
        if trial.model.graph.node[0].attribute[0].name != "sparse_value":  # docs/disputes.md
            read += laboratory.check_values(trial, laboratory.run(trial))
    assert read > 40


def test_nodes_take_them_as_operands():
    takers = set()
    for seed in range(40):
        settings = Settings(nodes=(6, 6), operators=("Constant", "Add", "Concat", "Cast", "Identity"))
        graph, _ = generate_graph(Seeded(seed), settings)
        made = {id(n.outputs[0]) for n in graph.nodes if n.operator == "Constant"}
        takers |= {n.operator for n in graph.nodes if any(id(v) in made for v in n.inputs)}
    assert {"Add", "Cast", "Identity"} <= takers


def test_targets_that_take_no_constant_data_get_none():
    settings = Settings(constant_data=False)
    plan = draw_plan(Seeded(0), settings, menu(settings), None)
    assert not plan.runs("Constant", signature("Constant", 21))
    settings = Settings()
    assert draw_plan(Seeded(0), settings, menu(settings), None).runs("Constant", signature("Constant", 21))


def test_one_without_a_value_is_left_to_others():
    with pytest.raises(NotCovered):
        TABLE["Constant"].shape(Typing({}, (), (), 1, None))


def test_sparse_values_stand_at_places_of_either_form():
    for at in (np.array([1, 5]), np.array([[0, 1], [1, 2]])):
        values = onnx.helper.make_tensor("v", 1, [2], [2.5, -1])
        indices = onnx.helper.make_tensor("i", 7, at.shape, at.ravel())
        sparse = onnx.helper.make_sparse_tensor(values, indices, [2, 3])
        node = onnx.helper.make_node("Constant", [], ["y"], sparse_value=sparse)
        graph = onnx.helper.make_graph([node], "g", [], [onnx.ValueInfoProto(name="y")])
        found = interpret(parse(onnx.helper.make_model(graph)), {})["y"]
        assert found.value.tolist() == [[0, 2.5, 0], [0, 0, -1]]
