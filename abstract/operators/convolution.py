"""Convolution and its transpose: sliding windows over spatial axes, contracted with weights."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import at_least, divisible
from abstract.dims import Dim, floor_div
from abstract.error import ErrorRule, contraction, folded, products, step_unit, summation
from abstract.operator import Array, Bound, Call, Domain, Operator, Run, Scope, Typing
from abstract.operators.window import SAME, Window, padded, patches, per_axis, slid, window, window_params
from abstract.winograd import WINDOWS, amplification, steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abstract.types import Shape

__all__ = ["OPERATORS"]

_MODERATE = Domain(-64.0, 64.0)


def _weights(s: Scope, channels: Dim, *, transposed: bool) -> tuple[int, Dim, Dim, Dim]:
    """A number of groups that divides the channels, the weight's first two sizes, and the number of maps."""
    count = s.store.value(channels)
    groups = [g for g in (count, 2, 3, 4) if g > 1 and count % g == 0]
    group = s.pick(groups) if groups and s.coin(0.3) else 1
    each = s.size(1, 4, "m")
    s.store.require(divisible(channels, group))
    if transposed:
        return group, channels, each, each * group
    return group, each * group, floor_div(channels, group), each * group


def propose_conv(s: Scope) -> Call:
    """Over 1 to 3 spatial axes, a kernel that fits the input, grouped now and then, with or without bias."""
    x = s.tensor(rank=(3, 5), domain=_MODERATE, where=lambda v: all(v.array.shape))
    _, channels, *spatial = x.type.shape
    group, first, second, maps = _weights(s, channels, transposed=False)
    kernel = tuple(s.size(1, min(3, s.store.value(d)), "k") for d in spatial)
    w = s.shaped((first, second, *kernel), weight=True, domain=_MODERATE)
    bias = s.shaped((maps,), weight=True, domain=_MODERATE) if s.coin(0.5) else None
    params = window_params(s, spatial, kernel, pool=False)
    if s.coin(0.3):
        del params["kernel_shape"]
    if group != 1 or s.coin(0.2):
        params["group"] = group
    return Call((x, w, bias), params)


def _bias(t: Typing, maps: Dim) -> None:
    if len(t.shapes) > 2 and t.shapes[2] is not None:
        t.store.unify(t[2][0], maps)


def conv_shape(t: Typing) -> tuple[Shape, ...]:
    """(N, M, *out); see ``slid``."""
    x, w = t[0], t[1]
    group = t.params.get("group", 1)
    t.store.unify(x[1], w[1] * group)
    t.store.require(divisible(w[0], group))
    _bias(t, w[0])
    return ((x[0], w[0], *slid(t, t.params, x[2:], w[2:])),)


