"""Resize: nearest, linear and cubic interpolation, axis by axis.

What the specification leaves open (hazards H5.12 to H5.17) is not proposed, and where a foreign model has it
the bound says so: coordinates that rounding may push over a step, and both readings of a scale whose product with the
size is no whole number.
Regions of interest and antialiasing are left to ONNX's own reference.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import divisible
from abstract.dims import Dim, floor_div
from abstract.dtypes import Kind
from abstract.error import is_exact, rounding_unit, summation
from abstract.operator import Array, Bound, Call, NotCovered, Operator, Params, Run, Scope, Typing
from abstract.operators.axes import counted, operand, pinned, spelt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from abstract.types import Shape

__all__ = ["OPERATORS"]

NUMBER = (Kind.FLOAT, Kind.SIGNED, Kind.UNSIGNED)
FLOAT = (Kind.FLOAT,)


class _Axis:
    """One resized axis: sizes, scale, the source coordinate of each output position and how far it may err.

    ``open`` where ``scale * size`` is no whole number: the text gives ``scale = length_resized / length_original`` as
    well as a scale that is an input, and lets the resized length be "a fractional number when it is calculated out of a
    scale factor" (Operators.md, Resize, coordinate_transformation_mode). The first reading takes the scale as given and
    the length as it is, the ``second`` the length's ratio for the scale and, with align_corners, the fraction for the
    length (hazard H5.14).
    """

    __slots__ = ("at", "axis", "error", "open", "out", "size")

    def __init__(self, axis: int, size: int, out: int, scale: float, mode: bytes, *, second: bool = False) -> None:
        self.axis, self.size, self.out = axis, size, out
        self.open = abs(scale * size - out) > 1e-5 * out and mode != b"half_pixel_symmetric"
        length = float(out)
        if second and self.open:
            scale, length = out / size, scale * size
        x = np.arange(out, dtype=np.float64)
        self.at = _COORDINATES[mode](x, size, length, scale)
        # Backends work in float32, with the scale or its reciprocal; where it is a power of two, nothing rounds.
        exact = mode != b"align_corners" and np.log2(scale).is_integer()
        self.error = np.zeros(out) if exact else (np.abs(self.at) + 1) * 2.0**-22


def _half_pixel(x: Array, size: int, out: float, scale: float) -> Array:
    del size, out
    return (x + 0.5) / scale - 0.5


def _half_pixel_symmetric(x: Array, size: int, out: float, scale: float) -> Array:
    return size / 2 * (1 - out / (scale * size)) + (x + 0.5) / scale - 0.5


def _pytorch_half_pixel(x: Array, size: int, out: float, scale: float) -> Array:
    return _half_pixel(x, size, out, scale) if x.size > 1 else np.zeros(x.size)


def _align_corners(x: Array, size: int, out: float, scale: float) -> Array:
    del scale
    return x * ((size - 1) / (out - 1)) if x.size > 1 else np.zeros(x.size)


def _asymmetric(x: Array, size: int, out: float, scale: float) -> Array:
    del size, out
    return x / scale


_COORDINATES: Mapping[bytes, Callable[[Array, int, float, float], Array]] = MappingProxyType({
    b"half_pixel": _half_pixel, b"half_pixel_symmetric": _half_pixel_symmetric,
    b"pytorch_half_pixel": _pytorch_half_pixel, b"align_corners": _align_corners, b"asymmetric": _asymmetric,
})  # fmt: skip
_ROUND: Mapping[bytes, Callable[[Array], Array]] = MappingProxyType({
    b"round_prefer_floor": lambda at: np.ceil(at - 0.5),
    b"round_prefer_ceil": lambda at: np.floor(at + 0.5),
    b"floor": np.floor,
    b"ceil": np.ceil,
})  # fmt: skip


def _named(params: Params, rank: int) -> list[int]:
    axes = params.get("axes")
    return list(range(rank)) if axes is None else list(counted(axes, rank))


def _given(params: Params, name: str) -> tuple[Any, ...]:
    return tuple(params.get(name) or ())


def _axes(run: Run, *, second: bool = False) -> list[_Axis]:
    """The geometry of every axis that is resized, by the first or the ``second`` reading."""
    params, shape = run.params, run[0].shape
    transform = params.get("coordinate_transformation_mode", b"half_pixel")
    if any(shape[a] == 0 < n for a, n in zip(_named(params, len(shape)), _given(params, "sizes"), strict=False)):
        raise ValueError("an axis of no elements is resized to some")
    if transform not in _COORDINATES or params.get("antialias", 0) or 0 in shape:
        raise NotCovered("Resize with roi or antialiasing, or of nothing")
    named = _named(params, len(shape))
    scales, sizes = _given(params, "scales"), _given(params, "sizes")
    if scales:
        outs = [int(np.floor(shape[a] * f)) for a, f in zip(named, scales, strict=True)]
    else:
        outs, scales = _from_sizes(params, [shape[a] for a in named], sizes)
    return [
        _Axis(a, shape[a], n, f, transform, second=second)
        for a, n, f in zip(named, outs, scales, strict=True)
        if n != shape[a] or f != 1.0  # the others are left as they are
    ]


def _from_sizes(
    params: Params, have: list[int], sizes: tuple[int, ...]
) -> tuple[list[int], tuple[float, ...]]:
    """Output sizes and scales from the sizes asked for, the aspect ratio kept or not."""
    policy = params.get("keep_aspect_ratio_policy", b"stretch")
    ratios = tuple(n / d for n, d in zip(sizes, have, strict=True))
    if policy == b"stretch":
        return list(sizes), ratios
    scale = min(ratios) if policy == b"not_larger" else max(ratios)
    return [int(scale * d + 0.5) for d in have], (scale,) * len(have)


def resize_shape(t: Typing) -> tuple[Shape, ...]:
    """The sizes asked for, or floor(size * scale), exactly: a scale is a fraction p/q of powers of two."""
    shape: list[Dim] = list(t[0])
    named = _named(t.params, len(shape))
    scales, sizes = _given(t.params, "scales"), _given(t.params, "sizes")
    if not scales and t.params.get("keep_aspect_ratio_policy", b"stretch") != b"stretch":
        sizes = tuple(_from_sizes(t.params, [pinned(t, shape[a]) for a in named], sizes)[0])
    for i, a in enumerate(named):
        if scales:
            p, q = float(scales[i]).as_integer_ratio()
            shape[a] = floor_div(shape[a] * p, q)
        else:
            shape[a] = sizes[i]
    return (tuple(shape),)


# -- interpolation -------------------------------------------------------------------------------------------


def _weights(run: Run, axis: _Axis) -> tuple[Array, Array]:
    """For each output position the source positions (n of them, unclamped) and their weights."""
    low = np.floor(axis.at)
    ratio = axis.at - low
    if run.params.get("mode", b"nearest") == b"linear":
        offsets, weights = np.arange(2), np.empty((axis.out, 2))
        weights[:, 0], weights[:, 1] = 1 - ratio, ratio
    else:
        offsets = np.arange(-1, 3)
        weights = _cubic(np.abs(ratio[:, None] - offsets), run.params.get("cubic_coeff_a", -0.75))
    at = low.astype(np.int64)[:, None] + offsets
    if run.params.get("exclude_outside", 0):
        weights = np.where((at < 0) | (at >= axis.size), 0.0, weights)
        weights = weights / weights.sum(axis=1, keepdims=True)
    return at, weights


def _cubic(d: Array, a: float) -> Array:
    """Keys' cubic convolution kernel at distance d (R. Keys, IEEE Trans. ASSP 29, 1981, equation 4)."""
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def _read(x: Array, axis: _Axis, at: Array) -> Array:
    """``x`` at clamped positions along an axis; two-dimensional positions make two axes of it."""
    return x.take(np.minimum(np.maximum(at, 0), axis.size - 1), axis=axis.axis)


