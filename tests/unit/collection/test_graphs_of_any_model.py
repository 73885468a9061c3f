"""Computation graphs of models as they come: whatever the generator makes has one, in every form."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import onnx
import pytest

from corpus.graphs.computation import ComputationGraph
from corpus.graphs.onnx_graph import from_onnx
from corpus.graphs.sequence import VERSIONS, sequence
from fuzz.collection.drawing.scene import compose
from fuzz.collection.drawing.svg import svg
from fuzz.generate.choices import Seeded
from fuzz.generate.emit import emit
from fuzz.generate.graph import generate_graph
from fuzz.generate.settings import Settings


def examine(model):
    """Every form of a model's graph, each read back."""
    for whole in (False, True):
        graph = from_onnx(model, whole=whole)
        assert ComputationGraph.from_json(json.loads(json.dumps(graph.to_json()))) == graph
        assert [node.operator for node in graph.nodes].count("Output") <= len(model.graph.output)
        if whole is False:
            assert ET.fromstring(svg(compose(graph))) is not None  # noqa: S314 - ours
        for version in VERSIONS:
            root = ET.fromstring(sequence(graph, version))  # noqa: S314 - ours
            names = [one.get("name") for one in root.iter("node")]
            assert len(set(names)) == len(names)
            ends = {one.get(end) for one in root.iter("edge") for end in ("source", "target")}
            assert ends <= set(names)
    return graph


@pytest.mark.parametrize("seed", range(20))
def test_models_of_the_generator(seed):
    generated, _ = generate_graph(Seeded(seed), Settings())
    model = onnx.load_from_string(emit(generated, dynamic=bool(seed % 2)).model)
    graph = examine(model)
    called = [node for node in model.graph.node if node.op_type != "Constant"]
    assert len([node for node in graph.nodes if node.operator not in {"Input", "Output"}]) <= len(called)
