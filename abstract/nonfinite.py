"""Where NaN and the infinities have one meaning: what comes of them is judged there, and nowhere else.

Two kinds of operators are listed. Those that *move* put each number somewhere, whatever it is. Those that *compute*
element by element are operations of IEEE 754-2019: what NaN (6.2) and infinities (6.1) become is said there, and what
is invalid (7.2: inf - inf, 0 * inf, inf / inf, the root of a negative number) gives NaN. ONNX's text has no word on
most of them, and names these operations. Left out is what backends compose of comparisons (Max, Clip, Relu, Sign:
hazards nan-in-extremum, nan-in-clamp, nan-in-sign), what they approximate (Tanh, Sigmoid and the like, whose text is a
formula for numbers), what sorts or hashes (TopK, Unique), and sums of products, which skip zeros or pad with them.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from abstract.operator import Array, Bound, Run

__all__ = ["COMPUTED", "MOVED", "carries", "certain"]

MOVED = frozenset({
    "CenterCropPad", "Compress", "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND",
    "Identity", "Reshape", "ReverseSequence", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Trilu",
    "Unsqueeze",
})  # fmt: skip
"""Every element of the output is one of the operand's, or a zero that the text puts there."""

COMPUTED = frozenset({
    "Abs", "Add", "Cast", "CastLike", "Ceil", "Div", "Equal", "Floor", "Greater", "GreaterOrEqual", "IsInf", "IsNaN",
    "Less", "LessOrEqual", "Mul", "Neg", "Round", "Sqrt", "Sub", "Where",
})  # fmt: skip
"""IEEE 754-2019: 5.4.1 (arithmetic, roots), 5.4.2 (conversions), 5.5.1 (signs), 5.7.2 (classes), 5.9 (whole numbers),
5.11 (comparisons).

Where takes one of two elements. Of conversions to 8 bits and fewer the text of Cast has tables, which leave open what
hazards of Cast name.
"""

_ARITHMETIC = frozenset({"Abs", "Add", "Div", "Mul", "Neg", "Sqrt", "Sub"})


def carries(name: str) -> bool:
    """Whether NaN and infinities may be given to an operator."""
    return name in MOVED or name in COMPUTED


def certain(
    name: str, run: Run, y: tuple[Array, ...], e: tuple[Bound, ...], own: tuple[Bound, ...]
) -> list[Array | None]:
    """For each output the elements that are NaN or infinite by every legal computation; None where there are none.

    A number that is not finite is certain while its bound is: ``e`` are the bounds of the operands, ``own`` what the
    operator's rule makes of them.
    """
    found: list[Array | None] = [None] * len(y)
    if not carries(name):
        return found
    for position, (array, bound) in enumerate(zip(y, own, strict=False)):
        if array.dtype.kind != "f":
            continue
        special = ~np.isfinite(array)
        if special.any():
            known = np.isfinite(bound) if name in MOVED else _sure(name, run, e)
            sure = special & known
            found[position] = sure if sure.any() else None
    return found


def _sure(name: str, run: Run, e: Iterable[Bound]) -> Array:
    """Elements of which every operand is exactly known: a number without error, or none whose bound is finite.

    Of arithmetic, one that is certainly NaN is enough.
    """
    pairs = [(x, bound) for x, bound in zip(run.inputs, e, strict=True) if x is not None]
    if name == "CastLike":
        pairs = pairs[:1]  # of the other operand only the type counts
    exact = [np.equal(bound, 0.0) | (np.isfinite(bound) & ~_finite(x)) for x, bound in pairs]
    sure = np.asarray(reduce(np.logical_and, exact))
    if name not in _ARITHMETIC:
        return sure
    return reduce(np.logical_or, (np.isfinite(bound) & np.isnan(x) for x, bound in pairs), sure)


def _finite(x: Array) -> Array:
    return np.isfinite(x) if x.dtype.kind in "fc" else np.ones(x.shape, np.bool_)
