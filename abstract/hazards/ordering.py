"""Hazards of order: sorting, extrema by their place, boxes that suppress each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from abstract.hazards.hazard import ALL, NONE, Hazard, Says, Treatment, each

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abstract.hazards.hazard import Mask
    from abstract.operator import Array, Run

__all__ = ["HAZARDS"]

_LARGEST_BOXES = 512  # beyond, the overlap of all pairs of boxes is not computed


def _lines(flags: Array, axis: int) -> Array:
    """Lines along an axis in which some flag is set, the axis kept with size 1."""
    result: Array = np.logical_or.reduce(flags, axis=axis, keepdims=True)
    return result


def _nan_lines(run: Run, default: int) -> Array | None:
    x = run[0]
    if x.dtype.kind != "f" or not np.isnan(x).any():
        return None
    return _lines(np.isnan(x), int(run.params.get("axis", default)))


def _ordered_nan(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    lines = _nan_lines(run, -1)
    return NONE if lines is None else (lines,) * max(len(y), 1)


def _extreme_nan(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    lines = _nan_lines(run, 0)
    return NONE if lines is None else (_kept(run, lines),)


def _kept(run: Run, lines: Array) -> Array:
    """A mask by lines in the shape of what ArgMax and ArgMin return."""
    return lines if run.params.get("keepdims", 1) else lines.squeeze(int(run.params.get("axis", 0)))


def _unsorted(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    axis = int(run.params.get("axis", -1))
    return (True, True) if not run.params.get("sorted", 1) and y[0].shape[axis] > 1 else NONE


def _zero_order(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """The indices of zeros that TopK picks from a line with several: some order -0 below +0."""
    x = run[0]
    if len(y) < 2 or x.dtype.kind != "f" or np.count_nonzero(x) > x.size - 2:
        return NONE
    many = np.count_nonzero(x == 0, axis=int(run.params.get("axis", -1)), keepdims=True) > 1
    mask = many & (y[0] == 0)
    return (False, mask) if mask.any() else NONE


def _at_extremum(run: Run, y: tuple[Array, ...]) -> Array | None:
    """How many elements of each line equal the one that was picked."""
    x, axis = run[0], int(run.params.get("axis", 0))
    if not x.size:
        return None
    at = y[0] if run.params.get("keepdims", 1) else np.expand_dims(y[0], axis)
    count: Array = (x == np.take_along_axis(x, at, axis)).sum(axis=axis, keepdims=True)
    return count


def _extreme_zero(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    x, axis = run[0], int(run.params.get("axis", 0))
    if x.dtype.kind != "f" or np.count_nonzero(x) > x.size - 2:
        return NONE
    at = y[0] if run.params.get("keepdims", 1) else np.expand_dims(y[0], axis)
    zero = np.take_along_axis(x, at, axis) == 0
    return each(_kept(run, zero & (np.count_nonzero(x == 0, axis=axis, keepdims=True) > 1)))


def _extreme_tie(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    count = _at_extremum(run, y)
    return NONE if count is None else each(_kept(run, count > 1))


def _empty_axis(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    return ALL if run[0].ndim and run[0].shape[int(run.params.get("axis", 0))] == 0 else NONE


def _hardmax_nan(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    lines = _nan_lines(run, -1)
    return NONE if lines is None else (lines,)


# -- boxes and sets ---------------------------------------------------------------------------------------------


def _scores(run: Run) -> Iterator[tuple[Array, Array]]:
    """For every batch and class, the boxes and scores above the threshold."""
    boxes, scores = run[0], run[1]
    least = -np.inf if run.optional(4) is None else float(np.asarray(run[4]).reshape(-1)[0])
    for batch in range(scores.shape[0]):
        for class_ in range(scores.shape[1]):
            above = scores[batch, class_] > least
            yield boxes[batch][above], scores[batch, class_][above]


def _overlaps(boxes: Array, *, centred: bool) -> Array:
    """Intersection over union of every pair of boxes; NaN where both are degenerate."""
    if centred:
        middle, half = boxes[:, :2], boxes[:, 2:] / 2
        low, high = middle - half, middle + half
    else:
        low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    area = np.prod(high - low, axis=-1)
    sides = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    common = np.prod(np.maximum(sides, 0), axis=-1)
    result: Array = common / (area[:, None] + area - common)
    return result


def _box_tie(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Scores that are alike, overlaps next to the threshold, and boxes without an area."""
    del y
    threshold = 0.0 if run.optional(3) is None else float(np.asarray(run[3]).reshape(-1)[0])
    for boxes, scores in _scores(run):
        if len(np.unique(scores)) < len(scores) or len(scores) > _LARGEST_BOXES:
            return ALL
        with np.errstate(all="ignore"):
            overlap = _overlaps(boxes, centred=bool(run.params.get("center_point_box", 0)))
        if not (np.abs(overlap - threshold) > 1e-5).all():
            return ALL
    return NONE


