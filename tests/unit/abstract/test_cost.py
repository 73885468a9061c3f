"""Counts of operations and bytes: the formulas by hand, and what cannot be counted."""

from __future__ import annotations

import onnx
import onnx.parser
import pytest

from abstract.cost import ROWS, Cost, Uncountable, growth, node_costs

LSTM = (
    "g (float[5, 2, 3] x, float[1, 16, 3] w, float[1, 16, 4] r) => (float[5, 1, 2, 4] y)"
    " { y = LSTM <hidden_size = 4> (x, w, r) }"
)
IF = (
    "g (bool c, float[n] x) => (float[n] y) { y = If (c) <then_branch = t () => (float[n] a) { a = Relu (x) },"
    " else_branch = e () => (float[n] b) { b = Abs (x) }> }"
)


def costs(body: str, opset: int = 18, **shapes) -> tuple[Cost, ...]:
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> {body}')
    return node_costs(model, shapes)


@pytest.mark.parametrize(
    ("body", "shapes", "operations", "moved"),
    [
        ("g (float[n] x) => (float[n] y) { y = Relu (x) }", {"x": (10,)}, 10, 80),
        ("g (double[n] x) => (double s) { s = ReduceSum <keepdims = 0> (x) }", {"x": (10,)}, 10, 88),
        ("g (float[a, b] x, float[b, c] w) => (float[a, c] y) { y = MatMul (x, w) }", {"x": (2, 3), "w": (3, 5)},
         2 * 2 * 3 * 5, 4 * (6 + 15 + 10)),
        ("g (float[a, b] x, float[a, c] w) => (float[b, c] y) { y = Gemm <transA = 1> (x, w) }",
         {"x": (3, 2), "w": (3, 5)}, 2 * 2 * 3 * 5 + 10, 4 * (6 + 15 + 10)),
        ("g (float[1, 4, 8, 8] x, float[6, 2, 3, 3] w) => (float[1, 6, 6, 6] y) { y = Conv <group = 2> (x, w) }",
         {"x": (1, 4, 8, 8), "w": (6, 2, 3, 3)}, 2 * 6 * 36 * 2 * 9, 4 * (256 + 108 + 216)),
        ("g (float[1, 4, 8, 8] x, float[4, 6, 3, 3] w) => (float[1, 6, 10, 10] y) { y = ConvTranspose (x, w) }",
         {"x": (1, 4, 8, 8), "w": (4, 6, 3, 3)}, 2 * 256 * 54, 4 * (256 + 216 + 600)),
        ("g (float[1, 2, 8, 8] x) => (float[1, 2, 6, 6] y) { y = MaxPool <kernel_shape = [3, 3]> (x) }",
         {"x": (1, 2, 8, 8)}, 72 * 9, 4 * (128 + 72)),
        ("g (float[1, 2, 8, 8] x) => (float[1, 2, 8, 8] y) { y = LRN <size = 5> (x) }", {"x": (1, 2, 8, 8)},
         128 * 5, 4 * 256),
        ("g (float[a, b] x) => (float[a, b] y) { y = Softmax (x) }", {"x": (4, 8)}, 160, 256),
        ("g (float[b, i, j] x, float[j, k] w) => (float[b, i, k] y) { y = Einsum <equation = 'bij,jk->bik'> (x, w) }"
         .replace("'", '"'), {"x": (2, 3, 4), "w": (4, 5)}, 2 * 2 * 3 * 4 * 5, 4 * (24 + 20 + 30)),
        ("g (float[2, 3, 4] x, float[2, 4, 5] w) => (float[2, 3, 5] y) { y = Einsum <equation = '...ij,...jk->...ik'>"
         " (x, w) }".replace("'", '"'), {"x": (2, 3, 4), "w": (2, 4, 5)}, 2 * 40, 4 * (24 + 40 + 30)),
        (LSTM, {"x": (5, 2, 3), "w": (1, 16, 3), "r": (1, 16, 4)},
         2 * 5 * 2 * (16 * 3 + 16 * 4) + 4 * 5 * 2 * 16, 4 * (30 + 48 + 64 + 40)),
        ("g (float[3, 3] x) => (float d) { d = Det (x) }", {"x": (3, 3)}, 27, 40),
        ("g (float[n] x) => (float[m] u) { k = Constant <value = int64[1] {3}> () u, i = TopK (x, k) }", {"x": (8,)},
         9 * 4, 4 * 8 + 8 + 4 * 3 + 8 * 3),
        ("g (float[1, 1, 4, 4] x) => (float[1, 1, 8, 8] y) { s = Constant <value = float[4] {1, 1, 2, 2}> ()"
         " y = Resize <mode = 'linear'> (x, , s) }".replace("'", '"'), {"x": (1, 1, 4, 4)}, 64 * 16,
         4 * (16 + 4 + 64)),
    ],
)  # fmt: skip
def test_a_count_by_hand(body, shapes, operations, moved):
    (found,) = costs(body, **shapes)
    assert found == Cost(operations, moved)


