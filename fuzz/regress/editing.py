"""The text of a file of expectations with entries taken out and put in; what people wrote around them stays.

By lines, not by a library for TOML: those give a comment above an entry to the entry before it, so deleting one would
lose what is said of the next.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from fuzz.errors import UsageError
from fuzz.regress.expectations import Entry, headers, read_expectations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["block", "edited"]

_ORDER = ("case", "target", "versions", "verdict", "strict", "reason", "link")
_USUAL = {"versions": "", "verdict": "", "strict": True, "link": ""}


def block(entry: Entry) -> str:
    """An entry as it is written: its header and a line for each key that says something."""
    fields = asdict(entry)
    told = [key for key in _ORDER if key not in _USUAL or fields[key] != _USUAL[key]]
    return "".join(["[[xfail]]\n", *(f"{key} = {_literal(fields[key])}\n" for key in told)])


def _literal(value: str | bool) -> str:
    """JSON's strings are TOML's, but for DEL, which TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def edited(path: Path, text: str, removed: Sequence[Entry], added: Sequence[Entry]) -> str:
    """The text of a file without some of its entries, and with others at its end.

    An entry goes with the comment lines directly above it. Other comments and the order stay.
    Raises UsageError where the text cannot be edited so: what it says afterwards is read and compared.
    """
    ends, text = ("\r\n" if "\r\n" in text else "\n"), text.replace("\r\n", "\n")
    before = read_expectations(path, text)
    gone = {entry.line for entry in removed}
    lines = text.splitlines(keepends=True)
    kept = "".join(line for number, line in enumerate(lines, 1) if number not in _spans(lines, gone))
    parts = [part for part in (kept.rstrip("\n"), *(block(entry).rstrip("\n") for entry in added)) if part]
    result = "\n\n".join(parts) + "\n" if parts else ""
    wanted = [_said(entry) for entry in (*(e for e in before.entries if e.line not in gone), *added)]
    if [_said(entry) for entry in read_expectations(path, result).entries] != wanted:
        places = ", ".join(entry.place for entry in removed)
        raise UsageError(f"{path} is written in a way that cannot be edited: delete by hand {places}")
    return result.replace("\n", ends)


def _said(entry: Entry) -> Mapping[str, Any]:
    return {key: value for key, value in asdict(entry).items() if key not in {"place", "line"}}


def _spans(lines: Sequence[str], gone: set[int]) -> set[int]:
    """The numbers of the lines that go with the entries whose headers stand at these lines."""
    starts = headers([line.rstrip("\r\n") for line in lines])
    spans: set[int] = set()
    for header, after in pairwise([*starts, len(lines) + 1]):
        if header not in gone:
            continue
        limit = _first_comment(lines, after) if after <= len(lines) else after
        last = max(number for number in range(header, limit) if not _idle(lines[number - 1]))
        while last + 1 < limit and lines[last].strip().startswith("#"):
            last += 1
        while last + 1 < limit and not lines[last].strip():  # the blank lines behind it
            last += 1
        spans.update(range(_first_comment(lines, header), last + 1))
    return spans


def _first_comment(lines: Sequence[str], header: int) -> int:
    """The first of the comment lines directly above a header, or the header itself."""
    while header > 1 and lines[header - 2].strip().startswith("#"):
        header -= 1
    return header


def _idle(line: str) -> bool:
    return not line.strip() or line.strip().startswith("#")