def _blend(run: Run, x: Array, axis: _Axis, at: Array, weights: Array) -> Array:
    """The weighted sum over the source positions."""
    shape = weights.shape + (1,) * (x.ndim - axis.axis - 1)
    terms = _read(x, axis, at) * weights.astype(x.dtype, copy=False).reshape(shape)
    return run.arithmetic.sum(terms, (axis.axis + 1,), keepdims=False)


def _nearest(run: Run, axis: _Axis, shift: Array | float = 0.0) -> Array:
    rounding = _ROUND[run.params.get("nearest_mode", b"round_prefer_floor")]
    return rounding(axis.at + shift).astype(np.int64)


def resize(run: Run) -> tuple[Array, ...]:
    """Axis after axis: the nearest element, or the weighted sum of 2 (linear) or 4 (cubic), edges repeated."""
    if run.params.get("mode", b"nearest") != b"nearest" and not run.output_dtypes[0].is_float:
        raise NotCovered("interpolated integers")
    return (_resized(run, _axes(run)),)


def _resized(run: Run, axes: Sequence[_Axis]) -> Array:
    x, mode = run[0], run.params.get("mode", b"nearest")
    for axis in axes:
        near = mode == b"nearest"
        x = _read(x, axis, _nearest(run, axis)) if near else _blend(run, x, axis, *_weights(run, axis))
    return x


