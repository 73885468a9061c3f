"""`fuzz.strategies`: Hypothesis drives the generator and shrinks what fails."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, find, given, settings

from backends.tensor import Tensor, to_numpy
from fuzz.generate.choices import Replayed
from fuzz.generate.run import Generated, generate_case
from fuzz.generate.settings import Settings
from fuzz.strategies import cases, models

SLOW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
PLAIN = ("Add", "Concat", "MatMul", "Mul", "Relu", "Softmax", "Transpose")


@pytest.mark.untraced
@SLOW
@given(models(dynamic=None))
def test_every_model_is_valid_whatever_is_drawn(model):
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.untraced
@SLOW
@given(models(operators=("If", "Loop", "Scan", "SequenceMap", "SequenceAt", "Add"), nodes=(1, 4)))
def test_bodies_are_valid_whatever_is_drawn(model):
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.untraced
@SLOW
@given(cases(operators=PLAIN, dtypes=("float", "int32")))
def test_values_are_finite_and_a_case_can_be_made_again(case):
    assert isinstance(case, Generated)
    for data_set in case.data_sets:
        for tensor in (*data_set.inputs.values(), *data_set.outputs.values()):
            assert isinstance(tensor, Tensor)
            assert np.isfinite(to_numpy(tensor)).all()
    again = generate_case(Replayed(case.record["choices"]), Settings.from_json(case.record["settings"]))
    assert again.model == case.model


# What stands beside an operator that fails, and can go.
COMPANY = ("Relu", "Add", "Concat", "Transpose", "Reshape", "MatMul", "Cast", "Slice", "ReduceSum", "Sigmoid")
SAMPLE = ("Mul", "Conv", "Softmax", "TopK", "LSTM", "Gather", "QuantizeLinear", "Einsum", "SequenceAt", "Where")
NEEDS = {"SequenceAt": ["SequenceConstruct", "SequenceAt"]}


@pytest.mark.parametrize("operator", SAMPLE)
def test_a_failure_shrinks_to_its_operator_alone(operator):
    """What fails on one operator is shown as a model of that one, or of it and what it cannot be without."""
    model = find(
        models(operators=(*COMPANY, operator), nodes=(1, 6)),
        lambda m: operator in {n.op_type for n in m.graph.node},
        settings=settings(
            max_examples=300, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
        ),
    )
    assert [node.op_type for node in model.graph.node] == NEEDS.get(operator, [operator])
    sizes = [d for t in model.graph.initializer if t.name.startswith("w") for d in t.dims]
    assert max(sizes, default=1) <= 8  # two biases of each of the four gates of an LSTM


def test_models_are_as_large_as_they_are_asked_to_be():
    model = find(models(nodes=(3, 5), operators=PLAIN), lambda _: True, settings=settings(database=None))
    assert len(model.graph.node) == 3


def test_targets_are_kept_to():
    from fuzz.generate.support import joint_opset

    model = find(models(targets=("torch",)), lambda _: True, settings=settings(database=None))
    assert model.opset_import[0].version == joint_opset(("torch",)) != Settings().opset


def test_settings_that_make_no_sense():
    with pytest.raises(ValueError, match="unknown operator 'Rlu'"):
        models(operators=("Rlu",))
    with pytest.raises(TypeError):
        models(size=3)
