"""What a sentence says a model has to do with the datasets that it names: the role, and the rule that told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from corpus.cards import cues

if TYPE_CHECKING:
    from corpus.cards.passages import Passage

__all__ = ["USED", "Role", "heading_of", "is_scored", "plain", "role_of"]

USED = ("trained", "evaluated")
_VERB_FIRST = re.compile(r"\s*(?:was|were|is|are|had|has|have)\b")


class Role(NamedTuple):
    """What a model has to do with a dataset (see `corpus.cards.cues`), by which rule, and how sure that is, 0 to 1."""

    role: str
    rule: str
    confidence: float


class _Verb(NamedTuple):
    """A cue of training or evaluation: its kind, its word, how many characters before the name."""

    kind: str
    word: str
    distance: int


def role_of(passage: Passage, start: int, end: int, previous: int, before: Role | None, *, fine_tuned: bool) -> Role:
    """The role of the names in ``passage.text[start:end]``, which stand in a row.

    ``previous``, ``before``: where the names before them end, and their role. ``fine_tuned``: the card says elsewhere
    that the model was fine-tuned, so that what it was pretrained on is its base's.
    """
    text, right = passage.text, passage.text[end:]
    left, whole = _clause(text, start, previous)
    if cues.OF_OTHERS.search(text[:start]):
        return Role("others", "a sentence on other models", 0.0)
    if told := _denied(left, whole, right):
        return told
    if verb := _last_verb(left) or _last_verb(whole):
        return _by_verb(passage, verb, whole, fine_tuned=fine_tuned)
    if before and before.role in USED and previous and re.fullmatch(r"[^.;:]{0,25}", text[previous:start]):
        return Role(before.role, f"goes on from: {before.rule}", before.confidence * 0.9)
    return _near(text, start, left, right) or _below(passage, start, left, right)


def is_scored(passage: Passage, after: Passage | None) -> bool:
    """Whether the next sentence gives a score: "Fashion-MNIST in place of MNIST. Test accuracy 92.8 %."."""
    if after is None or after.line != passage.line:
        return False
    return bool(cues.METRIC.search(after.text) and re.search(r"\d", after.text))


def heading_of(passage: Passage) -> tuple[str, str]:
    """What the nearest heading with a cue says, and its cue; empty where none has one."""
    for heading in reversed(passage.heading):
        for role, pattern in cues.HEADINGS:
            if match := pattern.search(heading):
                return role, plain(match[0])
    return "", ""


def _denied(left: str, whole: str, right: str) -> Role | None:
    """A cue that the dataset is not this model's, behind the names or in the clause before them."""
    for role, pattern in cues.AFTER.items():
        if match := pattern.search(right):
            return Role(role, f"behind it: {plain(match[0])}", 0.0)
    for role, pattern in cues.BEFORE.items():
        # A negation reaches no further than its clause.
        hits = list(pattern.finditer(left if role == "negated" else whole))
        if hits and not (role == "negated" and _undone(left, hits[-1].end())):
            return Role(role, f"before it: {plain(hits[-1][0])}", 0.0)
    return None


def _by_verb(passage: Passage, verb: _Verb, whole: str, *, fine_tuned: bool) -> Role:
    """Trained or evaluated, unless the verb speaks of what the model began with."""
    base = cues.BASE_NOUN.search(whole)
    if base and base.start() <= whole.rfind(verb.word) and not verb.word.casefold().startswith("we took"):
        # "We started from a checkpoint and fine-tuned it on": the fine-tuning is this model's.
        own = cues.FINE_TUNING.search(verb.word) and not cues.BASE_FOR_SURE.search(base[0])
        if not own:
            return Role("base", f"speaks of what it began with: {plain(base[0])}", 0.0)
    if verb.kind == "pretrained":
        own_heading = any(re.search(r"pre-?train|training", one, re.IGNORECASE) for one in passage.heading)
        if fine_tuned and not own_heading and not cues.OWN_PRETRAINING.search(passage.text):
            return Role("base", f"fine-tuned elsewhere, here: {verb.word}", 0.0)
        return Role("trained", f"before it: {verb.word}", 0.85)
    role = "evaluated" if verb.kind == "evaluated" else "trained"
    return Role(role, f"before it: {verb.word}", 0.9 if verb.distance <= 40 else 0.8)


