"""The page of one computation graph, in a real browser: it is moved, scaled and searched, and asks for nothing."""

from __future__ import annotations

import pytest

from corpus.graphs.computation import ComputationGraph, Edge, Node
from fuzz.collection.drawing.files import draw

pytestmark = pytest.mark.browser


def test_moved_scaled_and_searched(browser, tmp_path):
    names = ["x", *(f"conv{number}" for number in range(1, 120))]
    nodes = tuple(
        Node(name=name, operator="Conv", source="Conv", kernel=(3, 3), shape=(1, 8, 9, 9), type="float")
        for name in names
    )
    graph = ComputationGraph("net", "toy", nodes, tuple(Edge(place, place + 1, 0) for place in range(119)))
    browser.noise.clear()
    browser.open(draw(graph, tmp_path, "html"))
    place = "new DOMMatrix(getComputedStyle(document.querySelector('#view > svg')).transform)"
    assert browser.run(f"[{place}.a, {place}.e]") == [1, 0]
    browser.run("document.getElementById('fit').click()")
    assert browser.run(f"{place}.a") < 1
    wheel = "new WheelEvent('wheel', {deltaY: -400, clientX: 300, clientY: 300, cancelable: true})"
    before = browser.run(f"{place}.a")
    browser.run(f"document.getElementById('view').dispatchEvent({wheel})")
    assert browser.run(f"{place}.a") == pytest.approx(before * 2.718, rel=0.01)
    moves = [("mousePressed", 300, 300), ("mouseMoved", 380, 320), ("mouseReleased", 380, 320)]
    before = browser.run(f"{place}.e")
    for kind, x, y in moves:
        browser.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)
    assert browser.run(f"{place}.e") == pytest.approx(before + 80, abs=1)
    browser.run("search.value = 'conv11'; search.dispatchEvent(new Event('input'))")
    assert browser.run("found.value") == "11 found"
    browser.run("search.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter'}))")
    box = browser.run("(({x, width}) => [x, width])(document.querySelector('g.found rect').getBoundingClientRect())")
    assert 0 < box[0] < 1280
    assert browser.run("found.value") == "1 of 11"
    assert browser.noise == []
