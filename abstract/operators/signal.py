"""Fourier transforms.

A transform is a matrix of roots of unity for the reference. Its bound admits every usual way to compute it: the sum as
it stands, the fast transform of any radix, and the chirp algorithm, by which lengths that are no power of two become a
convolution (L. Bluestein, A linear filtering approach to the computation of the discrete Fourier transform, 1970).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log2
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import at_least
from abstract.dims import Dim, floor_div
from abstract.error import accumulator, is_exact, products, rounding_unit, underflow, within_range
from abstract.operator import Array, Bound, Call, Domain, NotCovered, Operator, Params, Run, Scope, Typing
from abstract.operators.axes import from_front, operand, pinned, whole_number
from abstract.operators.elementwise import FLOAT

if TYPE_CHECKING:

    from abstract.graph import Value
    from abstract.types import Shape

__all__ = ["OPERATORS"]

_MODERATE = Domain(-64.0, 64.0)
_DENSE = 512  # the longest transform that is worth a matrix


@dataclass(frozen=True, slots=True)
class _Transform:
    """A transform of ``length`` points: ``taken`` are there, the others 0; ``bins`` come out.

    ``halved`` is the inverse of a one-sided spectrum, which gives real numbers.
    """

    length: int
    taken: int
    bins: int
    parts: int
    inverse: bool
    halved: bool

    @property
    def levels(self) -> int:
        """The number of passes of a fast transform."""
        return max(1, ceil(log2(max(self.length, 2))))


@lru_cache(maxsize=64)
def _matrix(t: _Transform, extended: bool) -> Array:
    """Roots of unity, (parts * taken, bins * 2), or (parts * taken, bins) where real numbers come out.

    (a + bi)(c + si) = (ac - bs) + (as + bc)i; rows are real parts, then imaginary ones, and so are columns.
    """
    own = np.longdouble if extended else np.float64
    turn = np.arange(t.length, dtype=own) * (own(8) * np.arctan(own(1)) / own(t.length))
    at = np.multiply.outer(np.arange(t.taken), np.arange(t.bins)) % t.length
    c, s = np.cos(turn)[at], np.sin(turn)[at] * (1 if t.inverse else -1)
    if t.halved:
        # Bins that stand for their mirror images as well count twice.
        k = np.arange(t.taken)
        weight = np.where((k == 0) | (2 * k == t.length), 1, 2)[:, None]
        blocks = [[c * weight], [-s * weight]]
    else:
        blocks = [[c, s], [-s, c]]
    matrix: Array = np.block(blocks[: t.parts])
    return matrix / own(t.length) if t.inverse else matrix


def _rows(x: Array, t: _Transform) -> Array:
    """(..., n, parts) as the matrix takes it: (..., parts * taken)."""
    cut = x[..., : t.taken, :].swapaxes(-1, -2)
    return cut.reshape(*cut.shape[:-2], t.parts * t.taken)


def _transformed(run: Run, x: Array, t: _Transform) -> Array:
    """(..., n, parts) transformed: (..., bins, 2), or (..., bins, 1) where real numbers come out."""
    if t.length > _DENSE:
        return _fast(x, t)
    rows = _rows(x, t)
    matrix = _matrix(t, x.dtype.itemsize > 8).astype(x.dtype, copy=False)
    y = run.arithmetic.dot(rows.reshape(-1, rows.shape[-1]), matrix)
    return y.reshape(*rows.shape[:-1], -1, t.bins).swapaxes(-1, -2)


def _fast(x: Array, t: _Transform) -> Array:
    """The same by numpy's fast transform."""
    wide = x.astype(np.float32) if x.dtype.itemsize < 4 else x
    signal = wide[..., 0] if t.parts == 1 else wide[..., 0] + 1j * wide[..., 1]
    if t.halved:
        return np.fft.irfft(signal, t.length)[..., None].astype(x.dtype)
    y = (np.fft.ifft if t.inverse else np.fft.fft)(signal, t.length)[..., : t.bins]
    return np.stack([y.real, y.imag], axis=-1).astype(x.dtype)


