"""Contracts: what one allows lies inside its bounds, what it does not allow lies outside where it matters."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from abstract.contract import PERMISSIVE, Contract
from abstract.dtypes import dtype
from abstract.program import parse
from abstract.reference import interpret
from abstract.winograd import transforms
from fuzz.selftest.arithmetic import ORDERS, Ordered

node = helper.make_node
SEEDS = st.integers(0, 2**32 - 1)
WIDE = Contract(flush_subnormals=False, excess_half_precision=False, half_accumulator=False, half_steps=False)
SCALES = st.sampled_from(["uniform", "normal", "alike", "spiked", "cancelling"])


def draw(seed, shape, style, kind="float"):
    """Numbers of a type: around 0, nearly alike, with rare large ones, or that cancel in pairs along the last axis."""
    bits = np.random.default_rng(seed)
    x = bits.uniform(0.5, 1.5, shape) if style == "uniform" else bits.standard_normal(shape)
    if style == "alike":
        x = 1000 + x / 4
    elif style == "spiked":
        x = np.where(bits.random(shape) < 0.05, x * 1e4, x)
    elif style == "cancelling":
        x[..., 1::2] = -x[..., : x.shape[-1] // 2 * 2 : 2] * (1 + 2.0**-9)
    return x.astype(dtype(kind).numpy)


def known(nodes, feeds, kind="float", contract=PERMISSIVE, constants=None):
    """The value and bound of ``y``, as double."""
    given_ = {**feeds, **(constants or {})}
    ports = [helper.make_tensor_value_info(n, dtype(kind).code, x.shape) for n, x in feeds.items()]
    out = helper.make_tensor_value_info("y", dtype(kind).code, None)
    weights = [numpy_helper.from_array(x, n) for n, x in (constants or {}).items()]
    graph = helper.make_graph(nodes, "g", ports, [out], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    program = parse(onnx.ModelProto.FromString(model.SerializeToString()))
    carried = {n: given_[n].astype(np.float64) for n in feeds}
    y = interpret(program, carried, contract=contract, extended=True)["y"]
    return y.value.astype(np.float64), np.broadcast_to(y.bound, y.value.shape)


def ratio(answer, reference):
    """The answer's greatest error over its bound, where that is finite."""
    value, bound = reference
    judged = np.isfinite(bound)
    error = np.abs(np.asarray(answer, dtype=np.float64) - value)[judged]
    return float(np.max(np.where(error == 0, 0, error / np.maximum(bound[judged], 1e-300)), initial=0))


