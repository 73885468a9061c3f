"""Decisions: from a seed, from a record, and the same for both."""

from __future__ import annotations

import pytest

from fuzz.generate.choices import Replayed, Seeded

RANGES = [(0, 0), (0, 1), (-3, 3), (0, 999), (5, 2**32 - 1), (-(2**31), 2**31 - 1)]


def draw(choices, times=50):
    return [choices.integer(low, high) for _ in range(times) for low, high in RANGES]


def test_integers_lie_in_their_range_and_reach_its_ends():
    choices = Seeded(1)
    drawn = [choices.integer(-2, 2) for _ in range(300)]
    assert set(drawn) == {-2, -1, 0, 1, 2}


def test_the_draws_of_a_seed_never_change():
    """Every case that was ever recorded by its seed hangs on these."""
    choices = Seeded(42)
    assert [choices.integer(0, 999) for _ in range(6)] == [111, 741, 244, 139, 102, 740]
    assert Seeded(7).integer(-(2**31), 2**31 - 1) == 1923568358


def test_a_seed_is_a_stream_of_its_own():
    assert draw(Seeded(3)) == draw(Seeded(3))
    assert draw(Seeded(3)) != draw(Seeded(4))


def test_streams_do_not_disturb_each_other():
    alone = draw(Seeded(3))
    first, second = Seeded(3), Seeded(4)
    mixed = []
    for _ in range(50):
        for low, high in RANGES:
            mixed.append(first.integer(low, high))
            second.integer(low, high)
    assert mixed == alone


def test_the_record_is_what_was_given_out():
    choices = Seeded(5)
    assert draw(choices) == choices.record


def test_a_record_replays_itself():
    choices = Seeded(6)
    drawn = draw(choices)
    again = Replayed(choices.record)
    assert draw(again) == drawn
    assert again.record == choices.record


@pytest.mark.parametrize(("number", "given"), [(-5, 2), (2, 2), (4, 4), (99, 6)])
def test_a_replayed_number_is_brought_into_range(number, given):
    choices = Replayed([number])
    assert choices.integer(2, 6) == given
    assert choices.record == [given]


def test_past_its_end_a_record_gives_the_least():
    choices = Replayed([3])
    assert [choices.integer(1, 9) for _ in range(3)] == [3, 1, 1]
