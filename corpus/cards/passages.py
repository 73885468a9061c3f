"""A card's text in passages: sentences of paragraphs and lists, cells of tables, code; Markdown and the HTML in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it.token import Token as Markup

__all__ = ["Passage", "passages"]

_HUB = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/datasets/([\w.\-]+(?:/[\w.\-]+)?)")
_NOT_A_PART = {"tree", "blob", "viewer", "resolve", "discussions"}
# A full stop ends a sentence before a space and no small letter, but not after what is abbreviated.
_SENTENCE = re.compile(
    r"(?<!\bvs)(?<!\be\.g)(?<!\bi\.e)(?<!\bal)(?<!\bcf)(?<!\bapprox)(?<!\bFig)(?<!\bca)[.!?]+[)\"'”]*\s+(?=[^a-z\s])"
    r"|[。！？]|\n\s*\n"
)
_HYPHENS = {0x2010: "-", 0x2011: "-"}  # typographic ones, as in "fine\N{NON-BREAKING HYPHEN}tuned"
_LONGEST = 4000  # characters of a sentence; what has more is a log, and is read in pieces
_BLOCKS = {"p", "div", "li", "td", "th", "tr", "table", "h1", "h2", "h3", "h4", "h5", "h6", "br", "ul", "ol", "center"}
_SILENT = {"script", "style", "svg"}


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a card that is read on its own.

    ``kind``: ``sentence``, ``heading``, ``item`` (of a list), ``cell`` (of a table) or ``code``. ``heading``: the
    headings above, outermost first. ``head``: of a cell, its column's head; ``row``: its row's cells, of
    a head its column's. ``above``: the end of the last paragraph before a list. ``links``: where in the text the
    words of a link to a dataset on the hub stand, and to which.
    """

    kind: str
    text: str
    line: int
    heading: tuple[str, ...] = ()
    head: str = ""
    row: tuple[str, ...] = ()
    links: tuple[tuple[int, int, str], ...] = ()
    above: str = ""
    is_head: bool = False


@dataclass(slots=True)
class _Reader:
    first_line: int
    headings: list[tuple[int, str]] = field(default_factory=list)
    above: str = ""
    line: int = 1
    depth: int = 0
    level: int = 0
    rows: list[list[str]] = field(default_factory=list)

    def structure(self, token: Markup) -> None:
        """Follow where lists, headings and tables begin and end."""
        match token.type:
            case "bullet_list_open" | "ordered_list_open":
                self.depth += 1
            case "bullet_list_close" | "ordered_list_close":
                self.depth -= 1
            case "heading_open":
                self.level = int(token.tag[1:])
            case "table_open":
                self.rows = []
            case "tr_open":
                self.rows.append([])
            case _:
                pass

    def heading(self) -> tuple[str, ...]:
        return tuple(text for _, text in self.headings)

    def enter(self, level: int, text: str) -> None:
        while self.headings and self.headings[-1][0] >= level:
            self.headings.pop()
        self.headings.append((level, text))
        self.above = ""

    def said(self, kind: str, text: str, line: int, links: Sequence[tuple[int, int, str]] = ()) -> Iterator[Passage]:
        start = 0
        cuts = [(match.start(), match.end()) for match in _SENTENCE.finditer(text)]
        for stop, after in [*cuts, (len(text), len(text))]:
            for at in range(start, stop, _LONGEST):
                piece = text[at : min(at + _LONGEST, stop)]
                if piece.strip():
                    inside = tuple((a - at, b - at, name) for a, b, name in links if at <= a < at + len(piece))
                    yield Passage(kind, piece, line, self.heading(), links=inside, above=self.above)
            start = after
        if kind == "sentence" and text.strip():
            self.above = text.strip()[-200:]

    def table(self, rows: Sequence[Sequence[str]], line: int) -> Iterator[Passage]:
        head = rows[0] if rows else ()
        for number, row in enumerate(rows):
            for index, cell in enumerate(row):
                name = head[index] if number and index < len(head) else ""
                under = tuple(r[index] for r in rows[1:] if index < len(r)) if not number else tuple(row)
                if cell.strip():
                    yield Passage("cell", cell, line + number, self.heading(), head=name, row=under, is_head=not number)


