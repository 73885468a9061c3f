"""A report as JUnit XML, which CI systems read: a suite a target, a test case a finding.

The dialect is what Jenkins, GitLab and GitHub's actions have in common: `testsuites` with `testsuite`, in each
`properties`, then `testcase` with at most one `failure` or `error`.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from fuzz.report.markup import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzz.report.account import Account, Discovery

__all__ = ["add_test", "clean", "clean_text", "count", "junit"]

# XML 1.0 has no way to write these, escaped or not.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LONGEST = 8_000  # characters of a failure's text


def junit(account: Account) -> str:
    """The same account gives the same bytes. A target without findings has one test case, which passes."""
    root = Element("testsuites", name=clean(f"dnnfuzz {account.title}"))
    # Findings that were copied here name targets that no store knows.
    names = sorted({*account.target_names, *(found.target for found in account.discoveries)})
    for name in names:
        found = [discovery for discovery in account.discoveries if discovery.target == name]
        _suite(root, account, name, found)
    if account.problems:
        suite = SubElement(root, "testsuite", name="fuzz")
        for at, problem in enumerate(account.problems, 1):
            SubElement(add_test(suite, f"problem {at}"), "error", type="problem", message=clean(problem))
        count(suite)
    count(root)
    root.set("time", f"{account.seconds or 0.0:.3f}")
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _suite(root: Element, account: Account, name: str, found: Sequence[Discovery]) -> None:
    rows = [row for row in account.targets if row.name == name]
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(row.verdicts)
    suite = SubElement(root, "testsuite", name=clean(name) or "unknown target")
    properties = SubElement(suite, "properties")
    told = {"version": ", ".join(row.version for row in rows), "cases": counts.total(), **counts}
    for key, value in told.items():
        SubElement(properties, "property", name=key, value=clean(str(value)))
    for discovery in found:
        failure = SubElement(add_test(suite, f"{discovery.title} [{discovery.id}]"), "failure", type=discovery.word)
        failure.set("message", clean(_said(discovery)))
        failure.text = _body(discovery)
    if not found:
        add_test(suite, f"no findings in {counts.total():,} cases")
    count(suite)


def add_test(suite: Element, name: str, seconds: float | None = None) -> Element:
    """A test case of a suite, which passes until it is given a failure; where nobody measured it took no time."""
    classname = f"dnnfuzz.{suite.get('name')}"
    time = "0" if seconds is None else f"{seconds:.3f}"
    return SubElement(suite, "testcase", classname=classname, name=clean(name), time=time)


def count(suite: Element) -> None:
    """Write into a suite, or the whole, how many tests it has, and how many of them failed."""
    for key, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
        suite.set(key, str(sum(1 for _ in suite.iter(tag))))


def _said(found: Discovery) -> str:
    verdict = found.verdict
    if verdict is None or verdict.actual is None or verdict.expected is None:
        return found.signature or found.word
    place = str(list(verdict.index)) if verdict.index else ""
    bound = "" if verdict.bound is None else f" ± {verdict.bound:.3g}"
    said = f"{found.word}: {verdict.output}{place} is {number(verdict.actual)}"
    return f"{said}, expected {number(verdict.expected)}{bound}"


def _body(found: Discovery) -> str:
    lines = [
        f"{found.target} {found.version}".strip(), found.signature, f"{found.count} cases; {found.folder}",
        found.message.strip(), *found.problems,
    ]  # fmt: skip
    return clean_text("\n".join(line for line in lines if line))


def clean_text(text: str) -> str:
    """As much of a text as a failure shows, with what XML can write."""
    return _FORBIDDEN.sub("\ufffd", text[:_LONGEST])


def clean(value: str) -> str:
    """On one line, with what XML can write."""
    return _FORBIDDEN.sub("\ufffd", " ".join(value.split()))