def resize_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """What the sources' errors, the weights' and the coordinates' may do; both readings, where the text has two."""
    first = _axes(run)
    bound = _error(run, first, y[0], e[0])
    if not any(axis.open for axis in first):
        return (bound,)
    second = _axes(run, second=True)
    other = _resized(run, second)
    if other.dtype.kind not in "fiu":
        return (np.where(other == y[0], bound, np.inf),)
    apart = np.abs(other.astype(np.float64) - y[0].astype(np.float64))
    return (np.maximum(bound, apart + _error(run, second, other, e[0])),)


def _error(run: Run, axes: Sequence[_Axis], y: Array, e: Bound) -> Bound:
    if run.params.get("mode", b"nearest") == b"nearest":
        return _nearest_error(run, axes, y, e)
    return _blend_error(run, axes, e)


def _nearest_error(run: Run, axes: Sequence[_Axis], y: Array, e: Bound) -> Bound:
    """The hull of the elements that may be read where a coordinate lies within its error of a step."""
    sharp = True
    picks = []
    for axis in axes:
        below, at, above = (_nearest(run, axis, d) for d in (-axis.error, 0.0, axis.error))
        steady = np.array_equal(below, above)
        picks.append((axis, (at,) if steady else (below, at, above)))
        sharp = sharp and steady
    if sharp and is_exact(e):
        return 0.0
    x = run[0]
    if not sharp and x.dtype.kind not in "fiu":
        return np.inf
    if sharp:
        bound: Array = np.broadcast_to(np.asarray(e), x.shape)
        for axis, (at, *_) in picks:
            bound = _read(bound, axis, at)
        return bound
    low, high = x.astype(np.float64) - e, x.astype(np.float64) + e
    for axis, options in picks:
        low = np.minimum.reduce([_read(low, axis, at) for at in options])
        high = np.maximum.reduce([_read(high, axis, at) for at in options])
    return np.maximum(high - y, y - low)


def _blend_error(run: Run, axes: Sequence[_Axis], e: Bound) -> Bound:
    """Weights err by the slope of the kernel times the coordinate's error.

    Where the coordinate may cross a source position, the neighbours beyond get a weight of that size as well.
    """
    unit = rounding_unit(run, run.dtypes[0])
    steep, rounding = 1.0, 2 * unit
    if run.params.get("mode") == b"cubic":
        a = run.params.get("cubic_coeff_a", -0.75)
        # The slope is greatest at d = (a+3) / (3a+6) on the near piece: (a+3)^2 / (3a+6) <= 1.5 for a in [-1, 0].
        steep, rounding = (1.5 if -1 <= a <= 0 else 3 + 5 * abs(a)), 8 * unit
    size: Array = np.abs(run[0])
    error: Array = np.broadcast_to(np.asarray(e, dtype=np.float64), size.shape)
    clean = is_exact(e)
    for axis in axes:
        at, weights = _weights(run, axis)
        slack = axis.error * steep + rounding
        if run.params.get("exclude_outside", 0):
            slack = slack * 8
        wide = np.concatenate([at[:, :1] - 1, at, at[:, -1:] + 1], axis=1)
        crossing = np.abs(axis.at - np.rint(axis.at)) <= axis.error
        loose = np.empty(wide.shape)
        loose[:] = slack[:, None]
        loose[:, 0] *= crossing
        loose[:, -1] *= crossing
        magnitude = np.abs(weights)
        loose[:, 1:-1] += magnitude * summation(run, at.shape[1], run.dtypes[0])
        spread = _blend(run, size if clean else size + error, axis, wide, loose)
        error = spread if clean else spread + _blend(run, error, axis, at, magnitude)
        size = _blend(run, size, axis, at, magnitude)
        clean = False
    return error


# -- the proposal --------------------------------------------------------------------------------------------


