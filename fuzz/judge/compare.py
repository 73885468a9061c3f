"""One output against what it may be: element by element, exact where the reference is exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.error import is_exact
from abstract.program import to_carrier
from abstract.reference import Bounded
from backends.tensor import Tensor, Value, to_numpy
from fuzz.judge.verdict import SEVERITY, Word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abstract.operator import Array

__all__ = ["SUSPECT_FACTOR", "Comparison", "compare", "worst"]

SUSPECT_FACTOR = 4.0
"""Up to this many times the bound an element is suspect, beyond it wrong."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of one output: the word, and its worst element (see ``Verdict``)."""

    word: Word
    ratio: float | None = None
    index: tuple[int, ...] | None = None
    expected: float | str | None = None
    actual: float | str | None = None
    bound: float | None = None
    message: str = ""


_OK = Comparison(Word.OK)


def worst(comparisons: Sequence[Comparison]) -> Comparison:
    """The one that speaks for all: the most severe, then the greatest ratio."""
    return max(comparisons, key=lambda c: (SEVERITY[c.word], c.ratio if c.ratio is not None else np.inf), default=_OK)


def compare(actual: Value, reference: Bounded) -> Comparison:
    """Judge one output against the reference's value and bound."""
    if not reference.shaped:
        return Comparison(Word.UNDECIDABLE, message="not even the shape is sure: it hangs on values that err")
    expected = reference.value
    if isinstance(expected, list):
        return _sequence(actual, expected, reference)
    if expected is None or actual is None:
        if expected is None and actual is None:
            return _OK
        return Comparison(Word.WRONG, message="one side is an absent optional, the other is not")
    if isinstance(actual, list):
        return Comparison(Word.WRONG, message="a sequence where a tensor is due")
    return _tensor(actual, reference, np.asarray(expected))


def _sequence(actual: Value, expected: list[Any], reference: Bounded) -> Comparison:
    if not isinstance(actual, list):
        return Comparison(Word.WRONG, message="a tensor where a sequence is due")
    if len(actual) != len(expected):
        return Comparison(Word.WRONG, message=f"a sequence of {len(actual)} where {len(expected)} are due")
    parts = []
    known = reference.parts or (reference.bound,) * len(expected)
    for got, want, own in zip(actual, expected, known, strict=True):
        bound: Any = own
        # ONNX's reference made the elements in their own types: grant them the tolerance of ONNX's backend tests.
        if isinstance(want, np.ndarray) and want.dtype.kind == "f" and reference.parts is None and is_exact(own):
            bound = np.abs(want.astype(np.float64)) * 1e-3 + 1e-6
        parts.append(compare(got, Bounded(want, bound, None)))
    return worst(parts)


def _tensor(actual: Tensor, reference: Bounded, expected: Array) -> Comparison:
    dtype = reference.dtype
    if dtype is not None and actual.element_type != dtype.name:
        return Comparison(Word.WRONG, message=f"element type {actual.element_type} where {dtype.name} is due")
    if tuple(actual.shape) != expected.shape:
        return Comparison(Word.WRONG, message=f"shape {list(actual.shape)} where {list(expected.shape)} is due")
    if not expected.size:
        return _OK
    got = to_numpy(actual)
    if dtype is not None:
        got = to_carrier(got, dtype)
    if expected.dtype.kind in "OUS":
        return _texts(got.astype(object), expected.astype(object), reference.bound)
    return _numbers(got, expected, reference.bound)


def _texts(got: Array, expected: Array, bound: Any) -> Comparison:
    """Strings are equal or not; an infinite bound says that nothing is known of an element."""
    unknown = np.broadcast_to(~np.isfinite(np.asarray(bound, dtype=np.float64)), expected.shape)
    differs = (got != expected) & ~unknown
    if not differs.any():
        return _OK if not unknown.all() else Comparison(Word.UNDECIDABLE, message="no element can be judged")
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(differs)), expected.shape))
    return Comparison(Word.WRONG, None, index, str(expected[index]), str(got[index]), 0.0)


def _numbers(got: Array, expected: Array, bound: Any) -> Comparison:
    if isinstance(bound, float) and bound == 0.0 and np.array_equal(got, expected):
        return _OK
    with np.errstate(all="ignore"):
        # Equality first: infinities and integers beyond 2**53 have no meaningful difference.
        same = got == expected
        if expected.dtype.kind in "fc":
            same |= np.isnan(got) & np.isnan(expected)
        if same.all():
            return _OK
        if got.dtype.kind in "iub":
            difference = np.abs(got.astype(np.float64) - expected.astype(np.float64))
            difference = np.where(same, 0.0, np.maximum(difference, 1.0))
        else:
            difference = np.where(same, 0.0, _distance(got - expected))
        limits = np.broadcast_to(np.asarray(bound, dtype=np.float64), expected.shape)
        unknown = ~np.isfinite(limits)
        ratio = np.where(unknown | (difference == 0), 0.0, difference / limits)
        # NaN or inf where a number is due, or a difference from an exact value.
        ratio = np.where(np.isnan(ratio), np.inf, ratio)
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(ratio)), expected.shape))
    greatest = float(ratio[index])
    if greatest <= 1.0:
        return _OK if not unknown.all() else Comparison(Word.UNDECIDABLE, message="no element can be judged")
    word = Word.SUSPECT if greatest <= SUSPECT_FACTOR else Word.WRONG
    return Comparison(
        word, greatest if np.isfinite(greatest) else None, index, _number(expected[index]), _number(got[index]),
        float(limits[index]),
    )  # fmt: skip


def _distance(difference: Array) -> Array:
    """How far apart numbers are; complex ones by the part that differs most."""
    size: Array = np.abs(difference)
    if difference.dtype.kind == "c":
        size = np.maximum(np.abs(difference.real), np.abs(difference.imag))
    return size


def _number(value: Any) -> float | str:
    """A JSON-safe number: what JSON has no name for becomes text."""
    number = complex(value) if isinstance(value, complex | np.complexfloating) else float(value)
    return number if isinstance(number, float) and np.isfinite(number) else str(number)