def _transform_error(run: Run, x: Array, e: Bound, t: _Transform) -> Bound:
    """What rounding costs, and what the operands' errors ``e`` pass on, each input reaching each bin at most once.

    All bounds are in the sum of magnitudes: of the sum as it stands, one unit a term and eight a root (its angle, up to
    2 pi, is rounded twice, and so is the function); of a fast transform six a pass, for a product of complex numbers,
    its root and an addition (Higham, Accuracy and Stability, section 24.1). The chirp algorithm convolves with 2 n
    numbers of size 1 by three transforms of at least 2 n points, so errs relative to two norms.
    """
    dtype = run.dtypes[0]
    grown = np.abs(x) + e
    rows = _rows(grown.astype(np.float64, copy=False), t)
    scale = (2.0 if t.halved else 1.0) / (t.length if t.inverse else 1)
    total = rows.sum(axis=-1)
    unit = rounding_unit(run, accumulator(run, dtype))
    bound = total * (products(run, 2 * t.length, 0, 0) + (24 + 6 * t.levels) * unit)
    if t.length & (t.length - 1):
        norm = np.sqrt((rows * rows).sum(axis=-1))
        bound = bound + norm * (np.sqrt(2.0 * t.length) * 12 * (t.levels + 2) * unit)
    bound = bound * scale + 4 * t.length * underflow(run, dtype)
    limited = within_range(bound, total * np.sqrt(2.0 * t.length), accumulator(run, dtype))
    bound = np.asarray(limited, dtype=np.float64)[..., None, None]
    if is_exact(e):
        return bound
    errors = _rows(np.broadcast_to(np.asarray(e, dtype=np.float64), x.shape), t)
    if t.length > _DENSE:
        every: Bound = bound + errors.sum(axis=-1)[..., None, None] * scale
        return every
    matrix = np.abs(_matrix(t, extended=False))
    passed = (errors.reshape(-1, errors.shape[-1]) @ matrix).reshape(*errors.shape[:-1], -1, t.bins)
    whole: Bound = bound + passed.swapaxes(-1, -2)
    return whole


# -- DFT -----------------------------------------------------------------------------------------------------


def _signal(s: Scope, parts: int, rank: tuple[int, int]) -> Value:
    """A signal whose last axis holds so many parts: one that exists, or one made of the sizes of another."""

    def fits(value: Value) -> bool:
        return value.array.size > 0 and value.array.shape[-1] == parts

    x = operand(s, rank=rank, kinds=FLOAT, domain=_MODERATE, where=fits)
    if s.store.value(x.type.shape[-1]) == parts:
        return x
    return s.shaped((*x.type.shape[:-1], parts), s.signature.formal(0).variable, domain=_MODERATE)


def propose_dft(s: Scope) -> Call:
    """Every direction, real or complex, cut, padded or as it is; at version 17 the axis is an attribute."""
    inverse, onesided = s.coin(0.4), s.coin(0.4)
    parts = 2 if inverse and onesided else 1 if onesided else s.pick((1, 2, 2))
    x = _signal(s, parts, (3, 8) if s.signature.since < 20 else (2, 8))
    rank = x.type.rank
    params: dict[str, Any] = {}
    for name, flag in (("inverse", inverse), ("onesided", onesided)):
        if flag or s.coin(0.3):
            params[name] = int(flag)
    axis, default = s.integer(0, rank - 2), 1 if s.signature.since < 20 else rank - 2
    if axis != default or s.coin(0.5):
        params["axis"] = axis - rank if s.coin(0.4) else axis
    size = s.store.value(x.type.shape[axis])
    if s.coin(0.4) or (inverse and onesided and size < 2):
        length = s.integer(max(1, size - 3), size + 4) if s.coin(0.7) else s.pick((1, 2, 4, 8, 16))
        params["dft_length"] = np.int32(length) if s.coin(0.3) else length
    elif inverse and onesided:
        s.store.require(at_least(x.type.shape[axis], 2))
    return Call((x,), params)


def _dft_axis(params: Params, rank: int) -> int:
    return from_front(int(whole_number(params.get("axis", -2))), rank)


def _flags(params: Params) -> tuple[bool, bool]:
    return bool(params.get("inverse", 0)), bool(params.get("onesided", 0))


def dft_shape(t: Typing) -> tuple[Shape, ...]:
    """The length along the axis, half of it and one where one-sided; two parts, or one of a one-sided inverse."""
    shape: list[Dim] = list(t[0])
    axis, (inverse, onesided) = _dft_axis(t.params, len(shape)), _flags(t.params)
    pinned(t, shape[-1])
    length = t.params.get("dft_length")
    if length is None:
        length = 2 * (shape[axis] - 1) if inverse and onesided else shape[axis]
    else:
        length = whole_number(length)
    shape[axis] = floor_div(length, 2) + 1 if onesided and not inverse else length
    shape[-1] = 1 if onesided and inverse else 2
    return (tuple(shape),)


def _dft(run: Run) -> tuple[int, _Transform]:
    x = run[0]
    axis, (inverse, onesided) = _dft_axis(run.params, x.ndim), _flags(run.params)
    size, parts = x.shape[axis], x.shape[-1]
    given = run.params.get("dft_length")
    default = 2 * (size - 1) if inverse and onesided else size
    length = default if given is None else int(whole_number(given))
    if axis == x.ndim - 1 or length < 1 or parts not in (1, 2) or (onesided and parts != 1 + inverse):
        raise NotCovered("DFT along the parts, of nothing, or one-sided of what has another number of parts")
    half = length // 2 + 1
    if inverse and onesided:
        return axis, _Transform(length, min(size, half), length, parts, inverse, halved=True)
    return axis, _Transform(length, min(size, length), half if onesided else length, parts, inverse, halved=False)


