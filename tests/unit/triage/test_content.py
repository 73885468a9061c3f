"""Sizes, ranks, attributes, numbers, names."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from backends.tensor import to_numpy
from fuzz.triage.assessment import know
from fuzz.triage.content import (
    drop_attributes,
    drop_data_sets,
    drop_inputs,
    drop_outputs,
    free_constants,
    simplify_values,
)
from fuzz.triage.naming import anonymise, canonical, rename
from fuzz.triage.sizes import drop_ranks, fix_sizes, shrink_sizes
from tests.unit.triage.conftest import CHAIN, ROW, candidate, check, has, operators, text

PRODUCT = "g (float[4, 8] x, float[8, 6] w) => (float[4, 6] y) { p = MatMul (x, w)  y = Relu (p) }"


def product():
    proto = text(PRODUCT)
    del proto.graph.input[1]
    proto.graph.initializer.append(numpy_helper.from_array(np.ones((8, 6), np.float32), "w"))
    return candidate(proto, [np.ones((4, 8), np.float32)])


def shapes(case):
    return [tuple(value.shape) for value in case.values()[0]] + [tuple(t.dims) for t in case.proto().graph.initializer]


def test_sizes_shrink_together(search):
    begun = search(product(), has("MatMul"))
    shrink_sizes(begun)
    assert shapes(begun.best) == [(1, 1), (1, 1)]
    check(begun.best)


def test_sizes_that_matter_stay(search):
    def bad(proto, _):
        return has("MatMul")(proto, _) and proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value > 2

    begun = search(product(), bad)
    shrink_sizes(begun)
    assert shapes(begun.best) == [(1, 3), (3, 1)]


def test_ranks_go(search):
    body = "g (float[1, 1, 3] x, float[3] w) => (float[1, 1, 3] y) { y = Add (x, w) }"
    begun = search(candidate(body, [np.ones((1, 1, 3), np.float32), np.ones(3, np.float32)]), has("Add"))
    drop_ranks(begun)
    assert shapes(begun.best) == [(3,), (3,)]
    shrink_sizes(begun)
    drop_ranks(begun)
    assert shapes(begun.best) == [(), ()]


def test_a_shape_stays_a_list(search):
    """ONNX's checker takes a number for it, ONNX Runtime does not: a slip."""
    proto = text("g (float[1] x) => (float[1] y) { r = Reshape (x, s)  y = ReduceSum <keepdims = 1> (r) }")
    proto.graph.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), "s"))
    begun = search(candidate(proto, [np.ones(1, np.float32)]), has("Reshape"))
    drop_ranks(begun)
    assert shapes(begun.best) == [(), (1,)]


def test_open_sizes_become_numbers(search):
    body = "g (float[N, 3] x) => (float[M, 3] y) { y = Relu (x) }"
    begun = search(candidate(body, ROW), has("Relu"))
    fix_sizes(begun)
    (port,), (end,) = begun.best.proto().graph.input, begun.best.proto().graph.output
    assert [d.dim_value for p in (port, end) for d in p.type.tensor_type.shape.dim] == [2, 3, 2, 3]
    two = search(candidate(body, ROW, [np.ones((5, 3), np.float32)]), has("Relu"))
    fix_sizes(two)
    shrink_sizes(two)
    assert two.best.proto().graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"


@pytest.mark.parametrize(("least", "left"), [(0, {}), (0.3, {"alpha": 0.5}), (2, {"alpha": 5.0})])
def test_attributes_go_or_become_plain(search, least, left):
    body = "g (float[2, 3] x) => (float[2, 3] y) { y = HardSigmoid <alpha = 5.3, beta = 0.7> (x) }"

    def bad(proto, _):
        return not least or any(a.name == "alpha" and a.f > least for a in proto.graph.node[0].attribute)

    begun = search(candidate(body, ROW), bad)
    drop_attributes(begun)
    found = {a.name: a.f for a in begun.best.proto().graph.node[0].attribute}
    # 1 comes before 0.5, and a rounded number last.
    assert found == ({"alpha": 1.0} if least == 0.3 else left)


def test_lists_become_plain(search):
    body = """g (float[1, 1, 4, 4] x) => (float[1, 1, 2, 2] y) {
        y = AveragePool <kernel_shape = [2, 2], strides = [2, 2], pads = [0, 0, 0, 0]> (x) }"""
    begun = search(candidate(body, [np.ones((1, 1, 4, 4), np.float32)]), has("AveragePool"))
    drop_attributes(begun)
    (node,) = begun.best.proto().graph.node
    assert {a.name: list(a.ints) for a in node.attribute} == {"kernel_shape": [1, 1]}


