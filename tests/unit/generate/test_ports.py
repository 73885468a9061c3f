"""Inputs that are outputs, values given twice, values that nothing reads, defaults, large weights."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
import onnx.checker
import pytest

from abstract.program import parse
from abstract.reference import interpret
from backends.tensor import to_numpy
from fuzz.case import find_cases, open_root, read_inputs, write_case
from fuzz.generate.choices import Replayed, Seeded
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.generate.storage import restore
from fuzz.selftest.run import carried

FEATURES = ("passing", "duplicates", "unread", "defaults", "shared", "constants", "large")
PLAIN = ("Add", "Mul", "Relu", "Transpose", "Concat", "Identity", "Gather", "ReduceSum", "Unsqueeze", "If", "Less")


@cache
def generated(feature, *, dynamic=None):
    settings = Settings(
        nodes=(3, 9), operators=PLAIN, dtypes=("float", "int64", "bool"), dynamic=dynamic, structure=(feature,),
    )  # fmt: skip
    return [generate_case(Seeded(seed), settings) for seed in range(60)]


def model_of(case):
    return onnx.ModelProto.FromString(case.model)


def graphs(feature):
    return [model_of(case).graph for case in generated(feature)]


def reads(graph):
    """The names that nodes read, in bodies too."""
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            yield from reads(attribute.g)


@pytest.mark.untraced
@pytest.mark.parametrize("feature", FEATURES)
def test_models_pass_the_strict_checker(feature):
    for case in generated(feature):
        onnx.checker.check_model(model_of(case), full_check=True)


@pytest.mark.untraced
@pytest.mark.parametrize("feature", FEATURES)
def test_the_outputs_on_disk_are_those_of_the_reference(feature):
    for case in generated(feature):
        program = parse(model_of(case))
        for data_set in case.data_sets:
            values = interpret(program, carried(program, data_set.inputs))
            for name, stored in data_set.outputs.items():
                expected = values[name].value.astype(float)
                # 1e-44: subnormal numbers are rounded by as much as they are.
                np.testing.assert_allclose(to_numpy(stored).astype(float), expected, rtol=1e-6, atol=1e-44)


@pytest.mark.parametrize("feature", FEATURES)
def test_the_same_choices_make_the_same_case(feature):
    case = generated(feature)[1]
    settings = Settings.from_json(case.record["settings"])
    assert generate_case(Replayed(case.record["choices"]), settings).model == case.model


def test_an_input_or_an_initializer_is_an_output():
    inputs = [{i.name for i in g.input} & {o.name for o in g.output} for g in graphs("passing")]
    constants = [{t.name for t in g.initializer} & {o.name for o in g.output} for g in graphs("passing")]
    assert any(inputs)
    assert any(constants)


def test_a_value_is_given_twice_under_two_names():
    found = 0
    for graph in graphs("duplicates"):
        names = [output.name for output in graph.output]
        assert len(set(names)) == len(names)
        makers = {node.output[0]: node for node in graph.node if node.op_type == "Identity"}
        given = {*names, *(i.name for i in graph.input)}
        found += any(name in makers and makers[name].input[0] in given for name in names)
    assert found > 8


def test_inputs_and_initializers_are_read_by_nobody():
    inputs = [{i.name for i in g.input} - set(reads(g)) for g in graphs("unread")]
    constants = [{t.name for t in g.initializer} - set(reads(g)) for g in graphs("unread")]
    assert any(inputs)
    assert any(constants)


def test_what_nobody_reads_has_a_type_of_the_model_s_version():
    settings = Settings(nodes=(1, 3), opset=13, structure=("unread",))
    for seed in range(150):
        graph = onnx.ModelProto.FromString(generate_case(Seeded(seed), settings).model).graph
        types = {i.type.tensor_type.elem_type for i in graph.input} | {t.data_type for t in graph.initializer}
        assert max(types) <= onnx.TensorProto.BFLOAT16


def test_a_default_is_an_initializer_and_an_input_behind_the_others():
    found = 0
    for graph in graphs("defaults"):
        both = [i.name in {t.name for t in graph.initializer} for i in graph.input]
        assert both == sorted(both)
        found += any(both)
    assert found > 8


def test_data_sets_leave_defaults_as_they_are_and_override_them():
    given = set()
    for case in generated("defaults"):
        defaults = {t.name for t in model_of(case).graph.initializer}
        given.update(bool(defaults & data_set.inputs.keys()) for data_set in case.data_sets)
        assert not defaults & case.data_sets[0].inputs.keys()
    assert given == {False, True}


def test_overridden_defaults_are_read_back_from_disk(tmp_path):
    open_root(tmp_path)
    for number, case in enumerate(generated("defaults")):
        write_case(tmp_path, str(number), case.model, case.data_sets, case.record)
    for written in find_cases(tmp_path):
        case = generated("defaults")[int(written.id)]
        for place, data_set in zip(written.data_sets, case.data_sets, strict=True):
            assert read_inputs(written, place) == tuple(data_set.inputs.values())


def test_no_two_initializers_of_a_graph_are_the_same_where_they_are_shared():
    shared = 0
    for case in generated("large"):
        graph = onnx.ModelProto.FromString(restore(case.model, frozenset({"shared"}), Seeded(0))).graph
        onnx.checker.check_graph(graph)
        held = [(t.data_type, tuple(t.dims), t.raw_data) for t in graph.initializer]
        assert len(set(held)) == len(held)
        names = [name for name in reads(graph) if name in {t.name for t in graph.initializer}]
        shared += len(set(names)) < len(names)
    assert shared > 5


def test_constant_nodes_hold_what_initializers_held():
    nodes = [[n.op_type for n in g.node] for g in graphs("constants")]
    assert sum("Constant" in names for names in nodes) > 8
    for names in nodes:
        count = names.count("Constant")
        assert names[:count] == ["Constant"] * count


def test_a_few_weights_are_large():
    sizes = [max((len(t.raw_data) for t in g.initializer), default=0) for g in graphs("large")]
    assert max(sizes) >= 2**20
    assert sum(size >= 2**16 for size in sizes) > 8


@pytest.mark.untraced
@pytest.mark.parametrize("feature", ["passing", "unread", "defaults", "duplicates"])
def test_dynamic_models_have_them_too(feature):
    for case in generated(feature, dynamic=True):
        onnx.checker.check_model(model_of(case), full_check=True)
