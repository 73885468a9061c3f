"""Sizes that follow from others, as the inner dims of real models do: 2*d, d+1, d//2, d*e, d+e."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from abstract.dims import ceil_div, floor_div

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from abstract.dims import Dim
    from fuzz.generate.scope import Scope

__all__ = ["FORMS", "derived"]

FORMS: Mapping[str, Callable[[Dim, Dim], Dim]] = MappingProxyType({
    "d": lambda d, _e: d,
    "2*d": lambda d, _e: 2 * d,
    "d+1": lambda d, _e: d + 1,
    "d-1": lambda d, _e: d - 1,
    "d//2": lambda d, _e: floor_div(d, 2),
    "(d+1)//2": lambda d, _e: ceil_div(d, 2),
    "2*d+1": lambda d, _e: 2 * d + 1,
    "3*d": lambda d, _e: 3 * d,
    "d+e": lambda d, e: d + e,
    "d*e": lambda d, e: d * e,
})  # fmt: skip
"""What is made of a size and another one (which may be the same)."""

_ORDER = tuple(FORMS.values())


def derived(scope: Scope, base: Dim) -> Dim:
    """A size made of one that is known, and of another one where two are wanted."""
    known = scope.builder.dims
    other = known[scope.integer(0, len(known) - 1)] if known else base
    result: Dim = _ORDER[scope.integer(0, len(_ORDER) - 1)](base, other)
    return result
