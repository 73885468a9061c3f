"""Names of datasets in running text: how they are spelled, which of two spellings is meant, near misses.

Two spellings are one name where they agree without letter case, spaces and punctuation: ``SST-2``, ``sst2`` and
``SST 2``. A name is looked up word by word, the longest first, so that ``CIFAR-100`` never counts as ``CIFAR-10`` and
``SQuAD v2`` not as ``SQuAD``.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Found", "Spelling", "Spellings", "Token", "key_of", "tokens"]

# Letters of one script, or digits: a name in a Chinese sentence stands there without spaces.
_TOKEN = re.compile(
    r"[A-Za-z\u00c0-\u024f]+|\d+|[\u0370-\u03ff]+|[\u0400-\u1fff]+|[\u3040-\u30ff]+|[\u3400-\u9fff]+|[\uac00-\ud7af]+"
)
_LONGEST = 10
_BEGINNING = 4  # characters by which most words are told to begin no name
_NEAR, _SHORTEST = 90.0, 6
"""Near misses: the least likeness (rapidfuzz's ratio, 0 to 100), the fewest characters of a name that has any."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word or number and where it stands."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Spelling:
    """One way to write a dataset's name.

    ``distinctive``: nothing else is written so (``LibriSpeech``, ``CIFAR-10``). Other names are words or short
    abbreviations (``Cars``, ``SUN``) and count only as they are written, and where the text says more.
    """

    written: str
    dataset: str
    distinctive: bool
    several_words: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A dataset's name in a text: characters ``start`` to ``end``; likeness from 0 to 100."""

    spelling: Spelling
    start: int
    end: int
    score: float


def tokens(text: str) -> list[Token]:
    """The words and numbers of a text, in small letters, one code for each width and form of a character."""
    return [
        Token(unicodedata.normalize("NFKC", match[0]).casefold(), match.start(), match.end())
        for match in _TOKEN.finditer(text)
    ]


def key_of(text: str) -> str:
    """What two spellings of a name have in common."""
    return "".join(token.text for token in tokens(text))


class Spellings:
    """All names of a catalogue, to be found in texts."""

    def __init__(self) -> None:
        self._by_key: dict[str, list[Spelling]] = {}
        self._longest = 1
        self._beginnings: set[str] = set()
        self._near: dict[str, list[str]] = {}

    def add(self, written: str, dataset: str) -> None:
        """Learn a spelling; a key that another dataset has already stays with that one."""
        found = tokens(written)
        if not found or len(found) > _LONGEST or not any(token.text.isalpha() for token in found):
            return
        key = "".join(token.text for token in found)
        known = self._by_key.setdefault(key, [])
        if known and known[0].dataset != dataset:
            return
        distinctive = _is_distinctive(written, len(found)) or any(one.distinctive for one in known)
        known[:] = [replace(one, distinctive=distinctive) for one in known]
        spelling = Spelling(written, dataset, distinctive, len(found) > 1)
        if spelling not in known:
            known.append(spelling)
        self._longest = max(self._longest, len(found))
        self._beginnings.update(key[:length] for length in range(1, _BEGINNING + 1))
        if len(found) > 2 and written.endswith("s"):
            # "The Quora question pair dataset".
            self.add(written[:-1], dataset)
        if len(key) >= _SHORTEST and spelling.distinctive | (len(key) >= 8):
            bucket = self._near.setdefault(_digits(key), [])
            if key not in bucket:
                bucket.append(key)

    def exactly(self, text: str) -> Spelling | None:
        """The spelling that is all of a text, whatever its letter case."""
        known = self._by_key.get(key_of(text))
        return known[0] if known else None

    def find(self, text: str) -> list[Found]:
        """The names in a text from left to right, none within another; see `Spelling` for what is counted."""
        words = tokens(text)
        found: list[Found] = []
        at = 0
        while at < len(words):
            hit, length = self._longest_at(text, words, at)
            if hit is not None:
                found.append(hit)
            at += length
        return found

    def near(self, text: str) -> Found | None:
        """The name that a short text is a slip of: digits alike, one letter in ten otherwise."""
        from rapidfuzz import fuzz, process

        key = key_of(text)
        if len(key) < _SHORTEST or key in self._by_key:
            return None
        choices = self._near.get(_digits(key), [])
        best = process.extractOne(key, choices, scorer=fuzz.ratio, score_cutoff=_NEAR)
        if best is None:
            return None
        return Found(self._by_key[best[0]][0], 0, len(text), round(best[1], 1))

    def _longest_at(self, text: str, words: list[Token], at: int) -> tuple[Found | None, int]:
        if words[at].text[:_BEGINNING] not in self._beginnings:
            return None, 1
        for length in range(min(self._longest, len(words) - at), 0, -1):
            last = words[at + length - 1]
            known = self._by_key.get("".join(word.text for word in words[at : at + length]))
            if not known or _broken(text, words, at, length):
                continue
            start, end = words[at].start, last.end
            spelling = _as_written(known, text[start:end])
            if spelling is not None:
                return Found(spelling, start, end, 100.0), length
        return None, 1


def _is_distinctive(written: str, words: int) -> bool:
    letters = re.sub(r"[^A-Za-z]", "", written)
    if words > 1 or not written.isascii():
        return True
    return bool(re.search(r"[a-z][A-Z]|[A-Z]{2,}[a-z]", written)) or (letters.isupper() and len(letters) >= 5)


def _as_written(known: Iterable[Spelling], text: str) -> Spelling | None:
    """A word must stand as it is written in a dataset's name; an unmistakable name in any letter case."""
    known = list(known)
    for spelling in known:
        if spelling.written == text:
            return spelling
    for spelling in known:
        plain_words = spelling.several_words and not re.search(r"\d|[a-z][A-Z]", spelling.written)
        if spelling.distinctive and not (plain_words and text.islower() and " " in text):
            return spelling
    # In small letters, for where the text goes on "... dataset".
    return known[0] if text.islower() else None


def _broken(text: str, words: list[Token], at: int, length: int) -> bool:
    """Whether the words reach over the end of a sentence, or over a wide gap."""
    inner = zip(words[at : at + length - 1], words[at + 1 : at + length], strict=True)
    return any(not re.fullmatch(r"[\s\-_/.'’&:,()]{0,3}", text[one.end : two.start]) or
               re.search(r"[.,:]\s|\n", text[one.end : two.start]) for one, two in inner)  # fmt: skip


def _digits(key: str) -> str:
    return re.sub(r"\D+", "-", key)
