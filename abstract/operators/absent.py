"""Operators of the default domain that are not generated, each with its reason: what they give is not decided."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ABSENT"]

_RANDOM = "draws random numbers, by a generator that the specification leaves open"

ABSENT: Mapping[str, str] = MappingProxyType({
    "Bernoulli": f"{_RANDOM}; it says that implementations differ even with a seed",
    "ImageDecoder": "decodes images: decoders of one format may differ, and nothing says by how much",
    "Multinomial": _RANDOM,
    "RandomNormal": _RANDOM,
    "RandomNormalLike": _RANDOM,
    "RandomUniform": _RANDOM,
    "RandomUniformLike": _RANDOM,
})  # fmt: skip
