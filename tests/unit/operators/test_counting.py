"""Outputs as long as the values say: NonZero, Unique, NonMaxSuppression."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from abstract.dtypes import dtype
from abstract.operator import Run
from abstract.operators import TABLE
from abstract.reference import Float64
from fuzz.generate.choices import Seeded
from fuzz.generate.graph import generate_graph
from fuzz.generate.settings import Settings

NAMES = {"f": "float", "i": "int64", "b": "bool", "O": "string", "c": "complex64"}


@pytest.mark.parametrize("name", ["NonZero", "Unique", "NonMaxSuppression"])
@pytest.mark.parametrize("opset", [13, 21])
def test_generated_calls_are_valid_and_a_runtime_agrees(laboratory, name, opset):
    types = ("float", "double", "int64", "int32", "int8", "string")
    laboratory.generated(name, opset, 40, onnx_too=False, dtypes=types)


@pytest.mark.parametrize("name", ["NonZero", "Unique", "NonMaxSuppression"])
def test_sizes_that_values_decide_are_open(laboratory, name):
    for trial in laboratory.trials(name, 21, 10):
        assert any(d.dim_param for o in trial.model.graph.output for d in o.type.tensor_type.shape.dim)


def test_what_follows_works_on_sizes_that_values_decide():
    operators = ("NonZero", "Unique", "Transpose", "Cast", "Concat", "Shape", "ReduceSum", "Mul")
    followers = set()
    for seed in range(60):
        graph, _ = generate_graph(Seeded(seed), Settings(nodes=(6, 6), operators=operators, dtypes=("float", "int64")))
        counted = {id(v) for n in graph.nodes if n.operator in ("NonZero", "Unique") for v in n.outputs}
        followers |= {n.operator for n in graph.nodes if any(id(v) in counted for v in n.inputs)}
    assert {"Transpose", "Cast", "Mul"} <= followers


def run_of(name, inputs, outputs, **params):
    arrays = tuple(None if x is None else np.asarray(x) for x in inputs)
    dtypes = tuple(None if x is None else dtype(NAMES[x.dtype.kind]) for x in arrays)
    return Run(params, arrays, dtypes, tuple(map(dtype, outputs)), Float64())


def values_of(name, *inputs, outputs=("int64",), **params):
    return [y.tolist() for y in TABLE[name].evaluate(run_of(name, inputs, outputs, **params))]


def bounds_of(name, inputs, errors, outputs=("int64",), **params):
    run = run_of(name, inputs, outputs, **params)
    return TABLE[name].error(run, TABLE[name].evaluate(run), errors)


class TestNonZero:
    def test_places_in_the_order_of_memory(self):
        assert values_of("NonZero", [[1.0, 0, -0.0], [0, 2, 3]]) == [[[0, 1, 1], [0, 1, 2]]]
        assert values_of("NonZero", [False, True]) == [[[1]]]
        assert values_of("NonZero", [0j, 1j]) == [[[1]]]

    def test_a_scalar_has_no_row(self):
        (y,) = TABLE["NonZero"].evaluate(run_of("NonZero", (5.0,), ("int64",)))
        assert y.shape == (0, 1)

    def test_an_element_that_may_be_0_leaves_the_shape_open(self):
        assert bounds_of("NonZero", ([0.0, 1.0],), (0.0,)) == (0.0,)
        assert bounds_of("NonZero", ([0.0, 1.0],), (np.array([0.0, 0.5]),)) == (0.0,)
        assert np.isnan(bounds_of("NonZero", ([0.0, 1.0],), (np.array([0.1, 0.0]),))[0])


ALL = ("float", "int64", "int64", "int64")


class TestUnique:
    @pytest.mark.parametrize(("numbers", "kind"), [([1.5, 2.5, 1.5], "float"), ([1.5, 1.5 + 1j, 1.5], "complex64")])
    def test_numbers_that_may_differ_in_last_bits_elsewhere_are_not_alike(self, numbers, kind):
        """ONNX Runtime's cosine of equal numbers differs by the lane that computes it: three uniques were two."""
        run = Run({}, (np.array(numbers),), (dtype(kind),), (dtype(kind),), Float64())
        row = TABLE["Unique"]
        assert row.defined(run)
        assert not row.defined(replace(run, exact=False))
        assert row.defined(replace(run, inputs=(np.array(numbers[:2]),), exact=False))

    def test_elements_in_ascending_order_or_as_they_come(self):
        x = [2.0, 1, 1, 3, 4, 3]
        assert values_of("Unique", x, outputs=ALL) == [[1, 2, 3, 4], [1, 0, 3, 4], [1, 0, 0, 2, 3, 2], [2, 1, 2, 1]]
        assert values_of("Unique", x, outputs=ALL, sorted=0) == [
            [2, 1, 3, 4], [0, 1, 3, 4], [0, 1, 1, 2, 3, 2], [1, 2, 2, 1]]  # fmt: skip

    def test_subtensors_along_an_axis(self):
        x = [[[1.0, 1], [0, 1], [2, 1], [0, 1]]] * 2
        found = values_of("Unique", x, outputs=ALL, axis=1)
        assert found == [[[[0, 1], [1, 1], [2, 1]]] * 2, [1, 0, 2], [1, 0, 2, 0], [2, 1, 1]]
        assert values_of("Unique", [3, 3, 1], outputs=("int64",), axis=0) == [[1, 3]]
        assert values_of("Unique", np.zeros((2, 0)), outputs=ALL[:2], axis=0) == [[[]], [0]]

    def test_strings_are_ordered_by_code_points(self):
        (y,) = TABLE["Unique"].evaluate(run_of("Unique", (np.array(["b", "", "é", "B", "b"], object),), ("string",)))
        assert y.tolist() == ["", "B", "b", "é"]

    def test_errors_count_where_two_may_become_one(self):
        apart = bounds_of("Unique", ([1.0, 2.0],), (np.array([0.1, 0.0]),), ALL)
        assert apart == (0.1, 0.0, 0.0, 0.0)
        near = bounds_of("Unique", ([1.0, 1.1],), (np.array([0.1, 0.0]),), ALL)
        assert np.isnan(near).all()
        assert np.isnan(bounds_of("Unique", ([1.0],), (np.inf,), ALL)).all()
        assert np.isnan(bounds_of("Unique", (np.array(["a"], object),), (np.array([np.inf]),), ("string",))[0])