def _near(text: str, start: int, left: str, right: str) -> Role | None:
    """Without a verb before the names: what stands close by."""
    if cues.BASE_WORD.search(text[:start]) and not re.search(r"\bon\b", left):
        return Role("base", "speaks of what it began with", 0.0)
    if cues.TRAINED_BEHIND.search(re.split(r"[.;]\s", right, maxsplit=1)[0]):
        return Role("trained", "behind it: training", 0.8)
    scored = re.search(r"\d", right) or re.search(r"\d+\.\d", left)
    if cues.METRIC.search(left) or (cues.METRIC.search(text) and scored):
        return Role("evaluated", "a score in the same sentence", 0.7)
    return None


def _below(passage: Passage, start: int, left: str, right: str) -> Role:
    """Without anything close by: the headings above, the sentence above a list, a preposition."""
    heading, word = heading_of(passage)
    item = passage.kind == "item"
    used = heading in USED
    number = cues.EVALUATED.search(passage.text[:start]) or re.match(r"^[\s*`\"')\]]*[:=]?\s*\d", right)
    listed = item and passage.above.rstrip().endswith(":") and cues.TRAINED.search(passage.above[-80:])
    placed = cues.PREPOSITION.search(left[-120:]) and heading not in {"others", "intended"}
    rules = (
        (used and item, heading, f"in a list below: {word}", 0.8),
        (number, "evaluated", "beside a number or a word of evaluation", 0.6),
        (used and cues.DATA_WORD.search(right), heading, f"below: {word}", 0.6),
        (listed, "trained", "in a list after a sentence on training", 0.8),
        (placed, "trained", "after a preposition", 0.55),
        (used and len(passage.text) < 200, heading, f"below: {word}", 0.5),
    )
    for holds, role, rule, confidence in rules:
        if holds:
            return Role(role, rule, confidence)
    return Role("bare", "named alone", 0.3)


def _last_verb(clause: str) -> _Verb | None:
    """The cue nearest to the clause's end."""
    best: tuple[int, str, str] | None = None
    for kind, pattern in (("evaluated", cues.EVALUATED), ("trained", cues.TRAINED), ("pretrained", cues.PRETRAINED)):
        for match in pattern.finditer(clause):
            if best is None or match.end() >= best[0]:
                best = (match.end(), kind, plain(match[0]))
    return None if best is None else _Verb(best[1], best[2], len(clause) - best[0])


def _clause(text: str, start: int, previous: int) -> tuple[str, str]:
    """What of a sentence goes with a name: from the last name or boundary on, and with the clauses that it continues.

    What stands in brackets or behind a colon goes on with what is before it, and so does a clause without a subject.
    """
    cuts = [(0, "")] + [(match.end(), match[0]) for match in cues.BOUNDARY.finditer(text, 0, start)]
    left = text[max(cuts[-1][0], previous) : start]
    at = len(cuts) - 1
    while at > 0:
        begin, mark = cuts[at]
        rest = text[begin:]
        if _VERB_FIRST.match(rest):
            at = 0
        elif mark in {"(", ":"} or cues.UNFINISHED.match(rest + " "):
            at -= 1
        else:
            break
    return left, text[cuts[at][0] : start]


def _undone(left: str, at: int) -> bool:
    """Whether a negation is over before the name: "not only", "was not easy, and trained on"."""
    return bool(re.match(r"\s*only\b", left[at:])) or bool(re.search(r"\bonly (?:on|with|by)\b", left[at:]))


def plain(text: str) -> str:
    """A cue as it is shown: one line, without the punctuation around it."""
    return " ".join(text.split()).strip(" ,;:.()\"'`*-–")[:40]
