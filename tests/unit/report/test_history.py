"""What a report and a finding's papers say of the releases that have it."""

from __future__ import annotations

from fuzz.report.markdown import markdown
from fuzz.report.overview import overview
from fuzz.report.papers import Papers


def test_a_report_says_since_which_release(account, discovery):
    told = account(discoveries=(discovery(papers=Papers(history="since 1.18.0, fixed in 1.32.0")),))
    assert "Releases: since 1.18.0, fixed in 1.32.0." in markdown(told)
    assert "since 1.18.0, fixed in 1.32.0" in overview(told)
    nothing = account(discoveries=(discovery(papers=Papers()),))
    assert "Releases:" not in markdown(nothing)
