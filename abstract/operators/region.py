"""Regions of interest: MaxRoiPool and RoiAlign."""

from __future__ import annotations

from itertools import product
from math import ceil, log2
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.dtypes import Kind
from abstract.error import is_exact, rounding_unit, step_unit, summation
from abstract.operator import Accuracy, Array, Bound, Call, Domain, NotCovered, Operator, Run, Scope, Typing
from abstract.operators.axes import operand

if TYPE_CHECKING:
    from abstract.dtypes import DType
    from abstract.graph import Value
    from abstract.types import Shape

__all__ = ["OPERATORS"]

FLOAT = (Kind.FLOAT,)
_MODERATE = Domain(-64.0, 64.0)
_SINGLE = 2.0**-24
_FAR = 2.0**30
_DISTANT = 2.0**20  # coordinates beyond lose whole elements in float
_MEAN = Accuracy(2, 0)  # the sum is rounded, then divided or multiplied by 1/n


def _picture(s: Scope, domain: Domain) -> Value:
    return operand(s, rank=(4, 4), kinds=FLOAT, domain=domain, where=lambda v: 0 < v.array.size <= 1024)


def _corners(s: Scope, x: Value, count: int, step: float, least: float) -> tuple[list[list[float]], float]:
    """Corners x1, y1, x2, y2 inside the picture in multiples of a step, and the scale that takes them there.

    Steps of 1/4 and sizes below 64 are numbers of every type. Regions are ``least`` wide or more.
    """
    scale = s.pick((1.0, 1.0, 0.5, 0.25, 2.0))
    ends = [int(n / step) for n in (x.array.shape[3], x.array.shape[2])]
    short = int(least / step)
    rows = []
    for _ in range(count):
        low = [s.integer(0, max(0, n - short)) for n in ends]
        high = [s.integer(min(a + short, n), n) for a, n in zip(low, ends, strict=True)]
        rows.append([v * step / scale for v in (*low, *high)])
    return rows, scale


# -- MaxRoiPool ----------------------------------------------------------------------------------------------


def propose_pool(s: Scope) -> Call:
    """Regions whose corners are elements, cut into parts that no rounding moves; batch index first."""
    x = _picture(s, Domain())
    count = s.integer(1, 4)
    rows, scale = _corners(s, x, count, 1.0, 1.0)
    # The last element belongs to the region.
    table = [[float(s.integer(0, x.array.shape[0] - 1)), a, b, c - 1 / scale, d - 1 / scale] for a, b, c, d in rows]
    params: dict[str, Any] = {"pooled_shape": (s.pick((1, 2, 2, 3, 4, 4)), s.pick((1, 2, 2, 3, 4, 4)))}
    if scale != 1 or s.coin(0.3):
        params["spatial_scale"] = scale
    for dim, size in zip(x.type.shape, x.array.shape, strict=True):
        s.store.unify(dim, size)
    return Call((x, s.constant(np.array(table), x.type.dtype)), params)


def pool_shape(t: Typing) -> tuple[Shape, ...]:
    """(regions, C, *pooled)."""
    t.store.unify(t[1][1], 5)
    return ((t[1][0], t[0][1], *t.params["pooled_shape"]),)


def _rounded(v: Array) -> Array:
    """To the nearest, halves away from zero, as C's round does."""
    return np.where(v < 0, np.ceil(v - 0.5), np.floor(v + 0.5))


def _bins(start: Array, end: Array, pooled: int, size: int, share: float) -> tuple[Array, Array]:
    """The first element of each part, and the one after its last: (regions, pooled).

    ``share`` widens (narrows, if below 0) each part by what rounding of its ends may amount to, relatively: nothing
    where the length of a part is a whole number, or so many halves.
    """
    length = np.maximum(end - start + 1, 1)[:, None]
    part = np.arange(pooled)
    rounded = np.where((length % pooled != 0) & (pooled & (pooled - 1) != 0), share, 0.0)
    first = np.floor(part * length / pooled * (1 - rounded)) + start[:, None]
    last = np.ceil((part + 1) * length / pooled * (1 + rounded)) + start[:, None]
    return np.clip(first, 0, size), np.clip(last, 0, size)


