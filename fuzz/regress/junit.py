"""What the gate found as JUnit XML: a suite a target, a test case a case.

An expected failure and what says nothing are ``skipped``, a new failure and an unexpected pass ``failure``, and what
could not be run or judged ``error``, targets among them. Entries that cover no case have a suite of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from fuzz.regress.ruling import Result, State
from fuzz.regress.words import result_lines
from fuzz.report.junit import add_test, clean, clean_text, count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fuzz.regress.gate import Account

__all__ = ["junit"]

_TAGS: Mapping[State, str] = {
    State.EXPECTED: "skipped",
    State.SILENT: "skipped",
    State.FAILED: "failure",
    State.UNEXPECTED: "failure",
    State.ERROR: "error",
}


def junit(account: Account, title: str) -> str:
    """The document. The same account gives the same bytes."""
    root = Element("testsuites", name=clean(f"fuzz regress {title}"))
    for name in dict.fromkeys([*(result.target for result in account.results), *account.missing]):
        _suite(root, account, name)
    if account.stale:
        suite = SubElement(root, "testsuite", name="expectations")
        for entry in account.stale:
            failure = SubElement(add_test(suite, entry.place), "failure", type="stale")
            failure.set("message", clean(f"no case is called {entry.case}: delete the entry"))
        count(suite)
    if account.interrupted:
        suite = SubElement(root, "testsuite", name="fuzz regress")
        SubElement(add_test(suite, "finish"), "error", type="interrupted", message="not all cases were run")
        count(suite)
    count(root)
    root.set("time", f"{sum(result.seconds for result in account.results):.3f}")
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _suite(root: Element, account: Account, name: str) -> None:
    suite = SubElement(root, "testsuite", name=clean(name))
    results = [result for result in account.results if result.target == name]
    if results:
        properties = SubElement(suite, "properties")
        SubElement(properties, "property", name="version", value=clean(results[0].version))
    for result in results:
        _case(suite, result)
    if name in account.missing:
        error = SubElement(add_test(suite, "the target itself"), "error", type="missing")
        error.set("message", clean(account.missing[name]))
    suite.set("time", f"{sum(result.seconds for result in results):.3f}")
    count(suite)
    suite.set("skipped", str(sum(1 for _ in suite.iter("skipped"))))


def _case(suite: Element, result: Result) -> None:
    test = add_test(suite, result.case, result.seconds)
    if result.state not in _TAGS:
        return
    head, *rest = result_lines(result)
    told = SubElement(test, _TAGS[result.state], message=clean(head))
    told.set("type", "unexpected pass" if result.state is State.UNEXPECTED else result.verdict.verdict)
    told.text = clean_text("\n".join(rest)) or None
