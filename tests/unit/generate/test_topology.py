"""Topologies: what the nodes of a model read, and how far it goes on."""

from __future__ import annotations

from functools import cache
from statistics import median

import pytest

from abstract.graph import Origin, Value
from abstract.types import TensorType
from fuzz.generate.choices import Seeded
from fuzz.generate.graph import generate_graph
from fuzz.generate.settings import Settings
from fuzz.generate.topology import PARTS, PICKS, draw_topology

SETTINGS = Settings(nodes=(16, 16), structure=("topology",), operators=(
    "Add", "Mul", "Relu", "Neg", "Abs", "Concat", "Transpose", "ReduceSum", "Tanh", "Max", "Sub", "Sigmoid",
), dtypes=("float",))  # fmt: skip


@cache
def drawn():
    """Graphs by their topology."""
    found = {}
    for seed in range(120):
        graph, plan = generate_graph(Seeded(seed), SETTINGS)
        found.setdefault(plan.topology, []).append(graph)
    return found


def depth(graph):
    """The nodes on the longest path."""
    length = {}
    for node in graph.nodes:
        longest = 1 + max((length.get(value, 0) for value in node.reads), default=0)
        length.update((value, longest) for value in node.outputs)
    return max(length.values())


def fan(graph):
    """How often the value is read that is read most."""
    return max(v.uses for v in (*graph.inputs, *graph.initializers, *(o for n in graph.nodes for o in n.outputs)))


def parts(graph):
    """How many groups of nodes there are of which none shares a value with another."""
    groups = []
    for node in graph.nodes:
        near = {*node.reads, *node.outputs}
        joined = [group for group in groups if group & near]
        groups = [group for group in groups if not group & near] + [near.union(*joined)]
    return len(groups)


def typical(topology, measure):
    return median(measure(graph) for graph in drawn()[topology])


def value(name, uses):
    return Value(name, TensorType(None, ()), None, Origin.NODE, exact=True, uses=uses)


def test_each_is_drawn():
    assert drawn().keys() == {"", PARTS, *PICKS}


def test_a_chain_is_long():
    assert typical("chain", depth) >= typical("", depth) + 2


def test_a_wide_fan_reads_one_value_often():
    assert typical("fan-out", fan) > 2 * typical("", fan)
    assert typical("fan-out", depth) < typical("", depth)


def test_what_runs_together_leaves_few_outputs():
    assert typical("fan-in", lambda g: len(g.outputs)) < typical("fan-out", lambda g: len(g.outputs))


def test_parts_have_nothing_in_common():
    assert typical(PARTS, parts) > typical("", parts)
    assert typical(PARTS, parts) >= 3


@pytest.mark.parametrize(
    ("topology", "expected"),
    [("chain", "v3"), ("fan-out", "v0"), ("fan-in", "v2")],
)
def test_a_pick_takes_its_value(topology, expected):
    pool = [value("v0", 2), value("v1", 1), value("v2", 0), value("v3", 1)]
    assert PICKS[topology](pool, lambda _, high: high if high > 1 else 0).name == expected


def test_diamonds_read_a_second_time_or_join():
    pool = [value("v0", 2), value("v1", 1), value("v2", 0), value("v3", 2)]
    assert PICKS["diamonds"](pool, lambda _, high: high).name == "v1"
    assert PICKS["diamonds"](pool, lambda low, _: low).name == "v2"
    assert PICKS["diamonds"]([value("v0", 3)], lambda _, high: high).name == "v0"


def test_without_the_feature_there_is_none():
    assert draw_topology(Seeded(0), frozenset({"functions"})) == ""
