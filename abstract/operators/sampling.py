"""Reading a tensor between its elements: the nearest one, or the linear or cubic blend of those around.

A tensor is (N, C, d1, ..., dr), read at P points for each of the N. A point has a position on each of the r axes,
counted in elements, with a bound on its error. What lies outside is zero, the border, or the tensor reflected.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.error import is_exact, step_unit, summation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from abstract.operator import Array, Bound, Run

__all__ = ["Point", "blended", "blended_error", "nearest", "nearest_error"]

_ROOM = 2**22  # elements that are read at once
_SINGLE = 2.0**-24


@dataclass(frozen=True, slots=True)
class Point:
    """The positions on one axis, (N, P), their error, the axis' size and how what lies outside of it is found.

    ``padding`` is ``zeros``, ``border``, or ``reflection``; the mirrors stand on the outermost elements' centres if
    ``centred``, else half an element further out.
    """

    at: Array
    error: Array
    size: int
    padding: bytes = b"zeros"
    centred: bool = False

    def part(self, piece: slice) -> Point:
        """Some of the points."""
        return Point(self.at[:, piece], self.error[:, piece], self.size, self.padding, self.centred)

    def read(self, index: Array) -> tuple[Array, Array | None]:
        """Indices brought inside, and where zeros are read in their stead."""
        if self.padding == b"reflection":
            period = 2 * (self.size - 1 if self.centred else self.size)
            folded = index % max(period, 1)
            return np.minimum(folded, period - (0 if self.centred else 1) - folded) if period > 1 else folded * 0, None
        inside = np.minimum(np.maximum(index, 0), self.size - 1)
        return inside, None if self.padding == b"border" else inside != index


def _cubic(t: Array) -> Array:
    """The four weights of Keys' kernel with a = -0.75 at a distance t beyond the second element, on a last axis."""
    d = np.abs(t[..., None] - np.arange(-1, 3))
    a = -0.75
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, far)


def _linear(t: Array) -> Array:
    return np.stack([1 - t, t], axis=-1)


@dataclass(frozen=True, slots=True)
class _Blend:
    """A kernel: its first tap, its weights, and what its bound needs.

    ``total``: the most that the magnitudes of its weights sum to. ``steep``: the most that its slope is, the elements
    differing by 1 from one to the next. ``rates``: the sum of the magnitudes of its weights' slopes. ``units``: what
    rounding a weight costs. All for a = -0.75 where cubic (worked out on a grid of 100,001 points).
    """

    first: int
    weights: Callable[[Array], Array]
    total: float
    steep: float
    rates: float
    units: float

    @property
    def taps(self) -> int:
        return 2 - 2 * self.first


_KERNELS = {b"linear": _Blend(0, _linear, 1.0, 1.0, 2.0, 2.0), b"cubic": _Blend(-1, _cubic, 1.375, 1.5, 3.0, 12.0)}


def _gathered(x: Array, points: Sequence[Point], indices: Sequence[Array]) -> Array:
    """(N, P, t1, ..., tr, C): the elements at indices (N, P, t) on each axis."""
    rank, outside = len(points), None
    places: list[Array] = []
    for axis, (point, index) in enumerate(zip(points, indices, strict=True)):
        inside, zero = point.read(index)
        shape = (*index.shape[:2], *(index.shape[2] if a == axis else 1 for a in range(rank)))
        places.append(inside.reshape(shape))
        if zero is not None:
            outside = zero.reshape(shape) if outside is None else outside | zero.reshape(shape)
    batch = np.arange(x.shape[0]).reshape(-1, *(1,) * (rank + 1))
    every: tuple[Any, ...] = (batch, slice(None), *places)
    values: Array = x[every]
    return values if outside is None else np.where(outside[..., None], np.zeros((), x.dtype), values)


def _pieces(points: Sequence[Point], channels: int, taps: int) -> Iterator[Sequence[Point]]:
    """The points in as many pieces as memory asks for."""
    n, count = points[0].at.shape
    each = max(1, _ROOM // max(1, n * channels * taps))
    for start in range(0, max(count, 1), each):
        yield [p.part(slice(start, start + each)) for p in points]


def _joined(parts: Sequence[Array]) -> Array:
    """(N, P, C) in pieces as (N, C, P)."""
    return (parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)).swapaxes(1, 2)


def nearest(x: Array, points: Sequence[Point], shifts: Sequence[float] = ()) -> Array:
    """(N, C, P): the nearest elements, of two as near the even one; each axis shifted by so many of its errors."""
    parts = []
    for piece in _pieces(points, x.shape[1], 1):
        places = [np.rint(p.at + s * p.error) for p, s in zip(piece, shifts or (0.0,) * len(piece), strict=True)]
        read = _gathered(x, piece, [place.astype(np.int64)[..., None] for place in places])
        parts.append(read.reshape(*read.shape[:2], x.shape[1]))
    return _joined(parts)


