"""The list of findings: a line each, and what it opens to, which waits in the page as text until it is asked for."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from fuzz.judge.verdict import Word
from fuzz.report.account import EXECUTED
from fuzz.report.findings import picture
from fuzz.report.markup import chip, json_in_script, number, text
from fuzz.report.plot import duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fuzz.report.account import Account, Discovery
    from fuzz.report.exhibit import Listed

__all__ = ["details_of", "discoveries_section"]

_LONGEST_MESSAGE = 4_000
_SEARCHED = 2_000  # characters of a finding that the search sees
_SUMMARY = 220  # characters of what was said, in the list
_PREFACE = re.compile(r".*Status Message: ")  # ONNX Runtime: which node failed, of which the title tells more
_TELLING = 10  # characters below which a line of a message says nothing by itself
_ROOM = 30_000_000  # characters of details with pictures and files; what comes behind has its numbers alone
# Facts that have a line of their own.
_LONG = frozenset({"target", "to blame", "releases", "first differs at", "versions", "lies in"})
_DECADES = 9  # of the scale on which an error is shown beside its bound


def discoveries_section(account: Account) -> str:
    """The tools and the list, the gravest first."""
    found = account.discoveries
    if not found:
        nothing = "Nothing was found yet." if account.waiting else "Nothing was found."
        return f'<h2 id="findings">Findings</h2><p class="card none-found">{nothing}</p>{_waiting(account)}'
    targets = _options("all targets", sorted({d.target for d in found}))
    present = {d.word for d in found}
    verdicts = _options("all verdicts", [word.value for word in Word if word.value in present])
    operators = _options("all operators", sorted({name for d in found for name in d.operators}))
    items = "".join(_item(discovery, index) for index, discovery in enumerate(found))
    return (
        '<h2 id="findings">Findings</h2><div class="tools" role="search">'
        '<input id="search" type="search" placeholder="Operator, message, id" aria-label="Search findings">'
        f'<select id="target" aria-label="Target">{targets}</select>'
        f'<select id="verdict" aria-label="Verdict">{verdicts}</select>'
        f'<select id="operator" aria-label="Operator">{operators}</select>'
        '<select id="order" aria-label="Order"><option value="grave">gravest first</option>'
        '<option value="count">most frequent first</option><option value="ratio">furthest off first</option>'
        '<option value="nodes">smallest first</option><option value="newest">newest first</option></select>'
        f'<output id="shown" aria-live="polite">{len(found):,} of {len(found):,} findings</output></div>'
        f'<ol class="found" id="found">{items}</ol>'
        f'{_waiting(account)}<p class="card none-found" id="none" hidden>No finding fits. '
        '<button type="button" id="clear">Show all</button></p>'
    )


def _waiting(account: Account) -> str:
    if not account.waiting:
        return ""
    return f'<p class="muted">{account.waiting:,} failing answers are not reduced yet: the campaign goes on.</p>'


def _options(every: str, names: Iterable[str]) -> str:
    return f'<option value="">{every}</option>' + "".join(
        f'<option value="{text(name)}">{text(name)}</option>' for name in names
    )


def _item(found: Discovery, index: int) -> str:
    searched = " ".join((found.id, found.title, found.target, found.signature, *found.operators, found.message)).lower()
    ratio = found.verdict.bound_ratio if found.verdict else None
    sorts = f'data-count="{found.count}" data-ratio="{_order(ratio)}" data-nodes="{found.drawing.nodes or 10**9}"'
    when = -1.0 if found.seconds is None else found.seconds
    said = _said(found)
    return (
        f'<li class="card finding" id="{text(found.id)}" data-index="{index}" {sorts} data-when="{when:.3f}" '
        f'data-target="{text(found.target)}" data-verdict="{text(found.word)}" '
        f'data-operators="{text(" ".join(found.operators))}" data-text="{text(searched[:_SEARCHED])}">'
        f'<h3><button type="button" class="line" aria-expanded="false">{chip(found.word)}'
        f'<span class="what">{text(found.title)}</span>'
        f'<span class="where">{text(found.target)}</span><span class="said">{text(said)}</span>'
        f'<span class="figures">{_figures(found)}</span></button></h3></li>'
    )


def _said(found: Discovery) -> str:
    """How it fails, in a line: the numbers where there are any, else what the target said."""
    verdict = found.verdict
    if verdict is not None and verdict.actual is not None and verdict.expected is not None:
        return f"got {number(verdict.actual)}, expected {number(verdict.expected)}"
    stage = found.signature.removeprefix(found.word).lstrip(" ·:").partition(":")[0]
    told = found.message or (verdict.message if verdict else "")
    # Of nested exceptions the last line is that of the first cause.
    lines = [line.strip() for line in told.splitlines() if len(line.strip()) >= _TELLING] or [told.strip()]
    cause = _PREFACE.sub("", lines[-1])
    said = ": ".join(part for part in (stage if stage.startswith("at ") else "", cause) if part) or stage
    return said if len(said) <= _SUMMARY else f"{said[: _SUMMARY - 1]}…"


def _order(ratio: float | None) -> str:
    return f"{ratio:.6g}" if ratio is not None and math.isfinite(ratio) else "1e308" if ratio is not None else "-1"


def _figures(found: Discovery) -> str:
    ratio = found.verdict.bound_ratio if found.verdict else None
    of_campaign = found.seed is not None or found.count > 1
    parts = [f"{found.count:,} case{'s' if found.count > 1 else ''}"] if of_campaign else []
    if found.drawing.nodes:
        parts.append(f"{found.drawing.nodes} node{'s' if found.drawing.nodes > 1 else ''}")
    if found.same_as:
        parts.append(f"same bug as {found.same_as}")
    if ratio is not None:
        parts.append(f"{_times(ratio)} the bound")
    return "".join(f"<span>{text(part)}</span>" for part in parts)


def _times(ratio: float) -> str:
    """`7.3×`, `2,100×`, `10³⁷×`."""
    if not math.isfinite(ratio) or ratio < 1e6:
        return f"{ratio:,.0f}×" if ratio >= 100 else f"{ratio:.3g}×"
    power = str(math.floor(math.log10(ratio)))
    return f"10{power.translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}×"


# --- what a line opens to ---------------------------------------------------------------------------------------------


def details_of(account: Account) -> str:
    """A block of data for each finding: text to the browser, until a person opens the finding."""
    room = _ROOM
    blocks = []
    for index, found in enumerate(account.discoveries):
        detail = _detail(account, found, whole=True)
        room -= len(detail)
        if room < 0:
            detail = _detail(account, found, whole=False)
        blocks.append(
            f'<script type="application/json" id="detail-{index}">{json_in_script(detail)}</script>'
        )
    return "".join(blocks)


def _detail(account: Account, found: Discovery, *, whole: bool) -> str:
    problems = "".join(f"<li>{text(problem)}</li>" for problem in found.problems)
    if problems:
        problems = f'<ul class="problems"><li><b>Not all of this finding can be read.</b></li>{problems}</ul>'
    graph = picture(found.drawing) if whole else '<p class="muted">Left out to keep the page small.</p>'
    return (
        problems
        + (f'<p class="summary">{text(found.papers.summary)}</p>' if found.papers.summary else "")
        + f'<div class="halves"><div>{_numbers(found)}{_message(found)}{_values(found.values)}'
        + f"{_ruled_out(found)}</div>"
        + f"<div><h4>Graph</h4>{graph}{_facts(account, found)}</div></div>"
        + (_files(found) if whole else "")
    )


def _numbers(found: Discovery) -> str:
    verdict = found.verdict
    if verdict is None or (verdict.actual is None and verdict.expected is None):
        return ""
    place = str(list(verdict.index)) if verdict.index else ""
    cells = (
        ("got", number(verdict.actual), "bad"),
        ("expected", number(verdict.expected), ""),
        ("off by", None if found.off_by is None else f"{found.off_by:.4g}", ""),
        ("bound", None if verdict.bound is None else f"± {verdict.bound:.3g}" if verdict.bound else "exact", ""),
        ("error / bound", None if verdict.bound_ratio is None else f"{verdict.bound_ratio:,.4g}×", "bad"),
        ("element", f"{verdict.output}{place}" if verdict.output is not None else None, ""),
    )
    row = "".join(
        f'<div><dt>{name}</dt><dd class="{shade}">{text(value)}</dd></div>' for name, value, shade in cells if value
    )
    reason = f'<p class="muted">{text(found.papers.reason)}</p>' if found.papers.reason else ""
    return f'<h4>Numbers</h4><dl class="facts numbers">{row}</dl>{_gauge(verdict.bound_ratio)}{reason}'


def _gauge(ratio: float | None) -> str:
    """The error on a scale of powers of ten: what is allowed, what is suspect, what is wrong."""
    if ratio is None or not math.isfinite(ratio) or ratio <= 0:
        return ""
    at = min(max((math.log10(ratio) + 1) / _DECADES, 0.0), 1.0)
    ticks = "".join(
        f'<span style="left:{100 * (power + 1) / _DECADES:.2f}%">{name}</span>'
        for power, name in ((0, "bound"), (2, "100×"), (4, "10⁴×"), (6, "10⁶×"))
    )
    return (
        f'<div class="gauge" role="img" aria-label="{text(f"{ratio:,.4g} times the bound")}">'
        f'<i class="good" style="width:{100 / _DECADES:.2f}%"></i>'
        f'<i class="warn" style="width:{100 * math.log10(4) / _DECADES:.2f}%"></i><i class="bad"></i>'
        f'<b style="left:{100 * at:.2f}%"></b>{ticks}</div>'
    )


def _message(found: Discovery) -> str:
    message = found.message.strip()
    if not message:
        return ""
    cut = f"{message[:_LONGEST_MESSAGE]} …" if len(message) > _LONGEST_MESSAGE else message
    return f'<h4>Message</h4><pre tabindex="0">{text(cut)}</pre>'


def _facts(account: Account, found: Discovery) -> str:
    reduced = None
    if found.nodes_before not in {None, found.drawing.nodes} and found.drawing.nodes and not found.unreduced:
        reduced = f"{found.nodes_before} nodes to {found.drawing.nodes}"
    first = None if found.seconds is None else f"after {duration(found.seconds)}"
    facts = (
        ("target", f"{found.target} {found.version}".strip()),
        ("first differs at", found.verdict.node if found.verdict else None),
        ("to blame", found.blamed.told),
        ("releases", found.papers.history),
        ("same bug as", found.same_as),
        ("seen in", _seen(account, found)),
        ("reduced", reduced or (f"no: {found.unreduced}" if found.unreduced else None)),
        ("seed", found.seed),
        ("shown by", "a candidate of another reduction" if found.papers.aside else None),
        ("versions", ", ".join(f"{name} {version}" for name, version in found.papers.versions)),
        ("first seen", first),
        ("data set", found.verdict.data_set if found.verdict and found.verdict.data_set else None),
        ("lies in", found.folder),
    )
    rows = "".join(
        f'<div{" class=long" if name in _LONG else ""}><dt>{name}</dt><dd>{text(value)}</dd></div>'
        for name, value in facts
        if value not in {None, ""}
    )
    return f'<h4>Case</h4><dl class="facts">{rows}</dl>'


def _seen(account: Account, found: Discovery) -> str | None:
    cases = account.cases - account.judged
    if not cases or found.unreduced == EXECUTED:
        return None
    alike = f", {found.assumed:,} of them assumed alike" if found.assumed else ""
    return f"{found.count:,} of {cases:,} cases{alike}"


def _values(values: Sequence[Listed]) -> str:
    if not values:
        return ""
    rows = "".join(
        f'<tr><td>{text(value.role)}</td><th scope="row">{text(value.name)}</th><td>{text(value.label)}</td>'
        f'<td class="elements">{text(value.elements)}</td></tr>'
        for value in values
    )
    return (
        '<h4>Values</h4><div class="scroll" tabindex="0" role="region" aria-label="Values"><table class="values">'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _ruled_out(found: Discovery) -> str:
    """What else was asked about the same model."""
    if not found.papers.ruled_out:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{text(what)}</th><td>{chip(word)}</td><td>{text(said)}</td></tr>'
        for what, word, said in found.papers.ruled_out
    )
    return (
        '<h4>The same model elsewhere</h4><div class="scroll" tabindex="0" role="region" aria-label="Ruled out">'
        f'<table class="values ruled"><tbody>{rows}</tbody></table></div>'
    )


def _files(found: Discovery) -> str:
    papers = found.papers
    lost = f'<p class="muted">No repro.py: {text(papers.problem)}</p>' if papers.problem else ""
    says = _file("what repro.py prints", papers.says if papers.repro else "")
    return f"{_file('NOTES.md', papers.notes)}{_file('repro.py', papers.repro)}{says}{lost}"


def _file(name: str, content: str) -> str:
    if not content.strip():
        return ""
    return f'<details><summary>{name}</summary><pre tabindex="0">{text(content)}</pre></details>'