BOXES = np.array([[[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, 10, 1, 11], [1, 11, 0, 10.3]]])
SCORES = np.array([[[0.9, 0.75, 0.6, 0.95]]])


class TestSuppression:
    def selected(self, boxes=BOXES, scores=SCORES, most=3, threshold=0.5, least=None, **params):
        rest = [np.array(most), np.array(threshold), None if least is None else np.array(least)]
        (y,) = values_of("NonMaxSuppression", boxes, scores, *rest, **params)
        return [row[2] for row in y]

    def test_the_best_first_and_none_that_overlaps_it(self):
        assert self.selected() == [3, 0]
        assert self.selected(threshold=0.95) == [3, 0, 1]
        assert self.selected(least=0.92) == [3]
        assert self.selected(most=0) == []

    def test_boxes_by_centre_and_size(self):
        low, high = np.minimum(BOXES[..., :2], BOXES[..., 2:]), np.maximum(BOXES[..., :2], BOXES[..., 2:])
        centred = np.concatenate([(low + high) / 2, high - low], axis=-1)
        assert self.selected(centred, center_point_box=1) == [3, 0]

    def test_nothing_said_is_nothing_selected(self):
        assert values_of("NonMaxSuppression", BOXES, SCORES) == [[]]

    def test_every_batch_and_class_by_itself(self):
        boxes, scores = np.concatenate([BOXES, BOXES]), np.concatenate([SCORES, -SCORES])
        (rows,) = values_of("NonMaxSuppression", boxes, scores, np.array(1), np.array(0.5))
        assert rows == [[0, 0, 3], [1, 0, 2]]

    def test_errors_that_decide_nothing_leave_it_exact(self):
        inputs = (BOXES, SCORES, np.array(3), np.array(0.5))
        assert bounds_of("NonMaxSuppression", inputs, (np.full(BOXES.shape, 1e-3), 0.01, 0.0, 0.0)) == (0.0,)
        for errors in ((0.5, 0.0, 0.0, 0.0), (0.0, 0.1, 0.0, 0.0), (0.0, 0.0, 0.0, 0.01), (np.inf, 0.0, 0.0, 0.0)):
            assert np.isnan(bounds_of("NonMaxSuppression", inputs, errors)[0]), errors

    @pytest.mark.parametrize(("boxes", "scores", "threshold"), [
        (BOXES, SCORES * 0, 0.5), (BOXES, SCORES, 9 / 11), (BOXES * [1, 1, 0, 0], SCORES, 0.5),
    ])  # fmt: skip
    def test_ties_are_not_drawn(self, boxes, scores, threshold):
        defined = TABLE["NonMaxSuppression"].defined
        assert defined(run_of("NonMaxSuppression", (BOXES, SCORES, np.array(2), np.array(0.5)), ("int64",)))
        run = run_of("NonMaxSuppression", (boxes, scores, np.array(2), np.array(threshold)), ("int64",))
        assert not defined(run)


def test_numbers_that_rounding_could_make_one_are_not_drawn():
    defined = TABLE["Unique"].defined
    assert defined(run_of("Unique", ([1.0, 1.0, 2.0],), ("float",)))
    assert not defined(run_of("Unique", ([1.0, 1.0 + 1e-9],), ("float",)))
    assert defined(run_of("Unique", ([1, 2],), ("int64",)))
