"""The datasets that a card's text names: each mention with its role, the rule that told, and how sure that is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from corpus.cards import cues
from corpus.cards.names import Found, Spelling
from corpus.cards.roles import Role, heading_of, is_scored, plain, role_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corpus.cards.catalogue import Catalogue
    from corpus.cards.passages import Passage

__all__ = ["Mention", "mentions"]

# Words before and behind a name that make it another dataset's, or a made-up one.
_ANOTHER_BEFORE = re.compile(
    r"(?:\b(?:tiny|mini|stylized|rotated|permuted|colou?red|sequential|split|partial|medical|bio)"
    r"|\b(?:chinese|japanese|korean|arabic)|[A-Za-z]{2,}(?<!non)(?<!pre))-$"
    r"|\b(?:tiny|mini|stylized|rotated|permuted|colou?red|corrupted)[ -]$",
    re.IGNORECASE,
)
_ANOTHER_BEHIND = re.compile(r"^[-_](?:[A-Z]{1,4}\b|[a-z]\b|LT\b|[A-Z][a-z]+\b(?!-))|^[A-Za-z0-9]|^\+\+?(?=\s|$)")
_BENIGN_BEHIND = re.compile(
    r"^[-_](?:pre-?train|fine-?tun|train|val|test|dev|raw|style|like|based|format|only|clean|other|en\b|de\b|fr\b|v?\d)"
    r"|^\d{0,2}(?:k|K)\b",
)
_NEAR = 120  # characters in which a preposition may stand before a name
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]*\w")
_NEAR_CANDIDATE = re.compile(r"[A-Z][\w&.'’-]*(?:[ /-][A-Z0-9][\w&.'’-]*){0,3}|\w*[A-Z]\w*\d[\w-]*")
_LOADED = re.compile(
    r"(\w+)?\s*=?\s*\bload_dataset\(\s*[\"']([\w./-]+)[\"'](?:\s*,\s*(?:name\s*=\s*)?[\"']([\w.-]+)[\"'])?"
)
_TRAINS = re.compile(r"\.train\(\)|\.fit\(|trainer\.|Trainer\(|do_train")


@dataclass(frozen=True, slots=True)
class Mention:
    """A dataset that a passage names: role and rule (see `corpus.cards.cues`), likeness 0–100, confidence 0–1."""

    dataset: str
    text: str
    passage: Passage
    role: str
    rule: str
    score: float
    confidence: float


def _mention(one: Found, passage: Passage, role: Role, confidence: float) -> Mention:
    sure = round(confidence * one.score / 100, 3)
    text = passage.text[one.start : one.end]
    return Mention(one.spelling.dataset, text, passage, role.role, role.rule, one.score, sure)


def mentions(passages: Sequence[Passage], catalogue: Catalogue) -> list[Mention]:
    """All mentions in a card's passages, also of datasets that the model has not been used with."""
    fine_tuned = any(
        cues.FINE_TUNING.search(p.text) and p.kind != "code" and not re.search(r"\bcan\b|downstream", p.text)
        for p in passages
    )
    found: list[Mention] = []
    for passage, after in zip_longest(passages, passages[1:]):
        if passage.kind == "code":
            found += _in_code(passage, catalogue)
        elif passage.kind == "cell":
            found += _in_cell(passage, catalogue)
        else:
            found += _in_sentence(passage, catalogue, after, fine_tuned=fine_tuned)
    return found


# --- sentences --------------------------------------------------------------------------------------------------------


def _in_sentence(
    passage: Passage, catalogue: Catalogue, after: Passage | None, *, fine_tuned: bool
) -> list[Mention]:
    text = passage.text
    names = _names(passage, catalogue)
    result: list[Mention] = []
    previous, before = 0, None
    for group in _groups(text, names):
        role = role_of(passage, group[0].start, group[-1].end, previous, before, fine_tuned=fine_tuned)
        if role.role == "bare" and is_scored(passage, after):
            role = Role("evaluated", "beside a score", 0.52)
        for one in group:
            sure = _granted(one, text, role, listed=len(group) > 1)
            result.append(_mention(one, passage, role, sure))
        previous, before = group[-1].end, role
    return result


# --- cells and code ---------------------------------------------------------------------------------------------------


def _in_cell(passage: Passage, catalogue: Catalogue) -> list[Mention]:
    role = _role_of_cell(passage)
    return [
        _mention(one, passage, role, role.confidence * _share(one, passage.text))
        for one in _names(passage, catalogue)
        if one.spelling.distinctive or not passage.text[one.start : one.end].islower()
    ]


