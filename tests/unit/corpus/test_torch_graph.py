"""Computation graphs of exported programs: the same as those of the ONNX model made of them."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from corpus.graphs.computation import GraphError
from corpus.graphs.torch_graph import from_program, from_trace, read_trace
from corpus.trace import Graph, trace

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def program():
    nn = torch.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU6())
            self.wide = nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False)
            self.pool = nn.MaxPool2d(2)
            self.drop = nn.Dropout()
            self.last = nn.Linear(4, 10)

        def forward(self, x):
            x = self.stem(x)
            x = self.pool(x + self.wide(x))
            first, _ = torch.split(x.mean((2, 3)), [4, 4], dim=1)
            return self.last(self.drop(first))

    return torch.export.export(Net().eval(), (torch.zeros(1, 3, 32, 32),))


def test_nodes_features_and_modules(program):
    graph = from_program(program, name="net", family="toy")
    assert [node.operator for node in graph.nodes] == [
        "Input", "Conv", "BatchNorm", "ReLU6", "Depthwise", "Add", "Maxpool", "Mean", "<OOV>", "MatMul", "Output",
    ]  # fmt: skip
    by_label = {node.operator: node for node in graph.nodes}
    conv, wide, last = by_label["Conv"], by_label["Depthwise"], by_label["MatMul"]
    assert conv.regular == (32, 16, 32, 16, 3, 8)
    assert conv.weighted == (3, 8, 3, 3)
    assert conv.bias
    assert conv.modules == (("stem", "Sequential"), ("stem.0", "Conv2d"))
    assert dict(conv.arguments) == {"stride": "[2, 2]", "padding": "[1, 1]"}
    assert wide.weighted == (1, 8, 5, 5)
    assert not wide.bias
    assert by_label["Maxpool"].kernel == (2, 2)
    assert last.weighted == (4, 10, 0, 0)
    assert last.regular == (1, 1, 1, 1, 4, 10)
    assert last.type == "float"
    split = next(place for place, node in enumerate(graph.nodes) if node.source.startswith("aten.split"))
    assert [edge.target for edge in graph.edges if edge.source == split] == [split + 1]


def test_parameters_are_those_of_the_module(program):
    learnt = sum(parameter.numel() for parameter in program.parameters())
    assert from_program(program).parameters() == learnt


def test_whole_keeps_what_computes_nothing(program):
    folded, whole = from_program(program), from_program(program, whole=True)
    extra = Counter(node.source for node in whole.nodes) - Counter(node.source for node in folded.nodes)
    assert extra == {"aten.dropout.default": 1}


def test_a_trace_that_was_kept_gives_the_same(program, tmp_path):
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(trace(program).to_json()))
    kept = read_trace(path)
    assert isinstance(kept, Graph)
    assert from_trace(kept, name="net") == from_program(program, name="net")


BROKEN = ["[]", "{}", "x", '{"nodes": [1], "edges": []}', '{"nodes": [], "edges": [[0, 0, 0]]}']


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_trace_is_told_in_one_line(text, tmp_path):
    path = tmp_path / "graph.json"
    path.write_text(text)
    with pytest.raises(GraphError, match=r"graph\.json is no trace of"):
        read_trace(path)
