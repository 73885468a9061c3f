"""The numbers of inputs and initializers: a palette, a seed and a range give the same bytes on every machine.

Only the 64-bit words of SHAKE-128 (FIPS 202), integer arithmetic and exact scaling are used: no transcendental
function, whose last bits differ between CPUs, and no numpy distribution, whose stream may change between releases.
"""

from __future__ import annotations

import hashlib
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from abstract.constraints import Infeasible
from abstract.dtypes import BY_NAME, DType, Kind
from abstract.graph import Recipe
from fuzz.generate.texts import TEXTS, words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from abstract.operator import Array, Domain

__all__ = ["PALETTES", "choose_recipe", "fill", "rounded"]


def _draws(recipe: Recipe, count: int) -> Array:
    # An extendable-output hash is five times quicker to start than numpy's generators, and as stable as a standard.
    stream = hashlib.shake_128(recipe.seed.to_bytes(8, "little")).digest(8 * count)
    return np.frombuffer(stream, dtype="<u8")


def rounded(array: Array, dtype: DType) -> Array:
    """Numbers brought to the nearest that the type can hold, in its carrier type."""
    return array.astype(dtype.numpy).astype(dtype.carrier)


def _spread(raw: Array, recipe: Recipe) -> Array:
    unit = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return recipe.low + unit * (recipe.high - recipe.low)


def _whole(raw: Array, recipe: Recipe) -> Array:
    low, high = int(np.ceil(recipe.low)), int(np.floor(recipe.high))
    span = np.uint64(max(high - low, 0) + 1)
    return (raw % span).astype(np.float64) + low


def _halves(raw: Array, recipe: Recipe) -> Array:
    low, high = int(np.ceil(recipe.low * 4)), int(np.floor(recipe.high * 4))
    span = np.uint64(max(high - low, 0) + 1)
    return ((raw % span).astype(np.float64) + low) / 4


def _exponents(count: int) -> Callable[[Array, Recipe], Array]:
    """Magnitudes spread evenly over so many binary exponents from 2**-8 on, up to the end of the range."""

    def draw(raw: Array, recipe: Recipe) -> Array:
        unit = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53
        magnitude = np.ldexp(1.0 + unit, ((raw >> np.uint64(1)) % np.uint64(count)).astype(np.int64) - 8)
        signed = np.where(raw & np.uint64(1), magnitude, -magnitude)
        return np.clip(signed, recipe.low, recipe.high)

    return draw


def _bits(raw: Array, recipe: Recipe) -> Array:
    """Whole numbers of 1 bit, 2 bits and so on up to the end of the range, all lengths alike often."""
    longest = int(max(abs(recipe.low), abs(recipe.high), 1)).bit_length()
    unit = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53
    magnitude = np.floor(np.ldexp(1.0 + unit, ((raw >> np.uint64(1)) % np.uint64(longest)).astype(np.int64)))
    negative = (raw & np.uint64(1)).astype(np.bool_) if recipe.low < 0 else np.zeros(raw.shape, np.bool_)
    return np.clip(np.where(negative, -magnitude, magnitude), recipe.low, recipe.high)


def _constant(raw: Array, recipe: Recipe) -> Array:
    first = recipe.low + (recipe.seed % 8) / 8 * (recipe.high - recipe.low)
    return np.full(raw.shape, first)


PALETTES: Mapping[str, Callable[[Array, Recipe], Array]] = MappingProxyType({
    "spread": _spread, "whole": _whole, "quarters": _halves, "wide": _exponents(12), "vast": _exponents(16),
    "bits": _bits, "constant": _constant,
})  # fmt: skip
_FLOAT_PALETTES = ("spread",) * 6 + ("quarters", "whole", "wide", "constant")
# What "wide" is, by size, and how far it goes: floats whose exponential overflows, integers that float and int32 lose.
_WIDE = (("wide", 8.0), ("wide", 8.0), ("vast", 256.0), ("vast", 256.0))
_WIDE_INTEGERS = 2.0**40


