"""Findings by versions: the table, as Markdown, HTML and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fuzz.bisect.answer import State
from fuzz.bisect.releases import in_order
from fuzz.execute.target import backend_of
from fuzz.report.markup import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fuzz.bisect.answer import Answer
    from fuzz.bisect.record import Record

__all__ = ["Table", "html", "markdown", "tables", "to_json"]

_SIGNS = {State.BAD: "bad", State.GOOD: "good", State.SKIP: "-", State.OTHER: "other"}
_HEADS = {State.SKIP: "cannot tell", State.OTHER: "other"}
_PLAIN = "'"
_LEGEND = (
    "bad: it fails as it was found. good: it is right. -: cannot tell (it lacks something, or does not run). "
    f"other: it fails in another way. {_PLAIN}: asked under an older header, with the same operators. Empty: not asked."
)
_STYLE = (
    "body{font:14px system-ui,sans-serif;margin:2em;color:#222}table{border-collapse:collapse;margin:1em 0}"
    "th,td{border:1px solid #ccc;padding:.25em .6em;text-align:left}thead th{background:#f3f3f3;position:sticky;top:0}"
    ".bad{background:#f6c7c3}.good{background:#cdeac8}.other{background:#fbe6b0}.skip{color:#777}"
    "@media(prefers-color-scheme:dark){body{background:#1b1b1b;color:#ddd}thead th{background:#2a2a2a}"
    "th,td{border-color:#444}.bad{background:#7a2e28}.good{background:#2d5a2a}.other{background:#6b5518}}"
)


@dataclass(frozen=True, slots=True)
class Table:
    """The findings of one backend: versions oldest first, a record a row."""

    backend: str
    versions: tuple[str, ...]
    rows: tuple[Record, ...]


def tables(records: Iterable[Record], versions: Iterable[str] | None = None) -> list[Table]:
    """A table a backend, by name; of all versions that were asked, or of those given."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(backend_of(record.target), []).append(record)
    wanted = None if versions is None else set(versions)
    found = []
    for backend, rows in sorted(groups.items()):
        asked = in_order({v for row in rows for v in row.answers if wanted is None or v in wanted})
        found.append(Table(backend, tuple(asked), tuple(sorted(rows, key=lambda row: row.finding.name))))
    return found


def markdown(found: Sequence[Table]) -> str:
    """All tables, with what the words mean, and why versions cannot tell."""
    parts = [_LEGEND]
    for table in found:
        head = ["finding", *table.versions, "history"]
        lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
        for row in table.rows:
            cells = [_cell(row.answers.get(version)) for version in table.versions]
            lines.append(f"| `{row.finding.name}` | {' | '.join(cells)} | {_plain(row.said)} |")
        parts += [f"### {table.backend}", "\n".join(lines)]
        if reasons := _reasons(table):
            parts.append("\n".join(f"- {_plain(line)}" for line in reasons))
    return "\n\n".join(parts) + "\n"


def _cell(answer: Answer | None) -> str:
    return "" if answer is None else _SIGNS[answer.state] + (_PLAIN if answer.plain else "")


def _plain(words: str) -> str:
    """Text that Markdown and HTML leave as it is."""
    return text(words).replace("|", "\\|").replace("*", "\\*").replace("&#x27;", "'").replace("&quot;", '"')


def _reasons(table: Table) -> list[str]:
    """What was said of the findings that fail otherwise or cannot be told, those that say the same together."""
    said: dict[tuple[str, str], dict[str, list[str]]] = {}
    for row in table.rows:
        for version in table.versions:
            answer = row.answers.get(version)
            if answer is not None and answer.state in (State.SKIP, State.OTHER):
                told = said.setdefault((_HEADS[answer.state], answer.said), {})
                told.setdefault(row.finding.name, []).append(version)
    return [
        f"{head}: " + "; ".join(f"{name} on {', '.join(on)}" for name, on in where.items()) + f": {words}"
        for (head, words), where in sorted(said.items(), key=lambda item: item[0][0])
    ]


def html(found: Sequence[Table]) -> str:
    """A page of its own; what a version said stands in its cell's tooltip."""
    parts = [f"<h1>Findings by versions</h1><p>{text(_LEGEND)}</p>"]
    for table in found:
        head = "".join(f"<th>{text(name)}</th>" for name in ("finding", *table.versions, "history"))
        rows = "".join(
            f"<tr><th>{text(row.finding.name)}</th>"
            + "".join(_table_cell(row.answers.get(version)) for version in table.versions)
            + f"<td>{text(row.said)}</td></tr>"
            for row in table.rows
        )
        parts.append(f"<h2>{text(table.backend)}</h2><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>dnnfuzz: findings by versions</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _table_cell(answer: Answer | None) -> str:
    if answer is None:
        return "<td></td>"
    return f'<td class="{answer.state}" title="{text(answer.said)}">{text(_cell(answer))}</td>'


def to_json(found: Sequence[Table]) -> dict[str, Any]:
    """As ``--json`` prints it."""
    return {
        "tables": [
            {"backend": t.backend, "versions": list(t.versions), "findings": [row.to_json() for row in t.rows]}
            for t in found
        ]
    }  # fmt: skip
