"""How sizes are drawn: ranks, sizes of 0, sizes that follow from others, chains where their operators are allowed."""

from __future__ import annotations

from collections import Counter

from fuzz.generate.chain import LINKS, TOLD
from fuzz.generate.choices import Seeded
from fuzz.generate.graph import generate_graph
from fuzz.generate.plan import menu
from fuzz.generate.settings import DEFAULT_RANK, USUAL_RANK, Settings
from fuzz.generate.shaping import Shaping, draw_shaping

SEEDS = range(400)
NAMES = menu(Settings())


DEFAULT = Settings()


def drawn(settings=DEFAULT, names=NAMES, supports=None, *, dynamic=True):
    return [draw_shaping(Seeded(seed), settings, names, supports, dynamic=dynamic) for seed in SEEDS]


def test_ranks_beyond_5_are_rare_unless_they_are_asked_for():
    ranks = Counter(s.rank for s in drawn())
    assert set(ranks) == {USUAL_RANK, DEFAULT_RANK}
    assert 10 <= ranks[DEFAULT_RANK] <= 45
    assert {s.rank for s in drawn(Settings(rank=(6, 8)))} == {(6, 8)}


def test_a_model_of_rank_8_is_made():
    highest = 0
    for seed in range(20):
        graph, _ = generate_graph(Seeded(seed), Settings(nodes=(3, 6), rank=(6, 8), operators=("Relu", "Add", "Neg")))
        highest = max(highest, *(v.array.ndim for v in graph.outputs))
        assert all(v.array.size <= 8192 for v in graph.outputs)
    assert highest == 8


def test_the_share_of_models_with_empty_tensors():
    assert all(s.empty == 0 for s in drawn(Settings(empty=0.0)))
    assert all(s.empty > 0 for s in drawn(Settings(empty=1.0)))
    assert 1 <= sum(s.empty > 0 for s in drawn()) <= 25


def test_static_models_compute_nothing():
    assert all(s.computed == 0 == s.related for s in drawn(dynamic=False))


def test_chains_need_operators_that_are_allowed_and_run():
    computed = sum(s.computed > 0 for s in drawn())
    assert 0.65 * len(SEEDS) < computed < 0.85 * len(SEEDS)
    assert all(s.computed == 0 for s in drawn(names=("Reshape", "Relu")))
    assert all(s.computed == 0 for s in drawn(supports=lambda operator, *_: operator != "Concat"))
    assert any(s.computed for s in drawn(supports=lambda *_: True))


def test_what_takes_shapes_is_called_more_often_where_shapes_are_computed():
    operators = list(NAMES)
    assert Shaping().tickets(operators, NAMES) == operators
    tickets = Shaping(computed=1).tickets(operators, NAMES)
    assert sum(name in TOLD for name in tickets) > 1.5 * sum(name in TOLD for name in operators)
    assert set(LINKS) <= set(tickets)
