"""Attention: generated calls, their shapes and bounds, what its text says."""

from __future__ import annotations

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from abstract.operators import TABLE, attention
from abstract.operators.attention import admitted
from abstract.program import parse

TYPES = ("float", "int64", "bool")


@pytest.mark.parametrize("opset", [23, 24, 25])
def test_generated_calls_are_valid_and_onnx_agrees(laboratory, opset):
    decided = 0
    with np.errstate(all="ignore"):
        for trial in laboratory.trials("Attention", opset, 16, dtypes=TYPES):
            laboratory.check_valid(trial)
            names = [o.name for o in trial.model.graph.output]
            made = ReferenceEvaluator(trial.model).run(None, trial.feeds)
            (node,) = [n for n in trial.model.graph.node if n.op_type == "Attention"]
            given = {a.name: a for a in node.attribute}
            if "softcap" in given and len(node.output) > 3 and not given["qk_matmul_output_mode"].i:
                names = names[:-1]  # ONNX's reference gives capped scores for raw ones: docs/disputes.md
            decided += laboratory.check_values(trial, dict(zip(names, made, strict=False)))
    assert decided > 100


@pytest.mark.untraced
def test_symbolic_shapes_hold_at_other_sizes(laboratory):
    assert laboratory.at_other_sizes("Attention", 24, 16) >= 5


def test_errors_cover_every_move_of_the_inputs(laboratory):
    assert laboratory.perturbed("Attention", 24, 20, dtypes=("double", "int64", "bool")) >= 9


@pytest.mark.untraced
@pytest.mark.parametrize("element_type", ["float", "float16", "double", "bfloat16"])
def test_legal_recomputations_stay_within_the_bound(laboratory, element_type):
    laboratory.recomputed("Attention", 25, (element_type, "int64", "bool"), 4)


def test_present_states_are_left_out_where_there_is_no_past(laboratory):
    """The text has past and present "used together": both, or neither."""
    seen = set()
    for trial in laboratory.trials("Attention", 24, 80, dtypes=TYPES):
        (node,) = [n for n in trial.model.graph.node if n.op_type == "Attention"]
        past = len(node.input) > 5 and bool(node.input[4])
        present = [bool(name) for name in node.output[1:3]]
        assert present in ([past, past], [])
        seen.add((past, len(node.output)))
    assert seen == {(False, 1), (False, 4), (True, 3), (True, 4)}


def tensors(queries=2, keys=2, heads=1, others=1, size=2):
    random = np.random.default_rng(0)
    shapes = ((1, heads, queries, size), (1, others, keys, size), (1, others, keys, size))
    return tuple(random.uniform(-1, 1, shape).astype(np.float32) for shape in shapes)


def by_definition(query, key, value, scale, open_=True):
    scores = np.where(open_, query @ key.swapaxes(-1, -2) * scale, -np.inf)
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True) @ value


@pytest.mark.parametrize(("attributes", "extra", "open_"), [
    ({"is_causal": 1}, (), [[1, 0], [1, 1]]),
    ({}, (np.array([[True, False], [False, True]]),), [[1, 0], [0, 1]]),
    ({}, (np.array([[0, -np.inf], [-np.inf, 0]], np.float32),), [[1, 0], [0, 1]]),
    ({}, (np.array([[True], [True]]),), [[1, 0], [1, 0]]),
    ({}, (None, None, None, np.array([1], np.int64)), [[1, 0], [1, 0]]),
    ({"left_window_size": 0}, (), [[1, 1], [0, 1]]),
    ({"right_window_size": 0}, (), [[1, 0], [1, 1]]),
])  # fmt: skip
def test_which_keys_are_seen(laboratory, attributes, extra, open_):
    given = tensors()
    _, _, (value, bound) = laboratory.by_hand("Attention", (*given, *extra), 25, scale=0.5, **attributes)
    np.testing.assert_allclose(value, by_definition(*given, 0.5, np.array(open_, bool)), rtol=1e-6)
    finite = np.isfinite(bound)
    assert finite.all() or "is_causal" in attributes or len(extra) == 4
    assert float(np.max(np.broadcast_to(bound, value.shape)[finite], initial=0.0)) < 3e-6


