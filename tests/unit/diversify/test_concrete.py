"""A concrete model is checked by everybody, and the graph is as it was afterwards."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from abstract.constraints import at_least
from abstract.graph import Recipe
from fuzz.diversify.concrete import Dropped, at_sizes, check, concrete
from fuzz.generate.emit import emit
from fuzz.generate.tensors import fill

MOST = 8192


def dropped(sketch, sizes, most=MOST):
    with pytest.raises(Dropped) as caught:
        concrete(sketch.graph, sizes, most)
    return caught.value.reason


def dims(port):
    return [dim.dim_value for dim in port.type.tensor_type.shape.dim]


@pytest.fixture
def product(sketch):
    """x [a, b] times w [b], and their sizes."""
    a, b = sketch.dim(2), sketch.dim(3)
    x, w = sketch.value(a, b), sketch.value(b, initializer=True)
    sketch.node("Mul", [x, w], (a, b), x.array * w.array)
    return sketch, a.symbol, b.symbol


def test_every_size_is_a_number_and_the_data_is_of_that_size(product):
    sketch, a, b = product
    before = emit(sketch.graph, dynamic=False).model
    made = concrete(sketch.graph, {a: 5, b: 7}, MOST)
    model = onnx.ModelProto.FromString(made.model)
    assert [dims(port) for port in (*model.graph.input, *model.graph.output)] == [[5, 7], [5, 7]]
    (w,) = (onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer)
    recipe = Recipe("whole", 7, 1.0, 4.0)
    np.testing.assert_array_equal(w, fill(recipe, (7,), sketch.graph.inputs[0].type.dtype))
    (x,), (y,) = made.data_set.inputs.values(), made.data_set.outputs.values()
    numbers = [np.frombuffer(t.data, np.float32).reshape(t.shape) for t in (x, y)]
    np.testing.assert_array_equal(numbers[0] * w, numbers[1])
    assert emit(sketch.graph, dynamic=False).model == before
    assert sketch.graph.inputs[0].array.shape == (2, 3)


def test_the_graph_is_as_it_was_even_after_an_error(product):
    sketch, a, b = product
    shapes = []

    def interrupted():
        with at_sizes(sketch.graph, {a: 5, b: 7}):
            shapes.append(sketch.graph.initializers[0].array.shape)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert shapes == [(7,)]
    assert sketch.graph.initializers[0].array.shape == (3,)
    assert sketch.store.witness(b) == 3


def test_a_wrong_answer_of_the_solver_is_noticed(product):
    sketch, a, b = product
    sketch.store.require(at_least(8, 1 * sketch.graph.inputs[0].type.shape[0]))
    assert "constraint" in dropped(sketch, {a: 9, b: 1})


def test_sizes_without_sense_and_sizes_too_large(sketch):
    a = sketch.dim(4)
    sketch.value(a - 2)
    assert dropped(sketch, {a.symbol: 1}) == "a size makes no sense"
    assert dropped(sketch, {a.symbol: 12}, most=9) == "a tensor gets too large"


def test_a_tensor_that_no_shape_foretells_is_not_made(sketch):
    a = sketch.dim(3)
    x = sketch.value(a)
    sketch.node("Tile", [x], (a,), x.array, repeats=(10**9,))
    assert dropped(sketch, {a.symbol: 4}) == "a tensor gets too large"


def test_values_outside_the_domain(sketch):
    a = sketch.dim(1)
    x = sketch.value(a)
    sketch.node("Acos", [x], (a,), x.array)
    assert dropped(sketch, {a.symbol: 9}) == "an operator is not defined on the values"


def test_values_outside_the_type(sketch):
    a = sketch.dim(1)
    x = sketch.value(a, recipe=Recipe("whole", 1, 90.0, 100.0))
    sketch.node("Exp", [x], (a,), x.array)
    assert dropped(sketch, {a.symbol: 2}) in {
        "a value leaves the range of its type", "an operator is not defined on the values",
    }  # fmt: skip


def test_a_shape_that_the_reference_does_not_find(sketch):
    a = sketch.dim(2)
    x = sketch.value(a)
    sketch.node("Relu", [x], (3 * a - 4,), x.array)
    assert dropped(sketch, {a.symbol: 5}) == "a shape is not what the graph says"


def test_operands_that_do_not_fit(sketch):
    a = sketch.dim(3)
    x, y = sketch.value(a), sketch.value(3)
    sketch.node("Add", [x, y], (a,), x.array)
    assert dropped(sketch, {a.symbol: 5}) == "the reference cannot run it"


def test_what_the_checker_refuses():
    with pytest.raises(Dropped, match="ONNX's checker refuses it: "):
        check(onnx.ModelProto())
