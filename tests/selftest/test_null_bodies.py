"""Null runs of what is more than a node on tensors: bodies, captured values, sequences, shapes that are not sure."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from abstract.program import parse
from abstract.reference import Bounded, interpret
from fuzz.judge.compare import compare
from fuzz.judge.verdict import Word
from fuzz.selftest import run
from fuzz.selftest.null import METHODS, BrokenDown, recompute
from fuzz.selftest.run import tensor

HEADER = '<ir_version: 10, opset_import: ["": 21]>\n'
X = np.linspace(0.25, 2.0, 8)

LOOP = """agraph (float16[8] x) => (float16[8] y, float16[n, 8] all) {
  trips = Constant<value = int64 {3}>()
  yes = Constant<value = bool {1}>()
  y, all = Loop<body = body (int64 i, bool go, float16[8] s) => (bool on, float16[8] t, float16[8] u) {
    on = Identity(go)
    t = Mul(s, x)
    u = Tanh(t)
  }>(trips, yes, x)
}"""
CHOICE = """agraph (float16[8] x) => (float16[8] y) {
  least = ReduceMin<keepdims = 0>(x)
  zero = Sub(least, least)
  positive = Greater(least, zero)
  y = If<then_branch = a () => (float16[8] p) { p = Sqrt(x) }, else_branch = b () => (float16[8] q) { q = Neg(x) }>
      (positive)
}"""
SCAN = """agraph (float[8] x) => (float y, float[8] all) {
  zero = Constant<value = float {0.0}>()
  y, all = Scan<num_scan_inputs = 1, body = body (float s, float e) => (float t, float u) {
    t = Add(s, e)
    u = Exp(t)
  }>(zero, x)
}"""
SEQUENCE = """agraph (bfloat16[8] x) => (bfloat16[24] y) {
  double = Add(x, x)
  one = SequenceConstruct(x, double, x)
  two = SequenceMap<body = body (bfloat16[8] e) => (bfloat16[8] f) { f = Exp(e) }>(one)
  y = ConcatFromSequence<axis = 0>(two)
}"""
FUNCTION = """agraph (float x) => (float y) { y = own.twice(x) }
<domain: "own", opset_import: ["": 21]> twice (a) => (c) { b = Exp(a) c = Add(b, b) }"""


def program(text, header=HEADER):
    return parse(onnx.parser.parse_model(header + text))


def recomputed(parsed, x, method):
    return {name: (dtype, value) for _, name, dtype, value in recompute(parsed, {"x": x}, method, seed=3)}


@pytest.mark.parametrize("text", [LOOP, CHOICE, SCAN, SEQUENCE], ids=["Loop", "If", "Scan", "SequenceMap"])
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_bodies_are_run_by_the_same_method(text, method):
    parsed = program(text)
    reference = interpret(parsed, {"x": X})
    found = recomputed(parsed, X, method)
    assert set(parsed.outputs) <= set(found)
    for name, (dtype, value) in found.items():
        assert compare(tensor(value, dtype), reference[name]).word is Word.OK, name


def test_a_function_is_run_by_the_same_method():
    parsed = program(FUNCTION, '<ir_version: 10, opset_import: ["": 21, "own": 1]>\n')
    x = np.array(1.0)
    for method in METHODS:
        dtype, value = recomputed(parsed, x, method)["y"]
        assert compare(tensor(value, dtype), interpret(parsed, {"x": x})["y"]).word is Word.OK


def test_trips_differ_from_the_reference_in_their_last_bits():
    """What bodies compute is rounded and moved as everything else is."""
    parsed = program(LOOP)
    exact = interpret(parsed, {"x": X})["all"].value
    moved = [recomputed(parsed, X, method)["all"][1].astype(np.float64) for method in METHODS if method.noise]
    assert all((value != exact).any() for value in moved)
    assert len({value.tobytes() for value in moved}) == len(moved)


def test_parts_of_sequences_are_in_the_declared_type():
    parsed = program(SEQUENCE)
    for method in METHODS:
        dtype, parts = recomputed(parsed, X, method)["two"]
        assert dtype.name == "bfloat16"
        assert [part.dtype for part in parts] == [dtype.numpy] * 3


UNSURE = """agraph (float[3] x, float[3] w) => (bool[n] y) {
  v = Unique(x)
  y = Equal(v, w)
}"""


@pytest.mark.parametrize(("reach", "word"), [(1.0, Word.UNDECIDABLE), (0.0, Word.WRONG)])
def test_what_breaks_down_after_a_shape_that_is_not_sure_is_undecidable(reach, word):
    parsed = program(UNSURE)
    inputs = {"x": np.array([1.0, 2.0, 2.0]), "w": np.zeros(3)}
    with pytest.raises(BrokenDown, match="broadcast") as broken:
        list(recompute(parsed, inputs, METHODS[0], seed=0))
    assert broken.value.step.node.op_type == "Equal"
    dtype = parsed.dtypes["v"]
    reference = {"v": Bounded(np.zeros(2), reach, dtype, shaped=not reach), "w": Bounded(np.zeros(3), 0.0, dtype)}
    tally = run.Tally()
    computed = (row for row in recompute(parsed, inputs, METHODS[0], seed=0) if row[1] != "v")
    run._judge(tally, 0, 0, METHODS[0], computed, reference)
    assert [w for _, _, w in tally.words] == [word.value]
    assert len(tally.culprits) == (word is Word.WRONG)


def test_containers_as_inputs_are_carried_as_they_are():
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("SequenceLength", ["x"], ["y"])], "g",
        [onnx.helper.make_tensor_sequence_value_info("x", onnx.TensorProto.FLOAT, [2])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.INT64, [])],
    )  # fmt: skip
    parsed = parse(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)]))
    part = np.ones(2, np.float32)
    inputs = run.carried(parsed, {"x": [tensor(part, None), tensor(part, None)]})
    assert all(isinstance(one, np.ndarray) for one in inputs["x"])
    (row,) = recompute(parsed, inputs, METHODS[0], seed=0)
    assert row[3] == 2
    assert run.carried(parsed, {"x": None}) == {"x": None}
    assert tensor(None, None) is None
