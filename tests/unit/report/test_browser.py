"""What a real browser makes of the page: filters, order, details, keys, and nothing that asks the network."""

from __future__ import annotations

import pytest

from fuzz.report.overview import overview

pytestmark = pytest.mark.browser

IDS = "[...document.querySelectorAll('.found > li:not([hidden])')].map((item) => item.id)"
WIDE, PHONE = 1280, 360


def choose(browser, field, value):
    browser.run(f"(() => {{ const field = document.getElementById('{field}'); field.value = '{value}';"
                " field.dispatchEvent(new Event('input')); })()")  # fmt: skip


@pytest.fixture
def page(tmp_path, account, discovery):
    path = tmp_path / "page.html"
    more = [discovery(f"{at:012x}", count=at + 50, title=f"Neg({at})", target="a" * 70) for at in range(20)]
    path.write_text(overview(account(discoveries=(*account().discoveries, *more))))
    return path


def test_findings_are_filtered_and_sorted(browser, page):
    browser.open(page)
    assert browser.run("document.getElementById('shown').value") == "23 of 23 findings"
    assert browser.run(f"{IDS}[0]") == "0123456789ab"
    assert browser.run("document.querySelectorAll('.opened').length") == 1
    choose(browser, "operator", "Relu")
    assert browser.run(IDS) == ["ba9876543210"]
    choose(browser, "operator", "")
    choose(browser, "search", "NO such")
    assert browser.run(IDS) == ["000000000000"]
    choose(browser, "target", "iree")
    assert browser.run(f"[{IDS}.length, document.getElementById('none').hidden]") == [0, False]
    browser.run("document.getElementById('clear').click()")
    choose(browser, "verdict", "wrong")
    choose(browser, "order", "count")
    assert browser.run(f"[{IDS}.length, {IDS}[0]]") == [21, f"{19:012x}"]
    browser.run("document.querySelector('.matrix button[data-verdict=crash]').click()")
    chosen = "['target', 'verdict'].map((id) => document.getElementById(id).value)"
    assert browser.run(chosen) == ["tvm", "crash"]
    assert browser.noise == []


def test_a_line_opens_by_key_and_by_address(browser, page):
    browser.open(page, "#ba9876543210")
    assert browser.run("document.querySelector('#ba9876543210 pre').textContent") == "signal 11"
    browser.run("document.querySelector('#ba9876543210 .line').focus()")
    browser.key("Enter")
    assert browser.run("document.querySelectorAll('#ba9876543210 .opened').length") == 0
    browser.key("Enter")
    assert browser.run("document.querySelector('#ba9876543210 .line').getAttribute('aria-expanded')") == "true"
    assert browser.run("document.querySelectorAll('#ba9876543210 svg.graph').length") == 1
    assert browser.noise == []


def test_the_matrix_tells_cells_and_leads_to_findings(browser, page):
    browser.open(page, "#coverage")
    assert browser.run("document.getElementById('cells-shown').value") == "3 of 3 operators"
    shades = "[...document.querySelectorAll('#cells td span')].map((cell) => cell.className)"
    assert browser.run(shades) == ["s-none", "s-none", "s-found", "s-part", "s-part"]
    choose(browser, "cells-show", "none")
    assert browser.run("document.querySelector('#cells tbody').innerText.trim()") == "Abs"
    choose(browser, "cells-show", "")
    choose(browser, "cells-target", "0")
    assert browser.run(shades) == ["s-none", "s-none", "s-ok", "s-refused", "s-ok"]
    browser.run("document.querySelector('#cells td span[tabindex=\"0\"]').focus()")
    browser.key("ArrowDown")
    told = browser.run("document.getElementById('cell').textContent")
    assert told.startswith("Conv × float — iree: 7 cases, 7 ok; tvm: 7 cases, 4 ok, 3 failed, in 1 finding.")
    browser.run("document.querySelector('#cell button').click()")
    assert browser.run(f"{IDS}.length") == 21
    assert browser.noise == []


@pytest.mark.parametrize(("width", "dark"), [(PHONE, False), (PHONE, True), (WIDE, True)])
def test_it_fits_a_phone_in_both_themes(browser, page, width, dark):
    browser.open(page, "#coverage", width=width, dark=dark)
    browser.run("document.querySelectorAll('.line').forEach((line, at) => at && at < 3 && line.click())")
    assert browser.run("document.documentElement.scrollWidth") == width
    ink, ground = browser.run(
        "['color', 'backgroundColor'].map((key) => getComputedStyle(document.body)[key].match(/\\d+/g).map(Number))"
    )
    assert (sum(ink) > sum(ground)) is dark
    assert browser.noise == []
