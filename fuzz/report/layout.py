"""A layered drawing of a directed acyclic graph, top to bottom (after Sugiyama, Tagawa and Toda, 1981).

Layers by the longest path, long edges through invisible vertices, order within a layer by medians,
positions by least squares under the order (isotonic regression). All of it is deterministic, and near
linear in the edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Box", "Layout", "Route", "lay_out"]

_ORDER_SWEEPS, _PLACE_SWEEPS = 8, 12
_SCREEN = 1_050.0  # width that components fill before they wrap


@dataclass(frozen=True, slots=True)
class Box:
    """Where a vertex lies: its centre and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Route:
    """The points (x, top, bottom) through which an edge goes, straight down between top and bottom."""

    source: int
    target: int
    points: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """A finished drawing, in a plane from (0, 0) to (width, height)."""

    boxes: tuple[Box, ...]
    routes: tuple[Route, ...]
    width: float
    height: float


@dataclass(slots=True)
class _Vertex:
    width: float
    height: float
    layer: int = 0
    x: float = 0.0
    real: bool = True


def lay_out(
    sizes: Sequence[tuple[float, float]],
    edges: Sequence[tuple[int, int]],
    *,
    gap: float = 24.0,
    layer_gap: float = 44.0,
) -> Layout:
    """Place vertices of the given sizes (width, height); ``edges`` are (source, target) indices.

    Several edges between the same two vertices each get a route of their own. An edge that would close a
    cycle (a broken model) is drawn upwards instead of refused.
    """
    parts = [
        (members, _lay_out_connected([sizes[v] for v in members], inner, gap, layer_gap), numbers)
        for members, inner, numbers in _components(len(sizes), edges)
    ]
    return _pack(parts, len(sizes), len(edges), gap)


Part = tuple[list[int], Layout, list[int]]


def _components(
    count: int, edges: Sequence[tuple[int, int]]
) -> Iterator[tuple[list[int], list[tuple[int, int]], list[int]]]:
    """For each connected component its vertices, its edges in local numbers, which edges these are."""
    parent = list(range(count))

    def root(vertex: int) -> int:
        while parent[vertex] != vertex:
            parent[vertex] = vertex = parent[parent[vertex]]
        return vertex

    for source, target in edges:
        parent[root(source)] = root(target)
    members: dict[int, list[int]] = {}
    local = [0] * count
    for vertex in range(count):
        group = members.setdefault(root(vertex), [])
        local[vertex] = len(group)
        group.append(vertex)
    inner: dict[int, list[int]] = {key: [] for key in members}
    for number, (source, _) in enumerate(edges):
        inner[root(source)].append(number)
    for key, group in members.items():
        yield group, [(local[edges[n][0]], local[edges[n][1]]) for n in inner[key]], inner[key]


def _pack(parts: Sequence[Part], vertices: int, edges: int, gap: float) -> Layout:
    """Components side by side, in rows that are about as wide as a screen or the widest of them."""
    row_width = max([_SCREEN, *(layout.width for _, layout, _ in parts)])
    boxes: list[Box] = [Box(0.0, 0.0, 0.0, 0.0)] * vertices
    routes: list[Route] = [Route(0, 0, ())] * edges
    x = y = row_height = width = 0.0
    for members, layout, numbers in parts:
        if x and x + layout.width > row_width:
            x, y, row_height = 0.0, y + row_height + 2 * gap, 0.0
        for vertex, box in zip(members, layout.boxes, strict=True):
            boxes[vertex] = Box(box.x + x, box.y + y, box.width, box.height)
        for number, route in zip(numbers, layout.routes, strict=True):
            points = tuple((px + x, top + y, bottom + y) for px, top, bottom in route.points)
            routes[number] = Route(members[route.source], members[route.target], points)
        width, row_height = max(width, x + layout.width), max(row_height, layout.height)
        x += layout.width + 2 * gap
    return Layout(tuple(boxes), tuple(routes), width, y + row_height)


