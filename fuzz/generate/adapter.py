"""Ordinary nodes that bring a value to the sizes, the rank or the range that a call needs."""

from __future__ import annotations

from math import inf, prod
from typing import TYPE_CHECKING, Any

from abstract.dims import product
from abstract.operator import EVERYWHERE, Domain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abstract.graph import Value
    from fuzz.generate.builder import Builder

__all__ = ["fit", "guard", "to_rank"]

_REDUCED = ("ReduceMax", "ReduceMin", "ReduceSum")
_MODES = (b"constant", b"constant", b"edge", b"reflect")
# Operators whose range may lie inside a domain, and what they take themselves.
_NARROW: Sequence[tuple[str, Domain]] = (
    ("Sigmoid", EVERYWHERE), ("Tanh", EVERYWHERE), ("Sin", Domain(-1e4, 1e4)), ("Cos", Domain(-1e4, 1e4)),
    ("HardSigmoid", EVERYWHERE), ("Softsign", EVERYWHERE), ("Erf", EVERYWHERE),
)  # fmt: skip
_POSITIVE: Sequence[tuple[str, Domain]] = (
    ("Abs", EVERYWHERE), ("Exp", Domain(-16.0, 8.0)), ("Softplus", EVERYWHERE), ("Sigmoid", EVERYWHERE),
    ("Relu", EVERYWHERE), ("Cosh", Domain(-7.0, 7.0)),
)  # fmt: skip


def guard(builder: Builder, value: Value, domain: Domain) -> Value | None:
    """A value brought into a domain by a node: by an operator whose range lies inside, or by Clip; None where not."""
    if not value.type.dtype.is_float or not builder.plan.adapters:
        return None
    draw, rows = builder.choices.integer, _NARROW if domain.high < inf else _POSITIVE
    name, takes = rows[draw(0, len(rows) - 1)]
    if draw(0, 3) and takes.admits(value):
        found = builder.adapter(name, (value,), {})
        if found is not None and domain.admits(found):
            return found
    low, high = (max(domain.low, domain.away) if domain.away else domain.low), domain.high
    params: dict[str, Any] = {}
    if low > -inf:
        params["min"] = low
    if high < inf:
        params["max"] = high
    return builder.adapter("Clip", (value,), params)


def fit(builder: Builder, value: Value, sizes: tuple[int, ...]) -> Value | None:
    """The value brought to these sizes by nodes that cut, pad, repeat and reshape; None where that cannot be."""
    have = value.array.shape
    if have == sizes:
        return value
    if 0 in have or 0 in sizes:
        return None
    if len(have) == len(sizes):
        return _resized(builder, value, sizes)
    if prod(have) != prod(sizes):
        ranked = _ranked(builder, value, len(sizes)) if builder.choices.integer(0, 2) else None
        if ranked is not None:
            return _resized(builder, ranked, sizes)
        flat = value if len(have) == 1 else builder.adapter("Reshape", (value,), {"shape": (-1,)})
        resized = None if flat is None else _resized(builder, flat, (prod(sizes),))
        if resized is None:
            return None
        value = resized
    return value if value.array.shape == sizes else _reshaped(builder, value, sizes)


def to_rank(builder: Builder, value: Value, rank: tuple[int, int]) -> Value | None:
    """The value with axes of size 1 put in front, or leading axes merged, so that its rank lies in a range."""
    have = len(value.array.shape)
    if have < rank[0]:
        return builder.adapter("Unsqueeze", (value,), {"axes": tuple(range(rank[0] - have))})
    if rank[1] < 1 or not builder.plan.adapters or 0 in value.array.shape:  # a 0 in a target shape says something else
        return None
    merged = have - rank[1] + 1
    shape = (product(value.type.shape[:merged]), *value.type.shape[merged:])
    return builder.adapter("Reshape", (value,), {"shape": shape})


def _ranked(builder: Builder, value: Value, rank: int) -> Value | None:
    """The value with its leading axes reduced, or with axes of size 1 put in somewhere."""
    draw, have = builder.choices.integer, len(value.array.shape)
    if have < rank:
        places = list(range(rank))
        axes = sorted(places.pop(draw(0, len(places) - 1)) for _ in range(rank - have))
        return builder.adapter("Unsqueeze", (value,), {"axes": tuple(axes)})
    name = _REDUCED[draw(0, len(_REDUCED) - 1)]
    return builder.adapter(name, (value,), {"axes": tuple(range(have - rank)), "keepdims": 0})