@pytest.mark.parametrize(
    ("bad", "left"),
    [
        (lambda _: True, [1] * 6),
        (lambda x: not np.all(x == 1), [0] * 6),
        (lambda x: np.ptp(x) > 0 and x[-1] != 0, [0, 0, 0, 0, 0, 1]),
        (lambda x: abs(x[0] * 1.0) == 1 and x[-1] == 0, [-1, 0, 0, 0, 0, 0]),
    ],
)
def test_numbers_become_plain(search, bad, left):
    row = np.float32([[-1.2, -0.7, -0.1], [0.2, 0.8, 1.3]])
    if left[-1] == 0 and left[0] == -1:
        row = np.float32([[-1.0, 2.5, 3.5], [1.5, 2.5, 0]])
    begun = search(
        candidate("g (float[2, 3] x) => (float[2, 3] y) { y = Relu (x) }", [row]),
        lambda _, feeds: bool(bad(to_numpy(feeds[0]["x"]).ravel())),
    )
    simplify_values(begun)
    assert to_numpy(begun.best.feeds[0]["x"]).ravel().tolist() == left


def test_weights_become_plain_and_integers_stay(search):
    body = """g (float[4] x) => (float[2] y) <int64[2] i = {3, 1}> { y = Gather (x, i) }"""
    begun = search(candidate(body, [np.arange(4, dtype=np.float32)]), has("Gather"))
    simplify_values(begun)
    assert to_numpy(begun.best.feeds[0]["x"]).tolist() == [1, 1, 1, 1]


def test_of_several_data_sets_one_stays_or_those_that_are_needed(search):
    body = "g (float[N, 3] x) => (float[N, 3] y) { y = Relu (x) }"
    sets = [[np.full((n, 3), n, np.float32)] for n in (1, 2, 3, 4)]
    begun = search(candidate(body, *sets), lambda _, feeds: any(f["x"].shape[0] == 3 for f in feeds))
    drop_data_sets(begun)
    assert [f["x"].shape[0] for f in begun.best.feeds] == [3]
    begun = search(candidate(body, *sets), lambda _, feeds: {2, 4} <= {f["x"].shape[0] for f in feeds})
    drop_data_sets(begun)
    assert [f["x"].shape[0] for f in begun.best.feeds] == [2, 4]


def test_outputs_go(search):
    body = "g (float[4] x) => (float[1] a, float[1] b, float[2] c) <int64[3] s = {1, 1, 2}> { a, b, c = Split (x, s) }"
    case = candidate(body, [np.arange(4, dtype=np.float32)])
    begun = search(case, has("Split"))
    drop_outputs(begun)
    assert len(begun.best.proto().graph.output) == 1
    begun = search(case, lambda proto, _: {"a", "c"} <= {o.name for o in proto.graph.output})
    drop_outputs(begun)
    assert [o.name for o in begun.best.proto().graph.output] == ["a", "c"]


def private():
    case = candidate(
        """secret_model (float[batch, 3] secret_in) => (float[batch, 3] secret_out)
        <float[3] secret_w = {0.1, 0.2, 0.3}> { secret_a = Mul (secret_in, secret_w)  secret_out = Relu (secret_a) }""",
        ROW,
    )
    proto = case.proto()
    proto.doc_string = proto.producer_name = proto.graph.doc_string = proto.graph.node[0].doc_string = "secret"
    proto.graph.node[0].name = "secret_node"
    proto.metadata_props.add(key="secret", value="secret")
    proto.opset_import.add(domain="secret.domain", version=1)
    return candidate(proto, ROW)


def test_names_and_texts_go(search):
    begun = search(private(), has("Mul"))
    rename(begun)
    assert b"secret" not in begun.best.model
    assert list(begun.best.feeds[0]) == ["x0"]
    proto = begun.best.proto()
    assert ([n.name for n in proto.graph.node], proto.graph.output[0].name) == (["n0", "n1"], "y0")
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "s0"
    assert canonical(begun.best) == begun.best


FUNCTIONS = """<domain: "secret.lib", opset_import: ["" : 21, "secret.lib" : 3]>
    secret_act (secret_in) => (secret_out) {
        secret_mid = Exp (secret_in)  secret_out = secret.lib.secret_neg (secret_mid) }
    <domain: "secret.lib", opset_import: ["" : 21]>
    secret_neg (secret_a) => (secret_b) { secret_b = Neg (secret_a) }"""


def test_functions_lose_their_names(search):
    body = "g (float[2] secret_x) => (float[2] secret_y) { secret_y = secret.lib.secret_act (secret_x) }"
    case = candidate(body, [np.ones(2, np.float32)], functions=FUNCTIONS, opsets='"" : 21, "secret.lib" : 3')
    begun = search(case, lambda proto, _: len(proto.functions) == 2)
    rename(begun)
    assert b"secret" not in begun.best.model
    onnx.checker.check_model(begun.best.proto(), full_check=True)
    assert know(begun.best).values[0]["y0"] == know(case).values[0]["secret_y"]
    assert canonical(begun.best) == begun.best


