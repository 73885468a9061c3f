"""Rotary positions, written caches, gated activations, linear attention, causal convolution with a state."""

from __future__ import annotations

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from abstract.operators import TABLE, state, transformer

ROWS = (*transformer.OPERATORS, *state.OPERATORS)
NAMES = [(row.name, max(row.since, 25)) for row in ROWS]
TYPES = ("float", "int64", "bool")


@pytest.mark.parametrize(("name", "opset"), [*NAMES, ("RotaryEmbedding", 23), ("TensorScatter", 24)])
def test_generated_calls_are_valid_and_onnx_agrees(laboratory, name, opset):
    decided = 0
    with np.errstate(all="ignore"):
        for trial in laboratory.trials(name, opset, 20, dtypes=TYPES):
            laboratory.check_valid(trial)
            made = ReferenceEvaluator(trial.model).run(None, trial.feeds)
            decided += laboratory.check_values(trial, dict(zip([o.name for o in trial.model.graph.output], made,
                                                               strict=True)))  # fmt: skip
    assert decided > 100


@pytest.mark.untraced
@pytest.mark.parametrize(("name", "opset"), NAMES)
def test_symbolic_shapes_hold_at_other_sizes(laboratory, name, opset):
    assert laboratory.at_other_sizes(name, opset, 24) >= 5


@pytest.mark.parametrize(("name", "opset"), NAMES)
def test_errors_cover_every_move_of_the_inputs(laboratory, name, opset):
    wide = "double" in {d.name for d in laboratory_types(name, opset)}
    if wide:
        assert laboratory.perturbed(name, opset, 20, dtypes=("double", "int64")) >= 9
    else:
        # What float rounds is less than what a bound of doubles allows here: the rule itself computes in double.
        assert laboratory.perturbed(name, opset, 20, dtypes=("float", "int64")) >= 9


def laboratory_types(name, opset):
    from abstract.schema import signature

    sign = signature(name, opset)
    return sign.types[sign.inputs[0].variable]


@pytest.mark.untraced
@pytest.mark.parametrize(("name", "opset"), NAMES)
@pytest.mark.parametrize("element_type", ["float", "float16", "bfloat16"])
def test_legal_recomputations_stay_within_the_bound(laboratory, name, opset, element_type):
    laboratory.recomputed(name, opset, (element_type, "int64"), 4)


# -- by hand ---------------------------------------------------------------------------------------------------

X = np.arange(1, 5, dtype=np.float32).reshape(1, 1, 1, 4)
COS, SIN = np.array([[1, 1], [0, 0]], np.float32), np.array([[0, 0], [1, 1]], np.float32)
PLACE = np.array([[1]], np.int64)


@pytest.mark.parametrize(("attributes", "expected"), [
    ({}, [-3, -4, 1, 2]),
    ({"interleaved": 1}, [-2, 1, -4, 3]),
])  # fmt: skip
def test_a_quarter_turn(laboratory, attributes, expected):
    _, _, (value, bound) = laboratory.by_hand("RotaryEmbedding", (X, COS, SIN, PLACE), 23, **attributes)
    assert value.ravel().tolist() == expected
    assert np.all(bound < 4e-6)


def test_only_a_part_is_turned(laboratory):
    inputs = (X.reshape(1, 1, 4), COS[:, :1], SIN[:, :1], PLACE)
    _, _, (value, _) = laboratory.by_hand("RotaryEmbedding", inputs, 23, num_heads=1, rotary_embedding_dim=2)
    assert value.ravel().tolist() == [-2, 1, 3, 4]


@pytest.mark.parametrize(("mode", "start", "expected"), [
    ("linear", 1, [0, 1, 2]), ("circular", 2, [2, 0, 1]), ("circular", 5, [2, 0, 1]), ("linear", None, [1, 2, 0]),
])  # fmt: skip
def test_a_cache_is_written_from_its_index_on(laboratory, mode, start, expected):
    cache, update = np.zeros((1, 3, 1), np.float32), np.array([[[1], [2]]], np.float32)
    inputs = (cache, update) if start is None else (cache, update, np.array([start], np.int64))
    _, _, (value, bound) = laboratory.by_hand("TensorScatter", inputs, 24, mode=mode)
    assert value.ravel().tolist() == expected
    assert np.all(np.asarray(bound) == 0)


