"""Convolution, pooling and products of matrices: attributes by hand, against a runtime or a loop."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from abstract.constraints import Constraints, Infeasible
from abstract.dtypes import dtype
from abstract.operator import NotCovered, Run, Typing
from abstract.operators import TABLE
from abstract.operators.window import window
from abstract.reference import Float64
from fuzz.generate.application import concrete
from fuzz.generate.choices import Seeded
from fuzz.generate.graph import generate_graph
from fuzz.generate.settings import Settings


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).integers(-8, 9, shape).astype(np.float32) / 4


def on_runtime(model, feeds):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    model.ir_version = 10
    model = onnx.shape_inference.infer_shapes(model)  # fills in the types of the outputs
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {name: np.asarray(value) for name, value in feeds.items()})


def agree(laboratory, name, inputs, opset=21, outputs=1, **attributes):
    model, feeds, found = laboratory.by_hand(name, inputs, opset, outputs, **attributes)
    for (value, bound), theirs in zip(found if outputs > 1 else (found,), on_runtime(model, feeds), strict=True):
        assert value.shape == theirs.shape
        assert np.all(np.abs(value - theirs) <= bound)
        assert np.all(np.isfinite(bound))
    return found


X1, X2, X3 = numbers(2, 4, 9), numbers(2, 4, 7, 6), numbers(1, 2, 4, 5, 3)


@pytest.mark.parametrize(
    ("x", "w", "attributes"),
    [
        (X1, numbers(6, 4, 3), {"auto_pad": "SAME_UPPER", "strides": [2]}),
        (X1, numbers(6, 4, 4), {"auto_pad": "SAME_LOWER"}),
        (X1, numbers(6, 4, 2), {"auto_pad": "VALID", "dilations": [3]}),
        (X2, numbers(6, 2, 3, 2), {"group": 2, "pads": [1, 0, 2, 1], "strides": [2, 3]}),
        (X2, numbers(4, 1, 2, 2), {"group": 4, "dilations": [2, 3]}),
        (X3, numbers(3, 2, 2, 2, 2), {"pads": [1, 1, 1, 0, 0, 0]}),
        (X2[:0], numbers(6, 4, 1, 1), {}),
    ],
)
def test_convolution(laboratory, x, w, attributes):
    agree(laboratory, "Conv", (x, w, numbers(w.shape[0], seed=1)), **attributes)
    agree(laboratory, "Conv", (x, w), **attributes)


@pytest.mark.parametrize(
    ("x", "w", "attributes"),
    [
        (X1, numbers(4, 3, 3), {}),
        (X1, numbers(4, 3, 3), {"strides": [3], "output_padding": [2]}),
        (X1, numbers(4, 3, 4), {"strides": [2], "auto_pad": "SAME_UPPER"}),
        (X1, numbers(4, 3, 4), {"strides": [2], "auto_pad": "SAME_LOWER"}),
        (X1, numbers(4, 3, 2), {"strides": [2], "auto_pad": "VALID"}),
        (X1, numbers(4, 3, 3), {"strides": [2], "output_shape": [17]}),
        (X1, numbers(4, 3, 3), {"strides": [2], "output_shape": [18]}),
        (X1, numbers(4, 3, 3), {"strides": [2], "output_shape": [18], "auto_pad": "SAME_UPPER"}),
        (X2, numbers(4, 1, 3, 2), {"group": 2, "dilations": [2, 1], "pads": [1, 0, 2, 1], "strides": [2, 3]}),
        (X2, numbers(4, 2, 1, 1), {"pads": [1, 1, 1, 1]}),
        (X3, numbers(2, 3, 2, 2, 2), {"strides": [1, 2, 1]}),
    ],
)
def test_transposed_convolution(laboratory, x, w, attributes):
    maps = w.shape[1] * attributes.get("group", 1)
    agree(laboratory, "ConvTranspose", (x, w, numbers(maps, seed=1)), **attributes)
    agree(laboratory, "ConvTranspose", (x, w), **attributes)


def test_an_output_shape_beyond_the_full_size_is_filled_at_the_end(laboratory):
    _, _, (value, _) = laboratory.by_hand(
        "ConvTranspose", (np.ones((1, 1, 2), np.float32), np.ones((1, 1, 1), np.float32)), output_shape=[4]
    )
    np.testing.assert_array_equal(value, [[[1, 1, 0, 0]]])


def test_a_bias_may_start_the_accumulation(laboratory):
    x, w = np.zeros((1, 1, 9), np.float32), np.zeros((1, 1, 9), np.float32)
    _, _, (_, bound) = laboratory.by_hand("Conv", (x, w, np.array([1e6], np.float32)))
    assert np.min(bound) >= 9 * 2.0**-24 * 1e6


@pytest.mark.parametrize(
    ("attributes", "size", "out", "over"),
    [
        ({"strides": (2,), "ceil_mode": 1}, 6, 3, 1),
        ({"strides": (2,), "ceil_mode": 1}, 5, 2, 0),
        ({"strides": (3,), "ceil_mode": 1, "pads": (1, 2)}, 4, 2, 0),  # the third would start in the padding
        ({"strides": (2,), "ceil_mode": 1, "pads": (0, 3)}, 2, 1, 0),  # so would the second, though it comes out even
        ({"strides": (3,), "ceil_mode": 0, "pads": (1, 1)}, 6, 2, 0),
        ({"auto_pad": b"SAME_UPPER", "strides": (2,)}, 5, 3, 0),
        ({"auto_pad": b"VALID", "strides": (2,), "ceil_mode": 1}, 6, 2, 0),
    ],
)
def test_how_many_windows_there_are(attributes, size, out, over):
    made = window(attributes, (size,), (3,))
    assert (made.out, made.over) == ((out,), (over,))


@pytest.mark.parametrize("name", ["MaxPool", "AveragePool"])
def test_rounding_up_adds_windows_now_and_then(name):
    """A ceil_mode that never changed anything would test nothing."""
    added = 0
    for seed in range(400):
        graph, _ = generate_graph(Seeded(seed), Settings(nodes=(1, 1), operators=(name,)))
        node = graph.nodes[-1]
        params = concrete(node.params, graph.store.value)
        if params.get("ceil_mode"):
            spatial, due = (v.array.shape[2:] for v in (node.inputs[0], node.outputs[0]))
            added += window({**params, "ceil_mode": 0}, spatial, params["kernel_shape"]).out != due
    assert added >= 2


POOLS = [
    (X1, {"kernel_shape": [3], "strides": [2], "pads": [1, 1]}),
    (X1, {"kernel_shape": [2], "auto_pad": "SAME_UPPER"}),
    (X1, {"kernel_shape": [2], "auto_pad": "SAME_LOWER"}),
    (X2, {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 2, 1]}),
    (X2, {"kernel_shape": [2, 2], "dilations": [3, 2]}),
    (X3, {"kernel_shape": [2, 3, 1], "strides": [1, 2, 3]}),
    (X2[:0], {"kernel_shape": [2, 2]}),
]
ROUNDED_UP = [
    (X1, {"kernel_shape": [2], "strides": [2], "ceil_mode": 1}),
    (X2, {"kernel_shape": [3, 3], "strides": [3, 2], "ceil_mode": 1, "pads": [1, 0, 0, 1]}),
]


@pytest.mark.parametrize(("x", "attributes"), POOLS + ROUNDED_UP)
@pytest.mark.parametrize("storage_order", [0, 1])
def test_the_greatest_and_where_it_is(laboratory, x, attributes, storage_order):
    distinct = np.random.default_rng(3).permutation(x.size).reshape(x.shape).astype(np.float32)
    agree(laboratory, "MaxPool", (distinct,), outputs=2, storage_order=storage_order, **attributes)
    agree(laboratory, "MaxPool", (x,), **attributes)


def test_the_greatest_of_bytes_is_never_the_padding(laboratory):
    x = np.array([[[-5, -7, -3]]], np.int8)
    _, _, (value, _) = laboratory.by_hand("MaxPool", (x,), kernel_shape=[2], pads=[1, 1])
    np.testing.assert_array_equal(value, [[[-5, -5, -3, -3]]])


def test_nothing_is_known_of_the_index_of_equals(laboratory):
    x = np.array([[[1, 1, 0, 2]]], np.float32)
    _, _, ((_, values), (_, indices)) = laboratory.by_hand("MaxPool", (x,), outputs=2, kernel_shape=[2])
    np.testing.assert_array_equal(indices, [[[np.inf, 0, 0]]])
    assert np.all(np.asarray(values) == 0)


def test_what_may_be_the_greatest_taints_the_index():
    x = np.array([[[1.0, 1.05, 3.0]]])
    run = Run({"kernel_shape": (2,)}, (x,), (dtype("float"),), (dtype("float"), dtype("int64")), Float64())
    y = TABLE["MaxPool"].evaluate(run)
    value, index = TABLE["MaxPool"].error(run, y, (np.array([[[0.1, 0.0, 0.0]]]),))
    np.testing.assert_array_equal(value, [[[0.1, 0]]])
    np.testing.assert_array_equal(index, [[[np.inf, 0]]])


@pytest.mark.parametrize(("x", "attributes"), POOLS)
@pytest.mark.parametrize("count_include_pad", [0, 1])
def test_the_mean_of_a_window(laboratory, x, attributes, count_include_pad):
    agree(laboratory, "AveragePool", (x,), count_include_pad=count_include_pad, **attributes)


@pytest.mark.parametrize(("x", "attributes"), ROUNDED_UP)
def test_the_mean_of_a_window_that_overhangs(laboratory, x, attributes):
    agree(laboratory, "AveragePool", (x,), **attributes)


@pytest.mark.parametrize(("x", "attributes"), POOLS)
@pytest.mark.parametrize("p", [1, 2, 3])
def test_the_norm_of_a_window(laboratory, x, attributes, p):
    agree(laboratory, "LpPool", (x,), p=p, **attributes)


@pytest.mark.parametrize("name", ["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"])
@pytest.mark.parametrize("x", [X1, X2, X3], ids=["1d", "2d", "3d"])
def test_a_window_over_everything(laboratory, name, x):
    agree(laboratory, name, (x,))


# -- products of matrices --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "right"),
    [((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((5, 2, 3), (3,)), ((3,), (5, 3, 4)), ((2, 3), (3, 4)),
     ((5, 1, 2, 3), (7, 3, 4)), ((0, 3), (3, 4)), ((2, 0), (0, 4))],
)  # fmt: skip
def test_matmul_takes_vectors_stacks_and_empty_matrices(laboratory, left, right):
    a, b = numbers(*left), numbers(*right, seed=1)
    _, _, (value, bound) = laboratory.by_hand("MatMul", (a, b))
    np.testing.assert_array_equal(value, np.matmul(a.astype(np.float64), b))
    assert np.all(np.isfinite(bound))


@pytest.mark.parametrize("trans_a", [0, 1])
@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("c", [None, (2, 4), (4,), (1, 4), (2, 1), ()])
def test_gemm(laboratory, trans_a, trans_b, c):
    a, b = numbers(2, 3), numbers(3, 4, seed=1)
    inputs = [a.T if trans_a else a, b.T if trans_b else b]
    if c is not None:
        inputs.append(numbers(*c, seed=2))
    agree(laboratory, "Gemm", tuple(inputs), transA=trans_a, transB=trans_b, alpha=0.5, beta=-2.0)


def test_products_of_integers_are_exact(laboratory):
    a, b = np.arange(6, dtype=np.int32).reshape(2, 3), np.arange(3, dtype=np.int32)
    _, _, (value, bound) = laboratory.by_hand("MatMul", (a, b))
    np.testing.assert_array_equal(value, [5, 14])
    assert np.all(np.asarray(bound) == 0)


def test_integers_with_a_factor_are_left_to_onnx():
    run = Run({"alpha": 0.5}, (np.eye(2, dtype=np.int64),) * 2, (dtype("int64"),) * 2, (dtype("int64"),), Float64())
    with pytest.raises(NotCovered):
        TABLE["Gemm"].evaluate(run)


def test_the_bound_grows_with_the_magnitudes_not_the_result(laboratory):
    a, b = np.array([[1e4, -1e4]], np.float32), np.array([[1], [1]], np.float32)
    _, _, (value, bound) = laboratory.by_hand("MatMul", (a, b))
    assert value == 0
    assert 2e4 * 2.0**-24 <= np.max(bound) <= 2e4 * 2.0**-24 * 4


def test_onnx_infers_no_shape_for_an_output_shape_below_the_input():
    """Why none is proposed: its shape has two axes only (docs/disputes.md)."""
    node = onnx.helper.make_node("ConvTranspose", ["x", "w"], ["y"], output_shape=[3], pads=[0, 0])
    infos = [onnx.helper.make_tensor_value_info(n, 1, shape) for n, shape in (("x", [1, 1, 4]), ("w", [1, 1, 1]))]
    graph = onnx.helper.make_graph([node], "g", infos, [onnx.helper.make_tensor_value_info("y", 1, None)])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)])
    inferred = onnx.shape_inference.infer_shapes(model)
    assert len(inferred.graph.output[0].type.tensor_type.shape.dim) == 2


@pytest.mark.parametrize(("strides", "dilations", "more", "legal"), [
    ((2,), (1,), (1,), True), ((1,), (2,), (1,), True), ((1,), (1,), (1,), False), ((2,), (2,), (2,), False),
    ((1,), (1,), (0,), True), ((3, 1), (1, 1), (2, 1), False),
])  # fmt: skip
def test_output_padding_is_below_the_stride_or_the_dilation(strides, dilations, more, legal):
    """ONNX, ConvTranspose, output_padding: "must be less than the corresponding stride/dilation dimension"."""
    shapes = ((1, 2, *(4,) * len(strides)), (2, 3, *(3,) * len(strides)))
    params = {"strides": strides, "dilations": dilations, "output_padding": more}
    typing = Typing(params, shapes, (dtype("float"),) * 2, 1, Constraints())
    if legal:
        TABLE["ConvTranspose"].shape(typing)
    else:
        with pytest.raises(Infeasible):
            TABLE["ConvTranspose"].shape(typing)


def test_it_is_so_at_other_strides():
    store = Constraints()
    stride, more = store.fresh(3, low=1), store.fresh(2, low=0)
    params = {"strides": (stride,), "output_padding": (more,)}
    TABLE["ConvTranspose"].shape(Typing(params, ((1, 2, 4), (2, 3, 3)), (dtype("float"),) * 2, 1, store))
    sizes = dict(zip((stride.symbol, more.symbol), (2, 1), strict=True))
    assert store.satisfied(sizes.__getitem__)
    assert not store.satisfied({**sizes, stride.symbol: 1}.__getitem__)
