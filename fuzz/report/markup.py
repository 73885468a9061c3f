"""Markup that every part of the page is made of. All text of strangers goes through `text`."""

from __future__ import annotations

import json
from html import escape

from fuzz.judge.verdict import FINDINGS, Word

__all__ = ["chip", "json_in_script", "number", "text", "tone"]

_WARNED = frozenset({Word.SUSPECT, Word.DISPUTE, Word.FLAKY, Word.ERROR})


def text(value: object) -> str:
    """Escaped for markup and attributes; characters that HTML does not allow become their escapes."""
    return escape("".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in str(value)))


def json_in_script(value: object) -> str:
    """JSON that may stand in a script element: no `<` that could end it."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def tone(word: str) -> str:
    """The CSS class of a verdict: good, bad, warn or dull."""
    if word == Word.OK:
        return "good-word"
    if word in FINDINGS:
        return "bad-word"
    return "warn-word" if word in _WARNED else "dull-word"


def chip(word: str, prefix: str = "") -> str:
    """A verdict as a coloured label."""
    return f'<span class="chip {tone(word)}">{text(prefix)}{text(word)}</span>'


def number(value: float | str | None) -> str | None:
    """A tensor's element; what is no number (a string, a bool) as it is."""
    return f"{value:.9g}" if isinstance(value, float) else value if value is None else str(value)
