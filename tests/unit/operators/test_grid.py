"""AffineGrid and GridSample: every mode against ONNX's evaluator and a runtime, bounds by moving what they read."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from abstract.dtypes import dtype
from abstract.operator import NotCovered, Run
from abstract.operators import TABLE, sampling
from abstract.reference import Float64

MODES = [b"linear", b"nearest", b"cubic"]
PADDINGS = [b"zeros", b"border", b"reflection"]


def sample(x, grid, kind="float", e=(0.0, 0.0), **params):
    dtypes = (dtype(kind), dtype("float"))
    run = Run(params, (np.asarray(x), np.asarray(grid)), dtypes, dtypes[:1], Float64())
    y = TABLE["GridSample"].evaluate(run)
    return y[0], np.broadcast_to(TABLE["GridSample"].error(run, y, e)[0], y[0].shape)


def _runs(node):
    return (4,) if node.params.get("mode") == b"cubic" else (4, 5)


@pytest.mark.parametrize(
    ("name", "opset"), [("AffineGrid", 20), ("GridSample", 16), ("GridSample", 20), ("GridSample", 22)]
)
def test_generated_calls_are_valid_and_a_runtime_agrees(laboratory, name, opset):
    decided = 0
    # ONNX Runtime refuses AffineGrid of one picture in float16 (docs/disputes.md).
    dtypes = ("float", "double") if name == "AffineGrid" else ("float", "float16", "int8", "bool")
    with np.errstate(all="ignore"):
        for trial in laboratory.trials(name, opset, 16, dtypes=dtypes):
            laboratory.check_valid(trial)
            # ONNX Runtime takes no tensors of rank 3, and of rank 5 no cubic ones (docs/disputes.md).
            node = trial.graph.nodes[-1]
            if name == "AffineGrid" or len(node.inputs[0].type.shape) in _runs(node):
                decided += laboratory.check_values(trial, laboratory.run(trial))
    assert decided


@pytest.mark.untraced
def test_symbolic_shapes_hold_at_other_sizes(laboratory):
    assert laboratory.at_other_sizes("GridSample", 22) >= 5


@pytest.mark.parametrize(("name", "opset"), [("AffineGrid", 20), ("GridSample", 22)])
def test_errors_cover_every_move_of_the_inputs(laboratory, name, opset):
    assert laboratory.perturbed(name, opset, dtypes=("double",)) >= 9


@pytest.mark.untraced
@pytest.mark.parametrize(("name", "opset"), [("AffineGrid", 20), ("GridSample", 22)])
@pytest.mark.parametrize("element_type", ["float", "float16", "double"])
def test_legal_recomputations_stay_within_the_bound(laboratory, name, opset, element_type):
    laboratory.recomputed(name, opset, (element_type,), 5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("corners", [0, 1])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_it_is_what_onnx_s_evaluator_gives(mode, padding, corners, rank):
    random = np.random.default_rng(rank)
    x = random.normal(size=(2, 2, *(4, 3, 5)[:rank])).astype(np.float32)
    grid = random.uniform(-1.7, 1.7, (2, *(3, 2, 2)[:rank], rank)).astype(np.float32)
    attributes = {"mode": mode, "padding_mode": padding, "align_corners": corners}
    y, bound = sample(x.astype(np.float64), grid.astype(np.float64), **attributes)
    node = onnx.helper.make_node("GridSample", ["x", "g"], ["y"], **attributes)
    infos = [onnx.helper.make_tensor_value_info(n, 1, a.shape) for n, a in (("x", x), ("g", grid))]
    graph = onnx.helper.make_graph([node], "g", infos, [onnx.ValueInfoProto(name="y")])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 22)])
    (theirs,) = ReferenceEvaluator(model).run(None, {"x": x, "g": grid})
    assert (np.abs(theirs - y) <= bound).all()
    assert (bound < 4e-4).all()


def test_a_position_that_errs_costs_the_slope_around_it():
    """The ramp rises by 1 an element: an error of 0.1 of it costs 0.1, though the elements are near 100."""
    x = np.arange(100.0, 110.0)[None, None]
    y, bound = sample(x, [[[0.05]]], e=(0.0, np.full((1, 1, 1), 0.02)))
    assert 0.1 <= bound.item() <= 0.11
    assert y.item() == pytest.approx(100 + (1.05 * 10 - 1) / 2)


@pytest.mark.parametrize("mode", MODES)
def test_a_position_that_may_lie_anywhere_has_a_bound_all_the_same(mode):
    x = np.arange(10.0)[None, None]
    _, bound = sample(x, [[[0.0]]], e=(0.0, np.full((1, 1, 1), 5.0)), mode=mode)
    assert 4 <= bound.item() <= 30


def test_a_step_that_rounding_may_cross_spans_both_elements():
    x = np.array([[[1.0, 5.0, 6.0]]])
    grid = np.array([[[1 / 3 + 1e-9]], [[0.0]]])
    y, bound = sample(x.repeat(2, 0), grid, mode=b"nearest")
    assert (y.ravel().tolist(), bound.ravel().tolist()) == ([6, 5], [1, 0])
    flags, unsure = sample(x.repeat(2, 0) > 4, grid, "bool", mode=b"nearest")
    assert (flags.ravel().tolist(), unsure.ravel().tolist()) == ([True, True], [0, 0])
    texts = np.array([[["a", "b", "c"]]] * 2, object)
    _, unsure = sample(texts, grid, "string", mode=b"nearest")
    assert np.isinf(unsure).all()
    assert (sample(texts, grid * 0, "string", mode=b"nearest")[1] == 0).all()


def test_integers_are_cut_at_the_end():
    x = np.array([[[0, 5, 10]]])
    y, bound = sample(x, [[[1 / 3]] ], "int32")
    assert y.item() == 7
    assert bound.item() == 0
    y, bound = sample(x, [[[0.0]]], "int32")
    assert (y.item(), bound.item()) == (5, 1)


@pytest.mark.parametrize(
    ("x", "grid", "params"),
    [
        (np.ones((1, 1, 2), bool), [[[0.0]]], {}),
        (np.ones((1, 1, 2), np.int64), [[[0.0]]], {"mode": b"cubic"}),
        (np.ones((1, 1, 0)), [[[0.0]]], {}),
        (np.ones((1, 1, 2)), [[[np.nan]]], {}),
    ],
)
def test_what_is_left_to_onnx(x, grid, params):
    with pytest.raises(NotCovered):
        sample(x, grid, **params)


def test_large_pictures_are_read_in_pieces(monkeypatch):
    random = np.random.default_rng(0)
    x, grid = random.normal(size=(2, 3, 5, 4)), random.uniform(-1, 1, (2, 4, 3, 2))
    e = (np.full(x.shape, 0.25), np.full(grid.shape, 0.01))
    for mode in MODES:
        whole, bound = sample(x, grid, mode=mode, e=e)
        monkeypatch.setattr(sampling, "_ROOM", 64)
        part, same = sample(x, grid, mode=mode, e=e)
        monkeypatch.undo()
        np.testing.assert_array_equal(whole, part)
        np.testing.assert_array_equal(bound, same)


def test_positions_of_a_picture(laboratory):
    theta = np.array([[[1, 0, 0], [0, 1, 0]]], np.float32)
    for corners, line in ((0, [-2 / 3, 0, 2 / 3]), (1, [-1, 0, 1])):
        inputs = (theta, np.array([1, 1, 2, 3], np.int64))
        _, _, (value, bound) = laboratory.by_hand("AffineGrid", inputs, 20, align_corners=corners)
        np.testing.assert_allclose(value[0, 0, :, 0], line)
        assert np.max(bound) < 1e-5
    assert all(itertools.starmap(lambda y, x: y == x, zip((1, 2, 3, 2), value.shape, strict=True)))


def test_a_position_on_the_border_may_be_read_on_either_side_of_it():
    """Cubic, borders repeated: a position beyond half an element outside is read at the last element."""
    x = np.array([[[[0.0, 1.0, 5.0, 2.0]]]])
    for at, open_ in ((1.0, True), (-1.0, True), (0.9, False), (1.1, False)):
        _, bound = sample(x, [[[[at, 0.0]]]], mode=b"cubic", padding_mode=b"border", align_corners=0)
        assert (bound.max() > 1.0) == open_, at