def test_heads_in_groups_share_their_keys(laboratory):
    query, key, value = tensors(heads=4, others=2)
    _, _, (grouped, _) = laboratory.by_hand("Attention", (query, key, value), 23)
    _, _, (repeated, _) = laboratory.by_hand("Attention", (query, key.repeat(2, 1), value.repeat(2, 1)), 23)
    np.testing.assert_array_equal(grouped, repeated)


def test_three_axes_are_four_laid_out_otherwise(laboratory):
    given = tensors(heads=2, others=2)
    flat = tuple(x.transpose(0, 2, 1, 3).reshape(1, 2, 4) for x in given)
    _, _, (four, _) = laboratory.by_hand("Attention", given, 23)
    _, _, (three, _) = laboratory.by_hand("Attention", flat, 23, q_num_heads=2, kv_num_heads=2)
    np.testing.assert_array_equal(three, four.transpose(0, 2, 1, 3).reshape(1, 2, 4))


def test_scores_at_every_stage(laboratory):
    given = tensors()
    mask = np.array([[True, False], [True, True]])
    found = []
    for mode in range(4):
        _, _, results = laboratory.by_hand(
            "Attention", (*given, mask), 24, 4, scale=1.0, softcap=0.5, qk_matmul_output_mode=mode)  # fmt: skip
        assert np.all(results[3][1] < 1e-5)
        found.append(results[3][0])
    raw = given[0] @ given[1].swapaxes(2, 3)
    capped = 0.5 * np.tanh(raw / 0.5)
    np.testing.assert_allclose(found[0], raw, rtol=1e-6)
    np.testing.assert_allclose(found[1], capped, rtol=1e-6)
    np.testing.assert_allclose(found[2], np.where(mask, capped, -np.inf), rtol=1e-6)
    np.testing.assert_allclose(found[3].sum(-1), 1, rtol=1e-12)
    assert found[3][0, 0, 0, 1] == 0


def test_a_past_comes_before_the_new(laboratory):
    query, key, value = tensors(keys=3)
    inputs = (query, key[:, :, 2:], value[:, :, 2:], None, key[:, :, :2], value[:, :, :2])
    _, _, found = laboratory.by_hand("Attention", inputs, 23, 3)
    _, _, (whole, _) = laboratory.by_hand("Attention", (query, key, value), 23)
    np.testing.assert_array_equal(found[0][0], whole)
    np.testing.assert_array_equal(found[1][0], key)
    np.testing.assert_array_equal(found[2][0], value)


def test_what_the_row_leaves_to_onnx(laboratory):
    query, key, value = tensors()
    mask = np.array([[1, 0], [0, 1]], np.int32)  # a mask of whole numbers: the text knows booleans and floats
    model, _, (_, bound) = laboratory.by_hand("Attention", (query, key, value, mask), 23)
    assert parse(model).steps[0].row is not None
    assert np.all(bound >= 1e-4 * np.abs(value).max())  # that of the fallback


def test_unsure_masks_and_lengths_leave_nothing_known(run_of):
    run = run_of("Attention", *tensors(), np.array([[True, False], [True, True]]))
    row = TABLE["Attention"]
    (y, *_) = row.evaluate(run)
    assert row.error(run, (y,), (0.0, 0.0, 0.0, np.zeros((2, 2)))) == (np.inf,)
    assert np.all(row.error(run, (y,), (0.0, 0.0, 0.0, 0.0))[0] < 1e-5)


def test_no_mask_admits_all(run_of):
    assert admitted(run_of("Attention", *tensors())) is None
    assert [row.name for row in attention.OPERATORS] == ["Attention"]
