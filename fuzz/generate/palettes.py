"""The palettes: how numbers are spread over a range, each a function of random words, a recipe and an element type.

Beside evenly spread numbers they have what compilers stumble over: zeros of both signs, subnormal numbers, halves on
which rounding decides, few numbers that come again and again (ties), neighbours one unit apart, powers of two, numbers
next to the end of the type, one that outweighs all others. docs/notes/value-mix.md tells which models have which.
"""

from __future__ import annotations

from math import ceil, floor
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from abstract.constraints import Infeasible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from abstract.dtypes import DType
    from abstract.graph import Recipe
    from abstract.operator import Array

__all__ = ["NEAR_ZERO", "PALETTES", "Palette", "with_specials"]

Palette: TypeAlias = "Callable[[Array, Recipe, DType], Array]"
"""As many numbers as there are words (64 bits each); rounding to the type and cutting to the range come after it."""

NEAR_ZERO = frozenset({"zeros", "subnormal"})
"""Palettes whose numbers lie around 0: of no use where a range keeps off it."""

_SEVERAL = 3  # how many numbers come again and again


def _unit(raw: Array) -> Array:
    """Numbers in [0, 1), of 53 bits."""
    return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _signed(raw: Array, magnitude: Array, recipe: Recipe) -> Array:
    """Magnitudes with signs where the range has both, cut to the range."""
    signed = np.where(raw & np.uint64(1), magnitude, -magnitude)
    return np.clip(signed, recipe.low, recipe.high)


def _spread(raw: Array, recipe: Recipe, dtype: DType) -> Array:
    del dtype
    # The order of the operations is part of every case that was recorded.
    return recipe.low + _unit(raw) * (recipe.high - recipe.low)


def _stepped(scale: float, offset: float = 0.0) -> Palette:
    """Multiples of 1/scale, moved by an offset."""

    def draw(raw: Array, recipe: Recipe, dtype: DType) -> Array:
        del dtype
        low = ceil((recipe.low - offset) * scale)
        high = floor((recipe.high - offset) * scale)
        span = np.uint64(max(high - low, 0) + 1)
        return ((raw % span).astype(np.float64) + low) / scale + offset

    return draw


def _exponents(count: int) -> Palette:
    """Magnitudes spread evenly over so many binary exponents from 2**-8 on, up to the end of the range."""

    def draw(raw: Array, recipe: Recipe, dtype: DType) -> Array:
        del dtype
        exponents = ((raw >> np.uint64(1)) % np.uint64(count)).astype(np.int64) - 8
        return _signed(raw, np.ldexp(1.0 + _unit(raw), exponents), recipe)

    return draw


def _powers(raw: Array, recipe: Recipe, dtype: DType) -> Array:
    """Powers of two from 2**-8 on."""
    del dtype
    exponents = ((raw >> np.uint64(1)) % np.uint64(16)).astype(np.int64) - 8
    return _signed(raw, np.ldexp(1.0, exponents), recipe)


def _bits(raw: Array, recipe: Recipe, dtype: DType) -> Array:
    """Whole numbers of 1 bit, 2 bits and so on up to the end of the range, all lengths alike often."""
    del dtype
    longest = int(max(abs(recipe.low), abs(recipe.high), 1)).bit_length()
    exponents = ((raw >> np.uint64(1)) % np.uint64(longest)).astype(np.int64)
    magnitude = np.floor(np.ldexp(1.0 + _unit(raw), exponents))
    negative = (raw & np.uint64(1)).astype(np.bool_) if recipe.low < 0 else np.zeros(raw.shape, np.bool_)
    return np.clip(np.where(negative, -magnitude, magnitude), recipe.low, recipe.high)


def _constant(raw: Array, recipe: Recipe, dtype: DType) -> Array:
    del dtype
    first = recipe.low + (recipe.seed % 8) / 8 * (recipe.high - recipe.low)
    return np.full(raw.shape, first)


def _zeros(raw: Array, recipe: Recipe, dtype: DType) -> Array:
    """Zeros of both signs, and a number of the range now and then."""
    zeros = np.where(raw & np.uint64(1), 0.0, -0.0)
    return np.where((raw >> np.uint64(1)) % np.uint64(4) == 0, _spread(raw, recipe, dtype), zeros)