def steady(run: Run) -> bool:
    """Whether no nearest source hangs on a rounding or a reading, or lies outside (hazards H5.12 to H5.14)."""
    if run.params.get("mode", b"nearest") != b"nearest":
        return True
    for axis in _axes(run):
        below, at, above = (_nearest(run, axis, d) for d in (-axis.error, 0.0, axis.error))
        if axis.open or not np.array_equal(below, above) or at.min() < 0 or at.max() >= axis.size:
            return False
    return True


def propose_resize(s: Scope) -> Call:
    """One to four axes, mostly the last of a batch of images, by scales or sizes; no output of size 1 (H5.15)."""
    mode = s.pick((b"nearest", b"nearest", b"linear", b"linear", b"cubic"))
    near = mode == b"nearest"
    # Whether a backend interpolates other axes than the last two is its own affair: images are resized.
    rank = s.pick(((4, 4), (4, 4), (3, 5), (1, 6))) if near else (4, 4)
    x = operand(s, rank=rank, kinds=None if near else FLOAT, where=lambda v: 0 < v.array.size <= 512)
    have = x.type.rank
    axes = list(range(2 if have > 2 else 0, have)) if not near or s.coin(0.8) else [s.integer(0, have - 1)]
    params = _styles(s, mode)
    named = list(range(have))
    if "axes" in s.signature.attributes and s.coin(0.25):
        named, params["axes"] = axes, spelt(s, axes, have)
    shape = x.type.shape
    factors = {a: _factor(s, shape[a], up=mode == b"cubic") for a in axes}
    if s.coin(0.6):
        params["scales"] = tuple(factors.get(a, 1.0) for a in named)
    elif near or s.coin(0.5):
        params["sizes"] = tuple(_times(shape[a], factors.get(a, 1.0)) for a in named)
    else:
        params["sizes"] = tuple(s.size(2, 9, "o") if a in axes else shape[a] for a in named)
    if s.coin(0.95):
        return Call((x,), params)
    # Any region is ignored but in tf_crop_and_resize.
    params["roi"] = (0.0,) * len(named) + (1.0,) * len(named)
    return Call((x,), params, stored=s.stored("T2"))


def _styles(s: Scope, mode: bytes) -> dict[str, Any]:
    """Attributes that say how positions are found; asymmetric goes with floor, the one stable pair (H5.12)."""
    params: dict[str, Any] = {"mode": mode} if mode != b"nearest" or s.coin(0.5) else {}
    transform = s.pick(_transforms(s.signature.since))
    if transform != b"half_pixel" or s.coin(0.5):
        params["coordinate_transformation_mode"] = transform
    if mode == b"nearest" and (transform == b"asymmetric" or s.coin(0.6)):
        params["nearest_mode"] = b"floor" if transform == b"asymmetric" else s.pick(tuple(_ROUND))
    if mode == b"cubic" and s.coin(0.4):
        params["cubic_coeff_a"] = s.pick((-0.5, -0.75))
    if mode == b"cubic" and s.coin(0.2):
        params["exclude_outside"] = 1
    return params


def _transforms(since: int) -> tuple[bytes, ...]:
    modes = (b"half_pixel", b"asymmetric", b"asymmetric", b"align_corners", b"pytorch_half_pixel")
    return (*modes, b"half_pixel_symmetric") if since >= 19 else modes


def _factor(s: Scope, dim: Dim, *, up: bool) -> float:
    """A scale whose product with the size is a whole number above 1: twice, thrice, half, three halves, ..."""
    size = s.store.value(dim)
    options = [2.0, 2.0, 3.0, 4.0] if size > 1 else [2.0, 3.0, 4.0]
    if size > 1:
        options.append(1.0)
        if not up:
            options += [1 / q for q in (2, 4) if size % q == 0 and size // q > 1]
            options += [1.5] if size % 2 == 0 else []
    chosen: float = s.pick(options)
    q = chosen.as_integer_ratio()[1]
    if q > 1:
        s.store.require(divisible(dim, q))
    return chosen


def _times(dim: Dim, factor: float) -> Dim:
    p, q = factor.as_integer_ratio()
    return floor_div(dim * p, q)


OPERATORS: tuple[Operator, ...] = (
    Operator("Resize", propose_resize, resize_shape, resize, resize_error,
             parameters=("roi", "scales", "sizes"), defined=steady),
)  # fmt: skip
