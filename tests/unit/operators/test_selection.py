"""Picking, placing and ordering elements: Gather to Compress, TopK, ArgMax, ArgMin."""

from __future__ import annotations

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from abstract.dtypes import dtype
from abstract.operator import Run
from abstract.operators import TABLE
from abstract.reference import Float64
from fuzz.generate.choices import Seeded
from fuzz.generate.graph import generate_graph
from fuzz.generate.settings import Settings

OPERATORS = {
    "Gather": (13,), "GatherElements": (13,), "GatherND": (13,), "ScatterElements": (13, 16, 18),
    "ScatterND": (13, 16, 18), "OneHot": (13,), "Compress": (13,), "TopK": (13, 24), "ArgMax": (13,), "ArgMin": (13,),
}  # fmt: skip
PAIRS = [(name, opset) for name, opsets in OPERATORS.items() for opset in opsets]
NEWEST = [(name, opsets[-1]) for name, opsets in OPERATORS.items()]


@pytest.mark.parametrize(("name", "opset"), PAIRS)
def test_generated_calls_are_valid_and_a_runtime_agrees(laboratory, name, opset):
    # ONNX's reference computes off + hot * (on - off), which rounds.
    # ONNX Runtime gathers rows of strings wrongly (docs/disputes.md); test_texts.py has the others.
    dtypes = ("float", "int64", "bool", "uint8") if name == "Gather" else ()
    laboratory.generated(name, opset, 25, dtypes, onnx_too=name != "OneHot")


@pytest.mark.parametrize("name", ["ScatterElements", "ScatterND"])
@pytest.mark.parametrize(
    ("opset", "due"), [(13, set()), (16, {b"add", b"mul"}), (18, {b"add", b"mul", b"max", b"min"})]
)
def test_scattered_elements_are_combined_as_the_version_can(name, opset, due):
    settings = Settings(nodes=(1, 1), opset=opset, operators=(name,))
    drawn = [generate_graph(Seeded(seed), settings)[0].nodes[-1].params.get("reduction") for seed in range(160)]
    assert set(drawn) == due | {None}


@pytest.mark.untraced
@pytest.mark.parametrize(("name", "opset"), NEWEST)
def test_symbolic_shapes_hold_at_other_sizes(laboratory, name, opset):
    assert laboratory.at_other_sizes(name, opset) >= 10


@pytest.mark.parametrize(("name", "opset"), NEWEST)
def test_errors_move_with_their_elements(laboratory, name, opset):
    assert laboratory.perturbed(name, opset) >= 9


def ints(*values):
    return np.array(values, dtype=np.int64)


def floats(*values):
    return np.array(values, dtype=np.float32)


X = np.array([[3, -1, 4, 1], [5, 9, -2, 6], [5, 3, 5, 8]], dtype=np.float32)


@pytest.mark.parametrize(
    ("name", "inputs", "attributes"),
    [
        ("Gather", (X, ints(-1, 0)), {"axis": 1}),
        ("Gather", (X, np.array(2)), {}),
        ("Gather", (X[:0], ints(3, -4)), {"axis": -1}),
        ("GatherElements", (X, ints(-1, 0, 1, 2).reshape(1, 4)), {"axis": -2}),
        ("GatherND", (X.reshape(3, 2, 2), ints([[1]], [[0]], [[-1]])), {"batch_dims": 1}),
        ("GatherND", (X, ints([0, -1], [2, 0])), {}),
        ("ScatterElements", (X, ints([1, 1]), floats([2, 3])), {"axis": 1, "reduction": "add"}),
        ("ScatterElements", (X, ints([1, 1]), floats([2, 3])), {"axis": 1, "reduction": "mul"}),
        ("ScatterElements", (X, ints([1, 1]), floats([2, 3])), {"axis": 1, "reduction": "max"}),
        ("ScatterND", (X, ints([1], [1]), X[:2]), {"reduction": "min"}),
        ("ScatterND", (X, ints([1], [1]), X[:2]), {"reduction": "add"}),
        ("ScatterND", (X, ints([1, 2]), floats(7)), {}),
        ("OneHot", (ints(0, 3, -1, -5, 9), np.array(4), floats(-1, 2)), {}),
        ("OneHot", (floats([1, 2], [0, -1]), np.float32(3), ints(5, 6)), {"axis": 0}),
        ("Compress", (X, np.array([False, True])), {"axis": 0}),
        ("Compress", (X, np.array([False, True, True])), {}),
        ("TopK", (X, ints(3)), {}),
        ("TopK", (X, ints(2)), {"axis": 0, "largest": 0}),
        ("TopK", (X.astype(np.uint8), ints(4)), {"largest": 1}),
        ("ArgMax", (X,), {}),
        ("ArgMax", (X,), {"axis": 1, "select_last_index": 1, "keepdims": 0}),
        ("ArgMin", (X.astype(np.uint8),), {"axis": -1}),
    ],
)
def test_attributes_that_are_not_proposed(laboratory, name, inputs, attributes):
    outputs = 2 if name == "TopK" else 1
    inputs = tuple(np.asarray(x) for x in inputs)
    model, feeds, found = laboratory.by_hand(name, inputs, outputs=outputs, **attributes)
    expected = ReferenceEvaluator(model).run(None, feeds)
    for (value, bound), want in zip(found if outputs > 1 else (found,), expected, strict=True):
        assert value.shape == want.shape
        assert np.all(np.abs(value.astype(np.float64) - want) <= bound)
        assert np.all(np.asarray(bound) < 1e-5)