def _corner(run: Run, column: int) -> Array:
    rois, scale = run[1].astype(np.float64), float(run.params.get("spatial_scale", 1.0))
    return _rounded(rois[:, column] * scale)


def _pooled(run: Run, x: Array, share: float = 0.0) -> Array:
    """The greatest of each part, 0 of a part without elements. The text says no more; this is what Fast R-CNN does."""
    batch = run[1][:, 0].astype(np.int64)
    if x.size == 0 or batch.min(initial=0) < 0 or batch.max(initial=0) >= x.shape[0]:
        raise NotCovered("MaxRoiPool of a picture that is not there")
    height, width = run.params["pooled_shape"]
    top, bottom = _bins(_corner(run, 2), _corner(run, 4), height, x.shape[2], share)
    left, right = _bins(_corner(run, 1), _corner(run, 3), width, x.shape[3], share)
    y = np.zeros((len(batch), x.shape[1], height, width), x.dtype)
    ends = zip(*(v.astype(np.int64).tolist() for v in (top, bottom, left, right)), strict=True)
    for region, (first, last, start, stop) in enumerate(ends):
        for i, j in product(range(height), range(width)):
            part = x[batch[region], :, first[i] : last[i], start[j] : stop[j]]
            if part.size:
                y[region, :, i, j] = part.max(axis=(1, 2))
    return y


_ROUNDING = 2.0**-20  # of an end of a part, relatively: some roundings of float


def _share(run: Run) -> float:
    dtype = run.dtypes[0]
    return max(_ROUNDING, 0.0 if dtype is None else 4 * run.contract.step(dtype).unit)


def max_roi_pool(run: Run) -> tuple[Array, ...]:
    """See ``_pooled``."""
    return (_pooled(run, run[0]),)


