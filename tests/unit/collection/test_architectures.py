"""Architectures of builds."""

from __future__ import annotations

import json

from corpus.trace import Edge, Graph, Vertex
from fuzz.collection.architectures import gather


def test_a_build_is_read_from_its_trace_and_its_class_is_its_architecture(tmp_path):
    inside = (("stem", "Conv2d"),)
    vertices = (
        Vertex("x", "input", "", ("float32",), ((1, 3, 8, 8),), ()),
        Vertex("p_w", "parameter", "", ("float32",), ((4, 3, 3, 3),), ()),
        Vertex("conv2d", "call", "aten.conv2d.default", ("float32",), ((1, 4, 6, 6),), inside, (("stride", "[1, 1]"),)),
        Vertex("relu", "call", "aten.relu.default", ("float32",), ((1, 4, 6, 6),), (("block", "MyBlock"),)),
        Vertex("output", "output", "", (), (), ()),
    )
    edges = (Edge(0, 2, 0), Edge(1, 2, 1), Edge(2, 3, 0), Edge(3, 4, 0))
    build = tmp_path / "net_0"
    build.mkdir()
    (build / "graph.json").write_text(json.dumps(Graph(vertices, edges).to_json()), "utf-8")
    (build / "state.json").write_text(json.dumps({"class": "Net", "model": "net"}), "utf-8")
    (build / "labels.json").write_text(json.dumps({"model_type": ["toy"]}), "utf-8")
    (tmp_path / "failed").mkdir()
    (tmp_path / "failed" / "state.json").write_text(json.dumps({"status": "failed"}), "utf-8")
    unread = []
    (one,) = gather([], tmp_path, unread)
    assert [each.text() for each in unread] == [
        f"{tmp_path / 'failed'} holds neither model.onnx nor graph.json, nor is it a SavedModel"
    ]
    assert (one.name, one.labels["model_type"], one.labels["architecture"]) == ("net_0", "toy", "Net")
    assert dict(one.features.connections) == {"input -> Conv2d": 1, "Conv2d -> relu": 1, "relu -> output": 1}
    assert one.features.parameters["Conv2d stride=[1, 1]"] == 1
