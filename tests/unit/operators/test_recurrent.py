"""RNN, GRU and LSTM: generated calls, their shapes and bounds, what their texts say."""

from __future__ import annotations

import math

import numpy as np
import onnxruntime
import pytest

from abstract.fallback import Unrunnable
from abstract.operators import recurrent

NAMES = [row.name for row in recurrent.OPERATORS]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("opset", [13, 21, 22])
def test_generated_calls_of_every_version(laboratory, name, opset):
    laboratory.recomputed(name, opset, ("float", "int32"), 2)


@pytest.mark.untraced
@pytest.mark.parametrize("name", NAMES)
def test_symbolic_shapes_hold_at_other_sizes(laboratory, name):
    assert laboratory.at_other_sizes(name, 22, 16) >= 5


@pytest.mark.parametrize("name", NAMES)
def test_errors_cover_every_move_of_the_inputs(laboratory, name):
    assert laboratory.perturbed(name, 22, 15, dtypes=("double", "int32")) >= 9


@pytest.mark.untraced
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("element_type", ["float", "float16", "double", "bfloat16"])
def test_legal_recomputations_stay_within_the_bound(laboratory, name, element_type):
    laboratory.recomputed(name, 22, (element_type, "int32"), 3)


def weights(gates, seed=0, time=3, batch=2, size=2, hidden=2, directions=1):
    random = np.random.default_rng(seed)
    shapes = ((time, batch, size), (directions, gates * hidden, size), (directions, gates * hidden, hidden),
              (directions, 2 * gates * hidden))  # fmt: skip
    return tuple(random.uniform(-1, 1, shape).astype(np.float32) for shape in shapes)


def agrees(laboratory, name, inputs, outputs, **attributes):
    """ONNX Runtime's results lie within a bound that says something; returns the reference's values."""
    model, feeds, found = laboratory.by_hand(name, inputs, outputs=outputs, **attributes)
    model.ir_version = 10
    for output in model.graph.output:
        output.type.tensor_type.elem_type = 1
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    pairs = found if outputs > 1 else (found,)
    for got, (value, allowed) in zip(session.run(None, feeds), pairs, strict=True):
        bound = np.broadcast_to(allowed, value.shape)
        decided = np.isfinite(bound)
        assert decided.any()
        assert np.all(np.abs(got - value)[decided] <= bound[decided])
        assert float(bound[decided].max()) < 4e-5
    return tuple(value for value, _ in pairs)


@pytest.mark.parametrize(("name", "gates", "outputs"), [("RNN", 1, 2), ("GRU", 3, 2), ("LSTM", 4, 3)])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_a_runtime_agrees_in_every_direction(laboratory, name, gates, outputs, direction):
    directions = 2 if direction == "bidirectional" else 1
    lengths = np.array([3, 2], np.int32)
    inputs = (*weights(gates, directions=directions), lengths)
    y, last, *_ = agrees(laboratory, name, inputs, outputs, direction=direction, hidden_size=2)
    assert np.all(y[2, :, 1] == 0)  # beyond the end of the second sequence
    if direction == "forward":
        np.testing.assert_array_equal(last[0], [y[2, 0, 0], y[1, 0, 1]])
    if direction == "reverse":
        np.testing.assert_array_equal(last[0], y[0, 0])


@pytest.mark.parametrize(("name", "gates", "attributes"), [
    ("RNN", 1, {"activations": ["ScaledTanh"], "activation_alpha": [0.5], "activation_beta": [0.25]}),
    ("RNN", 1, {"activations": ["Affine"], "activation_alpha": [0.5], "activation_beta": [0.25], "clip": 0.5}),
    ("GRU", 3, {"linear_before_reset": 1, "activations": ["HardSigmoid", "Softsign"]}),
    ("GRU", 3, {"activations": ["Elu", "LeakyRelu"], "activation_alpha": [0.5, 0.25]}),
    ("GRU", 3, {"activations": ["ThresholdedRelu", "Softplus"], "activation_alpha": [0.5]}),
    ("LSTM", 4, {"input_forget": 1, "activations": ["Sigmoid", "Relu", "Softsign"]}),
])  # fmt: skip
def test_a_runtime_agrees_on_what_attributes_mean(laboratory, name, gates, attributes):
    agrees(laboratory, name, weights(gates), 2, hidden_size=2, **attributes)


