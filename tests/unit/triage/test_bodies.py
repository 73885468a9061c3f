"""Functions, branches, loops: what is inside of them comes out."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from fuzz.triage.assessment import know
from fuzz.triage.bodies import bypass_nodes, opened
from tests.unit.triage.conftest import ROW, candidate, check, has, operators

VECTOR = [np.float32([1, 2, 3])]

FUNCTION = """<domain: "local", opset_import: ["" : 21]> twice (a) => (c) { b = Exp (a)  c = Neg (b) }"""
LOOP = """g (float[3] x, int64 n) => (float[3] y, float[k, 3] z) {
    w = Abs (x)
    c = Constant <value = bool {1}> ()
    y, z = Loop (n, c, x) <body = b (int64 i, bool t, float[3] s) => (bool u, float[3] v, float[3] o) {
        u = Identity (t)  e = Exp (s)  v = Tanh (e)  o = Add (v, w) }>
}"""
SCAN = """g (float[3] s, float[4, 3] x) => (float[3] y, float[4, 3] z) {
    y, z = Scan <num_scan_inputs = 1, scan_input_directions = [1],
                 body = b (float[3] a, float[3] r) => (float[3] v, float[3] o) {
        v = Add (a, r)  o = Sin (v) }> (s, x)
}"""
BRANCH = """g (float[3] x, bool p) => (float[3] y) {
    w = Abs (x)
    y = If (p) <then_branch = t () => (float[3] u) { v = Exp (w)  u = Cos (v) },
                else_branch = e () => (float[3] o) { o = Neg (w) }>
}"""


def test_functions_are_inlined(reduced):
    case = candidate(
        "g (float[3] x) => (float[3] y) { y = local.twice (x) }", VECTOR, functions=FUNCTION,
        opsets='"" : 21, "local" : 1',
    )  # fmt: skip
    done = reduced(case, lambda proto, _: has("Exp")(proto, _) or bool(proto.functions))
    assert operators(done.case) == ["Exp"]
    assert not done.case.proto().functions


@pytest.mark.parametrize(
    ("body", "feed", "operator"),
    [
        (LOOP, [*VECTOR, np.int64(3)], "Exp"),
        (LOOP, [*VECTOR, np.int64(3)], "Add"),
        (SCAN, [*VECTOR, np.arange(12, dtype=np.float32).reshape(4, 3)], "Sin"),
        (BRANCH, [*VECTOR, np.array(1, bool)], "Cos"),
        (BRANCH, [*VECTOR, np.array(0, bool)], "Neg"),
    ],
)  # fmt: skip
def test_a_node_inside_of_a_body_comes_out(reduced, body, feed, operator):
    done = reduced(candidate(body, feed), has(operator))
    assert operators(done.case) == [operator]
    check(done.case)


def test_a_body_has_the_inputs_of_its_first_trips():
    first, second, *more = opened(candidate(SCAN, [*VECTOR, np.arange(12, dtype=np.float32).reshape(4, 3)]))
    assert len(more) == 2
    feed = [np.frombuffer(value.data, np.float32).tolist() for value in first.feeds[0].values()]
    assert feed == [[1, 2, 3], [9, 10, 11]]
    feed = [np.frombuffer(value.data, np.float32).tolist() for value in second.feeds[0].values()]
    assert feed == [[10, 12, 14], [6, 7, 8]]
    first, second, _ = opened(candidate(LOOP, [*VECTOR, np.int64(3)]))
    assert sorted(first.feeds[0]) == ["s", "t", "w"]
    before, after = know(first).values[0], second.feeds[0]
    assert after["s"] == before["v"]


def test_a_loop_has_no_trips_beyond_its_last():
    assert len(opened(candidate(LOOP, [*VECTOR, np.int64(1)]))) == 1
    constant = LOOP.replace("float[3] x, int64 n", "float[3] x").replace("{\n    w", "<int64 n = {2}> {\n    w", 1)
    assert len(opened(candidate(constant, VECTOR))) == 2
    stopped = LOOP.replace("u = Identity (t)", "u = Not (t)")
    assert len(opened(candidate(stopped, [*VECTOR, np.int64(9)]))) == 1


def test_a_sequence_is_mapped_by_its_first_element(reduced):
    sequence = helper.make_tensor_sequence_value_info
    inner = helper.make_graph(
        [helper.make_node("Exp", ["e"], ["o"])], "b",
        [helper.make_tensor_value_info("e", TensorProto.FLOAT, [2, 3])],
        [helper.make_tensor_value_info("o", TensorProto.FLOAT, [2, 3])],
    )  # fmt: skip
    graph = helper.make_graph(
        [helper.make_node("SequenceMap", ["x"], ["y"], body=inner)], "g",
        [sequence("x", TensorProto.FLOAT, None)], [sequence("y", TensorProto.FLOAT, None)],
    )  # fmt: skip
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    done = reduced(candidate(proto, [[ROW[0], ROW[0] + 1]]), has("Exp"))
    assert operators(done.case) == ["Exp"]


def test_a_loop_that_is_needed_has_a_shorter_body(reduced):
    done = reduced(candidate(LOOP, [*VECTOR, np.int64(3)]), has("Loop"))
    (loop,) = done.case.proto().graph.node
    assert len(loop.attribute[0].g.node) <= 3


def test_what_only_passes_something_on_is_left_out(search):
    body = "g (float[2, 3] x) => (float[2, 3] y) { a = Relu (x)  b = Abs (a)  c = Exp (b)  y = Neg (c) }"
    begun = search(candidate(body, ROW), lambda proto, _: {"Relu", "Neg"} <= set(operators(proto)))
    bypass_nodes(begun)
    assert operators(begun.best) == ["Relu", "Neg"]


@pytest.mark.parametrize(
    ("consumer", "kind"),
    [("Neg (a)", "float[2]"), ("Cast <to = 7> (a)", "int64[2]"), ("Concat <axis = 0> (a, a)", "float[4]")],
)
def test_of_what_only_reads_the_one_at_fault_an_identity_is_left(search, consumer, kind):
    body = f"g (float[2] x) => ({kind} y) {{ a = Relu (x)  y = {consumer} }}"

    def bad(proto, _):
        return len(proto.graph.node) > 1 and proto.graph.node[0].op_type == "Relu"

    begun = search(candidate(body, [np.ones(2, np.float32)]), bad)
    bypass_nodes(begun)
    assert operators(begun.best) == ["Relu", "Identity"]
    check(begun.best)


def test_the_last_node_does_nothing_where_nothing_needs_it(reduced):
    """A graph has a node: which one is chance if the failure is that an input is returned."""
    body = "g (float[3] x, float16[3] a) => (float[3] x) { y = Log (a) }"
    case = candidate(body, [np.ones(3, np.float32), np.ones(3, np.float16)])
    done = reduced(case, lambda proto, _: proto.graph.output[0].name in {info.name for info in proto.graph.input})
    assert operators(done.case) == ["Identity"]
    assert [list(feed) for feed in done.case.feeds] == [["x0"]]


def test_which_of_two_returned_inputs_it_reads_does_not_matter(reduced):
    body = "g (float[3] x, float[3] a) => (float[3] x, float[3] a) { y = Identity (x) }"
    done = reduced(candidate(body, [np.ones(3, np.float32)] * 2), lambda proto, _: len(proto.graph.output) == 2)
    assert operators(done.case) == ["Identity"]
