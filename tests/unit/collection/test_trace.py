"""Graphs of programs: types, shapes, modules, no cycles."""

from __future__ import annotations

import torch

from corpus.export import export
from corpus.trace import Edge, Vertex, acyclic, trace


def vertices(count):
    return [Vertex(str(place), "call", "", (), (), ()) for place in range(count)]


def test_every_node_has_its_type_its_shape_and_the_way_to_its_module():
    class Inner(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = torch.nn.Linear(4, 3)

        def forward(self, x):
            return torch.relu(self.fc(x)).to(torch.float16)

    graph = trace(export(torch.nn.Sequential(Inner()), (torch.ones(2, 4),), {}))
    by_name = {vertex.name: vertex for vertex in graph.vertices}
    linear = by_name["linear"]
    assert (linear.operator, linear.types, linear.shapes) == ("aten.linear.default", ("float32",), ((2, 3),))
    assert linear.modules == (("0", "Inner"), ("0.fc", "Linear"))
    assert by_name["to"].types == ("float16",)
    assert by_name["relu"].modules == (("0", "Inner"),)
    kinds = [vertex.kind for vertex in graph.vertices]
    assert (kinds.count("parameter"), kinds.count("input"), kinds.count("output")) == (2, 1, 1)
    assert all(edge.source < edge.target for edge in graph.edges)
    assert graph.removed == 0


def test_an_edge_that_closes_a_cycle_goes_and_the_others_stay():
    edges = [Edge(0, 1, 0), Edge(1, 2, 0), Edge(2, 1, 1), Edge(2, 3, 0), Edge(3, 3, 1)]
    graph = acyclic(vertices(4), edges)
    assert graph.removed == 2
    assert [(edge.source, edge.target) for edge in graph.edges] == [(0, 1), (1, 2), (2, 3)]


def test_nodes_that_stand_in_another_order_are_put_into_one_that_can_be_computed():
    graph = acyclic(vertices(3), [Edge(2, 0, 0), Edge(0, 1, 0)])
    assert [vertex.name for vertex in graph.vertices] == ["2", "0", "1"]
    assert [(edge.source, edge.target) for edge in graph.edges] == [(0, 1), (1, 2)]
    assert graph.removed == 0


def test_a_long_chain_needs_no_deep_stack():
    graph = acyclic(vertices(5000), [Edge(place, place + 1, 0) for place in range(4999)])
    assert (graph.removed, len(graph.edges)) == (0, 4999)