def _reshaped(builder: Builder, value: Value, sizes: tuple[int, ...]) -> Value | None:
    """A value of as many elements in another shape: by the operator that says no more than that, or by Reshape."""
    have = value.array.shape
    if builder.choices.integer(0, 1):
        if [s for s in have if s > 1] == [s for s in sizes if s > 1]:
            return _ones(builder, value, sizes)
        if len(sizes) == 2:
            for axis in range(len(have) + 1):
                if prod(have[:axis]) == sizes[0]:
                    return builder.adapter("Flatten", (value,), {"axis": axis})
    return builder.adapter("Reshape", (value,), {"shape": sizes})


def _ones(builder: Builder, value: Value, sizes: tuple[int, ...]) -> Value | None:
    """Axes of size 1 taken out and put in until the shape is the one asked for."""
    squeezed = [axis for axis, size in enumerate(value.array.shape) if size == 1]
    result: Value | None = value
    if squeezed:
        result = builder.adapter("Squeeze", (value,), {"axes": tuple(squeezed)})
    added = tuple(axis for axis, size in enumerate(sizes) if size == 1)
    return result if result is None or not added else builder.adapter("Unsqueeze", (result,), {"axes": added})


def _resized(builder: Builder, value: Value, sizes: tuple[int, ...]) -> Value | None:
    have = value.array.shape
    longer = [a for a, (h, s) in enumerate(zip(have, sizes, strict=True)) if h > s]
    result: Value | None = value
    if longer:
        result = _shortened(builder, value, sizes, longer)
    if result is not None and any(h == 1 < s for h, s in zip(have, sizes, strict=True)):
        result = _repeated(builder, result, sizes)
    if result is not None and any(1 < h < s for h, s in zip(have, sizes, strict=True)):
        result = _padded(builder, result, sizes)
    return result


def _shortened(builder: Builder, value: Value, sizes: tuple[int, ...], longer: Sequence[int]) -> Value | None:
    """Axes cut to what is asked for; to a single element now and then by a reduction."""
    draw = builder.choices.integer
    if draw(0, 1) and all(sizes[a] == 1 for a in longer):
        name = _REDUCED[draw(0, len(_REDUCED) - 1)]
        reduced = builder.adapter(name, (value,), {"axes": tuple(longer), "keepdims": 1})
        if reduced is not None:
            return reduced
    starts = tuple([draw(0, value.array.shape[a] - sizes[a]) for a in longer])
    ends = tuple([start + sizes[a] for a, start in zip(longer, starts, strict=True)])
    return builder.adapter("Slice", (value,), {"starts": starts, "ends": ends, "axes": tuple(longer)})


def _repeated(builder: Builder, value: Value, sizes: tuple[int, ...]) -> Value | None:
    """Axes of size 1 made as long as is asked for."""
    have = value.array.shape
    if builder.choices.integer(0, 1):
        repeats = tuple(s if h == 1 else 1 for h, s in zip(have, sizes, strict=True))
        tiled = builder.adapter("Tile", (value,), {"repeats": repeats})
        if tiled is not None:
            return tiled
    target = tuple(s if h == 1 else min(h, s) for h, s in zip(have, sizes, strict=True))
    return builder.adapter("Expand", (value,), {"shape": target})


def _padded(builder: Builder, value: Value, sizes: tuple[int, ...]) -> Value | None:
    """Axes made longer by elements before and behind."""
    draw = builder.choices.integer
    missing = [s - h for h, s in zip(value.array.shape, sizes, strict=True)]
    before = tuple([draw(0, m) if m else 0 for m in missing])
    behind = tuple([m - b for m, b in zip(missing, before, strict=True)])
    mode = _MODES[draw(0, len(_MODES) - 1)]
    if mode == b"reflect" and any(m >= h for m, h in zip(missing, value.array.shape, strict=True)):
        mode = b"edge"
    return builder.adapter("Pad", (value,), {"pads": before + behind, "mode": mode})
