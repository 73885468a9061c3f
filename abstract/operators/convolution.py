"""Convolution and its transpose: sliding windows over spatial axes, contracted with weights."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from abstract.constraints import at_least, divisible
from abstract.dims import Dim, ceil_div, floor_div
from abstract.error import contraction, rounding_unit
from abstract.operator import Array, Bound, Call, Operator, Params, Run, Scope, Typing
from abstract.types import Shape

__all__ = ["OPERATORS", "Window", "padded", "patches", "window"]


class Window:
    """The concrete geometry of a sliding window: one number a spatial axis, ``begin`` and ``end`` are paddings."""

    __slots__ = ("begin", "dilations", "end", "kernel", "strides")

    def __init__(self, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int],
                 begin: Sequence[int], end: Sequence[int]) -> None:  # fmt: skip
        self.kernel, self.strides, self.dilations = tuple(kernel), tuple(strides), tuple(dilations)
        self.begin, self.end = tuple(begin), tuple(end)

    def extent(self, axis: int) -> int:
        """How far the dilated kernel reaches along an axis."""
        return self.dilations[axis] * (self.kernel[axis] - 1) + 1


def _per_axis(params: Params, name: str, rank: int, default: int) -> tuple[Dim, ...]:
    given = params.get(name)
    return tuple(given) if given else (default,) * rank


def window(params: Params, spatial: Sequence[int], kernel: Sequence[int]) -> Window:
    """The geometry that the attributes ask for on an input of these spatial sizes, ``auto_pad`` worked out."""
    rank = len(spatial)
    strides = _per_axis(params, "strides", rank, 1)
    dilations = _per_axis(params, "dilations", rank, 1)
    mode = params.get("auto_pad", b"NOTSET")
    if mode in (b"SAME_UPPER", b"SAME_LOWER"):
        begin, end = [], []
        for size, k, s, d in zip(spatial, kernel, strides, dilations, strict=True):
            total = max((-(-size // s) - 1) * s + d * (k - 1) + 1 - size, 0)
            smaller, larger = total // 2, total - total // 2
            begin.append(smaller if mode == b"SAME_UPPER" else larger)
            end.append(larger if mode == b"SAME_UPPER" else smaller)
        return Window(kernel, strides, dilations, begin, end)
    pads = _per_axis(params, "pads", 2 * rank, 0) if mode != b"VALID" else (0,) * (2 * rank)
    return Window(kernel, strides, dilations, pads[:rank], pads[rank:])


def padded(x: Array, begin: Sequence[int], end: Sequence[int], fill: float = 0) -> Array:
    """``x`` with its last axes padded; several times quicker than numpy.pad on small tensors."""
    if not any(begin) and not any(end):
        return x
    lead = x.ndim - len(begin)
    shape = x.shape[:lead] + tuple(s + b + e for s, b, e in zip(x.shape[lead:], begin, end, strict=True))
    result = np.full(shape, fill, dtype=x.dtype) if fill else np.zeros(shape, dtype=x.dtype)
    inside = tuple(slice(b, b + s) for b, s in zip(begin, x.shape[lead:], strict=True))
    result[(..., *inside)] = x
    return result


def patches(x: Array, w: Window, fill: float = 0) -> Array:
    """A view of shape (*lead, *output, *kernel) of every window of ``x``, whose last axes are the spatial ones."""
    x = padded(x, w.begin, w.end, fill)
    rank = len(w.kernel)
    lead = x.ndim - rank
    out = tuple((x.shape[lead + i] - w.extent(i)) // w.strides[i] + 1 for i in range(rank))
    steps = x.strides[lead:]
    strides = (
        x.strides[:lead]
        + tuple(b * s for b, s in zip(steps, w.strides, strict=True))
        + tuple(b * d for b, d in zip(steps, w.dilations, strict=True))
    )
    return np.lib.stride_tricks.as_strided(x, x.shape[:lead] + out + w.kernel, strides, writeable=False)


def slid(t: Typing, params: Params, spatial: Sequence[Dim], kernel: Sequence[Dim]) -> Shape:
    """Symbolic output sizes of a window sliding over spatial axes, with the constraint that it fits."""
    rank = len(spatial)
    strides = _per_axis(params, "strides", rank, 1)
    mode = params.get("auto_pad", b"NOTSET")
    if mode in (b"SAME_UPPER", b"SAME_LOWER"):
        return tuple(ceil_div(n, s) for n, s in zip(spatial, strides, strict=True))
    dilations = _per_axis(params, "dilations", rank, 1)
    pads = _per_axis(params, "pads", 2 * rank, 0) if mode != b"VALID" else (0,) * (2 * rank)
    sizes = []
    for i, n in enumerate(spatial):
        room = n + pads[i] + pads[rank + i] - dilations[i] * (kernel[i] - 1) - 1
        t.store.require(at_least(room, 0))
        sizes.append(floor_div(room, strides[i]) + 1)
    return tuple(sizes)


def window_params(s: Scope, spatial: Sequence[Dim], kernel: Sequence[Dim]) -> dict[str, Any]:
    """Strides, dilations and pads drawn so that the window fits; pads stay smaller than the kernel."""
    rank = len(spatial)
    params: dict[str, Any] = {"kernel_shape": tuple(kernel)}
    if s.coin(0.4):
        params["strides"] = tuple(s.size(1, 3, "s") for _ in range(rank))
    dilations: list[Dim] = [1] * rank
    for i in range(rank):
        k = s.store.value(kernel[i])
        if k > 1 and s.store.value(spatial[i]) > 2 * (k - 1) and s.coin(0.15):
            dilations[i] = s.size(1, 2, "l")
    if any(d != 1 for d in dilations):
        params["dilations"] = tuple(dilations)
    if s.coin(0.5):
        high = [s.store.value(k) - 1 for k in kernel] * 2
        params["pads"] = tuple(s.size(0, h, "p") if h > 0 else 0 for h in high)
    return params


def propose_conv(s: Scope) -> Call:
    """A Conv over 1 to 3 spatial axes whose kernel fits the input, grouped now and then, with a bias or without."""
    x = s.tensor("T", rank=(3, 5), where=lambda v: all(v.array.shape))
    n, c, *spatial = x.type.shape
    del n
    channels = s.store.value(c)
    group = s.pick([g for g in (channels, 2, 3, 4) if channels % g == 0]) if channels > 1 and s.coin(0.3) else 1
    kernel = tuple(s.size(1, min(3, s.store.value(d)), "k") for d in spatial)
    maps = s.size(1, 4, "m") * group
    s.store.require(divisible(c, group))
    w = s.shaped((maps, floor_div(c, group), *kernel), weight=True)
    bias = s.shaped((maps,), weight=True) if s.coin(0.5) else None
    params = window_params(s, spatial, kernel)
    if group != 1:
        params["group"] = group
    return Call((x, w, bias), params)


def conv_shape(t: Typing) -> tuple[Shape, ...]:
    """(N, M, *out) with out = floor((in + pads - dilation*(kernel-1) - 1) / stride) + 1."""
    x, w = t[0], t[1]
    group = t.params.get("group", 1)
    t.store.unify(x[1], w[1] * group)
    t.store.require(divisible(w[0], group))
    if len(t.shapes) > 2 and t.shapes[2] is not None:
        t.store.unify(t[2][0], w[0])
    return ((x[0], w[0], *slid(t, t.params, x[2:], w[2:])),)


def _convolve(run: Run, x: Array, w: Array) -> Array:
    g = int(run.params.get("group", 1))
    geometry = window(run.params, x.shape[2:], w.shape[2:])
    views = patches(x, geometry)
    rank = x.ndim - 2
    out = views.shape[2 : 2 + rank]
    n, m, inner = x.shape[0], w.shape[0], prod(w.shape[1:])
    # (N, C, out, k) -> (N, G, out, C/G, k) -> (N, G, P, K)
    split = views.reshape(n, g, x.shape[1] // g, *views.shape[2:])
    order = (0, 1, *range(3, 3 + rank), 2, *range(3 + rank, 3 + 2 * rank))
    columns = split.transpose(order).reshape(n, g, prod(out), inner)
    kernels = w.reshape(g, m // g, inner).transpose(0, 2, 1)
    result = run.arithmetic.dot(columns, kernels)
    return result.transpose(0, 1, 3, 2).reshape(n, m, *out)


def conv(run: Run) -> tuple[Array, ...]:
    """Cross-correlation, as the specification means by convolution."""
    y = _convolve(run, run[0], run[1])
    bias = run.optional(2)
    return (y if bias is None else y + bias.reshape(-1, *(1,) * (y.ndim - 2)),)


_conv_error = contraction(_convolve, lambda run: prod(run[1].shape[1:]) + 1)


def biased(rule: Any) -> Any:
    """The rule of a contraction with an optional bias (input 2): its magnitude joins the sum, its error adds."""

    def with_bias(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
        (bound,) = rule(run, y, e[:2])
        bias = run.optional(2)
        if bias is None:
            return (bound,)
        tail = (-1, *(1,) * (y[0].ndim - 2))
        extra = np.abs(bias) * (2 * rounding_unit(run.dtypes[0])) + e[2]
        return (bound + extra.reshape(tail),)

    return with_bias


OPERATORS: tuple[Operator, ...] = (
    Operator("Conv", propose_conv, conv_shape, conv, biased(_conv_error), weight=2.0),
)
