"""A graph as SVG: operators as boxes, values as labels between them, inputs and outputs as pills.

The colours are CSS classes of the page (`page.css`), so that one picture serves light and dark. Every name
comes from a model that a stranger may have made: all text is escaped here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from fuzz.report.families import family
from fuzz.report.layout import lay_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fuzz.report.graph import GraphView, NodeView
    from fuzz.report.layout import Box, Layout, Route

__all__ = ["COMPACT_FROM", "LARGEST", "draw"]

COMPACT_FROM = 150  # nodes above which boxes lose their text and values their labels
LARGEST = 2_000  # nodes above which there is no picture
_LONGEST = 30  # characters of a label; the tooltip has them all
_NAMED = 12  # operators that its description names
_CONSTANTS = 4  # initializers that an operator's box names
_MARGIN = 6.0
_HEADER, _LINE = 24.0, 14.0  # heights: an operator's name, a constant beneath it
_BOLD, _SMALL = 7.3, 6.1  # widths of a character: 12 px semibold, 10 px monospace


@dataclass(slots=True)
class _Plan:
    """Vertices in the order in which they were added, with what the drawing needs of each."""

    sizes: list[tuple[float, float]] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    texts: list[tuple[str, ...]] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    edges: list[tuple[int, int]] = field(default_factory=list)

    def add(self, kind: str, texts: tuple[str, ...], size: tuple[float, float], title: str) -> int:
        self.sizes.append(size)
        self.kinds.append(kind)
        self.texts.append(texts)
        self.titles.append(title)
        return len(self.sizes) - 1


def draw(graph: GraphView, marked: Iterable[str] = ()) -> str:
    """The picture of a graph as an SVG element, empty where the graph is too large to be of use.

    ``marked`` are names of nodes or of values: the nodes of that name, or that compute that value, stand out.
    """
    if not graph.nodes and not graph.inputs:
        return ""
    if len(graph.nodes) > LARGEST:
        return ""
    compact = len(graph.nodes) > COMPACT_FROM
    plan = _compact_plan(graph, set(marked)) if compact else _full_plan(graph, set(marked))
    gap, layer_gap = (6.0, 12.0) if compact else (18.0, 20.0)
    return _svg(plan, lay_out(plan.sizes, plan.edges, gap=gap, layer_gap=layer_gap), _told(graph), compact=compact)


def _told(graph: GraphView) -> str:
    """The picture in words, for those who do not see it."""
    names = [node.operator for node in graph.nodes[:_NAMED]]
    more = f" and {len(graph.nodes) - _NAMED:,} more" if len(graph.nodes) > _NAMED else ""
    return f"Graph: {', '.join(names) or 'no node'}{more}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _is_marked(node: NodeView, marked: set[str]) -> bool:
    return node.name in marked or not marked.isdisjoint(filter(None, node.outputs))


def _node_kind(node: NodeView, marked: set[str]) -> str:
    return f"node {family(node.operator, node.domain)}" + (" bad" if _is_marked(node, marked) else "")


def _node_title(node: NodeView, graph: GraphView) -> str:
    def values(names: Sequence[str]) -> str:
        return ", ".join(f"{name} ({graph.types[name]})" if name in graph.types else name for name in names)

    lines = [f"{node.domain}.{node.operator}" if node.domain else node.operator]
    if node.name:
        lines[0] += f" {node.name!r}"
    lines += [f"{name} = {text}" for name, text in node.attributes]
    lines += [f"in: {values(node.inputs)}", f"out: {values(node.outputs)}"]
    return "\n".join(lines)


# --- the full picture -----------------------------------------------------------------------------


def _full_plan(graph: GraphView, marked: set[str]) -> _Plan:
    plan = _Plan()
    outputs = set(graph.outputs)
    vertex_of: dict[str, int] = {}
    for name in graph.inputs:
        vertex_of[name] = _add_pill(plan, graph, name, "both" if name in outputs else "input")
    operators: list[tuple[int, NodeView]] = []
    for node in graph.nodes:
        here = _add_operator(plan, graph, node, marked)
        operators.append((here, node))
        for name in filter(None, node.outputs):
            if name in vertex_of:
                continue
            kind = "output" if name in outputs else "value"
            there = _add_pill(plan, graph, name, kind)
            vertex_of[name] = there
            plan.edges.append((here, there))
    for name in sorted(outputs & graph.initializers):
        vertex_of.setdefault(name, _add_pill(plan, graph, name, "output"))
    for here, node in operators:
        readers = dict.fromkeys((*node.inputs, *node.captured))
        plan.edges += [(vertex_of[name], here) for name in readers if name in vertex_of]
    return plan


def _add_pill(plan: _Plan, graph: GraphView, name: str, kind: str) -> int:
    """A value: with its name where it enters or leaves the graph, else its type alone."""
    label = graph.types.get(name, "")
    title = f"{name}: {label}" if label else name
    if kind == "value":
        text = _short(label)
        return plan.add(kind, (text,), (len(text) * _SMALL + 4, 12.0 if text else 0.0), title)
    texts = (_short(name), _short(label))
    width = max(len(texts[0]) * _BOLD, len(texts[1]) * _SMALL) + 24
    return plan.add(kind, texts, (width, 34.0 if label else 24.0), title)


def _add_operator(plan: _Plan, graph: GraphView, node: NodeView, marked: set[str]) -> int:
    constants = [name for name in node.inputs if name in graph.initializers]
    lines = [_short(f"{name}  {graph.types.get(name, '')}") for name in constants[:_CONSTANTS]]
    if len(constants) > _CONSTANTS:
        lines.append(f"+ {len(constants) - _CONSTANTS} more")
    width = max([len(_short(node.operator)) * _BOLD + 24, *(len(line) * _SMALL + 16 for line in lines), 56.0])
    height = _HEADER + (_LINE * len(lines) + 6 if lines else 0)
    texts = (_short(node.operator), *lines)
    return plan.add(_node_kind(node, marked), texts, (width, height), _node_title(node, graph))


# --- the compact picture --------------------------------------------------------------------------


def _compact_plan(graph: GraphView, marked: set[str]) -> _Plan:
    plan = _Plan()
    maker: dict[str, int] = {name: plan.add("input", (), (12.0, 8.0), name) for name in graph.inputs}
    for node in graph.nodes:
        here = plan.add(_node_kind(node, marked), (), (18.0, 10.0), _node_title(node, graph))
        sources = dict.fromkeys(maker[name] for name in (*node.inputs, *node.captured) if name in maker)
        plan.edges += [(source, here) for source in sources]
        maker.update((name, here) for name in filter(None, node.outputs))
    return plan


# --- SVG ------------------------------------------------------------------------------------------


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _svg(plan: _Plan, layout: Layout, told: str, *, compact: bool) -> str:
    width, height = math.ceil(layout.width + 2 * _MARGIN), math.ceil(layout.height + 2 * _MARGIN)
    lines = "".join(_path(route) for route in layout.routes if plan.kinds[route.target] == "value")
    arrows = "".join(_path(route) for route in layout.routes if plan.kinds[route.target] != "value")
    shapes = "".join(
        _shape(kind, texts, title, box)
        for kind, texts, title, box in zip(plan.kinds, plan.texts, plan.titles, layout.boxes, strict=True)
    )
    arrow = "e" if compact else "e a"
    return (
        f'<svg class="graph{" compact" if compact else ""}" width="{width}" height="{height}" '
        f'viewBox="{-_MARGIN:g} {-_MARGIN:g} {width} {height}" role="img" aria-label="{escape(told)}">'
        f'<g class="e">{lines}</g><g class="{arrow}">{arrows}</g>{shapes}</svg>'
    )


def _path(route: Route) -> str:
    """Straight through the layers that an edge crosses, smooth between them."""
    (x, _, y), *rest = route.points
    steps = [f"M{_n(x)} {_n(y)}"]
    for next_x, top, bottom in rest:
        middle = (y + top) / 2
        if abs(next_x - x) < 0.5:
            steps.append(f"V{_n(top)}")
        else:
            steps.append(f"C{_n(x)} {_n(middle)} {_n(next_x)} {_n(middle)} {_n(next_x)} {_n(top)}")
        x, y = next_x, bottom
        if bottom - top > 0.5 and (next_x, top, bottom) != rest[-1]:
            steps.append(f"V{_n(bottom)}")
    return f'<path d="{"".join(steps)}"/>'


def _shape(kind: str, texts: tuple[str, ...], title: str, box: Box) -> str:
    left, top = box.x - box.width / 2, box.y - box.height / 2
    tip = f"<title>{escape(title)}</title>"
    if kind == "value":
        return f'<text class="value" x="{_n(box.x)}" y="{_n(box.y + 3.5)}">{escape(texts[0])}{tip}</text>'
    radius = 6.0 if kind.startswith("node") else box.height / 2
    rectangle = (
        f'<rect x="{_n(left)}" y="{_n(top)}" width="{_n(box.width)}" height="{_n(box.height)}" '
        f'rx="{_n(min(radius, box.height / 2))}"/>'
    )
    lines = _texts(kind, texts, box.x, top, box.height)
    return f'<g class="{kind}">{tip}{rectangle}{lines}</g>'


def _texts(kind: str, texts: tuple[str, ...], x: float, top: float, height: float) -> str:
    if not texts:
        return ""
    if kind.startswith("node"):
        first = top + 16
        rest = [top + _HEADER + 9 + _LINE * index for index in range(len(texts) - 1)]
    else:
        first = top + (height / 2 + 4 if not texts[1] else 15)
        rest = [top + 27] if texts[1] else []
    parts = [f'<text class="name" x="{_n(x)}" y="{_n(first)}">{escape(texts[0])}</text>']
    parts += [
        f'<text class="small" x="{_n(x)}" y="{_n(y)}">{escape(line)}</text>'
        for y, line in zip(rest, texts[1:], strict=False)
    ]
    return "".join(parts)