def nearest_error(x: Array, points: Sequence[Point], y: Array, e: Bound) -> Bound:
    """The errors of what is read; where a position's own error reaches over a step, all that may be read is meant."""
    steady = all(np.array_equal(np.rint(p.at - p.error), np.rint(p.at + p.error)) for p in points)
    if steady:
        return 0.0 if is_exact(e) else nearest(np.broadcast_to(np.asarray(e), x.shape), points)
    low = high = y.astype(np.float64)
    wide = x.astype(np.float64)
    for shifts in product((-1.0, 1.0), repeat=len(points)):
        low = np.minimum(low, nearest(wide - e, points, shifts))
        high = np.maximum(high, nearest(wide + e, points, shifts))
    far = np.any([np.rint(p.at + p.error) - np.rint(p.at - p.error) > 1 for p in points], axis=0)[:, None, :]
    # Beyond two steps it may be any of them, or the zeros outside.
    low = np.where(far, np.minimum(np.min(wide - e), 0.0), low)
    high = np.where(far, np.maximum(np.max(wide + e), 0.0), high)
    return np.maximum(high - y, y - low)


def _taps(kernel: _Blend, points: Sequence[Point], wider: int = 0) -> list[Array]:
    """The taps of each axis, (N, P, t), by so many more on either side."""
    offsets = np.arange(kernel.first - wider, kernel.first - wider + kernel.taps + 2 * wider)
    return [np.floor(p.at).astype(np.int64)[..., None] + offsets for p in points]


def _weights(kernel: _Blend, points: Sequence[Point]) -> Array:
    """Their products, (N, P, t1, ..., tr)."""
    rank, result = len(points), None
    for axis, p in enumerate(points):
        own = kernel.weights(p.at - np.floor(p.at))
        own = own.reshape(*own.shape[:2], *(own.shape[2] if a == axis else 1 for a in range(rank)))
        result = own if result is None else result * own
    return np.ones((1, 1)) if result is None else result


def blended(run: Run, x: Array, points: Sequence[Point], mode: bytes) -> Array:
    """(N, C, P): the weighted sums of the elements around each point."""
    kernel, parts = _KERNELS[mode], []
    axes = tuple(range(2, 2 + len(points)))
    for piece in _pieces(points, x.shape[1], kernel.taps ** len(points)):
        weights = _weights(kernel, piece).astype(x.dtype, copy=False)
        terms = _gathered(x, piece, _taps(kernel, piece)) * weights[..., None]
        parts.append(run.arithmetic.sum(terms, axes, keepdims=False))
    return _joined(parts)


def blended_error(run: Run, x: Array, points: Sequence[Point], mode: bytes, e: Bound) -> Array:
    """(N, C, P): rounding of weights and sums; positions, by the slope around; what the elements' errors pass on."""
    kernel, rank = _KERNELS[mode], len(points)
    units = [step_unit(run, d) for d in run.dtypes[:3] if d is not None and d.is_float]
    unit = max(units, default=_SINGLE)
    count = kernel.taps**rank
    own = run.dtypes[0]
    factor = summation(run, count, own) if own is not None and own.is_float else (count + 1) * _SINGLE
    others = kernel.total ** (rank - 1)
    parts = []
    size = np.abs(x).astype(np.float64)
    errors = None if is_exact(e) else np.broadcast_to(np.asarray(e, dtype=np.float64), x.shape)
    axes = tuple(range(2, 2 + rank))
    for piece in _pieces(points, x.shape[1], (kernel.taps + 2) ** rank):
        weights, taps = np.abs(_weights(kernel, piece))[..., None], _taps(kernel, piece)
        read = _gathered(size, piece, taps)
        bound = (read * weights).sum(axis=axes) * (factor + (rank + 1) * unit)
        bound = bound + read.sum(axis=axes) * (kernel.units * unit * rank * others)
        around = _around(kernel, piece)
        block = _gathered(x.astype(np.float64), piece, around)
        far = np.zeros(piece[0].at.shape, bool)
        for axis, p in enumerate(piece):
            slope = np.abs(np.diff(block, axis=2 + axis)).max(axis=axes, initial=0.0)
            bound = bound + slope * (p.error * (kernel.steep * others))[..., None]
            far |= ~(p.error < 1)
        if errors is not None:
            bound = bound + (_gathered(errors, piece, taps) * weights).sum(axis=axes)
            moved = sum(p.error for p in piece) * (kernel.rates * others)
            bound = bound + _gathered(errors, piece, around).max(axis=axes) * np.asarray(moved)[..., None]
        # Beyond a step it may be any of them.
        most = 2 * (size if errors is None else size + errors).max(initial=0.0) * kernel.total**rank
        parts.append(np.where(far[..., None], most + bound * 0, bound))
    return _joined(parts)


def _around(kernel: _Blend, points: Sequence[Point]) -> list[Array]:
    """The taps from which a position's slope comes, one more on either side where it may cross an element."""
    found = []
    for p, index in zip(points, _taps(kernel, points, 1), strict=True):
        crosses = (np.abs(p.at - np.rint(p.at)) <= p.error)[..., None]
        narrow = np.minimum(np.maximum(index, index[..., 1:2]), index[..., -2:-1])
        found.append(np.where(crosses, index, narrow))
    return found