def test_indices_may_be_shorter_than_the_data_on_other_axes(laboratory):
    # ONNX's reference wants them as long.
    _, _, (value, _) = laboratory.by_hand("GatherElements", (X, ints([2, 1])), axis=1)
    np.testing.assert_array_equal(value, [[4, -1]])


def test_the_depth_of_one_hot_may_be_a_tensor_of_one_element(laboratory):
    # ONNX's reference wants a scalar.
    _, _, (value, _) = laboratory.by_hand("OneHot", (ints(1), ints(3), ints(5, 6)), axis=0)
    np.testing.assert_array_equal(value, [[5], [6], [5]])


def run_of(name, inputs, **params):
    names = {"f": "float", "i": "int64", "b": "bool"}
    dtypes = tuple(dtype(names[x.dtype.kind]) for x in inputs)
    outputs = (dtypes[0], dtype("int64")) if name == "TopK" else (dtype("int64"),) if "Arg" in name else dtypes[:1]
    return Run(params, inputs, dtypes, outputs, Float64())


def bounds_of(name, inputs, errors, **params):
    run = run_of(name, tuple(np.asarray(x) for x in inputs), **params)
    y = tuple(np.asarray(a) for a in TABLE[name].evaluate(run))
    return tuple(np.broadcast_to(b, a.shape) for a, b in zip(y, TABLE[name].error(run, y, errors), strict=True))


def test_an_unsure_index_may_read_anything():
    x = np.arange(6.0).reshape(3, 2)
    (bound,) = bounds_of("Gather", (x, ints(0, 2)), (0.0, np.array([0.0, np.inf])), axis=0)
    np.testing.assert_array_equal(bound, [[0, 0], [np.inf, np.inf]])
    (bound,) = bounds_of("Gather", (x, ints(0, 1)), (np.full((3, 2), 0.5), np.array([0.0, 1.0])), axis=1)
    np.testing.assert_array_equal(bound, [[0.5, np.inf]] * 3)
    (bound,) = bounds_of("GatherND", (x, ints([0], [1])), (0.0, np.array([[0.0], [1.0]])))
    np.testing.assert_array_equal(bound, [[0, 0], [np.inf, np.inf]])
    (bound,) = bounds_of("OneHot", (ints(0, 1), floats(0, 1)), (np.array([1.0, 0.0]), 0.0), depth=2)
    np.testing.assert_array_equal(bound, [[np.inf, np.inf], [0, 0]])
    (bound,) = bounds_of("ScatterND", (x, ints([0]), floats([1, 2])), (0.0, np.array([[1.0]]), 0.0))
    assert np.isinf(bound).all()


def test_an_extremum_is_sure_where_no_other_interval_reaches_it():
    x = np.array([[1.0, 2.0, 3.0], [1.0, 2.9, 3.0]])
    for sign, name in ((1, "ArgMax"), (-1, "ArgMin")):
        (bound,) = bounds_of(name, (sign * x,), (0.1 * np.ones((2, 3)),), axis=1, keepdims=0)
        np.testing.assert_array_equal(bound, [0, np.inf])
        (bound,) = bounds_of(name, (sign * x,), (0.01,), axis=1, keepdims=1)
        np.testing.assert_array_equal(bound, [[0], [0]])


def test_top_k_indices_are_unsure_where_intervals_overlap():
    x = np.array([5.0, 1.0, 3.0, 2.95])
    values, indices = bounds_of("TopK", (x,), (np.full(4, 0.1),), K=(3,))
    np.testing.assert_allclose(values, [0.1, 0.1, 0.1])
    np.testing.assert_array_equal(indices, [0, np.inf, np.inf])
    # The next one below the k-th counts as well.
    _, indices = bounds_of("TopK", (x,), (np.full(4, 0.1),), K=(2,))
    np.testing.assert_array_equal(indices, [0, np.inf])
    _, indices = bounds_of("TopK", (x,), (np.array([0.0, 0.0, 0.0, 9.0]),), K=(1,), largest=0)
    assert np.isinf(indices).all()


def test_updates_that_meet_are_added_in_any_order():
    x, indices, updates = np.zeros(2), ints(0, 0, 0), np.array([1e4, 1.0, -1e4])
    (bound,) = bounds_of("ScatterElements", (x, indices, updates), (0.0, 0.0, 0.0), reduction=b"add")
    forwards = np.float32(1e4) + np.float32(1.0) - np.float32(1e4)
    assert abs(float(forwards) - 1.0) <= bound[0] < 0.01
    assert bound[1] == 0


@pytest.mark.parametrize("name", ["ScatterElements", "ScatterND"])
def test_a_product_that_is_subnormal_is_rounded_to_what_there_is(name):
    """2**-149 * 2.9 is 3 * 2**-149 in float, a third of a per cent off."""
    tiny = 2.0**-149
    index = np.array([[0]]) if name == "ScatterND" else np.array([0])
    inputs = (np.array([tiny]), index, np.array([2.9]))
    kinds = (dtype("float"), dtype("int64"), dtype("float"))
    run = Run({"reduction": b"mul", "axis": 0}, inputs, kinds, (dtype("float"),), Float64())
    y = TABLE[name].evaluate(run)
    (bound,) = TABLE[name].error(run, y, (0.0, 0.0, 0.0))
    assert np.all(np.abs(y[0] - 3 * tiny) <= bound)
    assert np.all(bound < 1e-30)
