"""Hazards of windows and coordinates: pooling, convolution, resampling."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from abstract.hazards.hazard import ALL, NONE, Hazard, Says, Treatment, each
from abstract.operators.window import SAME, Window, patches, per_axis, window

if TYPE_CHECKING:
    from abstract.hazards.hazard import Mask
    from abstract.operator import Array, Run

__all__ = ["HAZARDS"]

_TIE = 1e-4  # of a grid's step: what rounding a coordinate in float may amount to
_FAR = 2.0**20  # coordinates beyond lose whole steps in float


def _geometry(run: Run) -> Window:
    return window(run.params, run[0].shape[2:], run.params["kernel_shape"])


def _ceil_window(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Whether the formula counts a window that would start in the padding at the end."""
    del y
    if not run.params.get("ceil_mode", 0) or run.params.get("auto_pad", b"NOTSET") != b"NOTSET":
        return NONE
    w = _geometry(run)
    for size, k, s, d, first, last, out in zip(
        run[0].shape[2:], w.kernel, w.strides, w.dilations, w.begin, w.end, w.out, strict=True
    ):
        if -(-(size + first + last - d * (k - 1) - 1) // s) + 1 != out:
            return ALL
    return NONE


def _in_padding(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Windows none of whose elements lies in the input."""
    del y
    if not any(run.params.get("pads") or ()) and not run.params.get("ceil_mode", 0):
        return NONE
    w = _geometry(run)
    seen = []
    for i, size in enumerate(run[0].shape[2:]):
        at = np.arange(w.out[i])[:, None] * w.strides[i] + np.arange(w.kernel[i]) * w.dilations[i] - w.begin[i]
        seen.append(((at >= 0) & (at < size)).any(axis=1))
    empty = ~reduce(np.logical_and.outer, seen)
    return (empty, empty) if empty.any() else NONE


def _padding_alone(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """The same of AveragePool, whose padding counts if it is told so."""
    return NONE if run.params.get("count_include_pad", 0) else _in_padding(run, y)[:1]


def _overhang(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Windows that reach beyond the padding, where padding counts: what they divide by."""
    del y
    if not run.params.get("ceil_mode", 0) or not run.params.get("count_include_pad", 0):
        return NONE
    w = _geometry(run)
    if not any(w.over):
        return NONE
    reach = [(np.arange(n) == n - 1) & (o > 0) for n, o in zip(w.out, w.over, strict=True)]
    return (reduce(np.logical_or.outer, reach),)


def _nan_window(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Windows with a NaN in them."""
    x = run[0]
    if x.dtype.kind != "f" or not np.isnan(x).any():
        return NONE
    if "kernel_shape" not in run.params:
        return (np.asarray(np.isnan(x).any(axis=tuple(range(2, x.ndim)), keepdims=True)),)
    w = _geometry(run)
    taps = patches(np.isnan(x).astype(np.float64), w)
    return (np.asarray(taps.any(axis=tuple(range(-len(w.kernel), 0)))),) * len(y)


def _index_tie(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Windows whose greatest element is there twice, where its place is asked for."""
    if len(y) < 2 or not y[0].size:
        return NONE
    w, x = _geometry(run), run[0]
    least = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    taps = patches(x, w, least)
    best = y[0].reshape(*y[0].shape, *(1,) * len(w.kernel))
    # Padding holds the least number there is, so that it never counts, unless the window holds nothing above.
    count = ((taps == best) & (taps != least)).sum(axis=tuple(range(-len(w.kernel), 0)))
    return (False, count > 1) if (count > 1).any() else NONE


def _unpooled_twice(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    return ALL if len(np.unique(run[1])) < run[1].size else NONE


def _other_size(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """An output of another extent than that which kernel, strides and pads give back."""
    del y
    due = run.params.get("output_shape")
    kernel = run.params["kernel_shape"]
    axes = len(kernel)
    strides, pads = run.params.get("strides") or (1,) * axes, run.params.get("pads") or (0,) * 2 * axes
    back = [
        (n - 1) * s - (b + e) + k
        for n, s, b, e, k in zip(run[0].shape[2:], strides, pads, pads[axes:], kernel, strict=False)
    ]
    return NONE if due is None or list(due[2:]) == back else ALL


def _empty_plane(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    return ALL if 0 in run[0].shape[2:] else NONE


def _endless_weight(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Weights that are not finite, where padding multiplies them by 0."""
    del y
    padded = any(run.params.get("pads") or ()) or run.params.get("auto_pad", b"NOTSET") in SAME
    return ALL if padded and run[1].dtype.kind == "f" and not np.isfinite(run[1]).all() else NONE


def _total_padding(run: Run) -> list[int]:
    """What is left to be padded, an axis each, where an output shape is asked for."""
    wanted = run.params.get("output_shape")
    if not wanted:
        return []
    spatial, kernel = run[0].shape[2:], run[1].shape[2:]
    rank = len(spatial)
    strides, dilations, extra = (
        per_axis(run.params, name, rank, default)
        for name, default in (("strides", 1), ("dilations", 1), ("output_padding", 0))
    )
    return [
        s * (n - 1) + o + (k - 1) * d + 1 - want
        for n, k, s, d, o, want in zip(spatial, kernel, strides, dilations, extra, wanted[-rank:], strict=True)
    ]


def _odd_padding(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Output shapes that are asked for and leave an odd padding to be split."""
    del y
    return ALL if any(total % 2 or total < 0 for total in _total_padding(run)) else NONE


def _beyond_reach(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Output shapes that leave a padding below 0."""
    del y
    return ALL if any(total < 0 for total in _total_padding(run)) else NONE


# -- resampling ------------------------------------------------------------------------------------------------


def _single_corner(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """align_corners onto an axis of one element: the formula divides by 0."""
    if run.params.get("coordinate_transformation_mode") != b"align_corners":
        return NONE
    pairs = zip(run[0].shape, y[0].shape, strict=True)
    return ALL if any(out == 1 and out != size for size, out in pairs) else NONE


def _greatest_of_samples(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    return ALL if run.params.get("mode", b"avg") == b"max" else NONE


def _stray_region(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Regions that leave the picture or are turned inside out: (regions, 1, 1, 1)."""
    del y
    rois = run[1] * float(run.params.get("spatial_scale", 1.0))
    height, width = run[0].shape[-2:]
    low, high = rois[:, :2], rois[:, 2:]
    stray = (low < 0).any(axis=1) | (high > np.array([width, height])).any(axis=1) | (high <= low).any(axis=1)
    return each(stray.reshape(-1, 1, 1, 1))


def _grid(run: Run) -> Array:
    """The grid with a channel axis, its coordinates last."""
    return np.expand_dims(run[1], 1)


def _stray_grid(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Positions that are not finite, or so far out that float loses whole steps."""
    del y
    return each(np.asarray(~(np.abs(_grid(run)) < _FAR).all(axis=-1)))


def _places(run: Run) -> tuple[Array, Array]:
    """The grid in elements of the picture, the last axis first, and the picture's sizes in that order."""
    grid, sizes = _grid(run), np.array(run[0].shape[:1:-1], np.float64)
    if run.params.get("align_corners", 0):
        return (grid + 1) / 2 * (sizes - 1), sizes
    return ((grid + 1) * sizes - 1) / 2, sizes


def _grid_tie(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Positions half-way between two elements, or so near that rounding decides, where the nearest is taken."""
    del y
    if run.params.get("mode") != b"nearest":
        return NONE
    at, _ = _places(run)
    return each(np.asarray((np.abs(at - np.floor(at) - 0.5) < _TIE * np.maximum(np.abs(at), 1)).any(axis=-1)))


def _beside_cubic(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Cubic blends of repeated borders whose position lies outside, or on the edge but for rounding."""
    del y
    if run.params.get("mode") not in (b"cubic", b"bicubic") or run.params.get("padding_mode") != b"border":
        return NONE
    at, sizes = _places(run)
    edge = (0.0 if run.params.get("align_corners", 0) else 0.5) - _TIE * sizes
    return each(np.asarray(((at < -edge) | (at > sizes - 1 + edge)).any(axis=-1)))


def _single_mirror(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    between = run.params.get("padding_mode") == b"reflection" and run.params.get("align_corners", 0)
    return ALL if between and 1 in run[0].shape[2:] else NONE


def _single_position(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    return ALL if run.params.get("align_corners", 0) and 1 in tuple(run.params["size"])[2:] else NONE


_POOLS = ("AveragePool", "MaxPool")

HAZARDS: tuple[Hazard, ...] = (
    Hazard(
        "pool-ceil-window", _POOLS,
        "ceil_mode counts a window that would start in the padding at the end; version 22 says that it is ignored",
        Says.IMPLEMENTATION, "text: output shape", Treatment.AVOID, _ceil_window, since=10, until=22,
        words="ceil", shape=True),
    Hazard(
        "lp-pool-ceil-window", ("LpPool",), "the same of LpPool, whose text never says that it is ignored",
        Says.SILENT, "text: output shape", Treatment.AVOID, _ceil_window, since=18,
        words="windows that would start in the right padded region", shape=True),
    Hazard(
        "max-pool-of-padding", ("MaxPool",), "a window wholly in the padding",
        Says.SILENT, "text", Treatment.AVOID, _in_padding, words="entirely|only padding|wholly"),
    Hazard(
        "average-pool-of-padding", ("AveragePool",), "a window wholly in padding that does not count: 0 / 0",
        Says.SILENT, "text", Treatment.AVOID, _padding_alone, since=7, words="entirely|only padding|wholly"),
    Hazard(
        "average-pool-overhang", ("AveragePool",),
        "ceil_mode with count_include_pad: whether what lies beyond the padding counts in the divisor",
        Says.SILENT, "count_include_pad", Treatment.AVOID, _overhang, since=10, words="divisor|beyond"),
    Hazard(
        "max-pool-nan", ("GlobalMaxPool", "MaxPool"), "NaN in a window: passed on or passed over",
        Says.SILENT, "text", Treatment.AVOID, _nan_window, words=r"(?-i:\bNaN\b)"),
    Hazard(
        "max-pool-index-tie", ("MaxPool",), "a window has its greatest element twice, and its place is asked for",
        Says.SILENT, "Indices", Treatment.AVOID, _index_tie, since=8, words="tie|first occurrence"),
    Hazard(
        "max-unpool-duplicate", ("MaxUnpool",), "two values for one place", Says.SILENT, "text", Treatment.AVOID,
        _unpooled_twice, since=9, words="duplicate"),
    Hazard(
        "max-unpool-size", ("MaxUnpool",),
        "no output shape given: several sizes were pooled to this one; what is given back is (n - 1) s - pads + k",
        Says.IMPLEMENTATION, "text; ONNX's shape inference has the formula", Treatment.COMPARE, since=9,
        words="ambiguous"),
    Hazard(
        "max-unpool-indices", ("MaxUnpool",),
        "an output shape that kernel, strides and pads do not give: indices count in it, or in the one that they do",
        Says.IMPLEMENTATION, "I: the tensor considered as flattened", Treatment.AVOID, _other_size, since=9,
        words="tensor as flattened 1-D"),
    Hazard(
        "pool-of-nothing", ("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"), "a plane without elements",
        Says.SILENT, "text", Treatment.AVOID, _empty_plane, words="empty", stops=True),
    Hazard(
        "same-padding", ("Conv", "MaxPool"), "SAME_UPPER puts the odd padding at the end, SAME_LOWER at the start",
        Says.DEFINED, "auto_pad", Treatment.COMPARE, since=11, words="SAME_LOWER"),
    Hazard(
        "padding-times-infinity", ("Conv", "ConvTranspose"), "a weight that is not finite meets padding: 0 * inf",
        Says.SILENT, "text", Treatment.AVOID, _endless_weight, words="infinit|nan"),
    Hazard(
        "deconvolution-odd-padding", ("ConvTranspose",),
        "output_shape leaves an odd padding: version 1 puts it on the other side than the later ones",
        Says.IMPLEMENTATION, "text: total_padding", Treatment.AVOID, _odd_padding, until=11,
        words="auto_pads != SAME_UPPER"),
    Hazard(
        "deconvolution-odd-padding-defined", ("ConvTranspose",),
        "the same from version 11 on: at the end with SAME_UPPER, else at the start",
        Says.DEFINED, "text: total_padding", Treatment.COMPARE, since=11, words="auto_pads == SAME_UPPER"),
    Hazard(
        "deconvolution-beyond", ("ConvTranspose",),
        "output_shape is more than kernel and strides reach: the padding is below 0; zeros at an end, or refused",
        Says.SILENT, "text: total_padding", Treatment.AVOID, _beyond_reach, since=11, words="negative|below zero",
        stops=True),
    Hazard(
        "resize-tie", ("Resize",),
        "a coordinate next to the step between two elements (nearest): the bound spans what may be read",
        Says.IMPLEMENTATION, "nearest_mode", Treatment.COMPARE, since=11, words="nearest_mode|round_prefer"),
    Hazard(
        "resize-fractional", ("Resize",),
        "a scale whose product with the size is not whole: given and derived scale differ: the bound spans both",
        Says.IMPLEMENTATION, "text, scales", Treatment.COMPARE, since=11, words="floor"),
    Hazard(
        "resize-single-corner", ("Resize",), "align_corners onto an axis of one element: division by 0",
        Says.SILENT, "coordinate_transformation_mode", Treatment.AVOID, _single_corner, since=11,
        words="length_resized (is|==) 1|divide by zero"),
    Hazard(
        "roi-max", ("RoiAlign",), "mode max: of the samples, or of the elements that they are made from",
        Says.IMPLEMENTATION, "mode", Treatment.PROPERTIES, _greatest_of_samples, since=10, words="max"),
    Hazard(
        "roi-outside", ("RoiAlign",), "a region that leaves the picture, or has no extent",
        Says.SILENT, "rois", Treatment.MASK, _stray_region, since=10, words="outside|out of bound", stops=True),
    Hazard(
        "grid-outside", ("GridSample",), "a position that is not finite, or too far out to be folded back exactly",
        Says.SILENT, "grid", Treatment.AVOID, _stray_grid, since=16, words=r"(?-i:\bNaN\b)|infinit"),
    Hazard(
        "grid-tie", ("GridSample",), "nearest, and a position half-way between elements below version 20",
        Says.SILENT, "mode", Treatment.MASK, _grid_tie, since=16, until=20, words="halfway|nearest even"),
    Hazard(
        "grid-tie-even", ("GridSample",), "the same from version 20 on: the even one, once coordinates are rounded",
        Says.DEFINED, "mode", Treatment.MASK, _grid_tie, since=20, words="nearest even"),
    Hazard(
        "grid-cubic-border", ("GridSample",),
        "cubic, the border repeated, a position outside: it is brought to the border, or the elements around it are",
        Says.IMPLEMENTATION, "padding_mode", Treatment.MASK, _beside_cubic, since=16, words="use border values"),
    Hazard(
        "grid-single-mirror", ("GridSample",),
        "reflection with align_corners in an axis of one element: both mirrors stand in one place",
        Says.SILENT, "padding_mode", Treatment.AVOID, _single_mirror, since=16, words="size (is|of) 1|divi",
        stops=True),
    Hazard(
        "deformed-outside", ("DeformConv",),
        "a tap less than one element outside of the picture and its padding: blended with the zeros around, not zero",
        Says.IMPLEMENTATION, "offset", Treatment.COMPARE, since=19, words="outside of the padded input"),
    Hazard(
        "affine-single-position", ("AffineGrid",), "align_corners with a size of 1: division by 0",
        Says.SILENT, "text, size", Treatment.AVOID, _single_position, since=20, words="divi"),
    Hazard(
        "even-response-window", ("LRN",), "an even size: one more channel behind than before",
        Says.DEFINED, "text", Treatment.COMPARE, words="ceil"),
)  # fmt: skip
