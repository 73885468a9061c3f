"""What goes wrong in reductions, rankings and running sums."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backends.faults.draft import Site

__all__ = ["REWRITES"]

_REDUCTIONS = frozenset({
    "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceProd",
    "ReduceLogSum", "ReduceLogSumExp",
})  # fmt: skip


def _lost_last_element(site: Site) -> bool:
    """The last element along an axis that is reduced is left out."""
    shape, axes = site.shape(site.input(0)), site.integers(1)
    if site.operator not in _REDUCTIONS or not shape:
        return False
    for axis in axes or range(len(shape)):
        if shape[axis] > 1:
            site.node.input[0] = site.slice(site.input(0), 0, shape[axis] - 1, axis)
            return True
    return False


def _neighbouring_axis(site: Site) -> bool:
    """The axis beside the right one is reduced."""
    axes, rank = site.integers(1), site.rank(site.input(0))
    if site.operator not in _REDUCTIONS or not axes or rank is None or len(axes) >= rank:
        return False
    site.node.input[1] = site.make([(axis + 1) % rank for axis in axes])
    return True


def _lost_absolute(site: Site) -> bool:
    return site.operator == "ReduceL1" and site.become(
        "ReduceSum", list(site.node.input), keepdims=int(site.attribute("keepdims", 1)),
        noop_with_empty_axes=int(site.attribute("noop_with_empty_axes", 0)),
    )  # fmt: skip


def _mean_as_sum(site: Site) -> bool:
    return site.operator == "ReduceMean" and site.become(
        "ReduceSum", list(site.node.input), keepdims=int(site.attribute("keepdims", 1)),
        noop_with_empty_axes=int(site.attribute("noop_with_empty_axes", 0)),
    )  # fmt: skip


def _flipped(operators: tuple[str, ...], name: str, default: int) -> Callable[[Site], bool]:
    def rewrite(site: Site) -> bool:
        return site.operator in operators and site.set(name, 1 - int(site.attribute(name, default)))

    return rewrite


def _taken_away(operators: tuple[str, ...], name: str) -> Callable[[Site], bool]:
    def rewrite(site: Site) -> bool:
        return site.operator in operators and bool(site.attribute(name, 0)) and site.set(name, None)

    return rewrite


_CUMULATIONS = ("CumSum", "CumProd")

REWRITES: Mapping[str, Callable[[Site], bool]] = MappingProxyType({
    "lost-last-element": _lost_last_element,
    "neighbouring-axis": _neighbouring_axis,
    "lost-absolute-value": _lost_absolute,
    "mean-as-sum": _mean_as_sum,
    "last-of-equals": _flipped(("ArgMax", "ArgMin"), "select_last_index", 0),
    "smallest-for-largest": _flipped(("TopK",), "largest", 1),
    "ignored-exclusive": _taken_away(_CUMULATIONS, "exclusive"),
    "ignored-reverse": _taken_away(_CUMULATIONS, "reverse"),
})  # fmt: skip
