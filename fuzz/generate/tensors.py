"""The numbers of inputs and initializers: a palette, a seed and a range give the same bytes on every machine.

Only the 64-bit words of SHAKE-128 (FIPS 202), integer arithmetic and exact scaling are used: no transcendental
function, whose last bits differ between CPUs, and no numpy distribution, whose stream may change between releases.
"""

from __future__ import annotations

import hashlib
from functools import cache
from math import ceil, floor, prod
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from abstract.constraints import Infeasible
from abstract.dtypes import BY_NAME, DType, Kind
from abstract.graph import Recipe
from abstract.operator import EVERYWHERE
from fuzz.generate.palettes import NEAR_ZERO, PALETTES, with_specials
from fuzz.generate.texts import TEXTS, words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from abstract.operator import Array, Domain

__all__ = ["MIXES", "choose_recipe", "fill", "mix", "rounded"]

_minimum, _maximum = np.minimum.reduce, np.maximum.reduce


def _draws(recipe: Recipe, count: int) -> Array:
    # An extendable-output hash is five times quicker to start than numpy's generators, and as stable as a standard.
    stream = hashlib.shake_128(recipe.seed.to_bytes(8, "little")).digest(8 * count)
    return np.frombuffer(stream, dtype="<u8")


def rounded(array: Array, dtype: DType) -> Array:
    """Numbers brought to the nearest that the type can hold, in its carrier type."""
    return array.astype(dtype.numpy).astype(dtype.carrier)


_IEEE = frozenset({"float", "double", "float16", "bfloat16"})  # the types that all have NaN and both infinities
_NOT_COMPLEX = frozenset({"large", "subnormal", "nonfinite"})  # complex results are not examined for their range

_BASE = ("spread",) * 6 + ("quarters", "whole", "wide", "constant")
_EXTRAS = ("zeros", "subnormal", "halves", "few", "alike", "powers", "outlier", "large")
_NOT_FINITE = 8  # beside the ten or more of a mix
_SHARE = 2  # of each of the extras beside the ten of the base

MIXES = 2 ** (len(_EXTRAS) + 1)
"""How many mixes there are; one half of them is the base alone."""

# What "wide" is, by size, and how far it goes: floats whose exponential overflows, integers that float and int32 lose.
_WIDE = (("wide", 8.0), ("wide", 8.0), ("vast", 256.0), ("vast", 256.0))
_REACH: Mapping[str, float] = MappingProxyType({"powers": 128.0, "outlier": 1000.0})
# Integers have what matters to them in the place of some; the others are whole numbers of moderate size.
_INTEGERS: Mapping[str, tuple[str, float]] = MappingProxyType({
    "wide": ("bits", 2.0**40), "large": ("edges", np.inf), "zeros": ("whole", 1.0), "few": ("whole", 2.0),
})  # fmt: skip


@cache
def mix(number: int, *, nonfinite: bool = False) -> tuple[str, ...]:
    """The palettes from which the tensors of one model are drawn, each as often as it is to be taken.

    ``number`` is one of ``MIXES``: below one half of them the base alone, else with a subset of the extras.
    ``nonfinite``: besides NaN and infinities among ordinary numbers, one tensor in two or three.
    """
    if nonfinite:
        return mix(number) + ("nonfinite",) * _NOT_FINITE
    extras = 2 ** len(_EXTRAS)
    if number < extras:
        return _BASE
    return _BASE + tuple(name for i, name in enumerate(_EXTRAS) if number >> i & 1 for _ in range(_SHARE))


def choose_recipe(
    dtype: DType, domain: Domain, integer: Callable[[int, int], int], palettes: Sequence[str] = _BASE
) -> Recipe:
    """A recipe for numbers of this type inside a domain, by one of these palettes; draws three decisions.

    Raises Infeasible where the type has no number there.
    """
    seed = integer(0, 2**32 - 1)
    palette = palettes[integer(0, len(palettes) - 1)]
    size = integer(0, 3)
    if dtype.kind is Kind.BOOL:
        return Recipe("whole", seed, 0, 1)
    if dtype.kind is Kind.STRING:
        return Recipe("whole", seed, 0, (1, 3, 7, len(TEXTS) - 1)[size])
    if dtype.kind is Kind.COMPLEX:
        dtype = BY_NAME["float"]  # both parts, whatever their width
        palette = "spread" if palette in _NOT_COMPLEX else palette
    if palette == "nonfinite" and (domain is not EVERYWHERE or dtype.name not in _IEEE):
        palette = "spread"
    if palette == "wide" and dtype.is_float:
        palette, reach = _WIDE[size]
    elif dtype.is_float:
        reach = dtype.maximum if palette == "large" else _REACH.get(palette, (1.0, 2.0, 2.0, 4.0)[size])
    else:
        palette, reach = _INTEGERS.get(palette, ("whole", (4, 8, 16, 100)[size]))
    low, high = _limits(dtype, domain, reach)
    return Recipe(_fitting(palette, low, high), seed, float(low), float(high), domain.away)


_STEPS: Mapping[str, tuple[float, float]] = MappingProxyType({
    "whole": (1.0, 0.0), "quarters": (4.0, 0.0), "halves": (1.0, 0.5),
})  # fmt: skip


def _fitting(palette: str, low: float, high: float) -> str:
    """The palette, or even spread where the range has none of its numbers."""
    if palette in _STEPS:
        scale, offset = _STEPS[palette]
        return palette if ceil((low - offset) * scale) <= floor((high - offset) * scale) else "spread"
    return "spread" if palette in NEAR_ZERO and not low <= 0 <= high else palette


def _limits(dtype: DType, domain: Domain, reach: float) -> tuple[float, float]:
    """The part of a domain that the type has and that lies within reach of 0, or next to it."""
    least, most = max(domain.low, dtype.minimum), min(domain.high, dtype.maximum)
    low, high = max(least, -reach), min(most, reach)
    if low > high:
        low, high = (least, min(least + reach, most)) if low > reach else (max(most - reach, least), most)
    if domain.away > 0:
        low, high = (max(low, domain.away), high) if high >= domain.away else (low, min(high, -domain.away))
    if not dtype.is_float:
        low, high = float(ceil(low)), float(floor(high))
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
    numbers = PALETTES[recipe.palette](raw, recipe, dtype).reshape(shape)
    if dtype.kind is Kind.BOOL:
        flags: Array = np.asarray(numbers != 0)  # a comparison of a 0-d array gives a scalar
        return flags
    if dtype.kind is Kind.STRING:
        return words(numbers, recipe.seed % len(TEXTS))
    if not dtype.is_float:
        return numbers.astype(dtype.carrier)
    numbers = rounded(numbers, dtype)
    if numbers.size and not recipe.low <= _minimum(numbers, None) <= _maximum(numbers, None) <= recipe.high:
        # Rounding to a narrow type may step over an end of the range by one number.
        numbers = np.asarray(np.clip(numbers, _inward(recipe.low, 1, dtype), _inward(recipe.high, -1, dtype)))
    return with_specials(raw, numbers) if recipe.palette == "nonfinite" else numbers


def _inward(end: float, direction: int, dtype: DType) -> float:
    """The number of the type at or next to an end of a range, on its inner side (``direction`` 1: above)."""
    stored = np.asarray(end).astype(dtype.numpy)
    if (float(stored) - end) * direction < 0:
        stored = np.nextafter(stored, np.asarray(dtype.maximum if direction > 0 else dtype.minimum).astype(dtype.numpy))
    return float(stored)