def choose_recipe(dtype: DType, domain: Domain, integer: Callable[[int, int], int]) -> Recipe:
    """A recipe for numbers of this type inside a domain, of moderate size; draws three decisions.

    Raises Infeasible where the type has no number there.
    """
    seed = integer(0, 2**32 - 1)
    style = integer(0, len(_FLOAT_PALETTES) - 1)
    size = integer(0, 3)
    if dtype.kind is Kind.BOOL:
        return Recipe("whole", seed, 0, 1)
    if dtype.kind is Kind.STRING:
        return Recipe("whole", seed, 0, (1, 3, 7, len(TEXTS) - 1)[size])
    if dtype.kind is Kind.COMPLEX:
        dtype = BY_NAME["float"]  # both parts, whatever their width
    if dtype.is_float:
        reach = (1.0, 2.0, 2.0, 4.0)[size]
        palette = _FLOAT_PALETTES[style]
        if palette == "wide":
            palette, reach = _WIDE[size]
    elif _FLOAT_PALETTES[style] == "wide":
        palette, reach = "bits", _WIDE_INTEGERS
    else:
        palette, reach = "whole", (4, 8, 16, 100)[size]
    low, high = _limits(dtype, domain, reach)
    if palette in ("whole", "quarters"):
        scale = 1 if palette == "whole" else 4
        if np.ceil(low * scale) > np.floor(high * scale):
            palette = "spread"
    return Recipe(palette, seed, float(low), float(high), domain.away)


def _limits(dtype: DType, domain: Domain, reach: float) -> tuple[float, float]:
    """The part of a domain that the type has and that lies within reach of 0, or next to it."""
    least, most = max(domain.low, dtype.minimum), min(domain.high, dtype.maximum)
    low, high = max(least, -reach), min(most, reach)
    if low > high:
        low, high = (least, min(least + reach, most)) if low > reach else (max(most - reach, least), most)
    if domain.away > 0:
        low, high = (max(low, domain.away), high) if high >= domain.away else (low, min(high, -domain.away))
    if not dtype.is_float:
        low, high = np.ceil(low), np.floor(high)
    narrow = dtype.is_float and dtype.bits <= 8
    if low > high or (narrow and _inward(low, 1, dtype) > _inward(high, -1, dtype)):
        raise Infeasible(f"no {dtype} lies in [{domain.low}, {domain.high}]")
    return low, high


def fill(recipe: Recipe, shape: tuple[int, ...], dtype: DType) -> Array:
    """The tensor of a recipe at a shape, in the carrier type, every number representable in the declared type."""
    if dtype.kind is Kind.COMPLEX:
        parts = fill(recipe, (*shape, 2), BY_NAME["float" if dtype.bits == 64 else "double"])
        return parts.view(dtype.carrier)[..., 0]
    raw = _draws(recipe, prod(shape))
    numbers = PALETTES[recipe.palette](raw, recipe).reshape(shape)
    if dtype.kind is Kind.BOOL:
        flags: Array = np.asarray(numbers != 0)  # a comparison of a 0-d array gives a scalar
        return flags
    if dtype.kind is Kind.STRING:
        return words(numbers, recipe.seed % len(TEXTS))
    if not dtype.is_float:
        return numbers.astype(dtype.carrier)
    numbers = rounded(numbers, dtype)
    if numbers.size and (numbers.min() < recipe.low or numbers.max() > recipe.high):
        # Rounding to a narrow type may step over an end of the range by one number.
        numbers = np.asarray(np.clip(numbers, _inward(recipe.low, 1, dtype), _inward(recipe.high, -1, dtype)))
    return numbers


def _inward(end: float, direction: int, dtype: DType) -> float:
    """The number of the type at or next to an end of a range, on its inner side (``direction`` 1: above)."""
    stored = np.asarray(end).astype(dtype.numpy)
    if (float(stored) - end) * direction < 0:
        stored = np.nextafter(stored, np.asarray(dtype.maximum if direction > 0 else dtype.minimum).astype(dtype.numpy))
    return float(stored)
