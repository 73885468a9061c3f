"""The page: what it says, what it must not let through, and what a browser makes of it."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from fuzz.errors import RootError, StorageError
from fuzz.judge.verdict import Verdict
from fuzz.report.content import Page
from fuzz.report.drawings import Drawing
from fuzz.report.page import render, write_page

HOSTILE = "</script><script>alert('x')</script><img src=x onerror=alert(1)>\x1b\x00"
SVG = '<svg class="graph"><text>Conv</text></svg>'
DRAWING = Drawing(SVG, 3, (("Conv", 2), ("Relu", 1)))
VERDICTS = (
    Verdict("a", "tvm", 0, "ok", "y", 0.25),
    Verdict("a", "tvm:opt=0", 0, "ok", "y", 0.5),
    Verdict("b", "tvm", 1, "wrong", "y", 3.4e6, (0, 2), 1.5, float("nan"), 1e-7, "Conv 'n3', output 't'", "far off"),
    Verdict("b", "tvm:opt=0", 0, "unsupported", message="no kernel"),
)


def page(verdicts=VERDICTS, cases=("a", "b", "c"), drawings=None, title="root"):
    drawings = dict.fromkeys(cases, DRAWING) if drawings is None else drawings
    return Page(title, (("tvm", "0.27"), ("tvm:opt=0", "0.27")), tuple(cases), tuple(verdicts), drawings)


class Checker(HTMLParser):
    """Every element is closed in order; scripts and handlers are collected."""

    VOID = frozenset({"meta", "input", "br", "img"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.scripts: list[dict[str, str | None]] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append(dict(attrs))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def checked(text: str) -> Checker:
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert checker.open == []
    return checker


def details(text: str) -> dict[str, str]:
    return json.loads(re.search(r'id="drawings">(.*?)</script>', text, re.DOTALL)[1])


def test_the_numbers_the_finding_and_the_cases_are_there():
    text = render(page())
    checked(text)
    plain = html.unescape(re.sub(r"<[^>]+>", " ", text))
    for fact in ("3 cases", "4 executions judged", "50.0% ok", "1 finding", "y[0, 2]", "nan", "± 1e-07", "3.4e+06×",
                 "Conv 'n3', output 't'", "far off", "Conv ×2, Relu", "ok ×2", "tvm:opt=0: unsupported"):  # fmt: skip
        assert fact in re.sub(r"\s+", " ", plain), fact
    assert sorted(details(text)) == ["0", "1", "2"]
    assert SVG in details(text)["0"]
    assert text.index("Findings</h2>") < text.index(SVG)


def test_the_same_page_gives_the_same_bytes():
    assert render(page()) == render(page())


def test_a_page_without_findings_has_no_such_section():
    text = render(page([v for v in VERDICTS if v.case == "a"]))
    assert "<h2>Findings" not in text
    assert "tile good" in text


def test_a_page_without_verdicts_is_a_page():
    text = render(Page("root", (), ("a",), (), {}))
    checked(text)
    assert "nothing executed" in text


def test_two_findings_on_one_case_share_a_card_and_a_picture():
    both = [VERDICTS[2], Verdict("b", "tvm:opt=0", 0, "crash", message="signal 11")]
    text = render(page(both))
    assert text.count("<article") == 1
    assert text.split("<h2 id")[0].count(SVG) == 1
    assert "signal 11" in text


def test_nothing_comes_from_a_network_and_one_script_alone_may_run():
    text = render(page())
    checker = checked(text)
    policy = next(a["content"] for tag, a in checker.seen if a.get("http-equiv") == "Content-Security-Policy")
    script = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"
    assert not re.search(r"(src|href)=\"?(https?:)?//", text)
    assert [attributes.get("type") for attributes in checker.scripts] == ["application/json", None]


def test_hostile_names_stay_text_everywhere():
    verdict = Verdict(HOSTILE, HOSTILE, 0, "wrong", HOSTILE, 2.0, (1,), HOSTILE, HOSTILE, 1.0, HOSTILE, HOSTILE)
    fine = Verdict(HOSTILE, HOSTILE + "2", 0, "suspect", HOSTILE, 2.0, message=HOSTILE)
    hostile = Page(HOSTILE, ((HOSTILE, HOSTILE),), (HOSTILE,), (verdict, fine), {
        HOSTILE: Drawing("", 1, ((HOSTILE, 2),), HOSTILE)
    })  # fmt: skip
    text = render(hostile)
    checker = checked(text)
    assert len(checker.scripts) == 2
    assert not any(tag == "img" or any(key.startswith("on") for key in a) for tag, a in checker.seen)
    assert "\x1b" not in text
    assert "\x00" not in text
    for markup in details(text).values():
        assert not any(tag in {"img", "script"} for tag, _ in checked(markup).seen)


def test_a_page_of_many_cases_stays_small_and_keeps_the_pictures_of_findings():
    big = Drawing(f"<svg>{'x' * 100_000}</svg>", 9, ())
    cases = [f"{n:04}" for n in range(200)]
    verdicts = [Verdict(case, "tvm", 0, "wrong" if case == "0199" else "ok") for case in cases]
    text = render(page(verdicts, cases, dict.fromkeys(cases, big)))
    assert len(text) < 10_000_000
    opened = details(text)
    assert "xxx" in opened["199"]
    assert "xxx" in opened["0"]
    assert "Left out to keep the page small" in opened["198"]


def test_writing_needs_a_root_that_was_executed(tmp_path):
    with pytest.raises(RootError, match="no root"):
        write_page(tmp_path / "p.html", tmp_path / "nothing", ())


def test_a_page_that_cannot_be_written(executed_root, tmp_path):
    with pytest.raises(StorageError, match="give another --html"):
        write_page(tmp_path / "nowhere" / "p.html", executed_root, ())


def test_a_page_replaces_the_one_before_and_leaves_nothing_else(executed_root, tmp_path):
    (tmp_path / "p.html").write_text("before")
    write_page(tmp_path / "p.html", executed_root, (Verdict("00-good", "toy", 0, "wrong", "y"),))
    text = (tmp_path / "p.html").read_text()
    checked(text)
    assert "node activation bad" in text
    assert [path.name for path in tmp_path.iterdir() if "p.html" in path.name] == ["p.html"]


@pytest.fixture
def executed_root(make_root):
    from fuzz.store import Store

    root = make_root("good")
    Store.open(root, create=True).close()
    return root


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.parametrize(("anchor", "opened"), [("", 0), ("#b", 1)])
def test_a_real_browser_runs_the_page(tmp_path, anchor, opened):
    path = tmp_path / "page.html"
    path.write_text(render(page()))
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=2000", "--dump-dom", f"file://{path}{anchor}",
    ]  # fmt: skip
    environment = {**os.environ, "HOME": str(tmp_path)}  # it keeps files of its own there
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    dom = done.stdout
    assert "3 of 3 cases" in dom
    order = re.findall(r'data-case="(\w)"', dom)
    assert order == ["b", "a", "c"]  # worst first
    assert dom.count('class="detail"') == opened
    assert dom.count('class="open" aria-expanded="true"') == opened
