"""The geometry of sliding windows, symbolic and concrete: what convolution and pooling have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import at_least, divisible
from abstract.dims import Dim, ceil_div, floor_div

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abstract.operator import Array, Params, Scope, Typing
    from abstract.types import Shape

__all__ = ["SAME", "Window", "padded", "patches", "per_axis", "slid", "window", "window_params"]

SAME = (b"SAME_UPPER", b"SAME_LOWER")


@dataclass(frozen=True, slots=True)
class Window:
    """A window over spatial axes, one number an axis.

    ``begin`` and ``end`` are paddings; ``over`` is how far beyond them the last window of a ``ceil_mode`` reaches.
    ``out`` is how many windows there are.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begin: tuple[int, ...]
    end: tuple[int, ...]
    over: tuple[int, ...]
    out: tuple[int, ...]


def per_axis(params: Params, name: str, rank: int, default: int) -> tuple[Any, ...]:
    """A list attribute with its default for every axis."""
    given = params.get(name)
    return tuple(given) if given else (default,) * rank


def _same(size: int, extent: int, stride: int, *, upper: bool) -> tuple[int, int]:
    """Paddings that make ceil(size / stride) windows; the odd one comes last, or with SAME_LOWER first."""
    total = max((-(-size // stride) - 1) * stride + extent - size, 0)
    smaller = total // 2
    return (smaller, total - smaller) if upper else (total - smaller, smaller)


def window(params: Params, spatial: Sequence[int], kernel: Sequence[int]) -> Window:
    """The geometry that the attributes ask for on an input of these spatial sizes."""
    rank = len(spatial)
    strides, dilations = per_axis(params, "strides", rank, 1), per_axis(params, "dilations", rank, 1)
    mode = params.get("auto_pad", b"NOTSET")
    pads = per_axis(params, "pads", 2 * rank, 0) if mode == b"NOTSET" else (0,) * (2 * rank)
    rounds_up = bool(params.get("ceil_mode", 0)) and mode == b"NOTSET"
    begin, end, over, out = [], [], [], []
    for i, (size, k, s, d) in enumerate(zip(spatial, kernel, strides, dilations, strict=True)):
        extent = d * (k - 1) + 1
        first, last = pads[i], pads[rank + i]
        if mode in SAME:
            first, last = _same(size, extent, s, upper=mode == b"SAME_UPPER")
        room = size + first + last - extent
        count = room // s + 1
        if rounds_up:
            # A last window that starts in the padding at the end is ignored, even if it comes out even (H5.1).
            count = -(-room // s) + 1
            count -= (count - 1) * s >= size + first
        begin.append(first)
        end.append(last)
        out.append(count)
        over.append(max((count - 1) * s + extent - (size + first + last), 0))
    return Window(tuple(kernel), strides, dilations, tuple(begin), tuple(end), tuple(over), tuple(out))


def padded(x: Array, begin: Sequence[int], end: Sequence[int], fill: float = 0) -> Array:
    """``x`` with its last axes padded; several times quicker than numpy.pad on small tensors."""
    if not any(begin) and not any(end):
        return x
    lead = x.ndim - len(begin)
    shape = x.shape[:lead] + tuple(s + b + e for s, b, e in zip(x.shape[lead:], begin, end, strict=True))
    result = np.full(shape, fill, dtype=x.dtype) if fill else np.zeros(shape, dtype=x.dtype)
    inside: tuple[Any, ...] = tuple(slice(b, b + s) for b, s in zip(begin, x.shape[lead:], strict=True))
    result[(..., *inside)] = x
    return result


def patches(x: Array, w: Window, fill: float = 0) -> Array:
    """A view (*lead, *output, *kernel) of every window of ``x``, whose last axes are the spatial ones."""
    x = padded(x, w.begin, [e + o for e, o in zip(w.end, w.over, strict=True)], fill)
    lead = x.ndim - len(w.kernel)
    steps = x.strides[lead:]
    strides = (
        x.strides[:lead]
        + tuple(b * s for b, s in zip(steps, w.strides, strict=True))
        + tuple(b * d for b, d in zip(steps, w.dilations, strict=True))
    )
    return np.lib.stride_tricks.as_strided(x, x.shape[:lead] + w.out + w.kernel, strides, writeable=False)


def slid(t: Typing, params: Params, spatial: Sequence[Dim], kernel: Sequence[Dim]) -> Shape:
    """Symbolic output sizes of a window that slides over spatial axes, with the constraint that it fits.

    floor((size + pads - extent) / stride) + 1, or with ceil_mode ceil(...) + 1 less the window that would start
    in the padding at the end (opset 22 says so; what runtimes did before: H5.1).
    """
    rank = len(spatial)
    strides, dilations = per_axis(params, "strides", rank, 1), per_axis(params, "dilations", rank, 1)
    mode = params.get("auto_pad", b"NOTSET")
    if mode in SAME:
        return tuple(ceil_div(n, s) for n, s in zip(spatial, strides, strict=True))
    pads = per_axis(params, "pads", 2 * rank, 0) if mode == b"NOTSET" else (0,) * (2 * rank)
    rounds_up = bool(params.get("ceil_mode", 0)) and mode == b"NOTSET"
    sizes = []
    for i, (n, s) in enumerate(zip(spatial, strides, strict=True)):
        room = n + pads[i] + pads[rank + i] - dilations[i] * (kernel[i] - 1) - 1
        t.store.require(at_least(room, 0))
        sizes.append(_rounded_up(t, room, s, n + pads[i]) if rounds_up else floor_div(room, s) + 1)
    return tuple(sizes)


def _rounded_up(t: Typing, room: Dim, stride: Dim, limit: Dim) -> Dim:
    count = ceil_div(room, stride) + 1
    start = (count - 1) * stride
    if t.store.value(start) < t.store.value(limit):
        t.store.require(at_least(limit, start + 1))
        return count
    t.store.require(at_least(start, limit))
    return count - 1


def window_params(s: Scope, spatial: Sequence[Dim], kernel: Sequence[Dim], *, pool: bool) -> dict[str, Any]:
    """Strides, dilations and pads drawn so that the window fits.

    Pooling keeps its pads smaller than the kernel, so that no window lies wholly in the padding (H5.3, H5.5), and
    rounds up only what comes out even or begins inside the input (H5.1); ``auto_pad`` SAME goes with strides and
    dilations of 1 (H5.7).
    """
    params: dict[str, Any] = {"kernel_shape": tuple(kernel)}
    if s.coin(0.12):
        params["auto_pad"] = s.pick((*SAME, b"VALID"))
        if params["auto_pad"] in SAME:
            return params
    if s.coin(0.4):
        params["strides"] = tuple(s.size(1, 3, "s") for _ in kernel)
    if not pool or "dilations" in s.signature.attributes:
        dilations = _dilations(s, spatial, kernel)
        if any(d != 1 for d in dilations):
            params["dilations"] = dilations
    if "auto_pad" not in params:
        _pad(s, params, spatial, kernel, pool=pool)
    return params


def _dilations(s: Scope, spatial: Sequence[Dim], kernel: Sequence[Dim]) -> tuple[Dim, ...]:
    """1 or 2 an axis, the latter where some tap of every window meets an element even if the pads are wide."""
    result: list[Dim] = []
    for n, k in zip(spatial, kernel, strict=True):
        size = s.store.value(k)
        wide = size > 1 and s.store.value(n) > 2 * (size - 1) and s.coin(0.15)
        if wide:
            s.store.require(at_least(n, 2 * k - 1))
        result.append(s.size(1, 2, "l") if wide else 1)
    return tuple(result)


def _pad(s: Scope, params: dict[str, Any], spatial: Sequence[Dim], kernel: Sequence[Dim], *, pool: bool) -> None:
    rank = len(kernel)
    pads: tuple[Dim, ...] = (0,) * (2 * rank)
    if s.coin(0.5):
        high = [s.store.value(k) - 1 for k in kernel] * 2
        pads = params["pads"] = tuple(s.size(0, h, "p") if h > 0 else 0 for h in high)
        if pool:
            for pad, k in zip(pads, (*kernel, *kernel), strict=True):
                s.store.require(at_least(k - 1, pad))
    if pool and "ceil_mode" in s.signature.attributes and s.coin(0.2):
        strides, dilations = per_axis(params, "strides", rank, 1), per_axis(params, "dilations", rank, 1)
        for i, n in enumerate(spatial):
            room = n + pads[i] + pads[rank + i] - dilations[i] * (kernel[i] - 1) - 1
            if not _begins_inside(s, room, strides[i], n + pads[i]):
                s.store.require(divisible(room, strides[i]))
        params["ceil_mode"] = 1


def _begins_inside(s: Scope, room: Dim, stride: Dim, limit: Dim) -> bool:
    """Whether the last window that rounding up makes begins before the padding at the end; ``slid`` keeps it so."""
    start = s.store.value(ceil_div(room, stride) * stride)
    return s.store.value(room) >= 0 and start < s.store.value(limit)
