"""What is kept of what was shown, and what is made of it."""

from __future__ import annotations

from itertools import permutations

from fuzz.generate.choices import Seeded
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.novelty.mutation import Continued, mutated
from fuzz.novelty.state import Kept, Shown, State, advance, origin_of


def shown(seed, *features, target="tvm"):
    return Shown(seed, {target: frozenset(features)}, (seed, 1, 2, 3))


FIRST = [shown(0, "op A", "op B"), shown(1, "op A"), shown(2, "op C", "edge A > C"), shown(3, "op A", target="jax")]


def test_a_case_is_kept_that_shows_what_no_lower_seed_has_shown():
    state = advance(State(), 0, FIRST)
    assert [(each.seed, each.worth) for each in state.kept] == [(0, 4), (2, 3), (3, 2)]
    assert state.seen == {"jax": {"op A"}, "tvm": {"op A", "op B", "op C", "edge A > C"}}


def test_passes_and_fusions_are_worth_more_than_what_feeds_what():
    state = advance(State(), 0, [shown(0, "edge A > B"), shown(1, "fused A B"), shown(2, "pass Fuse")])
    assert [each.worth for each in state.kept] == [1, 4, 8]


def test_a_state_does_not_hang_on_the_order_within_an_epoch():
    for order in permutations(FIRST):
        assert advance(State(), 0, order) == advance(State(), 0, FIRST)


def test_a_kept_case_is_taken_half_as_often_with_every_second_epoch_and_then_no_more():
    kept = Kept(0, (), (), 4, 10)
    assert [kept.weight(epoch) for epoch in (10, 11, 12, 14, 16)] == [4, 4, 2, 1, 0]
    state = advance(State(), 0, FIRST)
    assert advance(state, 40, []).kept == ()
    assert advance(state, 40, FIRST).kept == ()


def test_without_anything_kept_all_cases_are_fresh():
    assert all(origin_of(State(), 3, seed) is None for seed in range(50))


def test_as_many_cases_are_made_of_kept_ones_as_asked_for():
    state = advance(State(), 0, FIRST)
    made = [origin_of(state, 2, seed, 50) for seed in range(400)]
    assert 160 < sum(each is not None for each in made) < 240
    parents = [each.parent for each in made if each is not None]
    assert parents.count(0) > parents.count(3) > 0
    assert made == [origin_of(state, 2, seed, 50) for seed in range(400)]
    assert not any(origin_of(state, 2, seed, 0) for seed in range(50))


def test_decisions_end_and_the_seed_goes_on():
    choices = Continued([5, -3, 1000], 7)
    assert [choices.integer(0, 9) for _ in range(5)][:3] == [5, 0, 9]
    again = Continued(choices.record, 8)
    assert [again.integer(0, 9) for _ in range(5)] == choices.record


def test_the_ways_of_a_mutation():
    """Each of them is met; none leaves the list as it is in all of its places."""
    numbers, other = list(range(100, 140)), list(range(500, 540))
    made = [mutated(numbers, other, Seeded(seed)) for seed in range(60)]
    assert any(len(each) < 40 and each == numbers[: len(each)] for each in made)  # cut
    assert any(each[-1:] == [539] for each in made)  # crossed
    assert any(len(each) > 40 and set(each) == set(numbers) for each in made)  # duplicated
    assert any(len(each) < 40 and each[-1:] == [139] for each in made)  # deleted
    assert any(len(each) == 40 and sum(a != b for a, b in zip(each, numbers, strict=True)) == 1 for each in made)
    assert mutated([], [], Seeded(1)) == []


def test_a_mutant_is_a_case_of_the_generator_and_its_record_makes_it_again():
    settings = Settings(nodes=(4, 6))
    parent = generate_case(Seeded(5), settings)
    others = 0
    for seed in range(6):
        origin = origin_of(advance(State(), 0, [
            Shown(5, {"tvm": frozenset({"op A"})}, tuple(parent.record["choices"])),
        ]), 2, seed, 100)  # fmt: skip
        made = generate_case(Continued(origin.choices, origin.seed), settings)
        again = generate_case(Continued(made.record["choices"], 0), settings)
        assert again == made
        others += made.model != parent.model
    assert others
