"""The static form of a dynamic graph at the sizes of its data."""

from __future__ import annotations

import onnx
import pytest

from fuzz.case import find_cases, read_inputs, read_record
from fuzz.diversify.concrete import Dropped
from fuzz.diversify.specialise import sizes_of, specialised
from fuzz.generate.choices import Seeded
from fuzz.generate.run import generate_case, generate_cases
from fuzz.generate.settings import Settings
from fuzz.judge.run import samples_of
from fuzz.relations.numbers import number_variants
from fuzz.relations.prepare import Plan, prepare
from fuzz.relations.variant import read_original

RESHAPED = Settings(nodes=(3, 6), dynamic=True, operators=("Reshape", "Expand", "Add", "Relu"), dtypes=("float",))


def test_sizes_are_read_from_the_shapes(sketch):
    a, b = sketch.dim(4), sketch.dim(3)
    x = sketch.value(a, b)
    sketch.value(2 * b + 1)
    assert sizes_of(sketch.graph, [a.symbol, b.symbol], {"x1": (7, 2), "x2": (5,)}) == {a.symbol: 7, b.symbol: 2}
    with pytest.raises(Dropped, match="no sizes"):
        sizes_of(sketch.graph, [a.symbol, b.symbol], {"x1": (7, 2), "x2": (6,)})
    assert x.array.shape == (4, 3)


def test_sizes_that_stand_for_no_dim_are_solved_for(sketch):
    a, b = sketch.dim(4), sketch.dim(3)
    sketch.value(a + b, a + 1)
    shapes = {"x1": (9, 5)}
    assert sizes_of(sketch.graph, [a.symbol, b.symbol], shapes) == {a.symbol: 4, b.symbol: 5}
    with pytest.raises(Dropped, match="no sizes"):
        sizes_of(sketch.graph, [a.symbol, b.symbol], {"x1": (5, 7)})


def test_target_shapes_are_numbers(sketch):
    a, b = sketch.dim(4), sketch.dim(3)
    x = sketch.value(a, b)
    sketch.node("Reshape", [x], (b, a), x.array.reshape(3, 4), shape=(b, a))
    model = onnx.ModelProto.FromString(specialised(sketch.graph, [a.symbol, b.symbol], {"x1": (2, 5)}))
    (target,) = (onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer)
    assert target.tolist() == [5, 2]
    assert [dim.dim_value for dim in model.graph.output[0].type.tensor_type.shape.dim] == [5, 2]


@pytest.fixture
def root(tmp_path):
    generate_cases(tmp_path, RESHAPED, range(12))
    return tmp_path


def variants(case):
    sets = [sample.inputs for sample in samples_of(case)]
    record = read_record(case)
    return list(number_variants(read_original(case.id, case.model_path.read_bytes(), case.folder, sets, record)))


def test_relations_compare_the_two(root):
    cases = find_cases(root)
    found = {case.id: variants(case) for case in cases}
    assert sum(map(len, found.values())) >= 1
    for case in cases:
        prepared = prepare(case, Plan(("static:numbers",)))
        assert prepared.notes == []  # checked, and equal by the reference
        assert [v.relation for v in prepared.variants] == ["static:numbers"] * len(found[case.id])
        for variant in found[case.id]:
            (view,) = variant.views
            assert list(view.inputs.values()) == list(read_inputs(case, case.data_sets[view.data_set]))


def test_what_only_declares_other_sizes_is_left_to_the_other_relation(tmp_path):
    generate_cases(tmp_path, Settings(nodes=(1, 2), dynamic=True, operators=("Relu",), dtypes=("float",)), range(3))
    assert [variants(case) for case in find_cases(tmp_path)] == [[], [], []]


def test_static_cases_and_those_of_others_have_none(tmp_path):
    generate_cases(tmp_path, Settings(nodes=(2, 2), operators=("Reshape",)), range(2))
    assert [variants(case) for case in find_cases(tmp_path)] == [[], []]
    made = generate_case(Seeded(1), RESHAPED)
    original = read_original("x", made.model, tmp_path, [made.data_sets[0].inputs])
    assert list(number_variants(original)) == []
