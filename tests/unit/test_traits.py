"""Structural traits, each on a model that has it and that was written for it."""

from __future__ import annotations

import onnx
import onnx.helper
import onnx.parser
import pytest

from fuzz.traits import TRAITS, View, traits

HEAD = '<ir_version: 10, opset_import: ["": 21, "own": 1]>\n'
BRANCH = "b () => (float[2] p) { p = Relu(x) }"
LONGER = "b () => (float[3] q) { q = Constant<value = float[3] {1, 2, 3}>() }"


def loop(inner):
    return f"""g (float[2] x, int64 n, bool c) => (float[2] y) {{
        y = Loop(n, c, x) <body = b (int64 i, bool d, float[2] s) => (bool e, float[2] t) {{ e = Identity(d) {inner} }}>
    }}"""


MODELS = {
    "If": f"g (float[2] x, bool c) => (y) {{ y = If(c) <then_branch = {BRANCH}, else_branch = {LONGER}> }}",
    "If whose branches give other sizes":
        f"g (float[2] x, bool c) => (y) {{ y = If(c) <then_branch = {BRANCH}, else_branch = {LONGER}> }}",
    "Loop": loop("t = Relu(s)"),
    "Scan": """g (float[2, 2] x) => (float[2, 2] y) {
        y = Scan(x) <num_scan_inputs = 1, body = b (float[2] s) => (float[2] t) { t = Relu(s) }> }""",
    "SequenceMap": """g (seq(float[2]) x) => (seq(float[2]) y) {
        y = SequenceMap(x) <body = b (float[2] s) => (float[2] t) { t = Relu(s) }> }""",
    "a body in a body": loop(f"t = If(d) <then_branch = {BRANCH}, else_branch = {BRANCH.replace('p', 'r')}>"),
    "a value that a body captures": loop("t = Add(s, x)"),
    "functions": """g (float[2] x) => (float[2] y) { y = own.F(x) }
        <domain: "own", opset_import: ["": 21]> F (a) => (b) { b = Relu(a) }""",
    "a function that is called twice": """g (float[2] x) => (float[2] y) { z = own.F(x) y = own.F(z) }
        <domain: "own", opset_import: ["": 21]> F (a) => (b) { b = Relu(a) }""",
    "a function that calls another": """g (float[2] x) => (float[2] y) { y = own.F(x) }
        <domain: "own", opset_import: ["own": 1]> F (a) => (b) { b = own.G(a) }
        <domain: "own", opset_import: ["": 21]> G (a) => (b) { b = Relu(a) }""",
    "a function with attributes": """g (float[2] x) => (float[2] y) { y = own.F<alpha = 0.5>(x) }
        <domain: "own", opset_import: ["": 21]> F <alpha>(a) => (b) { b = Elu<alpha: float = @alpha>(a) }""",
    "a function whose attributes have defaults": """g (float[2] x) => (float[2] y) { y = own.F(x) }
        <domain: "own", opset_import: ["": 21]>
        F <alpha: float = 0.5>(a) => (b) { b = Elu<alpha: float = @alpha>(a) }""",
    "a function with several outputs": """g (float[2] x) => (float[2] y, float[2] z) { y, z = own.F(x) }
        <domain: "own", opset_import: ["": 21]> F (a) => (b, c) { b = Relu(a) c = Abs(a) }""",
    "a long chain (8 nodes and more than half)":
        "g (float[2] x) => (float[2] h) { a = Abs(x) b = Abs(a) c = Abs(b) d = Abs(c) e = Abs(d) f = Abs(e) "
        "k = Abs(f) h = Abs(k) }",
    "a wide fan (a value read 6 times)": "g (float[2] x) => (float[2] y) { y = Sum(x, x, x, x, x, x) }",
    "a diamond": "g (float[2] x) => (float[2] y) { a = Abs(x) b = Neg(x) y = Add(a, b) }",
    "parts that share no value":
        "g (float[2] x, float[2] w) => (float[2] y, float[2] z) { y = Abs(x) z = Abs(w) }",
    "variadic with 1 operand": "g (float[2] x) => (float[2] y) { y = Sum(x) }",
    "variadic with 2 to 4": "g (float[2] x) => (float[2] y) { y = Sum(x, x) }",
    "variadic with 5 to 8": "g (float[2] x) => (float[2] y) { y = Sum(x, x, x, x, x) }",
    "variadic with 9 and more": "g (float[2] x) => (float[2] y) { y = Sum(x, x, x, x, x, x, x, x, x) }",
    "an optional input left out": "g (float[2] x) => (float[2] y) { y = Clip(x, , x) }",
    "an optional output left out": "g (float[2] x) => (int64[1] i) { , i = TopK<axis = 0>(x, k) }",
    "an output of a node that nothing reads": "g (float[2] x) => (float[2] y) { y = Abs(x) z = Neg(x) }",
    "an input that is an output": "g (float[2] x) => (float[2] x, float[2] y) { y = Abs(x) }",
    "an initializer that is an output": "g (float[2] x) => (float[2] w) <float[2] w = {1, 2}> { y = Add(x, w) }",
    "an output that is given twice": "g (float[2] x) => (float[2] y, float[2] z) { y = Abs(x) z = Identity(y) }",
    "an input that nothing reads": "g (float[2] x, float[2] w) => (float[2] y) { y = Abs(x) }",
    "an initializer that nothing reads": "g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { y = Abs(x) }",
    "an initializer that is an input":
        "g (float[2] x, float[2] w = {1, 2}) => (float[2] y) { y = Add(x, w) }",
    "an initializer that is read twice":
        "g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { z = Add(x, w) y = Mul(z, w) }",
    "Constant nodes": "g () => (float[3] y) { y = Constant<value = float[3] {1, 2, 3}>() }",
    "a sequence or an optional inside":
        "g (float[2] x) => (float[2] y) { s = SequenceConstruct(x) y = SequenceAt(s, x) }",
    "a sequence as output": "g (float[2] x) => (seq(float[2]) y) { y = SequenceConstruct(x) }",
    "an optional as output": "g (float[2] x) => (optional(float[2]) y) { y = Optional(x) }",
    "a sequence as input": "g (seq(float[2]) x) => (int64 y) { y = SequenceLength(x) }",
    "an optional as input": "g (optional(float[2]) x) => (bool y) { y = OptionalHasElement(x) }",
    "no input": "g () => (float[3] y) { y = Constant<value = float[3] {1, 2, 3}>() }",
    "rank 0": "g (float x) => (float y) { y = Abs(x) }",
    **{
        f"rank {n}": f"g (float[{', '.join('1' * n)}] x) => (float[{', '.join('1' * n)}] y) {{ y = Abs(x) }}"
        for n in (6, 7, 8)
    },
    "strings": "g (string[2] x) => (string[2] y) { y = Identity(x) }",
    "complex numbers": "g (complex64[2] x) => (complex64[2] y) { y = Identity(x) }",
    "bfloat16": "g (bfloat16[2] x) => (bfloat16[2] y) { y = Abs(x) }",
    "floats of 8 bits": "g (float[2] x) => (float[2] y) { z = Cast<to = 17>(x) y = Cast<to = 1>(z) }",
    "floats of 6 bits": "g (float[2] x) => (float[2] y) { z = Cast<to = 27>(x) y = Cast<to = 1>(z) }",
    "floats of 4 bits": "g (float[2] x) => (float[2] y) { z = Cast<to = 23>(x) y = Cast<to = 1>(z) }",
    "integers of 4 bits": "g (int4[2] x) => (int4[2] y) { y = Identity(x) }",
    "integers of 2 bits": "g (float[2] x) => (float[2] y) { z = Cast<to = 26>(x) y = Cast<to = 1>(z) }",
    "Loop that is not entered": loop("t = Relu(s)").replace("=> (float[2] y)", "=> (float[2] y) <bool k = {0}>", 1)
        .replace("Loop(n, c, x)", "Loop(n, k, x)"),
    "RNN, LSTM or GRU": "g (float[2, 1, 3] x, float[1, 4, 3] w, float[1, 4, 4] r) => (float[2, 1, 1, 4] y) { "
        "y = RNN<hidden_size = 4>(x, w, r) }",
    "QuantizeLinear read by DequantizeLinear": "g (float[2] x, float s) => (float[2] y) { q = QuantizeLinear(x, s) "
        "y = DequantizeLinear(q, s) }",
    "a quantised operator (QLinearConv, ...)": "g (uint8[2, 2] x) => (int32[2, 2] y) { y = MatMulInteger(x, x) }",
    "a sequence that is built": "g (float[2] x) => (seq(float[2]) y) { y = SequenceConstruct(x) }",
    "a sequence that is indexed": "g (seq(float[2]) x, int64 i) => (float[2] y) { y = SequenceAt(x, i) }",
    "a sequence that is concatenated": "g (seq(float[2]) x) => (float[n] y) { y = ConcatFromSequence<axis = 0>(x) }",
    "an optional that is built or read": "g (optional(float[2]) x) => (bool y) { y = OptionalHasElement(x) }",
    "an empty tensor": "g (float[0] x) => (float[0] y) { y = Abs(x) }",
    "a dim with a name": "g (float[n] x) => (float[n] y) { y = Abs(x) }",
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_its_trait(name):
    assert name in traits(View(onnx.parser.parse_model(HEAD + MODELS[name])))


def test_a_plain_model_has_none():
    plain = "g (float[2] x) => (float[2] y) { y = Abs(x) }"
    assert traits(View(onnx.parser.parse_model(HEAD + plain))) == []


def test_large_initializers_and_those_in_other_files():
    model = onnx.parser.parse_model(HEAD + MODELS["an initializer that is read twice"])
    model.graph.initializer[0].raw_data = bytes(1 << 20)
    assert {"an initializer of 64 KiB and more", "an initializer of 1 MiB and more"} <= set(traits(View(model)))
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    assert "data in another file" in traits(View(model))


def test_a_default_that_is_overridden():
    model = onnx.parser.parse_model(HEAD + MODELS["an initializer that is an input"])
    assert "a default that a data set overrides" in traits(View(model, overridden=True))


def test_every_trait_is_tested():
    other = {"an initializer of 64 KiB and more", "an initializer of 1 MiB and more", "data in another file",
             "a default that a data set overrides"}  # fmt: skip
    assert TRAITS.keys() - other == MODELS.keys()
