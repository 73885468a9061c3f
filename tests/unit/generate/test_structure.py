"""The table of structural features, and who draws which."""

from __future__ import annotations

import pytest

from fuzz.generate.choices import Replayed, Seeded
from fuzz.generate.settings import Settings
from fuzz.generate.structure import FEATURES, draw_structure, features
from fuzz.generate.support import joint_demands


def test_all_are_all():
    assert dict(features(("all",))) == {name: feature.chance for name, feature in FEATURES.items()}


def test_one_can_be_taken_out_of_all():
    assert {name for name, _ in features(("all", "-functions"))} == FEATURES.keys() - {"functions"}


def test_what_is_named_is_in_every_second_model():
    drawn = [draw_structure(Seeded(seed), Settings(structure=("functions",))) for seed in range(400)]
    assert 150 < sum(drawn_ == {"functions"} for drawn_ in drawn) < 250


def test_each_feature_is_as_rare_as_the_table_says():
    drawn = [draw_structure(Seeded(seed), Settings(structure=("all",))) for seed in range(2000)]
    for name, feature in FEATURES.items():
        share = sum(name in found for found in drawn) / len(drawn)
        assert abs(share - feature.chance / 100) < 0.04, name


def test_settings_without_structure_draw_nothing():
    choices = Seeded(0)
    assert draw_structure(choices, Settings()) == frozenset()
    assert choices.record == []


def test_the_simplest_model_has_none():
    assert draw_structure(Replayed([]), Settings(structure=("all",))) == frozenset()


def test_an_unknown_name_is_told():
    with pytest.raises(ValueError, match="unknown structure 'function'"):
        features(("function",))


def test_what_a_target_lacks_is_taken_out_of_all_and_stays_where_it_is_named():
    asked = joint_demands(("openvino", "onnxruntime"), Settings(structure=("all",)))
    assert "functions" not in dict(features(asked.structure))
    named = Settings(structure=("functions",))
    assert joint_demands(("openvino",), named).structure == ("functions",)
    assert joint_demands(("onnxruntime",), Settings(structure=("all",))).structure == ("all",)
