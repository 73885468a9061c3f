"""Computation graphs of ONNX models: what is a node, what is folded away, features by GENNAPE's rules, files."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from corpus.graphs.computation import ComputationGraph, GraphError, Node, layout
from corpus.graphs.onnx_graph import from_onnx
from corpus.graphs.vocabulary import LABELS, VOCABULARY


def weight(name, *shape):
    return numpy_helper.from_array(np.zeros(shape, np.float32), name)


def model(nodes, inputs, outputs, weights=(), **more):
    def values(table):
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in table.items()]

    graph = helper.make_graph(nodes, "toy", values(inputs), values(outputs), list(weights), **more)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


@pytest.fixture
def net():
    """Convolution, depthwise convolution, ReLU6, a skip, pooling, a matrix product with its bias as an addition."""
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["a"], "first", pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Identity", ["a"], ["same"]),
        helper.make_node("Conv", ["same", "w2"], ["d"], "second", group=8, pads=[1, 1, 1, 1]),
        helper.make_node("Clip", ["d", "zero", "six"], ["r"]),
        helper.make_node("Add", ["r", "same"], ["s"]),
        helper.make_node("Shape", ["x"], ["unused"]),
        helper.make_node("GlobalAveragePool", ["s"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Transpose", ["w3"], ["w3t"], perm=[1, 0]),
        helper.make_node("MatMul", ["f", "w3t"], ["m"], "last"),
        helper.make_node("Add", ["m", "b3"], ["y"]),
        helper.make_node("Relu", ["y"], ["dead"]),
    ]
    weights = [
        weight("w1", 8, 3, 3, 3), weight("b1", 8), weight("w2", 8, 1, 3, 3), weight("w3", 10, 8), weight("b3", 10),
        numpy_helper.from_array(np.float32(0), "zero"), numpy_helper.from_array(np.float32(6), "six"),
    ]  # fmt: skip
    return model(nodes, {"x": [1, 3, 32, 32]}, {"y": [1, 10]}, weights)


def test_vocabulary_is_that_of_gennape():
    assert len(LABELS) == 26
    assert len(VOCABULARY) == 32
    assert VOCABULARY[0] == "<OOV>"
    assert VOCABULARY[-1] == "Reserved5"


def test_nodes_of_a_network(net):
    graph = from_onnx(net, name="net", family="toy")
    assert [node.operator for node in graph.nodes] == [
        "Input", "Conv", "Depthwise", "ReLU6", "Add", "Global", "<OOV>", "MatMul", "Output",
    ]  # fmt: skip
    places = {node.name: place for place, node in enumerate(graph.nodes)}
    first, second, last = (graph.nodes[places[name]] for name in ("first", "second", "last"))
    assert first.regular == (32, 16, 32, 16, 3, 8)
    assert first.weighted == (3, 8, 3, 3)
    assert first.bias
    assert second.weighted == (1, 8, 3, 3)
    assert not second.bias
    assert last.regular == (1, 1, 1, 1, 8, 10)
    assert last.weighted == (8, 10, 0, 0)
    assert last.bias
    assert last.parameters == ("w3", "b3")
    edges = {(edge.source, edge.target, edge.position) for edge in graph.edges}
    assert edges == {(0, 1, 0), (1, 2, 0), (2, 3, 0), (3, 4, 0), (1, 4, 1), (4, 5, 0), (5, 6, 0), (6, 7, 0), (7, 8, 0)}


def test_parameters_and_operations_are_counted_by_hand(net):
    graph = from_onnx(net)
    assert graph.parameters() == 8 * 3 * 9 + 8 + 8 * 9 + 80 + 10
    pixels = 16 * 16 * 8
    others = pixels + pixels + pixels + 8  # Clip, Add, the pooling reads all; Flatten
    assert graph.flops() == 2 * pixels * 27 + 2 * pixels * 9 + others + 2 * 10 * 8


def test_a_weight_that_two_nodes_share_counts_once():
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("MatMul", ["a", "w"], ["y"])]
    graph = from_onnx(model(nodes, {"x": [2, 4]}, {"y": [2, 4]}, [weight("w", 4, 4)]))
    assert [node.weights for node in graph.nodes] == [(), ((4, 4),), ((4, 4),), ()]
    assert graph.parameters() == 16


def test_open_dimensions_keep_their_names_or_are_given():
    open_model = model([helper.make_node("Relu", ["x"], ["y"])], {"x": ["batch", 3, "side", "side"]}, {"y": None})
    graph = from_onnx(open_model)
    assert graph.nodes[1].shape == ("batch", 3, "side", "side")
    assert graph.nodes[1].regular is None
    assert graph.flops() is None
    fixed = from_onnx(open_model, shapes={"x": (1, 3, 8, 8)})
    assert fixed.nodes[1].regular == (8, 8, 8, 8, 3, 3)
    assert fixed.flops() == 192


def test_a_body_reads_what_is_around_it():
    body = helper.make_graph(
        [helper.make_node("Add", ["x", "other"], ["inner"])], "body", [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, [2])],
    )  # fmt: skip
    nodes = [
        helper.make_node("Neg", ["x"], ["other"]), helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["flag"], to=TensorProto.BOOL),
        helper.make_node("If", ["flag"], ["y"], then_branch=body, else_branch=body),
    ]  # fmt: skip
    graph = from_onnx(model(nodes, {"x": [2]}, {"y": [2]}))
    choice = next(place for place, node in enumerate(graph.nodes) if node.source == "If")
    read = [graph.nodes[edge.source].source for edge in graph.edges if edge.target == choice]
    assert read == ["Cast", "input", "Neg"]


def test_the_rule_of_layouts():
    assert layout((1, 3, 20, 30)) == ((20, 30), 3)
    assert layout((1, 5, 20, 30, 40)) == ((30, 40), 5)
    assert layout((1, 20, 64)) == ((20, 1), 64)
    assert layout((1, 64, 20), "Conv") == ((20, 1), 64)
    assert layout((1, 12, 20, 64), "MatMul") == ((12, 20), 64)
    assert layout((7, 9)) == ((1, 1), 9)
    assert layout(()) == ((1, 1), 1)
    assert layout((1, "c", 8, 8)) == ((8, 8), None)
    assert layout(None) == (None, None)


def test_written_and_read_again(net):
    graph = from_onnx(net, name="net", family="toy").labelled({"latency_ms": 1.5, "model_type": "toy"})
    assert ComputationGraph.from_json(json.loads(json.dumps(graph.to_json()))) == graph


def node_row(**more):
    return {"name": "a", "operator": "Conv", "source": "Conv", **more}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 9}, "version is 9"),
        ({"nodes": [3]}, "node 0 is no object"),
        ({"nodes": [{"name": "a", "operator": "Conv"}]}, "node 0 has no source"),
        ({"nodes": [node_row(operator="Convo")]}, "no label of the vocabulary"),
        ({"nodes": [node_row(colour="red")]}, "unknown entry 'colour'"),
        ({"nodes": [node_row(kernel=[-1])]}, "kernel of node 0 is no whole number"),
        ({"nodes": [node_row(shape=[True])]}, "shape of node 0 is no whole number"),
        ({"nodes": [node_row(resolution_in=[1])]}, "is not [height, width]"),
        ({"nodes": [node_row(parameters=["w"])]}, "0 weights and 1 names"),
        ({"edges": [[0, 0, 0]]}, "does not lead forwards"),
        ({"edges": [[0, 1, 0]]}, "does not lead forwards among 1 nodes"),
        ({"edges": [[0, 1]]}, "[source, target, position]"),
        ({"labels": {"accuracy": float("nan")}}, "no finite number"),
        ({"labels": {"accuracy": [1]}}, "neither a number nor a text"),
        ({"labels": []}, "no object"),
        ({"name": 3}, "name is no text"),
    ],
)
def test_a_broken_file_is_told_in_one_line(change, said):
    content = {"version": 1, "name": "n", "family": "f", "labels": {}, "nodes": [node_row()], "edges": [], **change}
    with pytest.raises(GraphError) as caught:
        ComputationGraph.from_json(content)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_model_is_told_in_one_line(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"this is no model")
    with pytest.raises(GraphError, match="is no ONNX model"):
        from_onnx(tmp_path / "m.onnx")


def test_exporter_notes_become_modules():
    node = helper.make_node("Relu", ["x"], ["y"])
    notes = {
        "name_scopes": "['', 'body', 'body.act', 'relu']",
        "class_hierarchy": "['my.net.Net', 'torch.nn.Sequential', 'torch.nn.ReLU', 'aten.relu']",
    }
    for key, value in notes.items():
        node.metadata_props.append(onnx.StringStringEntryProto(key=f"pkg.torch.onnx.{key}", value=value))
    graph = from_onnx(model([node], {"x": [2]}, {"y": [2]}))
    assert graph.nodes[1].modules == (("body", "Sequential"), ("body.act", "ReLU"))
    assert graph.labels == {"class": "Net"}


def test_a_node_needs_no_more_than_its_names():
    assert Node(name="a", operator="Conv", source="Conv").weighted is None
