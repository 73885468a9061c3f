"""What a campaign asks targets about their work, and what becomes of a case when they fail in telling."""

from __future__ import annotations

import pytest

from backends.frame import Frame, encode
from fuzz.campaign import examiner as module
from fuzz.campaign.campaign import Campaign
from fuzz.campaign.examiner import Examiner
from fuzz.campaign.novelty import shown_of, text_of
from fuzz.campaign.task import Examine
from fuzz.execute.attempt import Limits
from fuzz.execute.target import parse_targets
from fuzz.generate.choices import Seeded
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.novelty.state import Origin, Shown

SETTINGS = Settings(nodes=(3, 3), operators=("Relu", "Add"), dtypes=("float",))


@pytest.fixture
def examiner(tmp_path):
    campaign = Campaign(SETTINGS, parse_targets(("onnxruntime",)), Limits(60.0, 4096 << 20), novelty=True)
    with Examiner(campaign, tmp_path) as made:
        yield made


def test_a_case_that_is_asked_about_shows_features_and_one_that_is_not_shows_none(examiner):
    asked, other = (examiner.examine(Examine(3, shows=shows)) for shows in (True, False))
    assert other.shown is None
    assert asked.shown.choices == tuple(generate_case(Seeded(3), SETTINGS).record["choices"])
    assert {each.partition(" ")[0] for each in asked.shown.features["onnxruntime"]} >= {"op", "edge"}
    assert [a.verdict for a in asked.answers] == [a.verdict for a in other.answers] == ["ok"]


def test_what_goes_wrong_while_a_target_shows_something_is_no_verdict(examiner, monkeypatch):
    monkeypatch.setattr(module, "_REVEAL", encode(Frame("no such operation")))
    trial = examiner.examine(Examine(3, shows=True))
    assert trial.shown is None
    assert [(a.outcome, a.verdict, a.attempts) for a in trial.answers] == [("ok", "ok", 1)]


def test_a_case_is_made_of_its_origin(examiner):
    choices = tuple(generate_case(Seeded(5), SETTINGS).record["choices"])
    bred = examiner.examine(Examine(9, origin=Origin(5, 9, choices), shows=True))
    parent = examiner.examine(Examine(5, shows=True))
    assert bred.shown.choices == parent.shown.choices == choices
    assert bred.shown.features == parent.shown.features


def test_what_was_shown_is_told_as_it_was():
    shown = Shown(4, {"tvm": frozenset({"op B", "op A"}), "jax": frozenset({"op C"})}, (1, -(2**63), 3), ("1 Relu",))
    assert shown_of(4, text_of(shown)) == shown