def test_boxes_are_compared_in_pairs():
    body = "g (float[1, 10, 4] b, float[1, 2, 10] s) => (int64[n, 3] y) { y = NonMaxSuppression (b, s) }"
    with pytest.raises(Uncountable, match="'y'"):  # how many survive depends on the values
        costs(body, b=(1, 10, 4), s=(1, 2, 10))


def test_attention_grows_with_the_square_of_the_sequence():
    body = (
        "g (float[1, n, 8] q, float[1, n, 8] k, float[1, n, 8] v) => (float[1, n, 8] y)"
        " { y = Attention <q_num_heads = 2, kv_num_heads = 2> (q, k, v) }"
    )
    ((short,), (long,)) = (costs(body, 23, q=(1, n, 8), k=(1, n, 8), v=(1, n, 8)) for n in (64, 640))
    assert 80 < long.operations / short.operations <= 100


def test_a_batch_of_matrices_counts_each():
    (found,) = costs("g (float[b, m, k] x, float[k, n] w) => (float[b, m, n] y) { y = MatMul (x, w) }",
                     x=(7, 2, 3), w=(3, 5))  # fmt: skip
    assert found.operations == 7 * 60


def test_initializers_strings_and_shapes_of_shapes_are_known():
    found = costs(
        "g (float[n, 2] x) => (float[m] y) <float[2] w = {1, 2}>"
        " { z = Add (x, w) s = Shape (z) y = Expand (w, s) }",
        x=(3, 2),
    )
    assert [cost.operations for cost in found] == [8, 6, 6]
    (text,) = costs("g (string[n] x) => (string[n] y) { y = Identity (x) }", x=(3,))
    assert text.bytes == 2 * 3 * 8


@pytest.mark.parametrize(
    "body",
    [
        "g (float[n] x) => (int64[1, m] y) { y = NonZero (x) }",
        IF,
        "g (float[2, 3] x, float[2, 3] w) => (float[2, 2] y) { y = MatMul (x, w) }",
    ],
    ids=["values decide", "a body", "shapes that do not fit"],
)
def test_what_cannot_be_counted(body):
    with pytest.raises(Uncountable):
        costs(body, x=(4,) if "[n] x" in body else (2, 3), c=(), w=(2, 3))


def test_an_operator_of_somebody_else_cannot_be_counted():
    text = '<ir_version: 8, opset_import: ["" : 18, "mine" : 1]> g (float[3] x) => (float[3] y) { y = mine.Relu (x) }'
    with pytest.raises(Uncountable, match="mine::Relu"):
        node_costs(onnx.parser.parse_model(text), {"x": (3,)})


def test_growth_is_that_of_the_part_that_grows_most():
    before, after = (Cost(10, 100), Cost(1000, 10)), (Cost(40, 200), Cost(2000, 10))
    assert growth(before, after) == 4
    assert growth((), ()) == 1
    assert growth((Cost(0, 0),), (Cost(5, 5),)) == 5


def test_rows_are_operators_of_onnx():
    assert all(onnx.defs.has(name) for name in ROWS)
