"""A report as Markdown: for an issue, a chat, a summary of CI."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fuzz.judge.verdict import Word
from fuzz.report.markup import number
from fuzz.report.plot import duration

if TYPE_CHECKING:
    from fuzz.report.account import Account, Discovery

__all__ = ["markdown"]

_FENCE = re.compile(r"`+")
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!])")
_LONGEST = 4_000  # characters of a message
_MISSING = 40  # operators of which the missing types are written out


def markdown(account: Account) -> str:
    """The same account gives the same text. What strangers wrote stands in code, or is escaped."""
    found = len(account.discoveries)
    ran = f" in {duration(account.seconds)}" if account.seconds else ""
    parts = [
        f"# dnnfuzz: {_plain(account.title)}",
        f"{account.cases:,} cases{ran}, {found:,} finding{'' if found == 1 else 's'}.",
        _targets(account),
        *(["## Findings"] if found else []),
        *(_finding(discovery, at) for at, discovery in enumerate(account.discoveries, 1)),
        _coverage(account),
        _problems(account),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _plain(value: object) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(str(value).split()))


def _code(value: object) -> str:
    """Code in a line, in a cell of a table too; the fence is longer than any inside."""
    said = " ".join(str(value).split()).replace("|", "\\|") or " "
    fence = "`" * (1 + max((len(run) for run in _FENCE.findall(said)), default=0))
    space = " " if said.startswith("`") or said.endswith("`") else ""
    return f"{fence}{space}{said}{space}{fence}"


def _block(said: str, language: str = "") -> str:
    fence = "`" * max(3, 1 + max((len(run) for run in _FENCE.findall(said)), default=0))
    return f"{fence}{language}\n{said.rstrip()}\n{fence}"


def _targets(account: Account) -> str:
    if not account.targets:
        return ""
    seen = {Word.OK.value, Word.WRONG.value}.union(*(row.verdicts for row in account.targets))
    words = [word.value for word in Word if word.value in seen]
    lines = [f"| target | version | {' | '.join(words)} |", f"|---|---|{'---:|' * len(words)}"]
    for row in account.targets:
        counts = " | ".join(f"{row.verdicts.get(word, 0):,}" for word in words)
        lines.append(f"| {_code(row.name)} | {_plain(row.version)} | {counts} |")
    return "\n".join(lines)


def _finding(found: Discovery, at: int) -> str:
    verdict = found.verdict
    lines = [
        f"### {at}. {found.word}: {_code(found.title)} on {_code(f'{found.target} {found.version}'.strip())}",
        f"{found.count:,} case{'' if found.count == 1 else 's'}"
        + (f", {found.drawing.nodes} nodes" if found.drawing.nodes > 1 else ", one node" if found.drawing.nodes else "")
        + (f", seed {found.seed}" if found.seed is not None else "")
        + f"; {_code(found.folder)}",
    ]
    if found.papers.summary:
        lines.append(_plain(found.papers.summary))
    if verdict is not None and (verdict.actual is not None or verdict.expected is not None):
        place = str(list(verdict.index)) if verdict.index else ""
        bound = "" if verdict.bound is None else f"{verdict.bound:.3g}"
        ratio = "" if verdict.bound_ratio is None else f"{verdict.bound_ratio:,.4g}×"
        cells = (f"{verdict.output}{place}", number(verdict.actual), number(verdict.expected), bound, ratio)
        lines.append(
            "| element | got | expected | bound | error / bound |\n|---|---:|---:|---:|---:|\n| "
            + " | ".join(_code(cell) if cell else "" for cell in cells)
            + " |"
        )
    if found.same_as:
        lines.append(f"The same bug as {_code(found.same_as)}: wrong alike, same operators, same switches.")
    if found.blamed.told:
        lines.append(f"Switches: {_plain(found.blamed.told)}.")
    if found.papers.history:
        lines.append(f"Releases: {_plain(found.papers.history)}.")
    if found.message.strip():
        lines.append(_block(found.message.strip()[:_LONGEST]))
    if found.values:
        lines.append(_block("\n".join(f"{v.role:8}  {v.name}  {v.label}  {v.elements}" for v in found.values)))
    lines += [f"- {_plain(problem)}" for problem in found.problems]
    return "\n\n".join(lines)


def _coverage(account: Account) -> str:
    if not account.cells:
        return ""
    reached = len(account.cells if account.wanted is None else account.wanted & set(account.cells))
    of = "" if account.wanted is None else f" of {len(account.wanted):,}"
    lines = ["## Coverage", f"{reached:,}{of} pairs of operator and element type were reached by a case."]
    rows = ["| target | answered ok | in a finding |", "|---|---:|---:|"]
    for name in account.target_names:
        cells = [row[name] for row in account.cells.values() if name in row]
        ok, blamed = sum(cell.verdicts[Word.OK] > 0 for cell in cells), sum(cell.findings > 0 for cell in cells)
        rows.append(f"| {_code(name)} | {ok:,} | {blamed:,} |")
    lines.append("\n".join(rows))
    missing: dict[str, list[str]] = {}
    for operator, kind in account.missing:
        missing.setdefault(operator, []).append(kind)
    if missing:
        named = [f"{_code(operator)} ({', '.join(kinds)})" for operator, kinds in list(missing.items())[:_MISSING]]
        more = f", and of {len(missing) - _MISSING:,} more operators" if len(missing) > _MISSING else ""
        lines.append(f"Never reached: {', '.join(named)}{more}.")
    return "\n\n".join(lines)


def _problems(account: Account) -> str:
    if not account.problems:
        return ""
    return "\n".join(("## What could not be done", "", *(f"- {_plain(problem)}" for problem in account.problems)))
