"""What of a candidate's answers is worse than the baseline's, and that a reduction keeps to that."""

from __future__ import annotations

import pytest

from backends.protocol import Outcome, Stage
from fuzz.campaign.gate import Regression, worse
from fuzz.execute.attempt import Attempt
from fuzz.judge.verdict import Verdict
from fuzz.triage.observation import Observation
from fuzz.triage.signature import Signature


def answer(word, message=""):
    outcome = Outcome.CRASH if word == "crash" else Outcome.OK
    return Verdict("c", "t", 0, word), Attempt(outcome, Stage.RUN, message, "", 0.0, 0.0, ())


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("ok", "wrong", True), ("suspect", "wrong", True), ("unsupported", "crash", True),
        ("undecidable", "crash", True), ("wrong", "crash", True),
        ("wrong", "wrong", False), ("wrong", "ok", False), ("ok", "ok", False),
        ("flaky", "wrong", False), ("error", "wrong", False), ("ok", "unsupported", False),
    ],
)  # fmt: skip
def test_what_is_worse(before, after, found):
    assert worse(answer(before), answer(after)) is found


def test_another_way_to_fail_is_new_and_without_a_baseline_nothing_is():
    assert worse(answer("crash", "the worker died of SIGSEGV"), answer("crash", "the worker died of SIGABRT"))
    assert not worse(answer("crash", "the worker died of SIGSEGV"), answer("crash", "the worker died of SIGSEGV"))
    assert not worse(None, answer("wrong"))


class Told:
    """A predicate that says what it was told to say."""

    def __init__(self, target, word):
        self.target, self.heading, self.asked = target, {"target": target}, []
        self._word = word

    def examine(self, _candidate, _apart):
        self.asked.append("examine")
        return Observation(Signature(self._word))

    def run(self, _model, _sets):
        self.asked.append("run")

    def renew(self):
        self.asked.append("renew")

    def hasten(self, seconds):
        self.asked.append(seconds)

    def stop(self):
        self.asked.append("stop")


@pytest.mark.parametrize(
    ("before", "after", "finding"),
    [("ok", "wrong", True), ("wrong", "wrong", False), ("error", "wrong", False), ("wrong", "ok", False),
     ("crash", "wrong", True)],
)  # fmt: skip
def test_a_candidate_of_a_reduction_counts_where_the_baseline_does_not_fail_alike(before, after, finding):
    found = Regression(Told("new", after), Told("old", before)).examine(None, None)
    assert (found.finding, found.signature.word) == (finding, after)


def test_the_baseline_is_asked_only_about_what_fails_and_goes_where_the_candidate_goes():
    new, old = Told("new", "ok"), Told("old", "ok")
    both = Regression(new, old)
    assert (both.target, both.heading["baseline"]) == ("new", {"target": "old"})
    both.examine(None, None)
    both.run(b"", [])
    both.renew()
    both.hasten(5.0)
    both.stop()
    assert new.asked == ["examine", "run", "renew", 5.0, "stop"]
    assert old.asked == ["renew", 5.0, "stop"]