def dft(run: Run) -> tuple[Array, ...]:
    """The transform of one axis, the real and imaginary parts along the last."""
    axis, t = _dft(run)
    return (np.moveaxis(_transformed(run, np.moveaxis(run[0], axis, -2), t), -2, axis),)


def dft_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """See ``_transform_error``."""
    axis, t = _dft(run)
    passed = e[0] if is_exact(e[0]) else np.moveaxis(np.broadcast_to(np.asarray(e[0]), run[0].shape), axis, -2)
    bound = np.asarray(_transform_error(run, np.moveaxis(run[0], axis, -2), passed, t))
    return (np.broadcast_to(np.moveaxis(bound, -2, axis), y[0].shape),)


# -- STFT ----------------------------------------------------------------------------------------------------


def propose_stft(s: Scope) -> Call:
    """Real or complex, with window, frame length or both; one-sided for real signals alone."""
    parts = s.pick((1, 1, 2))
    x = _signal(s, parts, (3, 3))
    length = x.type.shape[1]
    size = s.store.value(length)
    narrow = s.coin(0.2)  # step and length are both of this type
    frame: Dim = s.integer(1, size) if narrow else s.size(1, size, "f")
    # Written even where it is the default, 1: ONNX's shape inference takes it for 0 (docs/disputes.md).
    onesided = 0 if parts == 2 else s.integer(0, 1)
    params: dict[str, Any] = {"frame_step": s.integer(1, min(4, size)), "onesided": onesided}
    window = s.shaped((frame,), s.signature.formal(0).variable, weight=True, domain=_MODERATE) if s.coin(0.6) else None
    if window is None or s.coin(0.5):
        params["frame_length"] = np.int32(frame) if isinstance(frame, int) and narrow else frame
    if narrow:
        params["frame_step"] = np.int32(params["frame_step"])
    return Call((x, window), params)


def _frame(t: Typing) -> Dim:
    given = t.params.get("frame_length")
    window = t.shapes[1] if len(t.shapes) > 1 else None
    if given is None:
        return t[0][1] if window is None else window[0]
    length: Dim = whole_number(given)
    if window is not None:
        t.store.unify(window[0], length)
    return length


def stft_shape(t: Typing) -> tuple[Shape, ...]:
    """(batch, frames, bins, 2), the last frame ending inside the signal."""
    batch, length, parts = t[0]
    frame, step = _frame(t), whole_number(t.params["frame_step"])
    pinned(t, parts)
    t.store.require(at_least(length, frame))
    bins = floor_div(frame, 2) + 1 if t.params.get("onesided", 1) else frame
    return ((batch, floor_div(length - frame, step) + 1, bins, 2),)


def _frames(run: Run) -> tuple[Array, _Transform]:
    """Where each frame reads the signal, (frames, length), and the transform of each."""
    x, window = run[0], run.optional(1)
    given = run.params.get("frame_length")
    length = (x.shape[1] if window is None else window.shape[0]) if given is None else int(whole_number(given))
    step, onesided = int(whole_number(run.params["frame_step"])), bool(run.params.get("onesided", 1))
    if not 1 <= length <= x.shape[1] or step < 1 or x.shape[2] > (1 if onesided else 2):
        raise NotCovered("STFT of frames longer than the signal, or one-sided of complex numbers")
    count = (x.shape[1] - length) // step + 1
    at = np.arange(count)[:, None] * step + np.arange(length)
    bins = length // 2 + 1 if onesided else length
    return at, _Transform(length, length, bins, x.shape[2], inverse=False, halved=False)


def stft(run: Run) -> tuple[Array, ...]:
    """The transform of each frame, multiplied by the window."""
    at, t = _frames(run)
    frames, window = run[0][:, at], run.optional(1)
    return (_transformed(run, frames if window is None else frames * window[:, None], t),)


def stft_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """That of a transform of products, each of which rounds once more."""
    at, t = _frames(run)
    window, signal = run.optional(1), run[0]
    frames = signal[:, at]
    passed: Bound = 0.0 if is_exact(e[0]) else np.broadcast_to(np.asarray(e[0]), signal.shape)[:, at]
    if window is not None:
        w, ew = window[:, None], np.broadcast_to(np.asarray(e[1]), window.shape)[:, None]
        size, unit = np.abs(frames), rounding_unit(run, accumulator(run, run.dtypes[0]))
        passed = passed * (np.abs(w) + ew) + size * ew + np.abs(size * w) * unit
        frames = frames * w
    return (np.broadcast_to(_transform_error(run, frames, passed, t), y[0].shape),)


OPERATORS: tuple[Operator, ...] = (
    Operator("DFT", propose_dft, dft_shape, dft, dft_error, parameters=("dft_length", "axis"), since=17),
    Operator("STFT", propose_stft, stft_shape, stft, stft_error, parameters=("frame_step", "frame_length"), since=17),
)
