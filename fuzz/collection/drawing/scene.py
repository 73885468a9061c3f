"""What lies where in a picture of a computation graph, before it is a file.

A deep network is a long strip: it is cut into columns, top to bottom and then on to the right, where few edges cross.
An edge that is cut ends in a note at either side, which says from or to which node.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, sqrt
from typing import TYPE_CHECKING

from fuzz.collection.drawing.words import caption, kind, lines, title
from fuzz.report.layout import lay_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corpus.graphs.computation import ComputationGraph, Edge
    from fuzz.report.layout import Box, Route

__all__ = ["BOLD", "SMALL", "Item", "Scene", "compose"]

BOLD, SMALL = 12.0, 10.0  # sizes of type, in pixels; both monospaced
_WIDE = 0.61  # width of a character, as a part of its size
_HEADER, _LINE, _PAD = 20.0, 13.0, 8.0
_GAP, _LAYER_GAP, _COLUMN_GAP, _MARGIN, _CAPTION = 16.0, 22.0, 48.0, 16.0, 34.0
_SHAPE = 1.6  # width by height that a cut drawing comes near to
_LOWEST = 1_400.0  # pixels of height below which nothing is cut
_NAMED = 3  # nodes that a note at a cut names
_TURNS = 6  # how many places a cut is looked for at


@dataclass(frozen=True, slots=True)
class Item:
    """A box and what stands in it: ``kind`` is a family of operators, ``end`` or ``note``."""

    box: Box
    kind: str
    lines: tuple[str, ...]
    title: str


@dataclass(frozen=True, slots=True)
class Scene:
    """A finished drawing in a plane from (0, 0) to (width, height), in pixels.

    A route goes from one item to another, by their places in ``items``. ``rules`` are the places between columns,
    ``told`` is the drawing in words.
    """

    width: float
    height: float
    items: tuple[Item, ...]
    routes: tuple[Route, ...]
    rules: tuple[float, ...]
    told: str


def compose(graph: ComputationGraph) -> Scene:
    """Lay a graph out. The same graph gives the same scene."""
    texts = [lines(node, place) for place, node in enumerate(graph.nodes)]
    sizes = [_size(text) for text in texts]
    columns = _columns(graph, sizes)
    items: list[Item] = []
    routes: list[Route] = []
    rules: list[float] = []
    left, height = _MARGIN, 0.0
    for members in columns:
        column = _Column(graph, members, texts, sizes)
        layout = lay_out(column.sizes, column.edges, gap=_GAP, layer_gap=_LAYER_GAP)
        top, first = _MARGIN + _CAPTION, len(items)
        items += [
            Item(_moved(box, left, top), *content) for box, content in zip(layout.boxes, column.contents, strict=True)
        ]
        routes += [_route(route, left, top, first) for route in layout.routes]
        left += layout.width + _COLUMN_GAP
        rules.append(left - _COLUMN_GAP / 2)
        height = max(height, layout.height)
    told = caption(graph)
    width = max(left - _COLUMN_GAP + _MARGIN, len(told) * BOLD * _WIDE + 2 * _MARGIN)
    height = ceil(height + 2 * _MARGIN + _CAPTION)
    return Scene(ceil(width), height, tuple(items), tuple(routes), tuple(rules[:-1]), told)


def _size(text: Sequence[str]) -> tuple[float, float]:
    width = max([len(text[0]) * BOLD * _WIDE, *(len(line) * SMALL * _WIDE for line in text[1:])])
    return width + 2 * _PAD, _HEADER + _LINE * (len(text) - 1) + (4 if len(text) > 1 else 0)


def _moved(box: Box, left: float, top: float) -> Box:
    return replace(box, x=box.x + left, y=box.y + top)


def _route(route: Route, left: float, top: float, first: int) -> Route:
    points = tuple((x + left, above + top, below + top) for x, above, below in route.points)
    return replace(route, source=route.source + first, target=route.target + first, points=points)


# --- columns ----------------------------------------------------------------------------------------------------------


def _columns(graph: ComputationGraph, sizes: Sequence[tuple[float, float]]) -> list[list[int]]:
    """The nodes of each column; one column where the drawing is no long strip."""
    layers = _layers(graph)
    depths = [max(sizes[place][1] for place in layer) + _LAYER_GAP for layer in layers]
    widths = [sum(sizes[place][0] + _GAP for place in layer) for layer in layers]
    total, typical = sum(depths), sorted(widths)[len(widths) * 3 // 4] if widths else 0.0
    if total <= _LOWEST:
        return [list(range(len(graph.nodes)))]
    count = max(1, round(sqrt(_SHAPE * total / (typical + _COLUMN_GAP))))
    aim = max(_LOWEST, total / count)
    crossing = _crossings(graph, layers)
    columns: list[list[int]] = []
    begin = 0
    while begin < len(layers):
        end, height = begin, 0.0
        while end < len(layers) and height < aim:
            height += depths[end]
            end += 1
        if end < len(layers):
            places = range(end, max(begin + 1, end - _TURNS) - 1, -1)
            end = min(places, key=lambda place: (crossing[place], -place))
        columns.append(sorted(place for layer in layers[begin:end] for place in layer))
        begin = end
    return columns


def _layers(graph: ComputationGraph) -> list[list[int]]:
    """Nodes by the longest path that leads to them; what reads nothing stands right above its first reader."""
    depth = [0] * len(graph.nodes)
    first: dict[int, int] = {}
    read = {edge.target for edge in graph.edges}
    for edge in sorted(graph.edges, key=lambda one: (one.target, one.source)):
        depth[edge.target] = max(depth[edge.target], depth[edge.source] + 1)
    for edge in graph.edges:
        first[edge.source] = min(first.get(edge.source, depth[edge.target]), depth[edge.target])
    for place in range(len(graph.nodes)):
        if place not in read and place in first:
            depth[place] = max(0, first[place] - 1)
    layers: list[list[int]] = [[] for _ in range(max(depth, default=-1) + 1)]
    for place, layer in enumerate(depth):
        layers[layer].append(place)
    return [layer for layer in layers if layer]


def _crossings(graph: ComputationGraph, layers: Sequence[Sequence[int]]) -> list[int]:
    """How many values cross the line above each layer."""
    layer_of = {place: number for number, layer in enumerate(layers) for place in layer}
    last: dict[int, int] = {}
    for edge in graph.edges:
        last[edge.source] = max(last.get(edge.source, 0), layer_of[edge.target])
    changes = [0] * (len(layers) + 2)
    for source, end in last.items():
        changes[layer_of[source] + 1] += 1
        changes[end + 1] -= 1
    result, crossing = [], 0
    for change in changes:
        crossing += change
        result.append(crossing)
    return result


class _Column:
    """The vertices and edges of one column, with a note for each value that comes or goes."""

    def __init__(
        self, graph: ComputationGraph, members: Sequence[int], texts: Sequence[tuple[str, ...]],
        sizes: Sequence[tuple[float, float]],
    ) -> None:  # fmt: skip
        self.contents = [(kind(graph.nodes[at]), texts[at], title(graph.nodes[at], at)) for at in members]
        self.sizes = [sizes[at] for at in members]
        self.edges: list[tuple[int, int]] = []
        self._texts = texts
        here = {at: number for number, at in enumerate(members)}
        coming: dict[int, list[int]] = {}
        going: dict[int, list[int]] = {}
        for edge in _distinct(graph.edges):
            source, target = edge
            if source in here and target in here:
                self.edges.append((here[source], here[target]))
            elif target in here:
                coming.setdefault(source, []).append(here[target])
            elif source in here:
                going.setdefault(here[source], []).append(target)
        for source, targets in coming.items():
            note = self._note("from", [source])
            self.edges += [(note, target) for target in targets]
        for inside, targets in going.items():
            self.edges.append((inside, self._note("to", targets)))

    def _note(self, word: str, places: Sequence[int]) -> int:
        named = [self._texts[place][0] for place in places[:_NAMED]]
        more = [f"{len(places) - _NAMED} more"] if len(places) > _NAMED else []
        text = f"{word} {', '.join([*named, *more])}"
        self.contents.append(("note", (text,), "\n".join(self._texts[place][0] for place in places)))
        self.sizes.append((len(text) * SMALL * _WIDE + 2 * _PAD, 16.0))
        return len(self.sizes) - 1


def _distinct(edges: Sequence[Edge]) -> list[tuple[int, int]]:
    return list(dict.fromkeys((edge.source, edge.target) for edge in edges))