def passages(body: str, first_line: int = 1) -> list[Passage]:
    """The passages of a text in the order in which they stand; quotations of papers and comments are left out."""
    from markdown_it import MarkdownIt

    body = body.translate(_HYPHENS)
    # Markdown's rules on nesting are quadratic in the worst case: such texts end where they nest too deep.
    reader = MarkdownIt("commonmark", {"maxNesting": 20}).enable("table")
    try:
        found = reader.parse(body)
    except (RecursionError, ValueError, IndexError):
        return list(_Reader(first_line).said("sentence", re.sub(r"<[^>]{0,500}>", " ", body), first_line))
    return list(_walk(found, _Reader(first_line)))


def _walk(found: Sequence[Markup], reader: _Reader) -> Iterator[Passage]:
    for token in found:
        if token.map:
            reader.line = reader.first_line + token.map[0]
        reader.structure(token)
        if token.type == "table_close":
            yield from reader.table(reader.rows, reader.line - len(reader.rows) + 1)
            reader.rows = []
        elif token.type == "inline":
            yield from _line(token, reader)
        elif token.type in {"fence", "code_block"}:
            if token.content.strip() and not _is_citation(token.content):
                yield Passage("code", token.content, reader.line, reader.heading())
        elif token.type == "html_block":
            yield from _html(token.content, reader.line, reader)


def _line(token: Markup, reader: _Reader) -> Iterator[Passage]:
    """A heading, a cell, or a paragraph."""
    text, links = _inline(token)
    if reader.level:
        reader.enter(reader.level, text)
        reader.level = 0
        # "BERT fine-tuned on SQuAD" is a title that says it all.
        yield from reader.said("heading", text, reader.line, links)
    elif reader.rows:
        reader.rows[-1].append(text)
    else:
        yield from reader.said("item" if reader.depth else "sentence", text, reader.line, links)


def _inline(token: Markup) -> tuple[str, list[tuple[int, int, str]]]:
    """The text of a line of Markdown, and where in it links to datasets stand."""
    text, links, opened = "", [], (0, "")
    for child in token.children or ():
        match child.type:
            case "text" | "code_inline":
                text += child.content
            case "softbreak" | "hardbreak":
                text += "\n" if child.type == "hardbreak" else " "
            case "link_open":
                opened = (len(text), _hub_name(str(child.attrs.get("href", ""))))
            case "link_close":
                if opened[1] and len(text) > opened[0]:
                    links.append((opened[0], len(text), opened[1]))
            case "html_inline":
                text += " " if re.match(r"</?(br|td|th|tr|p|div|li)\b", child.content, re.IGNORECASE) else ""
            case _:
                pass
    return text, links


def _hub_name(address: str) -> str:
    match = _HUB.match(address)
    if not match:
        return ""
    first, _, second = match[1].partition("/")
    return first if second in _NOT_A_PART or not second else match[1]


def _html(text: str, line: int, reader: _Reader) -> Iterator[Passage]:
    parser = _Html()
    parser.feed(text)
    parser.close()
    parser.flush()
    for kind, content in parser.found:
        if kind == "table":
            yield from reader.table(content, line)
        elif kind.startswith("h"):
            reader.enter(int(kind[1:]), content[0][0])
        else:
            yield from reader.said("item" if kind == "li" else "sentence", content[0][0], line)


class _Html(HTMLParser):
    """Blocks of text and tables of a piece of HTML; comments, programs and styles say nothing."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, list[list[str]]]] = []
        self._text = ""
        self._kind = "p"
        self._rows: list[list[str]] | None = None
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag in _SILENT:
            self._silent += 1
        if tag not in _BLOCKS:
            return
        self.flush()
        self._kind = tag
        if tag == "table":
            self._rows = []
        elif tag == "tr" and self._rows is not None:
            self._rows.append([])

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        if tag in {"td", "th"} and self._rows:
            self._rows[-1].append(" ".join(self._text.split()))
            self._text = ""
        elif tag == "table" and self._rows is not None:
            self.found.append(("table", self._rows))
            self._rows = None
        elif tag in _BLOCKS:
            self.flush()

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._text += data.replace("\xa0", " ")

    def flush(self) -> None:
        """What was said so far ends here."""
        text = " ".join(self._text.split())
        self._text = ""
        if text:
            kind = self._kind if re.fullmatch(r"h[1-6]|li", self._kind) else "p"
            self.found.append((kind, [[text]]))
        self._kind = "p"


def _is_citation(code: str) -> bool:
    return bool(re.match(r"\s*@\w+\s*\{", code))
