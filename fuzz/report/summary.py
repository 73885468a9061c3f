"""The top of a page: figures in tiles, and the table of targets and verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.judge.verdict import Word
from fuzz.report.markup import text, tone

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

__all__ = ["header", "tiles", "verdict_table"]

Row = tuple[str, str, "Mapping[str, int]"]
"""A target, its version, how often each verdict came."""


def header(title: str, line: str) -> str:
    """The band at the top; ``line`` is markup."""
    return f'<header><div><p class="brand">dnnfuzz</p><h1>{text(title)}</h1><p>{line}</p></div></header>'


def tiles(items: Iterable[tuple[str, str, str]]) -> str:
    """Figures: a shade (good, bad or none), the figure, what it is of."""
    body = "".join(
        f'<div class="card tile {shade}"><b>{number}</b><span>{what}</span></div>' for shade, number, what in items
    )
    return f'<section class="tiles" aria-label="Summary">{body}</section>'


def verdict_table(rows: Sequence[Row], pressed: Collection[str] | None = None) -> str:
    """Targets with their verdicts; a number is a button that filters (by ``pressed`` words alone, where given)."""
    seen = {Word.OK.value, Word.WRONG.value}.union(*(counts for _, _, counts in rows))
    words = [word.value for word in Word if word.value in seen]
    head = "".join(f'<th scope="col" class="count">{word}</th>' for word in words)
    body = "".join(
        f'<tr><th scope="row">{text(name)}<small>{text(version)}</small></th><td>{_bar(counts)}</td>'
        + "".join(
            f"<td>{_count(name, word, counts.get(word, 0), button=pressed is None or word in pressed)}</td>"
            for word in words
        )
        + "</tr>"
        for name, version, counts in rows
    )
    return (
        '<div class="card scroll" tabindex="0" role="region" aria-label="Verdicts by target"><table class="matrix">'
        f'<thead><tr><th scope="col">target</th><td></td>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _bar(row: Mapping[str, int]) -> str:
    parts = "".join(
        f'<i class="{tone(word)}" style="flex:{row[word]}" title="{word}: {row[word]}"></i>'
        for word in Word
        if word in row
    )
    return f'<div class="bar">{parts}</div>'


def _count(target: str, word: str, count: int, *, button: bool) -> str:
    shade = tone(word) if count else "none"
    if not button or (word != "ok" and not count):
        return f'<span class="{shade}">{count:,}</span>'
    return (
        f'<button type="button" class="{shade}" data-target="{text(target)}" data-verdict="{word}">'
        f"{count:,}</button>"
    )
