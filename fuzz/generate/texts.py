"""The words of which tensors of strings are made.

They are what implementations stumble over: nothing at all, blanks in front, between and behind, pairs that differ in
case, letters of one to four bytes of UTF-8, one letter in two spellings (composed and combining), numerals, lengths
next to what C++ libraries keep inside of a string object (15, 22). None has a line break, which regular expressions
treat apart, nor a blank other than U+0020, of which runtimes do not agree whether it is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from abstract.operator import Array

__all__ = ["TEXTS", "words"]

TEXTS: tuple[str, ...] = (
    "a", "", "b", "A", "ab", "a b", "Ab", "aB", "0", "abc", "a,b", " a", "foo", "Foo", "FOO bar", "-12", "b ", "  ",
    "a  b", ",a,,b,", "é", "e\u0301", "É", "ß", "naïve", "日本語", "日本", "😀", "a😀b", "1.5", "x-y.z", "The fox",
    "abcdefghijklmno", "abcdefghijklmnop", "abcdefghijklmnopqrstuv", "abcdefghijklmnopqrstuvw", "ab " * 40,
)  # fmt: skip
"""Neighbours are alike enough that few of them, from any place on, hold repetitions in case or in part."""


def words(places: Array, first: int) -> Array:
    """The texts at some places counted from the first one, in a circle; an array of ``str`` objects."""
    chosen = [TEXTS[(int(place) + first) % len(TEXTS)] for place in places.ravel()]
    result = np.empty(len(chosen), dtype=object)
    result[:] = chosen
    return result.reshape(places.shape)
