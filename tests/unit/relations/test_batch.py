"""Which graphs have a batch, and that a part of it gives a part of the answer."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from fuzz.relations.batch import BATCHED, batch_variants, batched_outputs
from fuzz.relations.prepare import consistent, variant_values
from fuzz.relations.variant import check

X = np.arange(24, dtype=np.float32).reshape(4, 6) - 7
IMAGES = np.arange(3 * 4 * 5 * 5, dtype=np.float32).reshape(3, 4, 5, 5) / 50

HAVE_A_BATCH = {
    "pointwise": ("float[4, 6] x", "float[4, 6] y", "y = Relu (x)"),
    "constant of lower rank": ("float[4, 6] x", "float[4, 6] y", ("c = Constant<value_floats=[1.,2.,3.,4.,5.,6.]>()"
                               " y = Add (x, c)")),
    "rows of a product": ("float[4, 6] x", "float[4, 2] y", ("s = Constant<value_ints=[6, 2]>() one = Constant<value ="
                          " float {1.}>() w = Expand (one, s) y = MatMul (x, w)")),
    "softmax of rows": ("float[4, 6] x", "float[4, 6] y", "y = Softmax <axis = 1> (x)"),
    "reduction of rows": ("float[4, 6] x", "float[4, 1] y", "y = ReduceMax <axes = [-1]> (x)"),
    "copied size": ("float[4, 6] x", "float[4, 3, 2] y", "s = Constant<value_ints=[0, 3, 2]>() y = Reshape (x, s)"),
    "written size": ("float[4, 6] x", "float[4, 3, 2] y", "s = Constant<value_ints=[4, 3, 2]>() y = Reshape (x, s)"),
    "counted size": ("float[4, 6] x", "float[4, 3, 2] y", "s = Constant<value_ints=[-1, 3, 2]>() y = Reshape (x, s)"),
    "expanded": ("float[4, 6] x", "float[4, 6] y", "s = Constant<value_ints=[4, 6]>() y = Expand (x, s)"),
    "transposed behind": ("float[4, 6] x", "float[4, 1, 6] y", "a = Constant<value_ints=[1]>() y = Unsqueeze (x, a)"),
    "flattened": ("float[4, 6] x", "float[4, 6] y", "y = Flatten (x)"),
    "looked up": ("int64[4] x", "float[4] y", "t = Constant<value_floats=[1.,2.,3.,4.,5.]>() y = Gather (t, x)"),
    "two inputs": ("float[4, 6] x, float[4, 6] z", "float[4, 12] y", "y = Concat <axis = 1> (x, z)"),
}  # fmt: skip
HAVE_NONE = {
    "reduction over the batch": ("float[4, 6] x", "float[1, 6] y", "y = ReduceMax <axes = [0]> (x)"),
    "reduction over all": ("float[4, 6] x", "float[1, 1] y", "y = ReduceMax (x)"),
    "softmax over the batch": ("float[4, 6] x", "float[4, 6] y", "y = Softmax <axis = 0> (x)"),
    "its own size": ("float[4, 6] x", "int64[2] y", "y = Shape (x)"),
    "another axis in front": ("float[4, 6] x", "float[6, 4] y", "y = Transpose (x)"),
    "sizes mixed": ("float[4, 6] x", "float[6, 4] y", "s = Constant<value_ints=[6, 4]>() y = Reshape (x, s)"),
    "joined along the batch": ("float[4, 6] x", "float[8, 6] y", "y = Concat <axis = 0> (x, x)"),
    "scanned along the batch": ("float[4, 6] x", "float[4, 6] y", "a = Constant<value_int=0>() y = CumSum (x, a)"),
    "a constant for each row": ("float[4, 1] x", "float[4, 1] y", ("s = Constant<value_ints=[4, 1]>() one = Constant<"
                                "value = float {1.}>() c = Expand (one, s) y = Add (x, c)")),
    "a product of columns": ("float[4, 6] x", "float[1, 6] y", ("s = Constant<value_ints=[1, 4]>() one = Constant<"
                             "value = float {1.}>() w = Expand (one, s) y = MatMul (w, x)")),
    "unlike sizes": ("float[4, 6] x, float[1, 6] z", "float[4, 6] y", "y = Add (x, z)"),
    "a batch of one": ("float[1, 6] x", "float[1, 6] y", "y = Relu (x)"),
    "an operator without a rule": ("float[4, 6] x", "int64[2, n] y", "y = NonZero (x)"),
    "a body": ("float[4, 6] x", "float[4, 6] y", ("c = Constant<value = bool {1}>() y = If (c) <then_branch = g1 () =>"
               " (float[4, 6] a) { a = Relu (x) }, else_branch = g2 () => (float[4, 6] b) { b = Neg (x) }>")),
}  # fmt: skip


def model(original, text, *arrays):
    inputs, outputs, body = text
    return original(f"g ({inputs}) => ({outputs}) {{ {body} }}", arrays, opset=15)


def inputs_of(text):
    names = text[0].count("[")
    sizes = text[0].split("[")[1].split("]")[0].split(",")
    first = tuple(int(s) for s in sizes)
    array = np.resize(X, first)
    if text[0].startswith("int64"):
        return [np.array([4, 0, 2, 1])]
    return [array] if names == 1 else [array, np.resize(X + 3, (1, 6) if "[1, 6] z" in text[0] else first)]


@pytest.mark.parametrize("name", HAVE_A_BATCH)
def test_a_part_of_the_batch_gives_a_part_of_the_answer(original, name):
    text = HAVE_A_BATCH[name]
    case = model(original, text, *inputs_of(text))
    (variant,) = batch_variants(case)
    check(onnx.ModelProto.FromString(variant.model))
    assert [view.rows for view in variant.views] == [(0, 2), (2, 4)]
    for view, values in zip(variant.views, variant_values(variant), strict=True):
        due = case.values(0)["y"]
        assert values[0].value.shape[0] == 2
        assert consistent(due, values[0], view.rows) == ""
        np.testing.assert_array_equal(values[0].value, due.value[view.rows[0] : view.rows[1]])


@pytest.mark.parametrize("name", HAVE_NONE)
def test_what_looks_across_the_batch_has_no_parts(original, name):
    text = HAVE_NONE[name]
    case = model(original, text, *inputs_of(text))
    assert batched_outputs(case) is None
    assert list(batch_variants(case)) == []


def test_an_odd_batch_overlaps(original):
    body = ("float[3, 4, 5, 5] x", "float[3, 4, 2, 2] y", "y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x)")
    case = model(original, body, IMAGES)
    (variant,) = batch_variants(case)
    assert [view.rows for view in variant.views] == [(0, 2), (1, 3)]
    first, second = variant_values(variant)
    np.testing.assert_array_equal(first[0].value[1], second[0].value[0])


def test_indices_of_a_pool_count_through_the_batch(original):
    body = ("float[3, 4, 5, 5] x", "float[3, 4, 2, 2] y, int64[3, 4, 2, 2] i",
            "y, i = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x)")  # fmt: skip
    assert batched_outputs(model(original, body, IMAGES)) is None


def test_a_dynamic_model_keeps_its_symbol(original):
    body = "g (float[n, 6] x) => (float[n, 6] y) { y = Relu (x) }"
    case = original(body, [X], [X[:3]], [X[:1]])
    (variant,) = batch_variants(case)
    parts = [(view.data_set, view.rows) for view in variant.views]
    assert parts == [(0, (0, 2)), (0, (2, 4)), (1, (0, 2)), (1, (1, 3))]
    assert onnx.ModelProto.FromString(variant.model).graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"
    elsewhere = "g (float[n, n] x) => (float[n, n] y) { y = Relu (x) }"
    assert list(batch_variants(original(elsewhere, [X[:, :4]]))) == []


def test_every_operator_of_the_table_exists():
    known = {schema.name for schema in onnx.defs.get_all_schemas()}
    assert set(BATCHED) <= known
