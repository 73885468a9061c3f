"""Cases at larger sizes: valid models, the same graph, more elements."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx
import pytest

from backends.tensor import from_numpy, to_numpy
from fuzz.case import DataSet, find_cases, open_root, read_record, write_case
from fuzz.generate.choices import Seeded
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.performance.scale import ladder


def generated(root, seed, **settings):
    made = generate_case(Seeded(seed), Settings(**settings))
    open_root(root)
    return write_case(root, f"{seed}", made.model, made.data_sets, {"seed": seed, **made.record})


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_generated_case_grows(tmp_path, dynamic):
    climbed = 0
    for seed in range(12):
        case = generated(tmp_path, seed, dynamic=dynamic, nodes=(1, 8))
        rungs = list(ladder(case))
        assert rungs[0].scale == 1
        for small, large in pairwise(rungs[1:]):
            assert large.scale > small.scale
            assert large.elements >= 4 * small.elements
        operators = [[n.op_type for n in onnx.load_model_from_string(r.subject.model).graph.node] for r in rungs]
        assert all(each == operators[0] for each in operators)
        if read_record(case)["open"]:
            assert len({rung.subject.model for rung in rungs}) == 1
        for rung in rungs[:3]:
            onnx.checker.check_model(onnx.load_model_from_string(rung.subject.model), full_check=True)
        climbed += len(rungs) > 3
    assert climbed >= 4


def test_the_larger_model_runs_and_its_inputs_fit(tmp_path):
    case = generated(tmp_path, 4, operators=("MatMul", "Add", "Relu"), dtypes=("float",), nodes=(3, 5), rank=(2, 2))
    rungs = list(ladder(case))
    assert len(rungs) >= 4
    from abstract.program import parse, to_carrier
    from abstract.reference import interpret

    rung = rungs[2]
    program = parse(onnx.load_model_from_string(rung.subject.model))
    inputs = {
        name: to_carrier(to_numpy(value), program.dtypes[name])
        for name, value in zip(program.inputs, rung.subject.data_sets[0], strict=True)
    }
    values = interpret(program, inputs)
    declared = {o.name: tuple(d.dim_value for d in o.type.tensor_type.shape.dim) for o in program.model.graph.output}
    assert {name: np.shape(values[name].value) for name in declared} == declared


def test_a_record_that_makes_another_model_is_not_climbed(tmp_path):
    case = generated(tmp_path, 4, operators=("Add", "Relu"), dtypes=("float",), nodes=(3, 5), rank=(2, 2))
    assert len(list(ladder(case))) > 1
    model = onnx.load(case.model_path)
    model.producer_name = "somebody else"
    onnx.save(model, case.model_path)
    assert len(list(ladder(case))) == 1


def test_a_record_that_makes_no_sense_is_not_climbed(tmp_path):
    case = generated(tmp_path, 4, nodes=(3, 5))
    (case.folder / "case.json").write_text('{"choices": [], "settings": {"no": "such"}}', encoding="utf-8")
    assert len(list(ladder(case))) == 1


def foreign(root, shape: str, array: np.ndarray):
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g (float{shape} x) => (float{shape} y) {{ y = Relu (x) }}'
    )
    open_root(root)
    data = DataSet({"x": from_numpy(array)})
    write_case(root, "foreign", model.SerializeToString(), [data], {})
    (root / "cases" / "foreign" / "case.json").unlink()
    return find_cases(root)[0]


def test_the_data_of_others_is_repeated_along_open_dims(tmp_path):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    rungs = list(ladder(foreign(tmp_path, "[n, 3]", array)))
    assert len(rungs) > 5
    scaled = to_numpy(rungs[1].subject.data_sets[0][0])
    assert scaled.shape == (2 * rungs[1].scale, 3)
    np.testing.assert_array_equal(scaled[:2], array)
    np.testing.assert_array_equal(scaled[-2:], array)
    assert rungs[-1].elements <= 1 << 22


def test_a_static_model_of_others_stays_as_it_is(tmp_path):
    assert len(list(ladder(foreign(tmp_path, "[2, 3]", np.zeros((2, 3), np.float32))))) == 1
