"""XML sequences: what each version has, that it parses, and that nothing of a stranger's gets out of its quotes."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from corpus.graphs.computation import ComputationGraph, Edge, GraphError, Node
from corpus.graphs.sequence import VERSIONS, counted, sequence

HOSTILE = 'a"<&>\'\x00\x1b]]>\ud800é'


def parsed(text):
    return ET.fromstring(text)  # noqa: S314 - what we have written


def node(name, source="aten.relu.default", *modules, **more):
    values = {"operator": "ReLU", "shape": (1, 8), "type": "float", **more}
    return Node(name=name, source=source, modules=modules, **values)


@pytest.fixture
def graph():
    """An input, a stem of a convolution and two operators in a block, a function of no module, an output."""
    stem, block = ("stem", "Conv2d"), ("block", "Block")
    nodes = (
        node("x", "input", operator="Input"),
        node("conv", "aten.conv2d.default", stem, operator="Conv", weights=((8, 3, 3, 3),), parameters=("w",),
             kernel=(3, 3), channels_in=3, channels_out=8, arguments=(("stride", "[2, 2]"), ("type", "odd"))),
        node("relu", "aten.relu.default", block, ("block.act", "ReLU")),
        node("add", "aten.add.Tensor", block, operator="Add"),
        node("mean", "aten.mean.dim", operator="Mean", shape=("n", 8)),
        node("y", "output", operator="Output"),
    )  # fmt: skip
    edges = ((0, 1, 0), (1, 2, 0), (2, 3, 0), (1, 3, 1), (3, 4, 0), (4, 5, 0))
    return ComputationGraph("net", "Net", nodes, tuple(Edge(*edge) for edge in edges))


def test_a_version_with_arguments(graph):
    root = parsed(sequence(graph, 1))
    assert root.tag == "graph"
    assert root.attrib == {"name": "net", "type": "Net"}
    stem = root.find("node[@name='stem']")
    assert stem.attrib == {
        "name": "stem", "type": "Conv2d", "in_channels": "3", "out_channels": "8", "kernel_size": "[3, 3]",
        "bias": "False", "stride": "[2, 2]", "_type": "odd",
    }  # fmt: skip
    block = root.find("graph[@name='block']")
    assert [one.attrib for one in block] == [
        {"name": "block.act", "type": "ReLU"}, {"name": "add", "type": "add"}, {"source": "block.act", "target": "add"},
    ]  # fmt: skip
    edges = [(one.get("source"), one.get("target")) for one in root.findall("edge")]
    assert edges == [("x", "stem"), ("stem", "block.act"), ("stem", "add"), ("add", "mean"), ("mean", "output")]


def test_a_version_with_types_and_shapes(graph):
    root = parsed(sequence(graph, 2))
    assert set(root.find("node[@name='stem']").attrib) == {"name", "type"}
    marks = root.find("edge[@target='output']").attrib
    assert marks == {"source": "mean", "target": "output", "dtype": "float", "shape": "[n, 8]"}


def test_a_version_folded_to_the_first_level(graph):
    root = parsed(sequence(graph, 3))
    assert [(one.get("name"), one.get("type")) for one in root.findall("node")] == [
        ("x", "input"), ("stem", "Conv2d"), ("block", "Block"), ("mean", "mean"), ("output", "output"),
    ]  # fmt: skip
    assert [(one.get("source"), one.get("target")) for one in root.findall("edge")] == [
        ("x", "stem"), ("stem", "block"), ("block", "mean"), ("mean", "output"),
    ]  # fmt: skip


def test_a_plain_version(graph):
    root = parsed(sequence(graph, 4))
    assert {name for one in root.iter("edge") for name in one.attrib} == {"source", "target"}
    assert {name for one in root.iter("node") for name in one.attrib} == {"name", "type"}
    assert counted(sequence(graph, 4)) == {"nodes": 6, "edges": 6, "graphs": 1}


@pytest.mark.parametrize("version", VERSIONS)
def test_text_of_strangers_stays_text(version):
    nodes = (
        node(HOSTILE, HOSTILE, (HOSTILE, HOSTILE), arguments=((HOSTILE, HOSTILE), ("", ""), ("9", "x"))),
        node(HOSTILE, HOSTILE, type=HOSTILE, shape=(HOSTILE,)), node(HOSTILE, "output", operator="Output"),
    )  # fmt: skip
    text = sequence(ComputationGraph(HOSTILE, HOSTILE, nodes, (Edge(0, 1, 0), Edge(1, 2, 0))), version)
    root = parsed(text)
    assert root.get("name") == 'a"<&>\'\ufffd\ufffd]]>\ufffdé'
    assert len({one.get("name") for one in root.iter("node")}) == 3
    text.encode()


def test_a_function_that_is_called_like_a_module_is_not_taken_for_it():
    nodes = (node("act", "aten.neg.default"), node("relu", "aten.relu.default", ("act", "ReLU")))
    root = parsed(sequence(ComputationGraph("net", "", nodes, (Edge(0, 1, 0),)), 3))
    assert [(one.get("name"), one.get("type")) for one in root.findall("node")] == [("act.2", "neg"), ("act", "ReLU")]


def test_there_is_no_fifth_version(graph):
    with pytest.raises(GraphError, match="no version 5: 1, 2, 3, 4"):
        sequence(graph, 5)