def pool_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The greatest error in a part; where its ends lie next to an element, of all parts that may be meant.

    Nothing is known of a region whose corner lies half-way between elements, or errs.
    """
    if not is_exact(e[1]):
        return (np.inf,)
    x = run[0].astype(np.float64, copy=False)
    share = _share(run)
    low, high = x - e[0], x + e[0]
    ends = (x,) if is_exact(e[0]) else (low, high)
    several = [_pooled(run, values, by) for values in ends for by in (share, -share)]
    bound = np.max([np.abs(other - y[0]) for other in several], axis=0)
    at = run[1][:, 1:].astype(np.float64) * float(run.params.get("spatial_scale", 1.0))
    half = np.abs(at - np.floor(at) - 0.5) <= share * (np.abs(at) + 1)
    return (np.where(np.any(half, axis=1)[:, None, None, None], np.inf, bound),)


def _sharp(run: Run) -> bool:
    """Whether no part hangs on how its ends are rounded."""
    share = _share(run)
    for axis, (first, last) in enumerate(((2, 4), (1, 3))):
        pooled, size = run.params["pooled_shape"][axis], run[0].shape[2 + axis]
        wide, narrow = (_bins(_corner(run, first), _corner(run, last), pooled, size, by) for by in (share, -share))
        if not np.array_equal(np.stack(wide), np.stack(narrow)):
            return False
    return True


# -- RoiAlign ------------------------------------------------------------------------------------------------


def propose_align(s: Scope) -> Call:
    """Sampling by a given ratio or as many as fit, with the shift of half an element or without it.

    Regions are constants inside the picture, or what exists, of which those that leave it are not judged.
    """
    x = _picture(s, _MODERATE)
    count = s.integer(1, 4)
    rows, scale = _corners(s, x, count, 0.25, 1.0)
    params: dict[str, Any] = {"spatial_scale": scale} if scale != 1 or s.coin(0.3) else {}
    if s.coin(0.2):
        rois = s.shaped((count, 4), s.signature.formal(1).variable, domain=Domain(0.0, 4.0 / scale))
    else:
        rois = s.constant(np.array(rows), x.type.dtype)
    for name in ("output_height", "output_width"):
        if s.coin(0.8):
            params[name] = s.integer(1, 4)
    if s.coin(0.7):
        params["sampling_ratio"] = s.integer(0, 3)
    if s.coin(0.15):
        params["mode"] = b"max"
    elif s.coin(0.3):
        params["mode"] = b"avg"
    if "coordinate_transformation_mode" in s.signature.attributes and s.coin(0.6):
        params["coordinate_transformation_mode"] = s.pick((b"half_pixel", b"output_half_pixel"))
    for dim, size in zip(x.type.shape, x.array.shape, strict=True):
        s.store.unify(dim, size)
    batch = np.array([s.integer(0, x.array.shape[0] - 1) for _ in range(count)])
    kinds: tuple[DType, ...] = s.signature.types[s.signature.formal(2).variable]
    return Call((x, rois, s.constant(batch, kinds[0])), params)


def align_shape(t: Typing) -> tuple[Shape, ...]:
    """(regions, C, output_height, output_width)."""
    t.store.unify(t[1][1], 4)
    t.store.unify(t[1][0], t[2][0])
    return ((t[1][0], t[0][1], t.params.get("output_height", 1), t.params.get("output_width", 1)),)


class _Line:
    """One axis of one region: where it is sampled, (parts, samples), and how far that may err.

    ``open``: a position may or may not lie beyond the picture, or how many samples there are hangs on a rounding.
    """

    __slots__ = ("at", "count", "open", "size", "slack", "unit")

    def __init__(self, run: Run, low: float, high: float, parts: int, size: int, error: float, unit: float) -> None:
        shift = 0.5 if run.params.get("coordinate_transformation_mode") == b"half_pixel" else 0.0
        scale, ratio = float(run.params.get("spatial_scale", 1.0)), int(run.params.get("sampling_ratio", 0))
        start, length = low * scale - shift, (high - low) * scale
        # Without the shift, regions are one element wide at least: so the code that the text refers to.
        each = (length if shift else max(length, 1.0)) / parts
        self.count, self.size, self.unit = ratio if ratio > 0 else max(ceil(each), 0), size, unit
        self.slack = 8 * unit * (abs(low * scale) + abs(high * scale) + 1) + 3 * error * scale
        short = error == 0 and (low * scale * 256).is_integer() and (high * scale * 256).is_integer()
        whole = each.is_integer() and short and log2(scale).is_integer()
        middles = (np.arange(self.count) + 0.5) / max(self.count, 1)
        self.at = start + (np.arange(parts)[:, None] + middles) * each
        self.open = ratio <= 0 and not whole and abs(each - round(each)) <= self.slack
        if self.at.size and not (self.at.min() > self.slack - 1 and self.at.max() < size - self.slack):
            edge = (np.abs(self.at + 1) <= self.slack) | (np.abs(self.at - size) <= self.slack)
            self.open |= bool(edge.any())

    def _apart(self) -> Array:
        """How far the axis' elements are from each sample, (parts, samples, size); far where that lies beyond."""
        apart = np.abs(np.clip(self.at, 0, self.size - 1)[..., None] - np.arange(self.size))
        return np.where(((self.at < -1) | (self.at > self.size))[..., None], _FAR, apart)

    def samples(self) -> Array:
        """The weights of the elements in each sample: those of the linear blend, 0 beyond one element outside."""
        hats: Array = np.maximum(1 - self._apart(), 0.0)
        return hats

    def weights(self) -> Array:
        """Their means over each part, (parts, size)."""
        mean: Array = self.samples().sum(axis=1) / max(self.count, 1)
        return mean

    def loose(self) -> Array:
        """What positions and rounding may change of these."""
        near = np.asarray(self._apart() < 1 + self.slack).sum(axis=1)
        loose: Array = near * ((self.slack + 2 * self.unit) / max(self.count, 1))
        return loose


