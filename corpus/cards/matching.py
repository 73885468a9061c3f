"""Which datasets a model was trained or evaluated on, each with its evidence, out of a card's metadata and text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from corpus.cards.mentions import Mention, mentions
from corpus.cards.names import key_of, tokens
from corpus.cards.passages import passages
from corpus.cards.roles import USED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from corpus.cards.card import Card
    from corpus.cards.catalogue import Catalogue

__all__ = ["ENOUGH", "VERSION", "Evidence", "Match", "Matched", "match"]

VERSION = 1
"""Of these rules: results of other rules are worked out again."""

ENOUGH = 0.5
"""The least confidence of a match."""

_SNIPPET = 200


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a dataset is thought to be a model's: where it stands, what stands there, which rule told, how sure.

    ``score``: how like the words are to the dataset's name, 0 to 100. ``confidence``: 0 to 1.
    """

    source: str
    where: str
    text: str
    role: str
    rule: str
    score: float
    confidence: float

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Match:
    """A dataset of a model; the strongest evidence first."""

    dataset: str
    confidence: float
    evidence: tuple[Evidence, ...]

    @property
    def roles(self) -> tuple[str, ...]:
        """What the dataset served for: ``trained``, ``evaluated``, ``listed`` (the card does not say for what)."""
        return tuple(dict.fromkeys(one.role for one in self.evidence if one.confidence >= ENOUGH))

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "dataset": self.dataset, "confidence": self.confidence, "roles": list(self.roles),
            "evidence": [one.to_json() for one in self.evidence],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Matched:
    """All that a card gives: matches, what was weighed and left, names in the metadata that no dataset has, tasks."""

    model: str
    matches: tuple[Match, ...]
    rejected: tuple[Match, ...]
    unknown: tuple[str, ...]
    tasks: tuple[tuple[str, str], ...]
    """Tasks that the card states, each with the dataset that it is measured on or an empty text."""
    remarks: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "model": self.model, "matches": [one.to_json() for one in self.matches],
            "rejected": [one.to_json() for one in self.rejected], "unknown": list(self.unknown),
            "tasks": [list(one) for one in self.tasks], "remarks": list(self.remarks),
        }  # fmt: skip


def match(card: Card, catalogue: Catalogue, least: float = ENOUGH) -> Matched:
    """Match a card with the datasets of a catalogue; those below the confidence ``least`` are told as rejected."""
    gathered: dict[str, list[Evidence]] = {}
    unknown: list[str] = []
    stated: list[tuple[str, str]] = [(card.pipeline_tag, "")] if card.pipeline_tag else []

    for slug, evidence in _listed(card, catalogue, unknown):
        gathered.setdefault(slug, []).append(evidence)
    for slug, task, result in _measured(card, catalogue, unknown):
        if result is not None:
            gathered.setdefault(slug, []).append(result)
        if task:
            stated.append((task, slug))
    for slug, evidence in _tagged(card, catalogue):
        gathered.setdefault(slug, []).append(evidence)
    said = mentions(passages(card.body, card.body_line), catalogue)
    for one in said:
        gathered.setdefault(one.dataset, []).append(_said(one))
    for slug, evidence in _named(card, catalogue):
        gathered.setdefault(slug, []).append(evidence)

    matches, rejected = _decided(gathered, catalogue, least)
    return Matched(
        card.name, tuple(matches), tuple(rejected), tuple(dict.fromkeys(unknown)), tuple(dict.fromkeys(stated)),
        card.remarks,
    )  # fmt: skip


# --- where evidence comes from ----------------------------------------------------------------------------------------


def _listed(card: Card, catalogue: Catalogue, unknown: list[str]) -> Iterable[tuple[str, Evidence]]:
    for where, name in card.datasets:
        told = _identified(catalogue, name, "")
        if told is None:
            unknown.append(name)
            continue
        slug, rule, score, confidence = told
        yield slug, Evidence("metadata", where, name, "listed", rule, score, confidence)


def _measured(
    card: Card, catalogue: Catalogue, unknown: list[str]
) -> Iterable[tuple[str, str, Evidence | None]]:
    for result in card.results:
        told = _identified(catalogue, result.identifier, result.configuration)
        if told is None or told[3] < 0.9:
            plain = re.sub(r"\([^)]*\)", " ", result.name).strip()
            by_name = catalogue.dataset_named(plain) if plain else None
            if by_name is not None:
                told = (by_name.dataset, "a name of the dataset", 100.0, 0.9)
            elif told is None and plain:
                told = _within(catalogue, plain)
        text = " ".join(filter(None, (result.name, result.identifier, result.configuration)))
        if told is None:
            if text:
                unknown.append(result.identifier or result.name)
            yield "", result.task, None
            continue
        slug, rule, score, confidence = told
        role = "trained" if result.where.endswith("Training Data") else "evaluated"
        yield slug, result.task, Evidence("results", result.where, text, role, rule, score, confidence)


def _tagged(card: Card, catalogue: Catalogue) -> Iterable[tuple[str, Evidence]]:
    for tag in card.tags:
        name = tag.removeprefix("dataset:")
        slug = catalogue.on_hub(name) if name != tag or "/" in tag else None
        confidence = 0.95 if name != tag else 0.8
        if slug is None:
            spelling = catalogue.dataset_named(name)
            if spelling is None or (name == tag and not spelling.distinctive):
                continue
            slug, confidence = spelling.dataset, 0.45 if name == tag else 0.9
        yield slug, Evidence("tag", "tags", tag, "listed", "a tag", 100.0, confidence)


