"""Which windows are kept where not all can be."""

from __future__ import annotations

from fuzz.seeds.choose import broadest


def test_each_next_one_brings_what_the_others_have_not():
    known = {name: frozenset(traits) for name, traits in zip("abcde", ("xy", "xyz", "z", "uv", "u"), strict=True)}
    assert list(broadest(known)) == ["b", "d", "a", "c", "e"]


def test_the_order_hangs_on_what_they_are_alone():
    known = {f"w{i}": frozenset({f"t{i % 7}", f"t{i % 5}", f"t{i % 3}"}) for i in range(40)}
    backwards = dict(reversed(known.items()))
    assert list(broadest(known)) == list(broadest(backwards))
    assert sorted(broadest(known)) == sorted(known)