def _role_of_cell(passage: Passage) -> Role:
    heading, _ = heading_of(passage)
    numbers = any(re.search(r"\d", cell) for cell in passage.row)
    if heading == "others" or cues.BASE_HEAD.search(passage.head):
        return Role("base", "in a column on what it began with", 0.0)
    if passage.is_head:
        if numbers:
            return Role("evaluated", "the head of a column of numbers", 0.75)
        return Role("bare", "a column's head", 0.3)
    if cues.TABLE_HEAD.search(passage.head):
        trained = cues.TRAINING_HEAD.search(" ".join((passage.head, *passage.heading)))
        return Role("trained" if trained else "evaluated", f"in a column headed {plain(passage.head)}", 0.8)
    if passage.row and passage.row[0] == passage.text and numbers:
        return Role("evaluated", "the first cell of a row with numbers", 0.65)
    return Role("bare", "in a table", 0.3)


def _in_code(passage: Passage, catalogue: Catalogue) -> list[Mention]:
    """`load_dataset("name", "configuration")` counts where the same code trains on it."""
    result = []
    trains = _TRAINS.search(passage.text)
    for match in _LOADED.finditer(passage.text):
        slug = catalogue.on_hub(match[2], match[3] or "")
        if slug:
            used = bool(trains or re.match(r"train", match[1] or ""))
            role, rule = ("trained", "loaded by code that trains") if used else ("bare", "loaded by an example")
            result.append(Mention(slug, match[2], passage, role, rule, 100.0, 0.6 if used else 0.25))
    for match in re.finditer(r"--(?:dataset(?:_name)?|task_name)[= ]+([\w./-]+)", passage.text):
        slug = catalogue.on_hub(match[1]) or getattr(catalogue.dataset_named(match[1]), "dataset", None)
        if slug and trains:
            result.append(Mention(slug, match[1], passage, "trained", "an option of code that trains", 100.0, 0.7))
    return result


# --- names ------------------------------------------------------------------------------------------------------------


def _names(passage: Passage, catalogue: Catalogue) -> list[Found]:
    """The names in a passage: links to the hub, exact ones that stand for themselves, near misses after a cue."""
    text = passage.text
    links = [(a, b, slug) for a, b, name in passage.links if (slug := catalogue.on_hub(name))]
    for match in _HUB_NAME.finditer(text):
        slug = catalogue.hub.get((match[0].casefold(), ""))
        if slug and not any(a <= match.start() < b for a, b, _ in links):
            links.append((match.start(), match.end(), slug))
    found = [Found(_linked(catalogue, slug), a, b, 100.0) for a, b, slug in links]
    exact = catalogue.spellings.find(text)
    taken = [(one.start, one.end) for one in (*found, *exact)]
    found += [
        one for one in exact if not any(a <= one.start < b for a, b, _ in links) and _stands_alone(text, one)
    ]
    for match in _NEAR_CANDIDATE.finditer(text):
        if any(a < match.end() and match.start() < b for a, b in taken):
            continue
        if not cues.PREPOSITION.search(text[max(0, match.start() - _NEAR) : match.start()]):
            continue
        near = catalogue.spellings.near(match[0])
        if near:
            found.append(Found(near.spelling, match.start(), match.end(), near.score))
    return sorted(found, key=lambda one: one.start)


def _linked(catalogue: Catalogue, slug: str) -> Spelling:
    return Spelling(catalogue.datasets[slug].name, slug, distinctive=True, several_words=False)


def _stands_alone(text: str, one: Found) -> bool:
    """Not a part of another name: mini-ImageNet, ImageNet-C, an e-mail address, a path."""
    before, behind = text[max(0, one.start - 20) : one.start], text[one.end : one.end + 20]
    if _ANOTHER_BEFORE.search(before) or re.search(r"[\w.]/$|@$|www\.$", before):
        return False
    return not (_ANOTHER_BEHIND.search(behind) and not _BENIGN_BEHIND.search(behind))


def _groups(text: str, names: Sequence[Found]) -> list[list[Found]]:
    """Names that stand in a row: what is said of one is said of all."""
    groups: list[list[Found]] = []
    for one in names:
        if groups and cues.LIST_GAP.fullmatch(text[groups[-1][-1].end : one.start]):
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def _granted(one: Found, text: str, role: Role, *, listed: bool) -> float:
    """What of a confidence a name keeps: one that is a plain word needs more around it."""
    confidence, written = role.confidence, text[one.start : one.end]
    if one.spelling.distinctive and not (written.islower() and " " in written and not re.search(r"\d", written)):
        return confidence
    behind = text[one.end : one.end + 40]
    called = bool(cues.DATA_WORD.match(behind) or re.search(r"[`\"]$", text[: one.start]))
    if written.islower():
        return min(confidence, 0.65) if called and confidence >= 0.5 else 0.1
    if called or listed:
        return confidence
    before = text[: one.start]
    direct = cues.PREPOSITION.search(before[-_NEAR:]) or re.search(r"[:(]\s*$", before) or not before.strip()
    return min(confidence, 0.75) if direct and role.role != "bare" else 0.2


def _share(one: Found, text: str) -> float:
    """A cell that is the name counts in full, a sentence in a cell for less."""
    return 1.0 if (one.end - one.start) / max(len(text.strip()), 1) > 0.3 or len(text) < 40 else 0.7