def test_names_that_matter_stay(search):
    begun = search(private(), lambda proto, _: proto.graph.node[0].name == "secret_node")
    rename(begun)
    proto = begun.best.proto()
    assert (proto.graph.node[0].name, proto.producer_name, proto.doc_string) == ("secret_node", "", "")


def test_weights_are_replaced(search):
    begun = search(private(), has("Mul"))
    assert anonymise(begun) == []
    assert numpy_helper.to_array(begun.best.proto().graph.initializer[0]).tolist() == [1, 2, 3]


def test_weights_that_matter_are_told(search):
    def bad(proto, _):
        return bool(np.isclose(numpy_helper.to_array(proto.graph.initializer[0])[0], 0.1))

    assert anonymise(search(private(), bad)) == ["secret_w"]


def test_a_whole_reduction_leaves_a_plain_case(reduced):
    done = reduced(candidate(CHAIN, ROW), has("Exp"), anonymous=True)
    assert operators(done.case) == ["Exp"]
    assert (done.nodes_before, done.nodes, done.repeats, done.pattern) == (8, 1, True, "Exp(float)")
    assert shapes(done.case) == [()]
    onnx.checker.check_model(done.case.proto(), full_check=True)


def test_integers_become_small(search):
    body = "g (int64[3] x, uint8[3] u) => (int64[3] y, uint8[3] z) { y = Neg (x)  z = Max (u) }"
    case = candidate(body, [np.int64([-82, 7, 40]), np.uint8([200, 0, 9])])

    def bad(_, feeds):
        x, u = (to_numpy(feeds[0][name]) for name in "xu")
        return bool(x[0] < 0 < x[2] and u[0] > 2)

    begun = search(case, bad)
    simplify_values(begun)
    assert to_numpy(begun.best.feeds[0]["x"]).tolist() == [-1, 1, 1]
    assert to_numpy(begun.best.feeds[0]["u"]).tolist() == [3, 0, 0]


def test_constants_that_are_data_become_inputs(search):
    body = """g (float[4] x) => (float[2, 2] y) <float[4] w = {1, 2, 3, 4}, int64[2] s = {2, 2}> {
        a = Add (x, w)  y = Reshape (a, s) }"""
    begun = search(candidate(body, [np.ones(4, np.float32)]), has("Add"))
    free_constants(begun)
    assert list(begun.best.feeds[0]) == ["x", "w"]
    assert [tensor.name for tensor in begun.best.proto().graph.initializer] == ["s"]
    kept = search(candidate(body, [np.ones(4, np.float32)]), lambda proto, _: len(proto.graph.initializer) == 2)
    free_constants(kept)
    assert list(kept.best.feeds[0]) == ["x"]


def test_functions_lose_their_texts_too():
    """A function has fewer fields than a graph: no quantization_annotation."""
    function = """<domain: "local", opset_import: ["" : 21]> twice (a) => (c) { b = Exp (a)  c = Neg (b) }"""
    case = candidate(
        "g (float[1] x) => (float[1] y) { y = local.twice (x) }", [np.float32([1])], functions=function,
        opsets='"" : 21, "local" : 1',
    )  # fmt: skip
    proto = case.proto()
    proto.functions[0].doc_string = proto.functions[0].node[0].doc_string = "private"
    plain = canonical(candidate(proto, [np.float32([1])])).proto()
    assert [node.op_type for node in plain.functions[0].node] == ["Exp", "Neg"]
    assert b"private" not in plain.SerializeToString()


@pytest.mark.parametrize(("needed", "left"), [((), ["x"]), (("b",), ["x", "b"])])
def test_inputs_that_nothing_reads_go(search, needed, left):
    body = "g (float[3] x, float[3] a, float[3] b, float[3] c) => (float[3] y) { y = Abs (x) }"

    def bad(proto, _):
        return set(needed) <= {info.name for info in proto.graph.input}

    begun = search(candidate(body, [np.full(3, n, np.float32) for n in range(4)]), bad)
    drop_inputs(begun)
    assert [info.name for info in begun.best.proto().graph.input] == left
    assert [to_numpy(value)[0] for value in begun.best.values()[0]] == [0.0, *([2.0] if needed else [])]
    check(begun.best)


def test_an_input_that_is_returned_stays(search):
    body = "g (float[3] x, float[3] a) => (float[3] a) { y = Abs (x) }"
    begun = search(candidate(body, [np.ones(3, np.float32)] * 2), lambda *_: True)
    drop_inputs(begun)
    assert [info.name for info in begun.best.proto().graph.input] == ["x", "a"]
