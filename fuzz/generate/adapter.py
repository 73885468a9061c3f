"""Ordinary nodes that bring a value to the sizes or the rank that a call needs."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from abstract.dims import product

if TYPE_CHECKING:
    from abstract.graph import Value
    from fuzz.generate.builder import Builder

__all__ = ["fit", "to_rank"]


def fit(builder: Builder, value: Value, sizes: tuple[int, ...]) -> Value | None:
    """The value brought to these sizes by Slice, Pad, Expand and Reshape nodes; None where that cannot be."""
    have = value.array.shape
    if have == sizes:
        return value
    if 0 in have or 0 in sizes:
        return None
    if len(have) == len(sizes):
        return _resized(builder, value, sizes)
    if prod(have) != prod(sizes):
        flat = value if len(have) == 1 else builder.adapter("Reshape", (value,), {"shape": (-1,)})
        resized = None if flat is None else _resized(builder, flat, (prod(sizes),))
        value, have = (value, have) if resized is None else (resized, resized.array.shape)
        if resized is None:
            return None
    return value if have == sizes else builder.adapter("Reshape", (value,), {"shape": sizes})


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


def _resized(builder: Builder, value: Value, sizes: tuple[int, ...]) -> Value | None:
    have = value.array.shape
    longer = [a for a, (h, s) in enumerate(zip(have, sizes, strict=True)) if h > s]
    result: Value | None = value
    if longer:
        bounds = {"starts": (0,) * len(longer), "ends": tuple(sizes[a] for a in longer), "axes": tuple(longer)}
        result = builder.adapter("Slice", (value,), bounds)
    if result is not None and any(h == 1 < s for h, s in zip(have, sizes, strict=True)):
        target = tuple(s if h == 1 else min(h, s) for h, s in zip(have, sizes, strict=True))
        result = builder.adapter("Expand", (result,), {"shape": target})
    if result is not None and any(1 < h < s for h, s in zip(have, sizes, strict=True)):
        ends = tuple(s - g for g, s in zip(result.array.shape, sizes, strict=True))
        result = builder.adapter("Pad", (result,), {"pads": (0,) * len(sizes) + ends})
    return result