def _several_classes(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    return ALL if run[1].shape[0] * run[1].shape[1] > 1 and y[0].shape[0] > 1 else NONE


def _unique_nan(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    return ALL if run[0].dtype.kind == "f" and np.isnan(run[0]).any() else NONE


def _unique_zeros(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Zeros of both signs."""
    del y
    x = run[0]
    if x.dtype.kind != "f" or x.all():
        return NONE
    negative = np.signbit(x[x == 0])
    return ALL if negative.any() and not negative.all() else NONE


HAZARDS: tuple[Hazard, ...] = (
    Hazard(
        "top-k-tie", ("TopK",), "equal values: the lower index comes first",
        Says.DEFINED, "text", Treatment.COMPARE, words="lower index"),
    Hazard(
        "top-k-unsorted", ("TopK",), "sorted=0: values and indices come in any order",
        Says.UNDEFINED, "text: sorted", Treatment.PROPERTIES, _unsorted, since=11, words="are undefined"),
    Hazard(
        "top-k-nan", ("TopK",), "NaN in the line: greatest, least or unordered",
        Says.SILENT, "text", Treatment.AVOID, _ordered_nan, words=r"(?-i:\bNaN\b)"),
    Hazard(
        "top-k-zeros", ("TopK",), "several zeros in a line: whether -0 lies below +0 decides their indices",
        Says.SILENT, "text", Treatment.MASK, _zero_order, words="-0|signed zero"),
    Hazard(
        "arg-tie", ("ArgMax", "ArgMin"), "equal extrema below version 12: which of them is meant",
        Says.SILENT, "text; the first or, by attribute, the last from version 12 on", Treatment.PROPERTIES,
        _extreme_tie, since=1, until=12, words="select_last_index|occurrence"),
    Hazard(
        "arg-tie-defined", ("ArgMax", "ArgMin"), "the same from version 12 on: the first, or the last by attribute",
        Says.DEFINED, "text: select_last_index", Treatment.COMPARE, since=12, words="select_last_index"),
    Hazard(
        "arg-nan", ("ArgMax", "ArgMin"), "NaN in the line", Says.SILENT, "text", Treatment.AVOID, _extreme_nan,
        since=1, words=r"(?-i:\bNaN\b)"),
    Hazard(
        "arg-zeros", ("ArgMax", "ArgMin"), "an extremum of 0 that is there twice: whether -0 lies below +0 decides",
        Says.SILENT, "text", Treatment.MASK, _extreme_zero, since=12, words="-0|signed zero"),
    Hazard(
        "arg-empty", ("ArgMax", "ArgMin"), "an axis without elements",
        Says.SILENT, "text; version 11 alone asks for a tensor that is not empty", Treatment.AVOID, _empty_axis,
        since=12, words="empty|zero-size", stops=True),
    Hazard(
        "hardmax-nan", ("Hardmax",), "NaN in the line", Says.SILENT, "text", Treatment.AVOID, _hardmax_nan,
        since=13, words=r"(?-i:\bNaN\b)"),
    Hazard(
        "boxes-alike", ("NonMaxSuppression",),
        "equal scores, an overlap next to the threshold, or boxes without an area: what is kept hangs on the order",
        Says.SILENT, "text", Treatment.PROPERTIES, _box_tie, since=10, words="tie|equal score|degenerate", shape=True),
    Hazard(
        "boxes-order", ("NonMaxSuppression",), "rows of several batches or classes: their order",
        Says.SILENT, "selected_indices", Treatment.PROPERTIES, _several_classes, since=10, words="sorted|in the order"),
    Hazard(
        "unique-nan", ("Unique",), "NaN, of which nobody says whether it equals itself",
        Says.SILENT, "text", Treatment.AVOID, _unique_nan, since=11, words=r"(?-i:\bNaN\b)", shape=True),
    Hazard(
        "unique-zeros", ("Unique",), "zeros of both signs, of which nobody says whether they are one",
        Says.SILENT, "text", Treatment.AVOID, _unique_zeros, since=11, words="-0|signed zero", shape=True),
)  # fmt: skip