def _lines(run: Run, e: Bound = 0.0) -> list[tuple[_Line, _Line]]:
    """The rows and columns of each region."""
    x, rois, batch = run[0], run[1].astype(np.float64), run[2]
    if x.size == 0 or batch.min(initial=0) < 0 or batch.max(initial=0) >= x.shape[0]:
        raise NotCovered("RoiAlign of a picture that is not there")
    if not (np.abs(rois) <= _DISTANT).all():
        raise NotCovered("RoiAlign of a region far outside")
    height, width = _outs(run)
    unit = max((step_unit(run, d) for d in run.dtypes[:2] if d is not None), default=_SINGLE)
    errors = np.broadcast_to(np.asarray(e, dtype=np.float64), rois.shape).max(axis=1, initial=0.0).tolist()
    return [
        (_Line(run, y1, y2, height, x.shape[2], error, unit), _Line(run, x1, x2, width, x.shape[3], error, unit))
        for (x1, y1, x2, y2), error in zip(rois.tolist(), errors, strict=True)
    ]


def roi_align(run: Run) -> tuple[Array, ...]:
    """The mean over the samples of each part; for mode max what ONNX's reference gives, which is not compared."""
    x, lines = run[0], _lines(run)
    if run.params.get("mode", b"avg") == b"max":
        return (_greatest(run, x, lines),)
    dtype = x.dtype
    parts = [
        run.arithmetic.dot(run.arithmetic.dot(rows.weights().astype(dtype), x[b]), columns.weights().T.astype(dtype))
        for b, (rows, columns) in zip(run[2], lines, strict=True)
    ]
    return (np.stack(parts) if parts else np.zeros((0, x.shape[1], *_outs(run)), dtype),)


def _outs(run: Run) -> tuple[int, int]:
    return int(run.params.get("output_height", 1)), int(run.params.get("output_width", 1))


def _greatest(run: Run, x: Array, lines: list[tuple[_Line, _Line]]) -> Array:
    """The greatest of the weighted elements that each sample is made from."""
    parts = []
    for b, (rows, columns) in zip(run[2], lines, strict=True):
        # Two axes of parts, two of samples, two of the picture.
        weights = rows.samples()[:, None, :, None, :, None] * columns.samples()[None, :, None, :, None, :]
        parts.append((x[b][:, None, None, None, None] * weights).max(axis=(-1, -2, -3, -4), initial=-np.inf))
    return np.stack(parts).astype(x.dtype) if parts else np.zeros((0, x.shape[1], *_outs(run)), x.dtype)


def align_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The elements' errors by the weights; the weights' own, by where samples may lie; the rounding of the sum.

    Nothing is said of mode max, which the text does not define.
    """
    if not is_exact(e[2]) or run.params.get("mode", b"avg") == b"max":
        return (np.inf,)
    x, dtype = run[0], run.dtypes[0]
    size = np.abs(x).astype(np.float64)
    errors = np.broadcast_to(np.asarray(e[0], dtype=np.float64), x.shape)
    grown = size + errors
    parts = []
    for b, (rows, columns) in zip(run[2], _lines(run, e[1]), strict=True):
        if rows.open or columns.open:
            parts.append(np.full((x.shape[1], *y[0].shape[2:]), np.inf))
            continue
        factor = summation(run, 4 * rows.count * columns.count, dtype) + 6 * rounding_unit(run, dtype)
        left, right, across = rows.weights(), columns.weights().T, columns.loose().T
        bound = left @ (grown[b] * factor + errors[b]) @ right
        bound = bound + rows.loose() @ grown[b] @ (right + across) + left @ grown[b] @ across
        parts.append(bound)
    return (np.stack(parts) if parts else np.zeros(y[0].shape),)


def _settled(run: Run) -> bool:
    """Whether no region hangs on a rounding, or ends before it starts, of which the text says nothing."""
    rois = run[1]
    return bool((rois[:, 2:] >= rois[:, :2]).all()) and not any(line.open for pair in _lines(run) for line in pair)


OPERATORS: tuple[Operator, ...] = (
    Operator("MaxRoiPool", propose_pool, pool_shape, max_roi_pool, pool_error, exact=True, defined=_sharp, weight=0.25),
    Operator("RoiAlign", propose_align, align_shape, roi_align, align_error, accuracy=_MEAN, defined=_settled,
             weight=0.25),
)  # fmt: skip