def _contract(run: Run, x: Array, w: Array, geometry: Window, g: int) -> Array:
    """Patches of ``x`` (N, C, *spatial) times ``w`` (M, C/g, *kernel), group by group: (N, M, *out)."""
    views = patches(x, geometry)
    rank, out = x.ndim - 2, geometry.out
    n, m, inner = x.shape[0], w.shape[0], prod(w.shape[1:])
    # (N, C, out, k) -> (N, G, out, C/G, k) -> (N, G, P, K)
    split = views.reshape(n, g, w.shape[1], *views.shape[2:])
    order = (0, 1, *range(3, 3 + rank), 2, *range(3 + rank, 3 + 2 * rank))
    columns = split.transpose(order).reshape(n, g, prod(out), inner)
    kernels = w.reshape(g, m // g, inner).transpose(0, 2, 1)
    result = run.arithmetic.dot(columns, kernels)
    return result.transpose(0, 1, 3, 2).reshape(n, m, *out)


def _convolve(run: Run, x: Array, w: Array) -> Array:
    return _contract(run, x, w, window(run.params, x.shape[2:], w.shape[2:]), int(run.params.get("group", 1)))


def _with_bias(run: Run, y: Array) -> tuple[Array, ...]:
    bias = run.optional(2)
    return (y if bias is None else y + bias.reshape(-1, *(1,) * (y.ndim - 2)),)


def conv(run: Run) -> tuple[Array, ...]:
    """Cross-correlation, as the specification means by convolution."""
    return _with_bias(run, _convolve(run, run[0], run[1]))


def _by_tiles(run: Run, w: Window) -> bool:
    """Whether the contract lets this convolution be computed by Winograd's algorithm."""
    dtype, square = run.dtypes[0], {*w.kernel}
    if not run.contract.winograd or dtype is None or not dtype.is_float or dtype.name == "double":
        return False
    return len(w.kernel) == 2 and len(square) == 1 and square <= {*WINDOWS} and {*w.strides, *w.dilations} == {1}


def _tiled(run: Run, error: Bound) -> Bound:
    """What rounding costs by Winograd's algorithm: it scales with the tile's inputs, wherever the tile lies.

    The tiles that hold an output reach one output less than a tile to either side of its window.
    """
    x, w, tile, dtype = np.abs(run[0]) + error, np.abs(run[1]), run.contract.winograd, run.dtypes[0]
    own, rank = window(run.params, x.shape[2:], w.shape[2:]), x.ndim - 2
    if not _by_tiles(run, own):
        return 0.0
    more, r = tile - 1, own.kernel[0]
    reach = replace(
        own, kernel=tuple(k + 2 * more for k in own.kernel),
        begin=tuple(b + more for b in own.begin), end=tuple(e + more for e in own.end),
    )  # fmt: skip
    greatest = patches(x, reach).max(axis=tuple(range(-rank, 0)))
    one, none = (1,) * rank, (0,) * rank
    point = Window(one, one, one, none, none, none, own.out)
    weights = w.sum(axis=tuple(range(2, w.ndim)), keepdims=True)
    size = _contract(run, greatest, weights, point, int(run.params.get("group", 1)))
    unit = step_unit(run, dtype) * steps(tile, r, rank) + products(run, w.shape[1])
    bound: Bound = size * (unit * amplification(tile, r) ** rank)
    return bound


def _conv_terms(run: Run) -> int:
    return prod(run[1].shape[1:]) + 1


_direct_error = contraction(_convolve, _conv_terms)


def conv_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """A contraction's, and what Winograd's algorithm may cost where the contract allows it."""
    (direct,) = _direct_error(run, y, e)
    return (direct + _tiled(run, e[0]) if run.contract.winograd else direct,)


def _biased(rule: ErrorRule, terms: Any) -> ErrorRule:
    """The rule of a contraction with an optional bias (input 2).

    The bias may be where the accumulation starts: it errs as each term does.
    """

    def with_bias(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
        (bound,) = rule(run, y, e[:2])
        bias = run.optional(2)
        if bias is None:
            return (bound,)
        dtype = run.dtypes[0]
        extra = np.abs(bias) * (summation(run, terms(run), dtype) + folded(run, dtype, 2)) + e[2]
        return (bound + extra.reshape(-1, *(1,) * (y[0].ndim - 2)),)

    return with_bias


# -- transposed ---------------------------------------------------------------------------------------------


def propose_transpose(s: Scope) -> Call:
    """Strides, dilations, pads and output padding below the stride; output_shape with an even rest (H5.10)."""
    x = s.tensor(rank=(3, 5), domain=_MODERATE, where=lambda v: all(v.array.shape))
    _, channels, *spatial = x.type.shape
    group, first, second, maps = _weights(s, channels, transposed=True)
    rank = len(spatial)
    kernel = tuple(s.size(1, 3, "k") for _ in spatial)
    w = s.shaped((first, second, *kernel), weight=True, domain=_MODERATE)
    bias = s.shaped((maps,), weight=True, domain=_MODERATE) if s.coin(0.5) else None
    params: dict[str, Any] = {"kernel_shape": kernel} if s.coin(0.7) else {}
    strides: tuple[Dim, ...] = (1,) * rank
    dilations: tuple[Dim, ...] = (1,) * rank
    if s.coin(0.6):
        strides = params["strides"] = tuple(s.size(1, 3, "s") for _ in spatial)
    if s.coin(0.2):
        dilations = params["dilations"] = tuple(s.size(1, 2, "l") for _ in spatial)
    style = s.integer(0, 9)
    full = [st * (n - 1) + d * (k - 1) + 1
            for n, k, st, d in zip(spatial, kernel, strides, dilations, strict=True)]  # fmt: skip
    if style < 4:
        high = [(min(3, s.store.value(f)) - 1) // 2 for f in full]
        params["pads"] = tuple(s.size(0, h, "p") for h in high * 2)
        if s.coin(0.5):
            params["output_padding"] = tuple(s.size(0, s.store.value(st) - 1, "o") for st in strides)
    elif style == 4:
        params["output_shape"] = tuple(_smaller(s, f, n) for f, n in zip(full, spatial, strict=True))
    elif style == 5:
        params["auto_pad"] = b"VALID"
    if group != 1 or s.coin(0.2):
        params["group"] = group
    return Call((x, w, bias), params)


def _smaller(s: Scope, full: Dim, size: Dim) -> Dim:
    """An output size: not below the input's, where ONNX's shape inference gives up half-way."""
    out = full - 2 * s.size(0, min(s.store.value(full) - s.store.value(size), 2) // 2, "p")
    s.store.require(at_least(out, size))
    return out


def _full(params: Any, spatial: Sequence[Any], kernel: Sequence[Any]) -> list[Any]:
    """Sizes before anything is cut off: stride * (in - 1) + output_padding + extent of the kernel."""
    rank = len(spatial)
    strides, dilations = per_axis(params, "strides", rank, 1), per_axis(params, "dilations", rank, 1)
    more = per_axis(params, "output_padding", rank, 0)
    return [s * (n - 1) + o + d * (k - 1) + 1
            for n, k, s, d, o in zip(spatial, kernel, strides, dilations, more, strict=True)]  # fmt: skip


def _narrow(t: Typing, rank: int) -> None:
    """Output padding is below the stride, or the dilation where that is what it is below."""
    strides, dilations = per_axis(t.params, "strides", rank, 1), per_axis(t.params, "dilations", rank, 1)
    for stride, dilation, more in zip(strides, dilations, t.params.get("output_padding") or (), strict=False):
        wide = t.store.value(dilation) > t.store.value(more) >= t.store.value(stride)
        t.store.require(at_least(dilation if wide else stride, more + 1))


def transpose_shape(t: Typing) -> tuple[Shape, ...]:
    """(N, M, *out): as ``output_shape`` says, stride * in with SAME, else the full size without the pads."""
    x, w = t[0], t[1]
    maps = w[1] * t.params.get("group", 1)
    t.store.unify(x[1], w[0])
    t.store.require(divisible(w[0], t.params.get("group", 1)))
    _bias(t, maps)
    rank, mode = len(x) - 2, t.params.get("auto_pad", b"NOTSET")
    _narrow(t, rank)
    given = t.params.get("output_shape")
    if given:
        return ((x[0], maps, *given[-rank:]),)
    if mode in SAME:
        strides = per_axis(t.params, "strides", rank, 1)
        return ((x[0], maps, *(n * s for n, s in zip(x[2:], strides, strict=True))),)
    pads = per_axis(t.params, "pads", 2 * rank, 0) if mode == b"NOTSET" else (0,) * (2 * rank)
    out = [f - pads[i] - pads[rank + i] for i, f in enumerate(_full(t.params, x[2:], w[2:]))]
    for size in out:
        t.store.require(at_least(size, 1))
    return ((x[0], maps, *out),)


def _cut(params: Any, spatial: Sequence[int], kernel: Sequence[int]) -> tuple[list[int], list[int]]:
    """What is cut off the full size before and behind each axis (negative where zeros are added)."""
    rank, mode = len(spatial), params.get("auto_pad", b"NOTSET")
    full = _full(params, spatial, kernel)
    given = params.get("output_shape")
    if not given and mode not in SAME:
        pads = per_axis(params, "pads", 2 * rank, 0) if mode == b"NOTSET" else (0,) * (2 * rank)
        return list(pads[:rank]), list(pads[rank:])
    strides = per_axis(params, "strides", rank, 1)
    out = given[-rank:] if given else [n * s for n, s in zip(spatial, strides, strict=True)]
    total = [f - o for f, o in zip(full, out, strict=True)]
    half = [max(v, 0) // 2 for v in total]
    rest = [max(v, 0) - h for v, h in zip(total, half, strict=True)]
    before, behind = (half, rest) if mode == b"SAME_UPPER" else (rest, half)
    # An output_shape beyond the full size: zeros at the end, as ONNX's own tests have it; the text has no word on it.
    return before, [b + min(v, 0) for b, v in zip(behind, total, strict=True)]


def _transposed(run: Run, x: Array, w: Array) -> Array:
    """The convolution of the input, its elements ``strides`` apart, with the flipped kernel."""
    rank, g = x.ndim - 2, int(run.params.get("group", 1))
    spatial, kernel = x.shape[2:], w.shape[2:]
    strides, dilations = per_axis(run.params, "strides", rank, 1), per_axis(run.params, "dilations", rank, 1)
    more = per_axis(run.params, "output_padding", rank, 0)
    before, behind = _cut(run.params, spatial, kernel)
    reach = [d * (k - 1) for k, d in zip(kernel, dilations, strict=True)]
    if any(s > 1 for s in strides):
        sizes = tuple((n - 1) * s + 1 for n, s in zip(spatial, strides, strict=True))
        apart = np.zeros(x.shape[:2] + sizes, dtype=x.dtype)
        every: tuple[Any, ...] = tuple(slice(None, None, s) for s in strides)
        apart[(..., *every)] = x
        x = apart
    begin = [r - b for r, b in zip(reach, before, strict=True)]
    end = [r + o - b for r, o, b in zip(reach, more, behind, strict=True)]
    kept: tuple[Any, ...] = tuple(
        slice(max(-b, 0), n - max(-e, 0)) for n, b, e in zip(x.shape[2:], begin, end, strict=True)
    )
    x = padded(x[(..., *kept)], [max(b, 0) for b in begin], [max(e, 0) for e in end])
    flipped = np.flip(w, tuple(range(2, w.ndim)))
    channels, each = w.shape[0], w.shape[1]
    grouped = flipped.reshape(g, channels // g, each, *kernel).swapaxes(1, 2)
    filters = np.ascontiguousarray(grouped).reshape(g * each, channels // g, *kernel)
    none = (0,) * rank
    out = tuple(n - r for n, r in zip(x.shape[2:], reach, strict=True))
    geometry = Window(tuple(kernel), (1,) * rank, dilations, none, none, none, out)
    return _contract(run, x, filters, geometry, g)


def transpose(run: Run) -> tuple[Array, ...]:
    """The gradient of a convolution with respect to its input."""
    return _with_bias(run, _transposed(run, run[0], run[1]))


def _transpose_terms(run: Run) -> int:
    channels, _, *kernel = run[1].shape
    return int(channels // run.params.get("group", 1) * prod(kernel) + 1)


OPERATORS: tuple[Operator, ...] = (
    Operator("Conv", propose_conv, conv_shape, conv, _biased(conv_error, _conv_terms),
             weight=1.5),
    Operator("ConvTranspose", propose_transpose, transpose_shape, transpose,
             _biased(contraction(_transposed, _transpose_terms), _transpose_terms)),
)  # fmt: skip
