"""A report as Markdown and as JUnit XML."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from fuzz.report.drawings import Drawing
from fuzz.report.exhibit import Listed
from fuzz.report.junit import junit
from fuzz.report.markdown import markdown
from fuzz.report.plot import Curve, duration, growth, plot

HOSTILE = "``` | <b>]]></failure>&amp;\x00\ud800 # [x](y)"


def suites(text):
    root = ET.fromstring(text)  # noqa: S314 - our own
    return root, {suite.get("name"): suite for suite in root}


def test_a_suite_a_target_a_test_case_a_finding(account):
    root, found = suites(junit(account()))
    assert (root.get("tests"), root.get("failures"), root.get("errors"), root.get("time")) == ("3", "3", "0", "120.000")
    assert list(found) == ["iree", "tvm"]
    tvm = found["tvm"]
    assert [child.tag for child in tvm] == ["properties", "testcase", "testcase"]
    assert {p.get("name"): p.get("value") for p in tvm[0]} == {
        "version": "0.27", "cases": "1200", "ok": "1196", "wrong": "3", "crash": "1",
    }  # fmt: skip
    failure = tvm[1][0]
    assert (tvm[1].get("name"), failure.get("type")) == ("Conv(float) [0123456789ab]", "wrong")
    assert failure.get("message") == "wrong: y[0, 2] is 2, expected 1.5 ± 1e-07"
    assert found["iree"][1][0].get("message") == "crash at run: SIGSEGV"


def test_a_target_without_findings_passes_and_a_problem_is_an_error(account):
    root, found = suites(junit(account(discoveries=(), problems=("seed 3: ValueError",))))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("3", "0", "1")
    assert [case.get("name") for case in found["tvm"].iter("testcase")] == ["no findings in 1,200 cases"]
    assert found["fuzz"][0][0].get("message") == "seed 3: ValueError"


# What the schema of Jenkins' xUnit plug-in (junit-10.xsd) demands: elements, what they hold, attributes.
CHILDREN = {
    "testsuites": {"testsuite"}, "testsuite": {"properties", "testcase"}, "properties": {"property"}, "property": set(),
    "testcase": {"failure", "error"}, "failure": set(), "error": set(),
}  # fmt: skip
REQUIRED = {
    "testsuite": {"name", "tests", "failures", "errors"}, "testcase": {"name"}, "property": {"name", "value"},
}  # fmt: skip
ALLOWED = {
    "testsuites": {"name", "time", "tests", "failures", "errors"}, "testsuite": REQUIRED["testsuite"] | {"time"},
    "testcase": {"name", "time", "classname"}, "property": {"name", "value"}, "failure": {"type", "message"},
    "error": {"type", "message"}, "properties": set(),
}  # fmt: skip


def test_the_xml_is_what_ci_systems_read(account, discovery):
    hostile = discovery(target=HOSTILE, title=HOSTILE, message=HOSTILE, signature=HOSTILE, verdict=None)
    root, _ = suites(junit(account(discoveries=(hostile, discovery()), problems=(HOSTILE,))))
    for element in root.iter():
        assert {child.tag for child in element} <= CHILDREN[element.tag]
        assert REQUIRED.get(element.tag, set()) <= set(element.attrib) <= ALLOWED[element.tag]
        assert re.fullmatch(r"[0-9]*(\.[0-9]*)?", element.get("time", "0"))
    assert "</failure>&amp;" in next(root.iter("failure")).text


def test_markdown_says_the_same(account):
    text = markdown(account())
    assert "1,200 cases in 2 min, 3 findings." in text
    assert "| `tvm` | 0.27 | 1,196 | 3 | 1 | 0 |" in text
    assert "### 1. wrong: `Conv(float)` on `tvm 0.27`" in text
    assert "| `y[0, 2]` | `2` | `1.5` | `1e-07` | `3.4e+06×` |" in text
    assert "\n\niree dies of Relu\n\n" in text
    assert "Never reached: `Abs` (double, float)." in text
    assert "input     x  f32 2  1 2" in text


def test_markdown_of_strangers_stays_in_its_place(account, discovery):
    hostile = discovery(title=HOSTILE, message=HOSTILE, values=(Listed("input", HOSTILE, "", ""),), problems=(HOSTILE,))
    text = markdown(account(discoveries=(hostile,), title="a_b*c*", problems=("<b>",)))
    assert "# dnnfuzz: a\\_b\\*c\\*" in text
    assert "````\n``` | <b>" in text
    assert "- \\<b\\>" in text
    assert "\\[x\\](y)" in text


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (42.4, "42 s"), (185, "3 min 5 s"), (725, "12 min"), (7500, "2 h 5 min"), (76 * 3600, "3 d 4 h"),
     (180, "3 min")],
)  # fmt: skip
def test_durations(seconds, told):
    assert duration(seconds) == told


def test_a_curve_holds_until_its_next_step():
    text = plot("Findings", [Curve("all", growth([30.0, 10.0]))], 40.0)
    assert 'd="M0 300H250V150H750V0H1000"' in text
    assert 'aria-label="Findings after 40 s: all 2"' in text
    assert ">20 s</span>" in text


def test_a_curve_of_many_points_stays_small_and_ends_where_it_ends():
    text = plot("Cases", [Curve("done", growth(range(100_000)))], 100_000.0)
    assert len(text) < 20_000
    assert "<b>100,000</b>" in text


def test_a_plot_of_nothing_is_a_plot():
    assert "all <b>0</b>" in plot("Findings", [Curve("all", [])], 0.0)


def test_a_model_without_a_node_is_no_trouble(account, discovery):
    empty = discovery(drawing=Drawing("", 0, (), "no node"), verdict=None, values=())
    assert "Conv(float)" in markdown(account(discoveries=(empty,)))
