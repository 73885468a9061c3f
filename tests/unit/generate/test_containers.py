"""Sequences and optionals as inputs of models."""

from __future__ import annotations

from collections import Counter
from functools import cache

import onnx
import onnx.checker
import pytest

from abstract.program import parse
from abstract.reference import interpret
from backends.tensor import Tensor
from fuzz.case import open_root, read_inputs, write_case
from fuzz.generate.choices import Seeded
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.selftest.run import carried
from fuzz.traits import TRAITS, View

READERS = (
    "SequenceAt", "SequenceLength", "SequenceInsert", "SequenceErase", "ConcatFromSequence", "SequenceMap", "Optional",
    "OptionalHasElement", "OptionalGetElement", "Add", "Relu", "Concat",
)  # fmt: skip


@cache
def generated(operators=READERS, *, dynamic=None, dtypes=("float", "int64", "bool"), opset=21):
    settings = Settings(
        nodes=(1, 5), operators=operators, dtypes=dtypes, dynamic=dynamic, structure=("containers",), opset=opset,
    )  # fmt: skip
    return [generate_case(Seeded(seed), settings) for seed in range(80)]


def kind(port):
    return port.type.WhichOneof("value").removesuffix("_type")


def test_half_of_the_models_have_such_inputs_and_all_kinds_occur():
    found = Counter()
    for case in generated():
        view = View(onnx.ModelProto.FromString(case.model))
        kinds = {kind(port) for port in view.inputs.values()} - {"tensor"}
        found.update(kinds)
        found["any"] += bool(kinds)
        assert TRAITS["a sequence as input"](view) == ("sequence" in kinds)
        for data_set in case.data_sets:
            found["absent"] += sum(value is None for value in data_set.inputs.values())
            found["of no part"] += any(value == [] for value in data_set.inputs.values())
    assert 25 <= found["any"] <= 55
    assert min(found[name] for name in ("sequence", "optional", "absent", "of no part")) >= 3, found


def test_each_is_read_by_a_node_and_lies_on_disk_as_its_type_says(tmp_path):
    open_root(tmp_path)
    for number, case in enumerate(generated()):
        proto = onnx.ModelProto.FromString(case.model)
        onnx.checker.check_model(proto, full_check=True)
        read = {name for node in proto.graph.node for name in node.input}
        containers = {port.name for port in proto.graph.input if kind(port) != "tensor"}
        assert containers <= read
        written = write_case(tmp_path, str(number), case.model, case.data_sets, {})
        for folder, made in zip(written.data_sets, case.data_sets, strict=True):
            assert read_inputs(written, folder) == tuple(made.inputs.values())


def test_the_reference_gives_what_the_data_sets_expect():
    for case in generated():
        program = parse(onnx.ModelProto.FromString(case.model))
        for data_set in case.data_sets:
            values = interpret(program, carried(program, data_set.inputs))
            for name, due in data_set.outputs.items():
                if isinstance(due, Tensor):
                    assert values[name].value.shape == due.shape


def test_parts_of_several_shapes_leave_the_shape_out_of_the_type():
    seen = Counter()
    for case in generated():
        proto = onnx.ModelProto.FromString(case.model)
        for port in proto.graph.input:
            value = case.data_sets[0].inputs[port.name]
            if kind(port) == "sequence" and value:
                shaped = port.type.sequence_type.elem_type.tensor_type.HasField("shape")
                assert shaped == (len({part.shape for part in value}) == 1)
                seen[shaped] += 1
    assert min(seen[True], seen[False]) >= 3


@pytest.mark.parametrize(("operators", "dtypes", "opset"), [
    (("Add", "Relu"), ("float",), 21),  # nothing that reads containers
    (("OptionalHasElement", "Add"), ("float",), 14),  # optionals came with version 15
    (("SequenceLength", "Add"), ("bfloat16",), 21),  # no sequence has that type
])  # fmt: skip
def test_there_are_none_where_nothing_takes_them(operators, dtypes, opset):
    for case in generated(operators, dtypes=dtypes, opset=opset)[:20]:
        graph = onnx.ModelProto.FromString(case.model).graph
        assert {kind(port) for port in graph.input} <= {"tensor"}


def test_other_sizes_of_a_dynamic_model_come_with_the_same_containers():
    several = [case for case in generated(dynamic=True) if len(case.data_sets) > 1]
    assert len(several) > 10
    found = 0
    for case in several:
        first, *others = case.data_sets
        for name, value in first.inputs.items():
            if not isinstance(value, Tensor):
                found += 1
                assert all(other.inputs[name] == value for other in others)
    assert found
