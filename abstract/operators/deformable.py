"""Convolution whose taps are moved: DeformConv."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import divisible
from abstract.dims import Dim, floor_div
from abstract.dims import product as multiplied
from abstract.error import accumulator, is_exact, products, rounding_unit, step_unit, summation, underflow, within_range
from abstract.operator import Array, Bound, Call, Domain, NotCovered, Operator, Run, Scope, Typing
from abstract.operators.axes import operand
from abstract.operators.sampling import Point, blended, blended_error
from abstract.operators.selection import mesh
from abstract.operators.window import Window, per_axis, slid, window, window_params

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abstract.types import Shape

__all__ = ["OPERATORS"]

_MODERATE = Domain(-16.0, 16.0)
_MOVES = Domain(-2.0, 2.0)
_PICTURE = 2  # the number of axes for which the text gives a mask's shape that has one number a tap


def propose_deform(s: Scope) -> Call:
    """Pictures, now and then of one axis or three, groups of channels and of offsets, with or without bias and mask."""
    rank = s.pick((1, 3)) if s.coin(0.1) else _PICTURE  # others are legal, and nobody has them
    x = operand(s, rank=(rank + 2, rank + 2), domain=_MODERATE, where=lambda v: 0 < v.array.size <= 512)
    batch, channels, *spatial = x.type.shape
    count = s.store.value(channels)
    groups = [g for g in (count, 2, 3) if g > 1 and count % g == 0]
    group, moved = (s.pick(groups) if groups and s.coin(0.3) else 1 for _ in range(2))
    for divisor in (group, moved):
        s.store.require(divisible(channels, divisor))
    kernel = tuple(s.size(1, min(3, s.store.value(d)), "k") for d in spatial)
    params = window_params(s, spatial, kernel, pool=False)
    params.pop("auto_pad", None)
    if s.coin(0.3):
        del params["kernel_shape"]
    for name, value in (("group", group), ("offset_group", moved)):
        if value != 1 or s.coin(0.2):
            params[name] = value
    each = s.size(1, 3, "m")
    w = s.shaped((each * group, floor_div(channels, group), *kernel), weight=True, domain=_MODERATE)
    out = _out(params, spatial, kernel)
    taps = multiplied(kernel) * moved
    offset = s.shaped((batch, taps * rank, *out), domain=_MOVES)
    bias = s.shaped((each * group,), weight=True, domain=_MODERATE) if s.coin(0.4) else None
    mask = s.shaped((batch, taps, *out), domain=_MOVES) if rank == _PICTURE and s.coin(0.4) else None
    return Call((x, w, offset, bias, mask), params)


def _out(params: dict[str, Any], spatial: Sequence[Dim], kernel: Sequence[Dim]) -> list[Dim]:
    rank = len(spatial)
    strides, dilations = per_axis(params, "strides", rank, 1), per_axis(params, "dilations", rank, 1)
    pads = per_axis(params, "pads", 2 * rank, 0)
    return [
        floor_div(n + a + b - d * (k - 1) - 1, st) + 1
        for n, k, st, d, a, b in zip(spatial, kernel, strides, dilations, pads, pads[rank:], strict=False)
    ]


def deform_shape(t: Typing) -> tuple[Shape, ...]:
    """(N, M, *out) as of a convolution; the offsets have a number for each tap and axis, the mask one for each tap."""
    x, w, offset = t[0], t[1], t[2]
    t.store.unify(x[1], w[1] * t.params.get("group", 1))
    t.store.require(divisible(w[0], t.params.get("group", 1)))
    t.store.require(divisible(x[1], t.params.get("offset_group", 1)))
    out = slid(t, t.params, x[2:], w[2:])
    taps = multiplied(tuple(w[2:])) * t.params.get("offset_group", 1)
    for mine, due in zip(offset, (x[0], taps * (len(x) - 2), *out), strict=True):
        t.store.unify(mine, due)
    bias, mask = (*t.shapes, None, None)[3:5]
    if bias is not None:
        t.store.unify(bias[0], w[0])
    if mask is not None and len(x) == _PICTURE + 2:
        for mine, due in zip(mask, (x[0], taps, *out), strict=True):
            t.store.unify(mine, due)
    return ((x[0], w[0], *out),)


def _split(run: Run) -> tuple[Window, int, int]:
    """The geometry, the number of groups of channels and that of offsets."""
    x, w = run[0], run[1]
    if run.optional(4) is not None and x.ndim != _PICTURE + 2:
        raise NotCovered("DeformConv with a mask of other than two axes")
    geometry = window(run.params, x.shape[2:], w.shape[2:])
    return geometry, int(run.params.get("group", 1)), int(run.params.get("offset_group", 1))


def _points(run: Run, geometry: Window, groups: int, e: Bound = 0.0) -> list[Point]:
    """Where each tap of each window reads, (N * groups, taps * windows) an axis.

    ONNX's reference goes by way of a normalised grid: a position may be rounded some six times.
    """
    x, offset = run[0], run[2].astype(np.float64)
    rank, taps = x.ndim - 2, prod(geometry.kernel)
    lead = (x.shape[0], groups, taps, rank, prod(geometry.out))
    moves = offset.reshape(lead)
    errors = None if is_exact(e) else np.broadcast_to(np.asarray(e), offset.shape).reshape(lead)
    unit = step_unit(run, run.dtypes[2])
    points = []
    for a, size in enumerate(x.shape[2:]):
        tap = np.broadcast_to(mesh(geometry.kernel)[a], geometry.kernel).ravel() * geometry.dilations[a]
        start = np.broadcast_to(mesh(geometry.out)[a], geometry.out).ravel() * geometry.strides[a] - geometry.begin[a]
        at = (tap[:, None] + start + moves[:, :, :, a]).reshape(x.shape[0] * groups, -1)
        error = (np.abs(at) + size) * (6 * unit)
        if errors is not None:
            error = error + errors[:, :, :, a].reshape(at.shape)
        points.append(Point(at, error, size))
    return points


def _grouped(x: Array, groups: int) -> Array:
    return x.reshape(x.shape[0] * groups, x.shape[1] // groups, *x.shape[2:])


def _masked(x: Array, mask: Array | None, taps: int, groups: int) -> Array:
    """What is read, (N * groups, C / groups, taps * windows), times the mask: (N, C, taps, windows)."""
    n = x.shape[0] // groups
    split = x.reshape(n, groups, x.shape[1], taps, -1)
    if mask is not None:
        split = split * mask.reshape(n, groups, 1, taps, -1)
    return split.reshape(n, groups * x.shape[1], taps, -1)


def _contracted(run: Run, read: Array, w: Array, group: int, out: tuple[int, ...]) -> Array:
    """(N, C, taps, windows) and (M, C / group, *kernel): (N, M, *out)."""
    n, m = read.shape[0], w.shape[0]
    columns = read.reshape(n, group, -1, prod(out))
    kernels = w.reshape(group, m // group, -1)
    return run.arithmetic.dot(kernels[None], columns).reshape(n, m, *out)


def _column(bias: Array, rank: int) -> Array:
    return bias.reshape(-1, *(1,) * rank)


def deform_conv(run: Run) -> tuple[Array, ...]:
    """Each tap reads the linear blend around where its offset moves it, zeros lying around the picture."""
    x, w = run[0], run[1]
    geometry, group, moved = _split(run)
    read = blended(run, _grouped(x, moved), _points(run, geometry, moved), b"linear")
    y = _contracted(run, _masked(read, run.optional(4), prod(geometry.kernel), moved), w, group, geometry.out)
    bias = run.optional(3)
    return (y if bias is None else y + _column(bias, x.ndim - 2),)


def deform_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """That of a contraction of the weights with what is read, whose errors are those of a blend, times the mask."""
    del y
    x, dtype = run[0], run.dtypes[0]
    geometry, group, moved = _split(run)
    taps, unit = prod(geometry.kernel), rounding_unit(run, dtype)
    points = _points(run, geometry, moved, e[2])
    passed: Bound = 0.0 if is_exact(e[0]) else _grouped(np.broadcast_to(np.asarray(e[0]), x.shape), moved)
    errors = blended_error(run, _grouped(x, moved), points, b"linear", passed)
    read = np.abs(blended(run, _grouped(x, moved), points, b"linear")).astype(np.float64)
    mask, w = run.optional(4), np.abs(run[1]).astype(np.float64)
    size = _masked(read, None if mask is None else np.abs(mask), taps, moved)
    if mask is None:
        loss = _masked(errors, None, taps, moved)
    else:
        own = np.broadcast_to(np.asarray(e[4], dtype=np.float64), mask.shape)
        grown = np.abs(mask) + own
        loss = _masked(errors, grown * (1 + unit), taps, moved) + _masked(read, own + np.abs(mask) * unit, taps, moved)
    terms = prod(run[1].shape[1:])
    factor, out = products(run, terms + 1, 0, 1), geometry.out
    whole = _contracted(run, size + loss, w + e[1], group, out)
    bound = whole * (1 + factor + 1e-15) - _contracted(run, size, w, group, out) + (terms + 1) * underflow(run, dtype)
    bias = run.optional(3)
    if bias is not None:
        extra = np.abs(bias) * summation(run, terms, dtype) + np.broadcast_to(np.asarray(e[3]), bias.shape)
        bound = bound + _column(extra, x.ndim - 2)
    return (within_range(bound, whole, accumulator(run, dtype)),)


OPERATORS: tuple[Operator, ...] = (
    Operator("DeformConv", propose_deform, deform_shape, deform_conv, deform_error, since=19, weight=0.25),
)