def _lay_out_connected(
    sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]], gap: float, layer_gap: float
) -> Layout:
    layers_of = _layers(len(sizes), edges)
    vertices = [_Vertex(w, h, layer) for (w, h), layer in zip(sizes, layers_of, strict=True)]
    chains = [_chain(vertices, source, target) for source, target in edges]
    up, down = _neighbours(len(vertices), chains, vertices)
    layers: list[list[int]] = [[] for _ in range(max(layers_of) + 1)]
    for index, vertex in enumerate(vertices):
        layers[vertex.layer].append(index)
    layers = _order(layers, up, down)
    _place(layers, vertices, up, down, gap)
    return _finish(vertices, len(sizes), edges, chains, layer_gap)


def _layers(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Layers by the longest path from a source; sources move down to just above a reader."""
    after: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for source, target in edges:
        after[source].append(target)
        waiting[target] += 1
    layer = [0] * count
    ready = [vertex for vertex in range(count) if not waiting[vertex]]
    sources = list(ready)
    for vertex in ready:  # grows while it is walked
        for target in after[vertex]:
            layer[target] = max(layer[target], layer[vertex] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    for vertex in sources:
        if after[vertex]:
            layer[vertex] = max(0, min(layer[target] for target in after[vertex]) - 1)
    return layer


def _chain(vertices: list[_Vertex], source: int, target: int) -> list[int]:
    """The vertices of an edge from its upper end on, with an invisible one in each layer it crosses."""
    upper, lower = sorted((source, target), key=lambda end: vertices[end].layer)
    chain = [upper]
    for layer in range(vertices[upper].layer + 1, vertices[lower].layer):
        vertices.append(_Vertex(8.0, 0.0, layer, real=False))
        chain.append(len(vertices) - 1)
    return [*chain, lower]


Neighbours = list[list[int]]


def _neighbours(
    count: int, chains: Sequence[Sequence[int]], vertices: Sequence[_Vertex]
) -> tuple[Neighbours, Neighbours]:
    up: Neighbours = [[] for _ in range(count)]
    down: Neighbours = [[] for _ in range(count)]
    for chain in chains:
        for above, below in pairwise(chain):
            if vertices[above].layer < vertices[below].layer:
                down[above].append(below)
                up[below].append(above)
    return up, down


# --- order within the layers ----------------------------------------------------------------------


def _order(layers: list[list[int]], up: Neighbours, down: Neighbours) -> list[list[int]]:
    best = [list(layer) for layer in layers]
    fewest = _crossings(best, down)
    for sweep in range(_ORDER_SWEEPS):
        if not fewest:
            break
        downwards = sweep % 2 == 0
        inner = range(1, len(layers)) if downwards else range(len(layers) - 2, -1, -1)
        for depth in inner:
            fixed = layers[depth - 1 if downwards else depth + 1]
            layers[depth] = _by_medians(layers[depth], fixed, up if downwards else down)
        found = _crossings(layers, down)
        if found < fewest:
            fewest, best = found, [list(layer) for layer in layers]
    return best


def _by_medians(layer: list[int], fixed: list[int], neighbours: Neighbours) -> list[int]:
    place = {vertex: position for position, vertex in enumerate(fixed)}
    keys = {
        vertex: float(median(place[other] for other in neighbours[vertex])) if neighbours[vertex] else
        float(index) for index, vertex in enumerate(layer)
    }
    return sorted(layer, key=keys.__getitem__)


def _crossings(layers: Sequence[Sequence[int]], down: Neighbours) -> int:
    return sum(_layer_crossings(upper, lower, down) for upper, lower in pairwise(layers))


def _layer_crossings(upper: Sequence[int], lower: Sequence[int], down: Neighbours) -> int:
    """Pairs of edges that cross: inversions among the lower ends, counted with a Fenwick tree."""
    place = {vertex: position for position, vertex in enumerate(lower)}
    ends = [end for vertex in upper for end in sorted(place[other] for other in down[vertex])]
    tree = [0] * (len(lower) + 1)
    crossings = 0
    for seen, end in enumerate(ends):
        not_right, index = 0, end + 1
        while index:
            not_right += tree[index]
            index &= index - 1
        crossings += seen - not_right
        index = end + 1
        while index < len(tree):
            tree[index] += 1
            index += index & -index
    return crossings


# --- positions ------------------------------------------------------------------------------------


def _place(
    layers: Sequence[Sequence[int]], vertices: Sequence[_Vertex], up: Neighbours, down: Neighbours, gap: float
) -> None:
    for layer in layers:
        _settle(layer, vertices, gap, lambda _: 0.0)
    for sweep in range(_PLACE_SWEEPS):
        downwards = sweep % 2 == 0
        first, then = (up, down) if downwards else (down, up)
        for layer in layers if downwards else reversed(layers):
            _settle(layer, vertices, gap, _wish(vertices, first, then))


def _wish(
    vertices: Sequence[_Vertex], first: Neighbours, then: Neighbours
) -> Callable[[int], float]:
    """A vertex wants to lie in the middle of its neighbours on the side that was just placed."""

    def wish(vertex: int) -> float:
        others = first[vertex] or then[vertex]
        return sum(vertices[other].x for other in others) / len(others) if others else vertices[vertex].x

    return wish


def _settle(
    layer: Sequence[int], vertices: Sequence[_Vertex], gap: float, wish: Callable[[int], float]
) -> None:
    """Put a layer as near to its wishes as its order and the gaps allow.

    Least squares under ``x[i+1] - x[i] >= distance``: with the distances subtracted it is isotonic
    regression, which pooling adjacent violators solves. Invisible vertices weigh more, so that long edges
    become straight.
    """
    offset, offsets = 0.0, []
    for position, vertex in enumerate(layer):
        if position:
            offset += (vertices[layer[position - 1]].width + vertices[vertex].width) / 2 + gap
        offsets.append(offset)
    pools: list[tuple[float, float, int]] = []  # mean, weight, members
    for vertex, shift in zip(layer, offsets, strict=True):
        mean, weight, members = wish(vertex) - shift, 1.0 if vertices[vertex].real else 4.0, 1
        while pools and pools[-1][0] >= mean:
            other, other_weight, other_members = pools.pop()
            mean = (mean * weight + other * other_weight) / (weight + other_weight)
            weight, members = weight + other_weight, members + other_members
        pools.append((mean, weight, members))
    position = 0
    for mean, _, members in pools:
        for _ in range(members):
            vertices[layer[position]].x = mean + offsets[position]
            position += 1


def _finish(
    vertices: Sequence[_Vertex],
    count: int,
    edges: Sequence[tuple[int, int]],
    chains: Sequence[Sequence[int]],
    layer_gap: float,
) -> Layout:
    left = min(vertex.x - vertex.width / 2 for vertex in vertices)
    width = max(vertex.x + vertex.width / 2 for vertex in vertices) - left
    heights = [0.0] * (max(vertex.layer for vertex in vertices) + 1)
    for vertex in vertices:
        heights[vertex.layer] = max(heights[vertex.layer], vertex.height)
    middles, y = [], 0.0
    for height in heights:
        middles.append(y + height / 2)
        y += height + layer_gap

    def point(index: int) -> tuple[float, float, float]:
        vertex = vertices[index]
        middle = middles[vertex.layer]
        half = vertex.height / 2 if vertex.real else heights[vertex.layer] / 2
        return vertex.x - left, middle - half, middle + half

    boxes = tuple(Box(v.x - left, middles[v.layer], v.width, v.height) for v in vertices[:count])
    routes = tuple(
        Route(source, target, tuple(point(index) for index in chain))
        for (source, target), chain in zip(edges, chains, strict=True)
    )
    return Layout(boxes, routes, width, y - layer_gap)
