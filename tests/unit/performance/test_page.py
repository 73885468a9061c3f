"""The page and the lines for the terminal: what they say, and that names of strangers stay text."""

from __future__ import annotations

import builtins
import re
import sys
from xml.etree import ElementTree as ET

import pytest

from abstract.cost import Cost
from fuzz.errors import StorageError, UsageError
from fuzz.judge.verdict import Word
from fuzz.performance.comparison import compare
from fuzz.performance.figure import distributions, growth_curve, overview, require_matplotlib, rows
from fuzz.performance.growth import Point
from fuzz.performance.measurement import Measurement
from fuzz.performance.page import render, write_page
from fuzz.performance.summary import box_line, summary

BASE = [0.010 + 1e-4 * i for i in range(20)]
TWICE = compare([2 * t for t in BASE], BASE)
SAME = compare(BASE[:1], BASE[:1])
POINTS = tuple(Point(s, (Cost(s, 8 * s),), 1e-4 * s) for s in (1, 4, 16, 64))
SLOW = Measurement("<b>&evil", "run", Word.SLOW, "a run takes <2.0> times", 16, (TWICE, TWICE))
FLAKY = Measurement("b", "compile", Word.FLAKY, "once", comparisons=(TWICE, SAME), of_parts=True)
GROWN = Measurement("c", "growth", Word.OK, "", 64, points=POINTS)
SMALL = Measurement("d", "run", Word.UNDECIDABLE, "too small to judge")
ALL = (SMALL, GROWN, FLAKY, SLOW)


def texts(drawn: str) -> str:
    return "".join(ET.fromstring(drawn).itertext())  # noqa: S314 - our own drawing


def test_rows_say_whose_times_they_are():
    assert [name for name, _, _ in rows(SLOW, "new", "old")] == ["new", "old", "new, fresh", "old, fresh"]
    assert rows(FLAKY, "new", "old")[1][0] == "allowed: 4 times its parts"
    grown = Measurement("c", "growth", Word.SLOW, "", comparisons=(TWICE, TWICE))
    assert rows(grown, "new", "old")[1][0] == "allowed: 4 times the count"


def test_a_drawing_is_one_element_that_takes_the_colours_of_the_page():
    drawn = distributions(rows(SLOW, "a $name that is far longer than what fits beside a plot", "<o&ld>"), "s")
    names = texts(drawn)
    assert "<o&ld>" in names
    assert "$name" in names
    assert "…" in names
    assert "currentColor" in drawn
    assert "#010203" not in drawn
    assert "http://purl.org" not in drawn
    curve = growth_curve(GROWN, "s")
    assert "×64" in texts(curve)
    assert "#000000" not in curve + drawn


def test_the_same_samples_give_the_same_bytes():
    assert render(ALL, "new", "old") == render(ALL, "new", "old")


def test_the_page_has_findings_first_and_loads_nothing():
    page = render(ALL, "new:<option>", "old")
    assert page.index("&lt;b&gt;&amp;evil") < page.index("<h3>b</h3>") < page.index("<h3>c</h3>")
    assert "<h3>d</h3>" not in page
    assert "&lt;2.0&gt;" in page
    assert "new:&lt;option&gt;" in page
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert not re.findall(r'(?:href|src)="(?!#)', page)
    assert page.count("<svg") == 3
    assert "Nothing took long enough" in render((SMALL,), "new", "old")


def test_what_is_too_much_is_counted(monkeypatch):
    monkeypatch.setattr("fuzz.performance.page._MOST", 1)
    assert "2 more, further from the thresholds" in render(ALL, "new", "old")


def test_the_file_is_written_whole_or_not_at_all(tmp_path):
    write_page(tmp_path / "perf.html", ALL, "new", "old")
    assert [path.name for path in tmp_path.iterdir()] == ["perf.html"]
    with pytest.raises(StorageError, match="another --html"):
        write_page(tmp_path / "missing" / "perf.html", ALL, "new", "old")


def test_a_missing_library_is_told_in_one_line(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **named):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    with pytest.raises(UsageError, match=r"dnnfuzz\[perf\]"):
        require_matplotlib()


def test_boxes_of_text_share_a_scale():
    assert summary(SMALL) == []
    candidate, baseline = summary(SLOW)
    assert candidate.startswith("candidate ")
    assert baseline.startswith("baseline ")
    assert candidate.endswith(" 21.9 ms")
    assert candidate.index("┃") > baseline.index("┃") + 10
    assert summary(FLAKY)[1].startswith("allowed ")
    assert box_line([1.0], 1.0)[-1] == "┃"
    assert box_line([0.0], 0.0)[0] == "┃"
    assert len(box_line(BASE, 0.1)) == 40


def test_all_runs_stand_in_one_plot_the_slowest_first_with_both_sides_spread():
    even = Measurement("even", "run", Word.OK, "", comparisons=(compare(BASE, BASE),))
    drawn = overview((even, SLOW), "s")
    told = texts(drawn)
    assert told.index("<b>&evil") < told.index("even")
    page = render((*ALL, even), "new", "old")
    assert "2 cases, 1 of them slow" in page
    assert page.index("All runs") < page.index("Distributions")
    assert "All runs" not in render(ALL, "new", "old")
    assert render((*ALL, even), "new", "old") == page


def test_more_runs_than_a_plot_holds_are_told(monkeypatch):
    monkeypatch.setattr("fuzz.performance.page._ROWS", 1)
    even = Measurement("even", "run", Word.OK, "", comparisons=(compare(BASE, BASE),))
    assert "The first 1 are shown." in render((even, SLOW), "new", "old")
