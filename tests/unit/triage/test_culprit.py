"""The search for the smallest set of switches, over models of switch boards that answer at once."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.triage.culprit import smallest


class Asked:
    """A board of which ``gone(off)`` is known; counts the sets that were asked, each once."""

    def __init__(self, gone):
        self.gone, self.answers = gone, {}

    def __call__(self, sets):
        for off in sets:
            if off not in self.answers:
                self.answers[off] = self.gone(off)
        return [self.answers[off] for off in sets]


@st.composite
def boards(draw):
    count = draw(st.integers(1, 300))
    size = draw(st.integers(1, min(3, count)))
    return count, frozenset(draw(st.lists(st.integers(0, count - 1), min_size=size, max_size=size, unique=True)))


@given(boards())
def test_any_hidden_set_is_found_and_nothing_more(board):
    count, hidden = board
    ask = Asked(lambda off: hidden <= off)
    assert smallest(range(count), ask) == hidden
    assert len(ask.answers) <= 1 + len(hidden) * (math.ceil(math.log2(count)) + 2)


@given(boards(), st.data())
def test_what_cannot_be_turned_off_hides_nothing(board, data):
    count, hidden = board
    rest = sorted(set(range(count)) - hidden)
    needed = set(data.draw(st.lists(st.sampled_from(rest), max_size=5))) if rest else set()
    ask = Asked(lambda off: None if needed & off else hidden <= off)
    assert smallest(range(count), ask) == hidden
    assert len(ask.answers) <= 4 + (len(hidden) + 2 * (len(needed) + 1)) * (math.ceil(math.log2(count)) + 2)


def test_of_two_that_each_do_one_is_found():
    for first, second in combinations(range(12), 2):
        ask = Asked(lambda off, pair=(first, second): bool(off.intersection(pair)))
        found = smallest(range(12), ask)
        assert found in ({first}, {second})


def test_nothing_that_can_be_turned_off_makes_it_go_away():
    ask = Asked(lambda _: False)
    assert smallest(range(100), ask) is None
    assert len(ask.answers) == 1
    assert smallest([], ask) is None


@pytest.mark.parametrize("count", [1, 2, 7])
def test_where_nothing_can_be_turned_off_it_ends(count):
    ask = Asked(lambda _: None)
    assert smallest(range(count), ask) is None
    assert len(ask.answers) <= 2 * count


def test_what_comes_back_with_more_turned_off_is_asked_down_to_one_less():
    """Seven alone and a bigger set that contains it: whatever is found, no set with one fewer does."""
    ask = Asked(lambda off: len(off) >= 8 or (3 in off and 5 in off and len(off) < 4))
    found = smallest(range(16), ask)
    assert found is not None
    assert ask.answers[found] is True
    assert all(ask.answers[found - {item}] is not True for item in found)
