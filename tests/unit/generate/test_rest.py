"""Operators at rest: most models do without them, and each case can be made again."""

from __future__ import annotations

from fuzz.generate.choices import Replayed, Seeded
from fuzz.generate.rest import Rested, draw_rests
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.reach import drawn

PLAIN = Settings(nodes=(4, 8), operators=("Relu", "Add", "Neg"), dtypes=("float", "double"), bait=())
RESTS = ("4 Relu:float", "2 Add:")


def pairs(settings, seeds=range(60)):
    return [set(drawn(generate_case(Seeded(seed), settings).graph)) for seed in seeds]


def test_what_rests_is_rare_and_does_not_disappear():
    before = pairs(PLAIN)
    after = pairs(Settings.from_json({**PLAIN.to_json(), "rests": RESTS}))

    def having(models, pair):
        return sum(pair in model for model in models)

    assert having(before, ("Relu", "float")) > 20
    assert 0 < having(after, ("Relu", "float")) < having(before, ("Relu", "float")) / 2
    assert having(after, ("Relu", "double")) > having(before, ("Relu", "double")) / 2
    assert having(after, ("Add", "float")) + having(after, ("Add", "double")) < having(before, ("Add", "float"))


def test_bait_rests_as_well():
    settings = Settings(nodes=(6, 10), operators=("Conv", "Relu", "Add", "Mul"), dtypes=("float",), bait=("all",))
    rested = Settings.from_json({**settings.to_json(), "rests": ("0 Conv:float",)})
    assert any(("Conv", "float") in model for model in pairs(settings, range(10)))
    assert not any(("Conv", "float") in model for model in pairs(rested, range(10)))


def test_a_case_is_made_again_from_what_is_recorded():
    settings = Settings.from_json({**PLAIN.to_json(), "rests": list(RESTS)})
    for seed in range(5):
        made = generate_case(Seeded(seed), settings)
        again = generate_case(Replayed(made.record["choices"]), Settings.from_json(made.record["settings"]))
        assert (again.model, again.data_sets) == (made.model, made.data_sets)


def test_without_rests_nothing_is_drawn():
    choices = Seeded(1)
    assert draw_rests(choices, (), None) is None
    assert choices.record == []


def test_what_targets_support_counts_too():
    rested = Rested(lambda _operator, first, _second="": first == "float", frozenset({"Add:float", "Mul:"}))
    asked = (("Add", "float"), ("Add", "double"), ("Relu", "float"), ("Mul", "float"))
    assert [rested(*pair) for pair in asked] == [False, False, True, False]


def test_where_all_that_was_asked_for_rests_it_is_called_all_the_same():
    """A campaign of one operator that has a finding would come to an end otherwise."""
    asked = Settings(nodes=(1, 3), operators=("Sigmoid",), dtypes=("float",), bait=())
    rested = Settings.from_json({**asked.to_json(), "rests": ("0 Sigmoid:float",)})
    assert pairs(rested, range(8)) == pairs(asked, range(8)) == [{("Sigmoid", "float")}] * 8
