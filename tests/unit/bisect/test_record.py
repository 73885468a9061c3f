"""What is kept beside a finding, and how it is put in words."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from fuzz.bisect.answer import Answer, State
from fuzz.bisect.history import Releases, entry_of, found_on
from fuzz.bisect.matrix import html, markdown, tables
from fuzz.bisect.record import BISECT, Record, sentence, told_in
from fuzz.bisect.releases import chosen, in_order
from fuzz.bisect.run import bisect
from fuzz.errors import TargetError, UsageError
from fuzz.report.papers import read_papers
from fuzz.triage.finding import read_finding

FINDING = Path(__file__).parents[3] / "findings" / "onnxruntime-max-int64"
LETTERS = {"b": State.BAD, "g": State.GOOD, "-": State.SKIP, "o": State.OTHER}


@pytest.fixture
def finding(tmp_path):
    shutil.copytree(FINDING, tmp_path / "max", ignore=shutil.ignore_patterns(BISECT))
    return read_finding(tmp_path / "max")


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ("gbb", "since 2"),
        ("bbb", "since 1, the oldest there is"),
        ("-bb", "since 2, the oldest that tells"),
        (" bb", "since 2 or before"),
        ("g-b", "since 3 at the latest (1 is right)"),
        ("gbg", "since 2, fixed in 3"),
        ("b g", "since 1, the oldest there is, fixed in 3 at the latest (1 has it)"),
        ("bgb", "since 1, the oldest there is, fixed in 2; again since 3"),
        ("g-o", "in no version that was asked"),
        ("--o", "no version can be asked"),
    ],
)
def test_a_history_in_words(states, words):
    known = {str(at): LETTERS[letter] for at, letter in enumerate(states, 1) if letter != " "}
    assert sentence(["1", "2", "3"], known) == words


def test_where_not_all_releases_are_known_nothing_came_right_after():
    known = {"1": State.GOOD, "2": State.BAD, "3": State.GOOD}
    assert sentence(["1", "2", "3"], known, whole=False) == (
        "since 2 at the latest (1 is right), fixed in 3 at the latest (2 has it)"
    )
    assert sentence(["2"], {"2": State.BAD}, whole=False) == "since 2 or before"


def test_answers_are_kept_for_the_same_question(finding):
    record = Record(finding, ["1.15.0", "1.18.1", "1.32.0"])
    record.note("1.18.1", Answer(State.GOOD))
    record.note("1.32", Answer(State.SKIP, "cannot be had", passing=True))
    again = Record(finding)
    assert (again.order, again.known("1.18.1")) == (["1.15", "1.18.1", "1.32"], Answer(State.GOOD))
    # What lay at the network, or at a full disk, is asked again.
    assert again.known("1.32") is None
    assert told_in(finding.folder) == "in no version that was asked"
    assert read_papers(finding.folder, {}).history == "in no version that was asked"
    assert Record(finding, anew=True).answers == {}
    assert Record(replace(finding, target="onnxruntime:opt=0")).answers == {}
    assert told_in(finding.folder, finding.case.digest, "onnxruntime==1.31.1") == told_in(finding.folder)
    assert told_in(finding.folder, finding.case.digest, "onnxruntime:opt=0") == ""
    (finding.folder / BISECT).write_text("{", "utf-8")
    assert Record(finding).answers == {}
    (finding.folder / BISECT).write_text(json.dumps({**again._heading, "versions": {"1": {"word": "odd"}}}), "utf-8")
    assert Record(finding).answers == {}


def test_what_is_known_needs_no_version_at_all(finding):
    """Where all is answered only the version that it was found on could be run again: it is not."""
    record = Record(finding, ["1.20.1", "1.31.1"])
    record.note("1.20.1", Answer(State.GOOD))
    record.note("1.31.1", Answer(State.BAD))

    def nothing(*_):
        raise AssertionError("asked")

    bisect(record, ["1.20.1", "1.31.1"], "1.31.1", None, nothing, nothing)
    assert record.said == "since 1.31.1"


def test_versions_by_hand():
    known = in_order(["1.20.1", "1.9", "1.32.0", "1.31.1", "1.33.0rc1", "nightly"])
    assert known == ["1.9", "1.20.1", "1.31.1", "1.32"]
    assert chosen("1.20.1..1.31.1", known) == ["1.20.1", "1.31.1"]
    assert chosen("..1.20", known) == ["1.9"]
    assert chosen("1.31..", known) == ["1.31.1", "1.32"]
    assert chosen("1.32.0, 1.8", known) == ["1.8", "1.32"]
    with pytest.raises(UsageError, match=r"no release lies in 2\.\.3: there are 1\.9"):
        chosen("2..3", known)


def test_without_an_index_what_is_installed_serves(monkeypatch):
    said = []
    monkeypatch.setattr("fuzz.bisect.history.in_index", lambda _: None)
    found = Releases.of(entry_of(read_finding(FINDING)), None, installed=False, tell=said.append)
    assert found.asked
    assert found.all == ()
    assert "no package index can be asked" in said[0]
    assert "--versions" in said[0]


def test_which_version_it_was_found_on(finding):
    assert found_on(finding) == "1.31.1"
    assert found_on(replace(finding, target="onnxruntime==1.20.1:opt=0")) == "1.20.1"
    with pytest.raises(TargetError, match="unknown backend"):
        entry_of(replace(finding, target="nothing"))


def test_the_table_is_text_whatever_a_version_says(finding):
    record = Record(finding, ["1.15", "1.20.1"])
    record.note("1.15", Answer(State.SKIP, 'a <b> | "c" *d*'))
    record.note("1.20.1", Answer(State.BAD, plain=True))
    found = tables([record])
    text = markdown(found)
    assert "| `max` | - | bad' | since 1.20.1, the oldest that tells |" in text
    assert '- cannot tell: max on 1.15: a &lt;b&gt; \\| "c" \\*d\\*' in text
    assert "<b>" not in html(found)
    assert 'title="a &lt;b&gt; | &quot;c&quot; *d*"' in html(found)
    assert tables([record], ["1.15"])[0].versions == ("1.15",)
