"""What goes wrong between element types: casts left out, rounded or saturated, values held in narrower types."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from backends.faults.draft import INTEGERS
from backends.tensor import ONNX_NUMBERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backends.faults.draft import Site

__all__ = ["REWRITES"]

_ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Sum", "ReduceSum", "ReduceProd", "CumSum", "CumProd", "MatMul", "Gemm"})


def _target(site: Site) -> str:
    """The element type that a cast has for its result, empty where the node is none."""
    return site.element(site.output) if site.operator in {"Cast", "CastLike"} else ""


def _dropped_cast(site: Site) -> bool:
    """Of two casts in a row the first is left out, as if it lost nothing."""
    inner = site.producer(site.input(0))
    if not _target(site) or inner is None or inner.op_type not in {"Cast", "CastLike"}:
        return False
    site.node.input[0] = inner.input[0]
    return True


def _rounding_cast(site: Site) -> bool:
    """To the nearest integer instead of towards zero."""
    if _target(site) not in INTEGERS or not site.is_float(site.input(0)):
        return False
    site.node.input[0] = site.before("Round", [site.input(0)])
    return True


def _saturating_cast(site: Site) -> bool:
    """An integer beyond the range of a narrower type becomes its end instead of losing its upper bits."""
    own, wide = _target(site), site.element(site.input(0))
    if own not in INTEGERS or wide not in INTEGERS:
        return False
    narrow, from_ = np.iinfo(own), np.iinfo(wide)
    low, high = max(int(narrow.min), int(from_.min)), min(int(narrow.max), int(from_.max))
    if low == from_.min and high == from_.max:
        return False
    site.node.input[0] = site.before("Clip", [site.input(0), site.make(low, wide), site.make(high, wide)])
    return True


def _full_byte_true(site: Site) -> bool:
    """A true is 255 once it is a number."""
    own = _target(site)
    if not own or own in {"bool", "string"} or site.element(site.input(0)) != "bool":
        return False
    name = site.output
    ones = np.array(255).astype(np.uint8).view(np.int8) if own == "int8" else 255
    site.behind("Mul", [site.detach(), site.make(ones, own)], into=name)
    return True


def _held_as(site: Site, wide: str, narrow: str) -> bool:
    name = site.output
    if site.element(name) != wide or site.operator in {"Cast", "CastLike", "Constant", "Identity"}:
        return False
    held = site.behind("Cast", [site.detach()], to=ONNX_NUMBERS[narrow])
    site.behind("Cast", [held], into=name, to=ONNX_NUMBERS[wide])
    return True


def _narrowed_double(site: Site) -> bool:
    return _held_as(site, "double", "float")


def _narrowed_int64(site: Site) -> bool:
    return _held_as(site, "int64", "int32")


def _bfloat16_intermediate(site: Site) -> bool:
    """Floats are kept in bfloat16 between nodes."""
    return _held_as(site, "float", "bfloat16")


def _integers_in_float(site: Site) -> bool:
    """Arithmetic of 32-bit and 64-bit integers in float, exact up to 2**24."""
    own = site.element(site.output)
    if site.operator not in _ARITHMETIC or own not in {"int32", "int64"}:
        return False
    name = site.output
    for position, operand in enumerate(site.node.input):
        if site.element(operand) == own and not (site.operator in {"ReduceSum", "ReduceProd", "CumSum"} and position):
            site.node.input[position] = site.before("Cast", [operand], to=ONNX_NUMBERS["float"])
    site.behind("Cast", [site.detach()], into=name, to=ONNX_NUMBERS[own])
    return True


REWRITES: Mapping[str, Callable[[Site], bool]] = MappingProxyType({
    "dropped-cast": _dropped_cast,
    "rounding-cast": _rounding_cast,
    "saturating-cast": _saturating_cast,
    "full-byte-true": _full_byte_true,
    "narrowed-double": _narrowed_double,
    "narrowed-int64": _narrowed_int64,
    "bfloat16-intermediate": _bfloat16_intermediate,
    "integers-in-float": _integers_in_float,
})  # fmt: skip
