"""A part of a model, given what is due from the rest."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.tensor import from_numpy, to_numpy
from fuzz.judge.context import context, only
from fuzz.judge.divergence import expose
from fuzz.judge.subset import fewest

BODY = """<ir_version: 8, opset_import: ["" : 17]>
g (float[n, 2] x, float[2] spare) => (float[n, 2] y) <float[1] k = {2}> {
  [n0] a = Abs (x) [n1] b = Mul (a, k) [n2] c = Sqrt (a) [n3] y = Sub (b, c) }"""
SETS = [{"x": from_numpy(np.full((n, 2), 4, np.float32)), "spare": from_numpy(np.zeros(2, np.float32))} for n in (1, 3)]


@pytest.fixture
def exposed():
    return expose(onnx.parser.parse_model(BODY).SerializeToString())


def test_what_other_nodes_compute_is_given_as_it_is_due(exposed):
    found = context(exposed, SETS, "y", "onnxruntime")
    assert (found.at, found.nodes[found.at]) == (3, ("Sub", "n3"))
    piece, feeds = only(exposed, [1, 3], found.known)
    graph = onnx.ModelProto.FromString(piece.model).graph
    assert [node.name for node in graph.node] == ["n1", "n3"]
    assert [port.name for port in graph.input] == list(piece.inputs) == ["x", "spare", "a", "c"]
    assert [to_numpy(v).tolist() for v in feeds[0]] == [[[4, 4]], [0, 0], [[4, 4]], [[2, 2]]]
    assert [v.shape for v in feeds[1]] == [(3, 2), (2,), (3, 2), (3, 2)]
    # What was open stays open, so that a fault that needs it stays.
    assert [d.dim_param for d in graph.input[2].type.tensor_type.shape.dim] == ["n", ""]
    assert piece.names == ("b", "y")


def test_a_node_that_reads_no_tensor_cannot_be_given_its_inputs(exposed):
    (row,) = context(exposed, SETS[:1], "y", "onnxruntime").known
    del row["a"]
    assert only(exposed, [1], [row]) is None


@given(st.integers(1, 20), st.data())
def test_no_part_is_kept_that_is_not_needed(count, data):
    fixed = data.draw(st.integers(0, count - 1))
    needed = data.draw(st.sets(st.integers(0, count - 1)))
    tried = []

    def wrong(keep):
        tried.append(keep)
        assert fixed in keep
        return needed <= set(keep)

    assert fewest(range(count), fixed, wrong) == sorted(needed | {fixed})
    assert len(tried) <= 2 * count + 20