def test_a_runtime_agrees_on_states_and_peepholes(laboratory):
    states = (None, np.full((1, 2, 2), 0.5, np.float32), np.full((1, 2, 2), 2.0, np.float32))
    inputs = (*weights(4), *states, np.array([[0.5, -0.5, 1, -1, 0.25, 0.75]], np.float32))
    agrees(laboratory, "LSTM", inputs, 3, hidden_size=2)


def test_batches_first_is_the_same_laid_out_otherwise(laboratory):
    x, w, r, b = weights(3)
    _, _, plain = laboratory.by_hand("GRU", (x, w, r, b), outputs=2, hidden_size=2)
    _, _, other = laboratory.by_hand("GRU", (x.transpose(1, 0, 2), w, r, b), outputs=2, hidden_size=2, layout=1)
    np.testing.assert_array_equal(other[0][0], plain[0][0].transpose(2, 0, 1, 3))
    np.testing.assert_array_equal(other[1][0], plain[1][0].transpose(1, 0, 2))


def one_unit(laboratory, activation, share, **attributes):
    """What one step of an RNN of one unit makes of its share, and the bound on it."""
    inputs = (np.full((1, 1, 1), share, np.float32), np.ones((1, 1, 1), np.float32), np.zeros((1, 1, 1), np.float32))
    _, _, (value, bound) = laboratory.by_hand("RNN", inputs, activations=[activation], **attributes)
    return value.item(), np.asarray(bound).item()


@pytest.mark.parametrize(("activation", "expected"), [
    ("Relu", 0.0), ("tanh", math.tanh(-0.75)), ("Sigmoid", 1 / (1 + math.exp(0.75))), ("LeakyRelu", -0.0075),
    ("ThresholdedRelu", 0.0), ("Affine", -0.75), ("ScaledTanh", math.tanh(-0.75)), ("HardSigmoid", 0.35),
    ("Elu", math.expm1(-0.75)), ("Softsign", -0.75 / 1.75), ("Softplus", math.log1p(math.exp(-0.75))),
])  # fmt: skip
def test_every_function_of_the_text_with_its_defaults(laboratory, activation, expected):
    value, bound = one_unit(laboratory, activation, -0.75)
    assert value == pytest.approx(expected, rel=1e-6)
    assert bound < 3e-6


def test_one_coefficient_for_each_function_or_for_each_that_takes_one(laboratory):
    inputs = weights(3)
    names = ["Sigmoid", "Elu"]
    _, _, one = laboratory.by_hand("GRU", inputs, activations=names, activation_alpha=[0.5])
    _, _, each = laboratory.by_hand("GRU", inputs, activations=names, activation_alpha=[9.0, 0.5])
    np.testing.assert_array_equal(one[0], each[0])


def test_on_a_threshold_either_side_may_be_taken(laboratory):
    assert one_unit(laboratory, "ThresholdedRelu", 1.0)[1] >= 1.0
    assert one_unit(laboratory, "ThresholdedRelu", 1.5)[1] < 1e-5


def test_unknown_functions_are_left_to_onnx(laboratory):
    with pytest.raises(Unrunnable, match="Unknown activation"):
        one_unit(laboratory, "Gelu", 1.0)


def test_unsure_lengths_leave_nothing_known(laboratory):
    del laboratory
    row = {row.name: row for row in recurrent.OPERATORS}["RNN"]
    assert row.error(None, (0, 0), (0.0, 0.0, 0.0, 0.0, np.ones(1))) == (np.inf, np.inf)
