"""The page of `fuzz report` as text: what it says, and what it must not let through."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections import Counter
from html.parser import HTMLParser

from fuzz.report.account import Account, Cell
from fuzz.report.coverage import coverage_data
from fuzz.report.drawings import Drawing
from fuzz.report.exhibit import Listed
from fuzz.report.overview import overview
from fuzz.report.papers import Papers

HOSTILE = "</script><script>alert('x')</script><img src=x onerror=alert(1)>\x1b\x00"


class Checker(HTMLParser):
    """Every element is closed in order; what could run or load is collected."""

    VOID = frozenset({"meta", "input"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def checked(text):
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert checker.open == []
    return checker


def plain(text):
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text)))


def details(text):
    return [json.loads(found) for found in re.findall(r'id="detail-\d+">(.*?)</script>', text, re.DOTALL)]


def test_findings_targets_and_coverage_are_there(account):
    text = overview(account())
    checked(text)
    said = plain(text)
    for fact in ("3 findings", "1,200 cases", "of answers ok", "Conv(float)", "got 2, expected 1.5", "3 cases 1 node",
                 "10⁶× the bound", "at run: signal 11", "tvm 0.27", "iree 3.13",
                 "2 min of running", "3 of the 5 pairs", "2 pairs that no case had", "Abs double, float"):  # fmt: skip
        assert fact in said, fact
    assert text.index("Findings</h2>") < text.index("Targets</h2>") < text.index("Coverage</h2>")


def test_a_finding_opens_to_its_numbers_graph_values_and_files(account):
    wrong, crash, _ = details(overview(account()))
    for body in (wrong, crash):
        checked(body)
    numbers = re.findall(r"<dt>(.*?)</dt><dd[^>]*>(.*?)</dd>", wrong)
    assert numbers[:6] == [
        ("got", "2"), ("expected", "1.5"), ("off by", "0.5"), ("bound", "± 1e-07"), ("error / bound", "3.4e+06×"),
        ("element", "y[0, 2]"),
    ]  # fmt: skip
    assert '<svg class="graph"' in wrong
    assert "3400000 times the bound" not in wrong
    assert "3.4e+06 times the bound" in wrong
    assert ("reduced", "9 nodes to 1") in numbers
    assert ("seen in", "3 of 1,200 cases") in numbers
    assert "0 0 1.5" in plain(wrong)
    assert "repro.py" not in wrong
    assert "signal 11" in crash
    assert "# Title" in crash
    assert "import iree" in crash
    assert "iree dies of Relu" in plain(crash)
    assert "iree:opt=0 ok right" in plain(crash)
    assert "BUG: it dies" in plain(crash)


def test_the_same_report_gives_the_same_bytes(account):
    assert overview(account()) == overview(account())


def test_what_strangers_wrote_runs_nowhere_and_nothing_is_loaded(account, discovery):
    hostile = discovery(
        "id", target=HOSTILE, version=HOSTILE, title=HOSTILE, signature=HOSTILE, message=HOSTILE,
        papers=Papers(
            HOSTILE, HOSTILE, ((HOSTILE,) * 3,), ((HOSTILE,) * 2,), HOSTILE, HOSTILE, HOSTILE, HOSTILE, aside=True
        ),
        problems=(HOSTILE,), drawing=Drawing("", 0, ((HOSTILE, 1),), HOSTILE),
        values=(Listed(HOSTILE, HOSTILE, HOSTILE, HOSTILE),), pairs=((HOSTILE, HOSTILE),), folder=HOSTILE,
        unreduced=HOSTILE,
    )  # fmt: skip
    cells = {(HOSTILE, HOSTILE): {HOSTILE: Cell(Counter(ok=1), 1, 1.0)}}
    wanted = frozenset({(HOSTILE, "x")})
    text = overview(account(title=HOSTILE, discoveries=(hostile,), cells=cells, wanted=wanted, problems=(HOSTILE,)))
    for part in (text, *details(text)):
        tags = checked(part).seen
        assert not {"img", "link", "iframe", "object"} & {tag for tag, _ in tags}
        assert not [name for _, given in tags for name in given if name.startswith("on") or name in {"src", "href"}]
        assert "\x00" not in part
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text


def test_a_root_without_findings_or_clock(account):
    text = overview(account(discoveries=(), seconds=None, done=(), wanted=None))
    checked(text)
    said = plain(text)
    assert "Nothing was found." in said
    assert 'id="time"' not in text
    assert "3 pairs of operator and element type were reached" in said


def test_a_root_of_which_nothing_is_known_is_a_page():
    text = overview(Account("root", 1, 0, (), (), {}))
    checked(text)
    assert "no target" in text
    assert 'id="coverage"' not in text


def test_what_cannot_be_read_is_named(account, discovery):
    undrawn = Drawing("", 0, (), "the model cannot be drawn")
    lost = discovery(drawing=undrawn, verdict=None, problems=("no verdict.json",))
    text = overview(account(discoveries=(lost,), problems=("root/findings/x: no verdict.json",)))
    assert "root/findings/x: no verdict.json" in plain(text)
    assert "Not all of this finding can be read." in plain(details(text)[0])


def test_of_nested_exceptions_the_list_has_the_first_cause(account, discovery):
    told = "Exception from core.cpp:117:\nCheck failed at memory.cpp:446:\nthe memory is undefined\n)\n"
    found = discovery(word="rejected", signature="rejected at compile: Exception from N", message=told, verdict=None)
    assert "at compile: the memory is undefined" in plain(overview(account(discoveries=(found,))))


def test_the_list_has_what_a_kernel_said_and_not_where(account, discovery):
    told = "Fail: [ONNXRuntimeError] : 1 : returned while running Add node. Name:'n' Status Message: no broadcast"
    found = discovery(word="rejected", signature="rejected at run: Fail", message=told, verdict=None)
    assert "at run: no broadcast" in plain(overview(account(discoveries=(found,))))


def test_the_matrix_in_numbers(account):
    data = coverage_data(account())
    assert data["targets"] == ["iree", "tvm"]
    assert data["types"] == ["float", "double", "int8"]
    rows = dict(data["rows"])
    assert rows["Abs"] == [[0, []], [1, []]]
    assert rows["Conv"] == [[0, [[1, 7, 7, 0, 0, 0], [4, 7, 4, 3, 0, 1]]]]
    on_float, on_int8 = rows["Relu"]
    assert on_float == [0, [[2, 2, 0, 0, 2, 0], [1, 2, 2, 0, 0, 0]]]
    assert on_int8 == [2, [[1, 1, 1, 0, 0, 0], [3, 1, 0, 1, 0, 0]]]


def test_pictures_that_have_no_room_are_left_out(account, discovery, monkeypatch):
    papers = Papers(repro="import tvm")
    both = account(discoveries=(discovery("a", papers=papers), discovery("b", papers=papers)))
    first, second = details(overview(both))
    assert "<svg" in second
    monkeypatch.setattr("fuzz.report.discoveries._ROOM", len(first) + 1)
    first, second = details(overview(both))
    assert "<svg" in first
    assert "<svg" not in second
    assert "import tvm" not in second
    assert "3.4e+06×" in second
    assert "Left out to keep the page small" in second