def test_what_errs_is_written_with_its_bound(run_of):
    run = run_of("TensorScatter", np.zeros((1, 3, 1), np.float32), np.ones((1, 2, 1), np.float32))
    row = TABLE["TensorScatter"]
    (bound,) = row.error(run, row.evaluate(run), (0.5, np.full((1, 2, 1), 0.25), 0.0))
    assert np.asarray(bound).ravel().tolist() == [0.25, 0.25, 0.5]
    assert row.error(run, row.evaluate(run), (0.0, 0.0, np.ones(1))) == (np.inf,)
    assert TABLE["RotaryEmbedding"].error(run, (run[0],), (0.0, 0.0, 0.0, np.ones(1))) == (np.inf,)


def test_a_gate(laboratory):
    a, b = np.array([-2.0, 0.5], np.float32), np.array([3.0, 4.0], np.float32)
    _, _, (value, bound) = laboratory.by_hand("SwiGLU", (a, b), 28, alpha=2.0)
    np.testing.assert_allclose(value, a / (1 + np.exp(-2.0 * a)) * b, rtol=1e-6)
    assert np.all(bound < 2e-5)


def test_a_sequence_in_two_pieces_is_the_sequence(laboratory):
    random = np.random.default_rng(0)
    x, weight = (random.uniform(-1, 1, s).astype(np.float32) for s in ((1, 2, 5), (2, 1, 3)))
    _, _, whole = laboratory.by_hand("CausalConvWithState", (x, weight), 27, 2, activation="silu")
    _, _, first = laboratory.by_hand("CausalConvWithState", (x[:, :, :1], weight), 27, 2, activation="silu")
    past = first[1][0].astype(np.float32)
    _, _, second = laboratory.by_hand("CausalConvWithState", (x[:, :, 1:], weight, None, past), 27, 2,
                                      activation="silu")  # fmt: skip
    np.testing.assert_allclose(np.concatenate([first[0][0], second[0][0]], 2), whole[0][0], rtol=1e-12)
    np.testing.assert_array_equal(second[1][0], whole[1][0])
    assert np.all(whole[0][1] < 2e-6)


@pytest.mark.parametrize("rule", ["linear", "gated", "delta", "gated_delta"])
def test_every_rule_of_linear_attention(laboratory, rule):
    random = np.random.default_rng(0)
    query, key, value = (random.uniform(-1, 1, (1, 3, 2)) for _ in range(3))
    decay, rate = random.uniform(-1, 0, (1, 3, 1)), random.uniform(0, 1, (1, 3, 1))
    decay, rate = (decay if "gated" in rule else None), (rate if "delta" in rule else None)
    inputs = [None if x is None else x.astype(np.float32) for x in (query, key, value, None, decay, rate)]
    _, _, found = laboratory.by_hand("LinearAttention", tuple(inputs), 27, 2, q_num_heads=1, kv_num_heads=1,
                                     update_rule=rule, scale=0.5)  # fmt: skip
    q, k, v = (x[0].astype(np.float64) for x in inputs[:3])
    memory, rows = np.zeros((2, 2)), []
    for t in range(3):
        kept = memory if decay is None else memory * np.exp(np.float64(inputs[4][0, t, 0]))
        new = v[t] if rate is None else np.float64(inputs[5][0, t, 0]) * (v[t] - kept.T @ k[t])
        memory = kept + np.outer(k[t], new)
        rows.append(0.5 * q[t] @ memory)
    np.testing.assert_allclose(found[0][0][0], rows, rtol=1e-12)
    np.testing.assert_allclose(found[1][0][0, 0], memory, rtol=1e-12)
    assert np.all(found[0][1] < 2e-5)


def test_a_state_keeps_its_type(laboratory):
    x = np.ones((1, 1, 1), np.float16)
    model, _, found = laboratory.by_hand("LinearAttention", (x, x, x, np.ones((1, 1, 1, 1), np.float32)), 27, 2,
                                         q_num_heads=1, kv_num_heads=1, update_rule="linear")  # fmt: skip
    assert found[1][0].item() == 2.0
    assert found[1][1].item() < 0.1
    del model