def _subnormal(raw: Array, recipe: Recipe, dtype: DType) -> Array:
    """From the least subnormal to the least normal number, both signs; a number of the range now and then."""
    steps = np.ldexp(1.0, ((raw >> np.uint64(1)) % np.uint64(max(dtype.precision, 1))).astype(np.int64))
    tiny = _signed(raw, steps * (2 * dtype.unit * dtype.smallest_normal), recipe)
    return np.where((raw >> np.uint64(32)) % np.uint64(4) == 0, _spread(raw, recipe, dtype), tiny)


def _few(raw: Array, recipe: Recipe, dtype: DType) -> Array:
    """A handful of numbers that come again and again: sorting and extrema have ties."""
    choice = (raw >> np.uint64(1)) % np.uint64(_SEVERAL)
    return _spread((choice + np.uint64(recipe.seed % 61)) << np.uint64(58), recipe, dtype)


def _alike(raw: Array, recipe: Recipe, dtype: DType) -> Array:
    """One number and its next neighbours in the type."""
    # An odd eighth of the range is never its middle, which may be 0.
    centre = recipe.low + (recipe.seed % 4 * 2 + 1) / 8 * (recipe.high - recipe.low)
    first = float(np.asarray(centre).astype(dtype.numpy))
    steps = (raw % np.uint64(4)).astype(np.float64)
    return np.clip(first * (1.0 + steps * (2 * dtype.unit)), recipe.low, recipe.high)


def _outlier(raw: Array, recipe: Recipe, dtype: DType) -> Array:
    """Small numbers, and one as large as the range allows."""
    numbers = np.clip(_spread(raw, recipe, dtype) / 1024, recipe.low, recipe.high)
    if numbers.size:
        numbers[int(raw[0] % np.uint64(numbers.size))] = recipe.low if raw[0] >> np.uint64(63) else recipe.high
    return numbers


_FRACTIONS = np.array([1.0, 0.5, 1.0 - 2.0**-10, 0.25, 1 / 3, 2.0**-10])


def _large(raw: Array, recipe: Recipe, dtype: DType) -> Array:
    """The end of the range, half of it, what lies just below it; and numbers of ordinary size among them."""
    end = max(abs(recipe.low), abs(recipe.high))
    place = ((raw >> np.uint64(1)) % np.uint64(2 * len(_FRACTIONS))).astype(np.int64)
    ordinary = _unit(raw) * min(end, 4.0)
    known = np.append(_FRACTIONS * end, np.zeros(len(_FRACTIONS)))[place]
    magnitude = np.where(place < len(_FRACTIONS), known, ordinary)
    if dtype.maximum < 2.0**1000:  # what is not finite by rounding is the end itself
        magnitude = np.minimum(magnitude, dtype.maximum)
    return _signed(raw, magnitude, recipe)


def _edges(raw: Array, recipe: Recipe, dtype: DType) -> Array:
    """The ends of an integer type, their neighbours, -1, 0 and 1, as far as the range has them."""
    least, most = int(dtype.minimum), int(dtype.maximum)
    wanted = (0, 1, -1, most, least, most - 1, least + 1, most // 2, 2, 3)
    kept = [number for number in wanted if recipe.low <= number <= recipe.high]
    if not kept:
        raise Infeasible(f"no {dtype} lies in [{recipe.low}, {recipe.high}]")
    edges: Array = np.array(kept, dtype=dtype.carrier)[(raw % np.uint64(len(kept))).astype(np.int64)]
    return edges


PALETTES: Mapping[str, Palette] = MappingProxyType({
    "spread": _spread, "whole": _stepped(1), "quarters": _stepped(4), "halves": _stepped(1, 0.5),
    "wide": _exponents(12), "vast": _exponents(16), "bits": _bits, "constant": _constant, "zeros": _zeros,
    "subnormal": _subnormal, "few": _few, "alike": _alike, "powers": _powers, "outlier": _outlier, "large": _large,
    "edges": _edges, "nonfinite": _spread,
})  # fmt: skip


_SPECIALS = np.array([np.nan, np.inf, -np.inf])


def with_specials(raw: Array, numbers: Array) -> Array:
    """One number of six replaced by NaN or an infinity: what "nonfinite" adds once numbers are in their range."""
    chosen = ((raw >> np.uint64(40)) % np.uint64(18)).astype(np.int64).reshape(numbers.shape)
    return np.asarray(np.where(chosen < len(_SPECIALS), _SPECIALS[np.minimum(chosen, len(_SPECIALS) - 1)], numbers))
