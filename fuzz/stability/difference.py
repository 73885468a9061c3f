"""Whether two results of a case differ: bit by bit, or by more than an error bound allows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.dtypes import BY_NAME
from abstract.program import to_carrier
from abstract.reference import Bounded
from backends.tensor import Tensor, to_numpy
from fuzz.judge.compare import Comparison, compare
from fuzz.judge.verdict import Word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.tensor import Value

__all__ = ["Place", "beyond", "first_difference"]

Place = tuple[int, Comparison]
"""Which output, and its worst element: `expected` is what the plain run gave, `actual` what the other way gave."""


def first_difference(expected: Sequence[Value], actual: Sequence[Value]) -> Place | None:
    """The first output in which two results differ; NaNs are all the same, and so are 0 and -0."""
    if len(expected) != len(actual):
        return 0, _apart(f"{len(actual)} outputs where the plain run gave {len(expected)}")
    for position, (one, other) in enumerate(zip(expected, actual, strict=True)):
        if one != other and (found := _exactly(one, other)) is not None:
            return position, found
    return None


def beyond(expected: Sequence[Value], actual: Sequence[Value], known: Sequence[Bounded]) -> Place | None:
    """The output in which two results are further apart than twice the bound; None where none is.

    Each may lie anywhere within its bound of the reference `known`, on either side. The word is `undecidable` where
    outputs differ of which nothing is known, and all others are near enough.
    """
    if len(expected) != len(actual):
        return first_difference(expected, actual)
    unknown = None
    for position, (one, other, reference) in enumerate(zip(expected, actual, known, strict=True)):
        if one == other or _exactly(one, other) is None:
            continue
        bound = 2 * np.asarray(reference.bound, np.float64)
        dtype = BY_NAME.get(one.element_type) if isinstance(one, Tensor) else None
        found = compare(other, Bounded(_content(one), bound, dtype, reference.shaped))
        if found.word is Word.UNDECIDABLE:
            unknown = unknown or (position, found)
        elif found.word is not Word.OK:
            return position, replace(found, word=Word.NONDETERMINISTIC)
    return unknown


def _exactly(expected: Value, actual: Value) -> Comparison | None:
    if isinstance(expected, Tensor) and isinstance(actual, Tensor):
        return _elements(expected, actual)
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        found = (_exactly(one, other) for one, other in zip(expected, actual, strict=True))
        return next((difference for difference in found if difference is not None), None)
    return None if expected == actual else _apart("a value of another form than the plain run gave")


def _elements(expected: Tensor, actual: Tensor) -> Comparison | None:
    if (expected.element_type, expected.shape) != (actual.element_type, actual.shape):
        one, other = (f"{t.element_type}{list(t.shape)}" for t in (expected, actual))
        return _apart(f"{other} where the plain run gave {one}")
    one, other = _content(expected), _content(actual)
    same = one == other
    if one.dtype.kind in "fc":
        same |= np.isnan(one) & np.isnan(other)
    if np.all(same):
        return None
    index = tuple(int(i) for i in np.unravel_index(int(np.argmin(same)), one.shape))
    return Comparison(
        Word.NONDETERMINISTIC, None, index, _number(one[index]), _number(other[index]), None,
        f"{int(np.size(same) - np.count_nonzero(same))} of {np.size(same)} elements differ",
    )  # fmt: skip


def _apart(message: str) -> Comparison:
    return Comparison(Word.NONDETERMINISTIC, message=message)


def _content(value: Value) -> Any:
    if isinstance(value, Tensor):
        return to_carrier(to_numpy(value), BY_NAME[value.element_type])
    return None if value is None else [_content(item) for item in value]


def _number(value: Any) -> float | str:
    """A JSON-safe number; integers beyond 2**53, and what JSON has no name for, become text."""
    if isinstance(value, str) or np.iscomplexobj(value):
        return str(value)
    number = float(value)
    return number if np.isfinite(number) and (number != int(number) or number == int(value)) else str(value)