def to_tf32(x):
    """Rounded to 10 explicit bits, to nearest, ties away from zero."""
    bits = x.astype(np.float32).view(np.uint32)
    return ((bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)


def fused(a, b):
    return Ordered(ORDERS["sequential"], wide=True, fused=True).dot(a, b)


MATMUL = [node("MatMul", ["a", "b"], ["y"])]


@given(SEEDS, st.sampled_from([1, 3, 17, 64, 300]), SCALES, st.sampled_from(sorted(ORDERS)))
def test_every_order_of_a_float_product_is_legal(seed, n, style, order):
    a, b = draw(seed, (3, n), style), draw(seed + 1, (n, 2), "normal")
    reference = known(MATMUL, {"a": a, "b": b}, contract=WIDE)
    assert ratio(Ordered(ORDERS[order]).dot(a, b), reference) <= 1
    assert ratio(fused(a, b), reference) <= 1


@given(SEEDS, st.sampled_from([1, 4, 32, 128]), SCALES)
def test_tf32_is_legal_where_it_is_granted_alone(seed, n, style):
    a, b = draw(seed, (8, n), style), draw(seed + 1, (n, 8), "normal")
    answer = Ordered(ORDERS["sequential"]).dot(to_tf32(a), to_tf32(b))
    assert ratio(answer, known(MATMUL, {"a": a, "b": b}, contract=Contract(tf32=True))) <= 1
    if style not in ("cancelling", "alike"):
        assert ratio(answer, known(MATMUL, {"a": a, "b": b})) > 1


@given(SEEDS, st.sampled_from([1, 2, 4]))
def test_bfloat16_operands_are_never_legal(seed, n):
    a, b = draw(seed, (16, n), "uniform"), draw(seed + 1, (n, 16), "uniform")
    answer = a.astype(ml_dtypes.bfloat16).astype(np.float32) @ b.astype(ml_dtypes.bfloat16).astype(np.float32)
    for contract in (PERMISSIVE, Contract(tf32=True)):
        assert ratio(answer, known(MATMUL, {"a": a, "b": b}, contract=contract)) > 1


@given(SEEDS, st.sampled_from([8, 64, 512]), st.sampled_from(["float16", "bfloat16"]), SCALES)
def test_half_products_follow_their_accumulator(seed, n, kind, style):
    a, b = draw(seed, (3, n), style, kind), draw(seed + 1, (n, 2), "normal", kind)
    with np.errstate(over="ignore", invalid="ignore"):
        wide = Ordered(ORDERS["blocked"]).dot(a.astype(np.float32), b.astype(np.float32)).astype(a.dtype)
        narrow = Ordered(ORDERS["sequential"], narrow=dtype(kind).numpy).dot(a, b)
    assert ratio(wide, known(MATMUL, {"a": a, "b": b}, kind, WIDE)) <= 1
    assert ratio(narrow, known(MATMUL, {"a": a, "b": b}, kind, PERMISSIVE)) <= 1


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@pytest.mark.parametrize("n", [1024, 4096])
def test_a_half_accumulator_that_stagnates_is_illegal_without_a_grant(kind, n):
    row = np.ones((1, n), dtype(kind).numpy) + np.linspace(0, 0.01, n).astype(dtype(kind).numpy)
    total = Ordered(ORDERS["sequential"], narrow=dtype(kind).numpy).sum(row, (1,), keepdims=False)
    nodes = [node("ReduceSum", ["a", "x"], ["y"], keepdims=0)]
    axes = {"x": np.array([1])}
    assert ratio(total, known(nodes, {"a": row}, kind, PERMISSIVE, axes)) <= 1
    assert ratio(total, known(nodes, {"a": row}, kind, WIDE, axes)) > 1


CHAIN = [node("Add", ["a", "b"], ["s"]), node("Mul", ["s", "b"], ["p"]), node("Sub", ["p", "a"], ["d"]),
         node("Div", ["d", "c"], ["y"])]  # fmt: skip


@given(SEEDS, st.sampled_from(["float16", "bfloat16"]), st.sampled_from([PERMISSIVE, WIDE]))
def test_excess_precision_and_a_rounding_each_are_both_legal(seed, kind, contract):
    a, b, c = (draw(seed + i, (64,), "uniform", kind) for i in range(3))
    reference = known(CHAIN, {"a": a, "b": b, "c": c}, kind, contract)
    own = dtype(kind).numpy

    def run(rounded):
        wide = [x.astype(np.float32) for x in (a, b, c)]
        step = (lambda x: x.astype(own).astype(np.float32)) if rounded else lambda x: x
        s = step(wide[0] + wide[1])
        d = step(step(s * wide[1]) - wide[0])
        return (d / wide[2]).astype(own)

    assert ratio(run(rounded=True), reference) <= 1
    assert ratio(run(rounded=False), reference) <= 1


@given(SEEDS)
def test_flushed_operands_are_legal_where_that_is_granted_alone(seed):
    tiny = draw(seed, (8,), "uniform") * np.float32(1e-39)
    large = np.full(8, 1e30, np.float32)
    nodes = [node("Mul", ["a", "b"], ["y"])]
    assert ratio(np.zeros(8), known(nodes, {"a": tiny, "b": large})) <= 1
    assert ratio(np.zeros(8), known(nodes, {"a": tiny, "b": large}, contract=WIDE)) > 1


@given(SEEDS)
def test_flushed_results_are_legal_everywhere(seed):
    a = draw(seed, (8,), "uniform") * np.float32(1e-20)
    assert ratio(np.zeros(8), known([node("Mul", ["a", "a"], ["y"])], {"a": a}, contract=WIDE)) <= 1


@given(SEEDS, st.sampled_from(["Add", "Mul"]))
def test_folded_constants_are_legal(seed, second):
    """(x + c) + d as x + (c + d), (x + c) d as x d + c d, where x + c nearly cancels."""
    c, d = draw(seed, (64,), "alike"), draw(seed + 1, (64,), "uniform")
    x = -c * (1 + draw(seed + 2, (64,), "normal") * np.float32(2.0**-20))
    nodes = [node("Add", ["x", "c"], ["s"]), node(second, ["s", "d"], ["y"])]
    reference = known(nodes, {"x": x}, contract=WIDE, constants={"c": c, "d": d})
    assert ratio(x + (c + d) if second == "Add" else x * d + c * d, reference) <= 1
    plain = known(nodes, {"x": x, "c": c, "d": d}, contract=WIDE)
    assert ratio(x + (c + d) if second == "Add" else x * d + c * d, plain) > 1


def winograd(x, w, m):
    """A correlation (C, H, W) with (M, C, r, r) by F(m x m, r x r), all steps in float32; H and W whole tiles."""
    r = w.shape[-1]
    outputs, weights, inputs = (np.array(t, dtype=np.float64).astype(np.float32) for t in transforms(m, r))
    n = m + r - 1
    u = np.einsum("ak,mckl,bl->mcab", weights, w, weights, dtype=np.float32)
    high, wide = ((s - r + 1) // m for s in x.shape[1:])
    y = np.zeros((w.shape[0], high * m, wide * m), np.float32)
    for i in range(high):
        for j in range(wide):
            tile = x[:, i * m : i * m + n, j * m : j * m + n]
            v = (inputs @ tile @ inputs.T).astype(np.float32)
            total = np.zeros((w.shape[0], n, n), np.float32)
            for c in range(x.shape[0]):
                total += u[:, c] * v[c]
            y[:, i * m : (i + 1) * m, j * m : (j + 1) * m] = outputs @ total @ outputs.T
    return y


@pytest.mark.parametrize(("m", "r"), [(2, 3), (4, 3), (2, 5), (4, 5)])
@given(seed=SEEDS, style=st.sampled_from(["uniform", "normal", "spiked"]))
def test_winograd_is_legal_where_it_is_granted(m, r, seed, style):
    x, w = draw(seed, (1, 3, 2 * m + r - 1, 2 * m + r - 1), style), draw(seed + 1, (2, 3, r, r), "normal")
    nodes = [node("Conv", ["x", "w"], ["y"])]
    reference = known(nodes, {"x": x, "w": w}, contract=Contract(winograd=m))
    assert ratio(winograd(x[0], w, m)[None], reference) <= 1
    pads = [node("Conv", ["x", "w"], ["y"], pads=[r // 2] * 4)]
    inside = np.pad(x, ((0, 0), (0, 0), (r // 2,) * 2, (r // 2,) * 2))
    size = (x.shape[2] - 1) // m * m  # the last tile is left out where it is no whole one
    y = winograd(inside[0, :, : size + r - 1, : size + r - 1], w, m)[None]
    value, bound = known(pads, {"x": x, "w": w}, contract=Contract(winograd=m))
    assert ratio(y, (value[..., :size, :size], bound[..., :size, :size])) <= 1


def test_a_spike_that_leaks_out_of_its_window_is_illegal_without_the_grant():
    x, w = draw(0, (1, 1, 6, 6), "normal"), draw(1, (1, 1, 3, 3), "normal")
    x[..., 0, 0] = 1e6
    nodes = [node("Conv", ["x", "w"], ["y"])]
    answer = winograd(x[0], w, 4)[None]
    assert ratio(answer, known(nodes, {"x": x, "w": w})) > 1
    assert ratio(answer, known(nodes, {"x": x, "w": w}, contract=Contract(winograd=4))) <= 1


@pytest.mark.parametrize("attributes", [{"strides": [2, 2]}, {"dilations": [2, 2]}, {"kernel_shape": [2, 2]}])
def test_other_windows_are_computed_directly(attributes):
    k = attributes.get("kernel_shape", [3, 3])
    x, w = draw(0, (1, 1, 8, 8), "normal"), draw(1, (1, 1, *k), "normal")
    nodes = [node("Conv", ["x", "w"], ["y"], **attributes)]
    plain, granted = (known(nodes, {"x": x, "w": w}, contract=c)[1] for c in (PERMISSIVE, Contract(winograd=4)))
    assert plain.tolist() == granted.tolist()