def _said(one: Mention) -> Evidence:
    passage = one.passage
    source = {"code": "code", "cell": "table"}.get(passage.kind, "text")
    confidence = one.confidence if one.role in USED else 0.0 if one.role != "bare" else min(one.confidence, 0.4)
    text = _snippet(passage.text, one.text)
    return Evidence(source, f"line {passage.line}", text, one.role, one.rule, one.score, confidence)


def _named(card: Card, catalogue: Catalogue) -> Iterable[tuple[str, Evidence]]:
    """Datasets in the model's own name, as in bert-base-finetuned-squad."""
    label = card.name.rpartition("/")[2]
    tuned = re.search(r"(?:^|[-_.])(?:fine-?_?tuned?|ft|tuned)(?:[-_.]|$)", label, re.IGNORECASE)
    behind = label[tuned.end() :] if tuned else label
    for one in catalogue.spellings.find(behind):
        text = behind[one.start : one.end]
        after = behind[one.end :]
        if not one.spelling.distinctive and not tuned:
            continue
        if re.match(r"[-_.]?(?:backbone|pretrain\w*|weights|init)|[A-Za-z]", after, re.IGNORECASE):
            continue
        confidence = 0.7 if tuned else 0.55 if len(key_of(text)) >= 5 else 0.4
        rule = "the model's name, behind what says fine-tuned" if tuned else "the model's name"
        yield one.spelling.dataset, Evidence("name", "name", card.name, "named", rule, 100.0, confidence)


# --- names of the metadata --------------------------------------------------------------------------------------------


def _identified(catalogue: Catalogue, name: str, configuration: str) -> tuple[str, str, float, float] | None:
    """The dataset that an entry of the metadata names: slug, rule, likeness, confidence."""
    if not name:
        return None
    owner, slash, label = name.rpartition("/")
    if slug := catalogue.on_hub(name, configuration):
        known = (name.casefold(), "") in catalogue.hub or (name.casefold(), configuration.casefold()) in catalogue.hub
        rule = "its identifier on the hub" if known or not slash else "its name on the hub, with another owner"
        return slug, rule, 100.0, 0.97 if known or not slash else 0.85
    spelling = catalogue.dataset_named(label)
    if spelling is not None and (spelling.distinctive or not owner):
        return spelling.dataset, "a name of the dataset", 100.0, 0.9 if not owner else 0.8
    near = catalogue.spellings.near(label)
    if near is not None:
        return near.spelling.dataset, "almost a name of the dataset", near.score, round(0.7 * near.score / 100, 3)
    return _within(catalogue, label)


def _within(catalogue: Catalogue, text: str) -> tuple[str, str, float, float] | None:
    """A longer name that holds a dataset's: imdb-reviews-cleaned. The share of its letters is the likeness."""
    from rapidfuzz import fuzz

    found = [one for one in catalogue.spellings.find(text) if one.spelling.distinctive]
    if len({one.spelling.dataset for one in found}) != 1:
        return None
    one = found[0]
    if re.match(r"[-_]?[A-Z](?![a-z])", text[one.end :]) or len(tokens(text)) > 8:
        return None
    score = round(fuzz.token_set_ratio(_words(text[one.start : one.end]), _words(text)), 1)
    return one.spelling.dataset, "a longer name that holds the dataset's", score, 0.6


def _words(text: str) -> str:
    return " ".join(token.text for token in tokens(text))


# --- the decision -----------------------------------------------------------------------------------------------------


def _decided(
    gathered: dict[str, list[Evidence]], catalogue: Catalogue, least: float
) -> tuple[list[Match], list[Match]]:
    matches: list[Match] = []
    rejected: list[Match] = []
    for slug in sorted(gathered):
        evidence = sorted(gathered[slug], key=lambda one: -one.confidence)
        found = Match(slug, _confidence(evidence), tuple(evidence))
        (matches if found.confidence >= least else rejected).append(found)
    # Of a collection and its parts, what is said more exactly counts.
    parts = {catalogue.datasets[one.dataset].part_of for one in matches}
    whole = [one for one in matches if one.dataset in parts]
    matches = [one for one in matches if one.dataset not in parts]
    return matches, sorted([*rejected, *whole], key=lambda one: one.dataset)


def _confidence(evidence: Sequence[Evidence]) -> float:
    """The strongest evidence, and a tenth of what it lacks for each other place that agrees.

    What only a name or a bare tag says is void where the text says otherwise.
    """
    best = evidence[0].confidence
    denied = any(one.role in {"negated", "base", "others", "compared", "intended"} for one in evidence)
    if denied and best < 0.75 and evidence[0].source in {"name", "tag", "code"}:
        return 0.0
    others = sum(one.confidence >= ENOUGH and one.source != evidence[0].source for one in evidence[1:])
    return round(min(0.99, best + (1 - best) * 0.1 * others), 3)


def _snippet(text: str, name: str) -> str:
    plain = " ".join(text.split())
    at = max(0, plain.find(name))
    start = max(0, at - _SNIPPET // 2)
    cut = plain[start : start + _SNIPPET]
    return ("…" if start else "") + cut + ("…" if start + _SNIPPET < len(plain) else "")
