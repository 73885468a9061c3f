"""A scene as a PNG, drawn by matplotlib with the font that comes with it: no browser, no system library.

Kept small enough to be opened: a drawing of more than `_MOST` pixels a side or in all is drawn smaller.
"""

from __future__ import annotations

from io import BytesIO
from math import sqrt
from typing import TYPE_CHECKING, Any

from fuzz.collection.drawing.colours import COLOURS, EDGE, INK, MUTED, PAPER, RULE
from fuzz.collection.drawing.scene import BOLD
from fuzz.collection.drawing.svg import rows
from fuzz.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzz.collection.drawing.scene import Item, Scene
    from fuzz.report.layout import Route

__all__ = ["png"]

_DPI = 96
_POINT = 72 / _DPI  # points of type in a pixel
_MOST, _AREA = 16_000, 60_000_000  # pixels a side, and in all
_FONT = "DejaVu Sans Mono"


def png(scene: Scene) -> bytes:
    """The bytes of the file. The same scene gives the same bytes with one release of matplotlib.

    Raises UsageError where matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("--format png needs matplotlib: pip install 'dnnfuzz[perf]', or write svg or html") from None

    scale = min(1.0, _MOST / max(scene.width, scene.height), sqrt(_AREA / (scene.width * scene.height)))
    figure = Figure(figsize=(scene.width / _DPI, scene.height / _DPI), dpi=_DPI * scale, facecolor=PAPER)
    canvas: Any = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, scene.width)
    axes.set_ylim(scene.height, 0)
    axes.axis("off")
    _draw_lines(axes, scene)
    _draw_boxes(axes, scene.items)
    axes.text(16, 30, _plain(scene.told), size=BOLD * _POINT, family=_FONT, weight="bold", color=INK)
    for item in scene.items:
        colour = COLOURS[item.kind][0]
        for y, size, line in rows(item):
            strong = size == BOLD
            axes.text(
                item.box.x, y, _plain(line), size=size * _POINT, family=_FONT, ha="center", clip_on=False,
                weight="bold" if strong else "normal", color=colour if strong else MUTED, parse_math=False,
            )  # fmt: skip
    out = BytesIO()
    canvas.print_png(out, metadata={"Software": None}, pil_kwargs={"compress_level": 3})
    return out.getvalue()


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else "�" for letter in text).replace("$", r"\$")


def _draw_lines(axes: Any, scene: Scene) -> None:
    from matplotlib.collections import LineCollection, PathCollection

    paths = [_path(route) for route in scene.routes]
    axes.add_collection(PathCollection(paths, facecolors="none", edgecolors=EDGE, linewidths=1.2 * _POINT))
    tips = [_tip(route) for route in scene.routes]
    axes.add_collection(PathCollection(tips, facecolors=EDGE, edgecolors="none"))
    rules = [[(x, 50.0), (x, scene.height)] for x in scene.rules]
    axes.add_collection(LineCollection(rules, colors=RULE, linewidths=0.8, linestyles=(0, (4, 6))))


def _path(route: Route) -> Any:
    """The same curve as in SVG."""
    from matplotlib.path import Path

    (x, _, y), *rest = route.points
    points, codes = [(x, y)], [Path.MOVETO]
    for next_x, top, bottom in rest:
        middle = (y + top) / 2
        points += [(x, middle), (next_x, middle), (next_x, top)]
        codes += [Path.CURVE4] * 3
        if bottom - top > 0.5 and (next_x, top, bottom) != rest[-1]:
            points.append((next_x, bottom))
            codes.append(Path.LINETO)
        x, y = next_x, bottom
    return Path(points, codes)


def _tip(route: Route) -> Any:
    from matplotlib.path import Path

    x, y, _ = route.points[-1]
    return Path([(x, y), (x - 3.5, y - 7), (x + 3.5, y - 7), (x, y)], [Path.MOVETO, *[Path.LINETO] * 2, Path.CLOSEPOLY])


def _draw_boxes(axes: Any, items: Sequence[Item]) -> None:
    from matplotlib.collections import PathCollection

    axes.add_collection(PathCollection(
        [_rounded(item) for item in items],
        facecolors=[COLOURS[item.kind][1] for item in items],
        edgecolors=[COLOURS[item.kind][0] for item in items], linewidths=1.0 * _POINT,
    ))  # fmt: skip


def _rounded(item: Item) -> Any:
    from matplotlib.path import Path

    box = item.box
    left, right = box.x - box.width / 2, box.x + box.width / 2
    top, bottom = box.y - box.height / 2, box.y + box.height / 2
    radius = min(box.height / 2, 5.0) if item.kind != "note" else box.height / 2
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    steps = [(radius, 0.0), (0.0, radius), (-radius, 0.0), (0.0, -radius)]
    points, codes = [], []
    for number, ((x, y), (across, down)) in enumerate(zip(corners, steps, strict=True)):
        before_across, before_down = steps[number - 1]
        points += [(x - before_across, y - before_down), (x, y), (x + across, y + down)]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    codes[0] = Path.MOVETO
    return Path([*points, points[0]], [*codes, Path.CLOSEPOLY])
