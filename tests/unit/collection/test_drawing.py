"""Pictures of computation graphs: each node and edge is there once, columns, three kinds of files."""

from __future__ import annotations

import io
from xml.etree import ElementTree as ET

import pytest

from corpus.graphs.computation import ComputationGraph, Edge, Node
from fuzz.collection.drawing.files import draw
from fuzz.collection.drawing.scene import compose
from fuzz.collection.drawing.svg import svg

HOSTILE = "</title><script>alert(1)</script>\x00$x_1$"


def chain(length, skip=4):
    """A deep network: every layer reads the one before it, every fourth one also that four before."""
    nodes = [Node(name="x", operator="Input", source="input", shape=(1, 8, 32, 32), type="float")]
    nodes += [
        Node(
            name=f"conv{number}", operator="Conv", source="Conv", resolution_in=(32, 32), resolution_out=(16, 16),
            channels_in=8, channels_out=16, kernel=(3, 3), bias=True, weights=((16, 8, 3, 3), (16,)),
            parameters=(f"w{number}", f"b{number}"), shape=(1, 16, 16, 16), type="float",
        )
        for number in range(1, length)
    ]  # fmt: skip
    edges = [Edge(number - 1, number, 0) for number in range(1, length)]
    edges += [Edge(number - skip, number, 1) for number in range(skip, length, skip)]
    return ComputationGraph("net", "toy", tuple(nodes), tuple(edges))


def test_a_box_says_what_a_node_is():
    scene = compose(chain(3))
    assert [item.lines for item in scene.items] == [
        ("0 Input", "x", "f32 1×8×32×32"),
        ("1 Conv", "3×3, 8→16, bias", "32×32×8 → 16×16×16", "f32 1×16×16×16"),
        ("2 Conv", "3×3, 8→16, bias", "32×32×8 → 16×16×16", "f32 1×16×16×16"),
    ]
    assert [(route.source, route.target) for route in scene.routes] == [(0, 1), (1, 2)]
    assert scene.told == "net (toy): 3 nodes, 2.34 k parameters, 1.18 M operations"


def test_a_deep_network_is_cut_into_columns_and_no_edge_is_lost():
    graph = chain(200)
    scene = compose(graph)
    boxes = [item for item in scene.items if item.kind != "note"]
    assert sorted(int(item.lines[0].split()[0]) for item in boxes) == list(range(200))
    assert len(scene.rules) >= 3
    assert 0.5 < scene.width / scene.height < 4
    notes = [item.lines[0] for item in scene.items if item.kind == "note"]
    for rule in scene.rules:
        assert not any(item.box.x - item.box.width / 2 < rule < item.box.x + item.box.width / 2 for item in scene.items)
    ends = [(scene.items[route.source], scene.items[route.target]) for route in scene.routes]
    inside = sum("note" not in {source.kind, target.kind} for source, target in ends)
    cut = [text for text in notes if text.startswith("to ")]
    assert inside + sum(text.count(",") + 1 for text in cut) == len(graph.edges)


def test_svg_is_xml_and_holds_what_strangers_wrote_as_text():
    graph = chain(3)
    odd = Node(name=HOSTILE, operator="<OOV>", source=HOSTILE, modules=((HOSTILE, HOSTILE),), shape=(HOSTILE,))
    text = svg(compose(ComputationGraph(HOSTILE, HOSTILE, (*graph.nodes, odd), graph.edges)))
    root = ET.fromstring(text)  # noqa: S314 - ours
    assert not list(root.iter("script"))
    titles = [one.text for one in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any("<script>" in title for title in titles)


@pytest.mark.parametrize("form", ["svg", "png", "html"])
def test_the_same_graph_gives_the_same_file(form, tmp_path):
    if form == "png":
        pytest.importorskip("matplotlib")
    first, second = (draw(chain(6), tmp_path / name, form).read_bytes() for name in ("a", "b"))
    assert first == second
    assert (tmp_path / "a" / f"net.{form}").is_file()


def test_png_is_as_large_as_the_scene(tmp_path):
    pytest.importorskip("matplotlib")
    from PIL import Image

    graph = chain(6)
    with Image.open(io.BytesIO(draw(graph, tmp_path, "png").read_bytes())) as image:
        scene = compose(graph)
        assert image.size == (scene.width, scene.height)
        assert len(image.convert("RGB").getcolors(1 << 24)) > 20


def test_a_graph_of_any_name_stays_in_the_folder(tmp_path):
    graph = ComputationGraph("../../etc/passwd", "", chain(2).nodes, chain(2).edges)
    assert draw(graph, tmp_path / "pictures", "svg").parent == tmp_path / "pictures"


def test_a_graph_of_nothing_is_drawn(tmp_path):
    assert draw(ComputationGraph("none", "", (), ()), tmp_path, "svg").is_file()
