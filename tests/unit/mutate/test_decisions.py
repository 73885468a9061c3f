"""Recorded decisions, replayed with a few changed."""

from __future__ import annotations

import pytest

from fuzz.generate.choices import Replayed, Seeded
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.mutate.decisions import mutate_choices
from fuzz.mutate.parent import Unfit


def test_each_way(ours, mutants):
    parent = ours(5, nodes=(4, 8))
    found, refused = mutants(mutate_choices, parent, seeds=range(60))
    ways = {word for m in found for word in ("changed", "deleted", "duplicated") if word in m.record["change"]}
    assert ways == {"changed", "deleted", "duplicated"}
    assert all(m.model != parent.content for m in found)
    assert set(refused) <= {"no change: the decision did not matter", "nothing fits: no operator can be placed"}


def test_a_mutant_is_made_again_from_its_own_record(ours, mutants):
    found, _ = mutants(mutate_choices, ours(5, nodes=(4, 8)), seeds=range(5))
    for mutant in found:
        settings = Settings.from_json(mutant.record["settings"])
        assert generate_case(Replayed(mutant.record["choices"]), settings).model == mutant.model


def test_a_strangers_case_has_no_record(foreign):
    with pytest.raises(Unfit, match="no record"):
        mutate_choices(foreign("g (float[2] x) => (float[2] y) { y = Relu (x) }"), Seeded(0))


def test_settings_of_another_version(ours):
    parent = ours(5, nodes=(4, 8))
    parent.record["settings"]["nonsense"] = 1
    with pytest.raises(Unfit, match="another version"):
        mutate_choices(parent, Seeded(0))
    parent.record["choices"].clear()
    with pytest.raises(Unfit, match="no decision was made"):
        mutate_choices(parent, Seeded(0))
