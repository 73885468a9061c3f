"""RNN, GRU and LSTM: generated calls, their shapes and bounds, what their texts say."""

from __future__ import annotations

import pytest

from abstract.operators import recurrent

NAMES = [row.name for row in recurrent.OPERATORS]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("opset", [13, 21, 22])
def test_generated_calls_are_valid_and_a_runtime_agrees(laboratory, name, opset):
    laboratory.generated(name, opset, dtypes=("float", "int32"), onnx_too=False)


@pytest.mark.parametrize("name", NAMES)
def test_symbolic_shapes_hold_at_other_sizes(laboratory, name):
    assert laboratory.at_other_sizes(name, 22) >= 5


@pytest.mark.parametrize("name", NAMES)
def test_errors_cover_every_move_of_the_inputs(laboratory, name):
    assert laboratory.perturbed(name, 22, dtypes=("double", "int32")) >= 9


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("element_type", ["float", "float16", "double", "bfloat16"])
def test_legal_recomputations_stay_within_the_bound(laboratory, name, element_type):
    laboratory.recomputed(name, 22, (element_type, "int32"), 5)
