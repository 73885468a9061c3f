"""A scene as an SVG file that needs nothing beside it. Names come from models of strangers: all text is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from fuzz.collection.drawing.colours import COLOURS, EDGE, INK, MUTED, PAPER, RULE
from fuzz.collection.drawing.scene import BOLD, SMALL

if TYPE_CHECKING:
    from fuzz.collection.drawing.scene import Item, Scene
    from fuzz.report.layout import Route

__all__ = ["svg"]

_FONT = "'DejaVu Sans Mono',Menlo,Consolas,monospace"
_BROKEN = {number: None for number in range(32) if number not in {9, 10, 13}}  # what XML 1.0 has no place for


def svg(scene: Scene) -> str:
    """The text of the file. The same scene, the same text."""
    width, height = f"{scene.width:g}", f"{scene.height:g}"
    size = f'width="{width}" height="{height}"'
    rules = "".join(f'<path d="M{_n(x)} 50V{height}"/>' for x in scene.rules)
    return "".join((
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width} {height}" role="img" ',
        f'aria-label="{_text(scene.told)}">',
        f"<style>{_style()}</style>",
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">',
        f'<path d="M0 0L8 4L0 8z" fill="{EDGE}"/></marker>',
        f'<rect {size} fill="{PAPER}"/>',
        f'<text class="caption" x="16" y="30">{_text(scene.told)}</text>',
        f'<g class="rules">{rules}</g><g class="edges">',
        *map(_path, scene.routes),
        "</g>",
        *map(_item, scene.items),
        "</svg>\n",
    ))  # fmt: skip


def _style() -> str:
    kinds = "".join(
        f".{kind} rect{{fill:{fill};stroke:{line}}}.{kind} .name{{fill:{line}}}"
        for kind, (line, fill) in COLOURS.items()
    )
    return (
        f"text{{font:{SMALL:g}px {_FONT};fill:{MUTED};text-anchor:middle}}"
        f".name{{font-size:{BOLD:g}px;font-weight:bold}}"
        f".caption{{font-size:{BOLD:g}px;font-weight:bold;fill:{INK};text-anchor:start}}"
        f".edges path{{fill:none;stroke:{EDGE};stroke-width:1.2;marker-end:url(#tip)}}"
        f".rules path{{stroke:{RULE};stroke-dasharray:4 6}}{kinds}"
    )


def _item(item: Item) -> str:
    box = item.box
    left, top = box.x - box.width / 2, box.y - box.height / 2
    radius = box.height / 2 if item.kind == "note" else 5
    parts = [
        f'<g class="{item.kind}"><title>{_text(item.title)}</title>',
        f'<rect x="{_n(left)}" y="{_n(top)}" width="{_n(box.width)}" height="{_n(box.height)}" rx="{_n(radius)}"/>',
    ]
    for y, size, line in rows(item):
        name = ' class="name"' if size == BOLD else ""
        parts.append(f'<text{name} x="{_n(box.x)}" y="{_n(y)}">{_text(line)}</text>')
    return "".join([*parts, "</g>"])


def rows(item: Item) -> list[tuple[float, float, str]]:
    """The base line, the size and the text of each line in a box."""
    top = item.box.y - item.box.height / 2
    if item.kind == "note":
        return [(item.box.y + SMALL * 0.35, SMALL, item.lines[0])]
    rest = [(top + 19 + 13 * number, SMALL, line) for number, line in enumerate(item.lines) if number]
    return [(top + 14.5, BOLD, item.lines[0]), *rest]


def _path(route: Route) -> str:
    """Straight through the layers that an edge crosses, smooth between them."""
    (x, _, y), *rest = route.points
    steps = [f"M{_n(x)} {_n(y)}"]
    for place, (next_x, top, bottom) in enumerate(rest, 1):
        middle = (y + top) / 2
        steps.append(
            f"V{_n(top)}" if abs(next_x - x) < 0.5 else
            f"C{_n(x)} {_n(middle)} {_n(next_x)} {_n(middle)} {_n(next_x)} {_n(top)}"
        )  # fmt: skip
        x, y = next_x, bottom
        if bottom - top > 0.5 and place < len(rest):
            steps.append(f"V{_n(bottom)}")
    return f'<path d="{"".join(steps)}"/>'


def _text(text: str) -> str:
    return escape(text.translate(_BROKEN).encode("utf-8", "replace").decode())


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
