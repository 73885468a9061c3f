"""The layered layout: nothing overlaps, edges run downwards, components lie apart."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.report.layout import lay_out

GAP = 10.0


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 25))
    size = st.tuples(st.floats(5, 80), st.floats(5, 40))
    sizes = draw(st.lists(size, min_size=count, max_size=count))
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    edges = draw(st.lists(st.sampled_from(pairs), max_size=40)) if pairs else []
    return sizes, edges


@given(graphs())
def test_no_two_boxes_overlap_and_all_lie_inside(graph):
    sizes, edges = graph
    layout = lay_out(sizes, edges, gap=GAP)
    for box, (width, height) in zip(layout.boxes, sizes, strict=True):
        assert (box.width, box.height) == (width, height)
        assert box.x - width / 2 >= -1e-6
        assert box.x + width / 2 <= layout.width + 1e-6
        assert box.y - height / 2 >= -1e-6
        assert box.y + height / 2 <= layout.height + 1e-6
    for a, b in combinations(layout.boxes, 2):
        apart = abs(a.x - b.x) >= (a.width + b.width) / 2 - 1e-6 or abs(a.y - b.y) >= (a.height + b.height) / 2 - 1e-6
        assert apart


@given(graphs())
def test_every_edge_runs_down_from_its_source_to_its_target(graph):
    sizes, edges = graph
    layout = lay_out(sizes, edges, gap=GAP)
    assert [(route.source, route.target) for route in layout.routes] == edges
    for route in layout.routes:
        source, target = layout.boxes[route.source], layout.boxes[route.target]
        assert route.points[0] == pytest.approx((source.x, source.y - source.height / 2, source.y + source.height / 2))
        assert route.points[-1] == pytest.approx((target.x, target.y - target.height / 2, target.y + target.height / 2))
        for (_, _, bottom), (_, top, _) in zip(route.points, route.points[1:], strict=False):
            assert bottom < top


@given(graphs())
def test_the_same_graph_gives_the_same_layout(graph):
    sizes, edges = graph
    assert lay_out(sizes, edges) == lay_out(sizes, edges)


def test_a_chain_is_a_straight_line():
    layout = lay_out([(30, 20)] * 6, [(i, i + 1) for i in range(5)])
    assert len({round(box.x, 6) for box in layout.boxes}) == 1
    assert [box.y for box in layout.boxes] == sorted(box.y for box in layout.boxes)


def test_crossings_are_undone():
    # Two parallel chains whose second layer is numbered the other way round, tied at the top.
    layout = lay_out([(20, 20)] * 5, [(0, 1), (0, 2), (1, 4), (2, 3)])
    left_first = layout.boxes[1].x < layout.boxes[2].x
    assert (layout.boxes[4].x < layout.boxes[3].x) is left_first


def test_many_components_wrap_into_rows():
    layout = lay_out([(100, 20)] * 40, [])
    assert layout.width <= 1_050
    assert layout.height > 60


def test_an_empty_graph_and_a_cycle():
    assert lay_out([], []).boxes == ()
    looped = lay_out([(20, 20)] * 3, [(0, 1), (1, 2), (2, 1)])
    assert len(looped.routes) == 3
