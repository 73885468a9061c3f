"""Pictures of a collection: how many models each class has, and where they lie on the first principal components.

The same models make the same pixels. matplotlib is needed (`pip install 'dnnfuzz[perf]'`).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from corpus.architecture.noise import Components

__all__ = ["distribution", "scatter"]

_COLOURS = 20


def distribution(path: Path, labels: Sequence[str], sizes: Sequence[int]) -> None:
    """Write two bar charts (.svg or .png): models of each class, and their median number of layers."""
    from statistics import median

    figure = _figure(7, 0.22 * len(set(labels)) + 1.2)
    names = [name for name, _ in sorted(Counter(labels).items(), key=lambda one: (one[1], one[0]))]
    layers = {name: [size for label, size in zip(labels, sizes, strict=True) if label == name] for name in names}
    for place, (title, values) in enumerate((
        ("models", [len(layers[name]) for name in names]), ("layers, median", [median(layers[name]) for name in names]),
    )):  # fmt: skip
        axes = figure.add_subplot(1, 2, place + 1)
        axes.barh(names if not place else range(len(names)), values, color="#4878a8")
        axes.set_xlabel(title)
        axes.tick_params(labelsize=7)
        axes.margins(y=0.01)
        if place:
            axes.set_yticks([])
    _save(figure, path)


def scatter(path: Path, found: Components, labels: Sequence[str]) -> None:
    """Write the models on the first two components, coloured by class; each class's name stands at its middle."""
    from matplotlib import colormaps

    figure = _figure(8, 7)
    axes = figure.add_subplot()
    colours = colormaps["tab20"]
    for place, name in enumerate(sorted(set(labels))):
        points = found.points[[label == name for label in labels], :2]
        axes.scatter(points[:, 0], points[:, 1], s=9, color=colours(place % _COLOURS))
        axes.annotate(name, points.mean(axis=0), fontsize=7)
    axes.set_xlabel(f"first component, {found.shares[0]:.0%} of the variance")
    axes.set_ylabel(f"second, {found.shares[1]:.0%}")
    _save(figure, path)


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Any, path: Path) -> None:
    import matplotlib as mpl

    plain = {"Date": None} if path.suffix == ".svg" else {"Software": None}
    with mpl.rc_context({"svg.hashsalt": "architectures"}):
        figure.savefig(path, metadata=plain, dpi=110)
