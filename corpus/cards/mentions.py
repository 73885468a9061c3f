"""What a card's text says of the datasets that it names: each mention with its role, the rule that told, and how sure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from corpus.cards import cues

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corpus.cards.catalogue import Catalogue
    from corpus.cards.names import Found, Spelling
    from corpus.cards.passages import Passage

__all__ = ["Mention", "mentions"]

_USED = ("trained", "evaluated")
# Words before and behind a name that make it another dataset's, or a made-up one.
_ANOTHER_BEFORE = re.compile(
    r"(?:\b(?:tiny|mini|stylized|rotated|permuted|colou?red|sequential|split|partial|medical|chinese|japanese|korean|arabic|bio)|[A-Za-z]{2,}(?<!non)(?<!pre))-$"
    r"|\b(?:tiny|mini|stylized|rotated|permuted|colou?red|corrupted)[ -]$", re.IGNORECASE)  # fmt: skip
_ANOTHER_BEHIND = re.compile(r"^[-_](?:[A-Z]{1,4}\b|[a-z]\b|LT\b|[A-Z][a-z]+\b(?!-))|^[A-Za-z0-9]|^\+\+?(?=\s|$)")
_BENIGN_BEHIND = re.compile(
    r"^[-_](?:pre-?train|fine-?tun|train|val|test|dev|raw|style|like|based|format|only|clean|other|en\b|de\b|fr\b|v?\d)|^\d{0,2}(?:k|K)\b",
)
_VERSION_BEHIND = re.compile(r"^[\s\-_]?(?:version )?v?\.?\s?(\d{1,4}(?:\.\d+)+|\d{1,2}(?=[\s,.;)]|$)|20\d\d)(?!\s?[%k])", re.IGNORECASE)
_VERB_FIRST = re.compile(r"\s*(?:was|were|is|are|had|has|have)\b")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]*\w")
_NEAR_CANDIDATE = re.compile(r"[A-Z][\w&.'’-]*(?:[ /-][A-Z0-9][\w&.'’-]*){0,3}|\w*[A-Z]\w*\d[\w-]*")


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


@dataclass(frozen=True, slots=True)
class _Group:
    """Names that stand in a row: what is said of one is said of all."""

    found: tuple[Found, ...]

    @property
    def start(self) -> int:
        return self.found[0].start

    @property
    def end(self) -> int:
        return self.found[-1].end


def mentions(passages: Sequence[Passage], catalogue: Catalogue) -> list[Mention]:
    """All mentions in a card's passages, also of datasets that the model has not been used with."""
    fine_tuned = any(
        cues.FINE_TUNING.search(p.text) and p.kind != "code" and not re.search(r"\bcan\b|downstream", p.text)
        for p in passages
    )
    found: list[Mention] = []
    for passage in passages:
        if passage.kind == "code":
            found += _in_code(passage, catalogue)
        elif passage.kind == "cell":
            found += _in_cell(passage, catalogue)
        else:
            found += _in_sentence(passage, catalogue, passages, fine_tuned=fine_tuned)
    return found


# --- sentences --------------------------------------------------------------------------------------------------------


def _in_sentence(
    passage: Passage, catalogue: Catalogue, passages: Sequence[Passage], *, fine_tuned: bool
) -> list[Mention]:
    text = passage.text
    names = _names(passage, catalogue)
    result: list[Mention] = []
    previous = 0
    before = ("", "", 0.0)
    for group in _groups(text, names):
        role, rule, confidence = _role(passage, group, previous, before, fine_tuned=fine_tuned)
        if role == "bare" and _scored(passage, passages):
            role, rule, confidence = "evaluated", "beside a score", 0.52
        listed = len(group.found) > 1
        for one in group.found:
            sure = _granted(one, text, confidence, rule, listed=listed)
            result.append(Mention(one.spelling.dataset, text[one.start : one.end], passage, role, rule, one.score,
                                  round(sure * one.score / 100, 3)))  # fmt: skip
        previous, before = group.end, (role, rule, confidence)
    return result


def _role(
    passage: Passage, group: _Group, previous: int, before: tuple[str, str, float], *, fine_tuned: bool
) -> tuple[str, str, float]:
    """What the model has to do with a group of names: role, rule, confidence."""
    text = passage.text
    left, whole = _clause(text, group.start, previous)
    right = text[group.end :]
    if cues.OF_OTHERS.search(text[: group.start]):
        return "others", "a sentence on other models", 0.0
    for role, pattern in cues.AFTER.items():
        if match := pattern.search(right):
            return role, f"behind it: {_plain(match[0])}", 0.0
    verbs = _last_verbs(left) or _last_verbs(whole)
    for role, pattern in cues.BEFORE.items():
        hits = list(pattern.finditer(left if role == "negated" else whole))
        if hits and not (role == "negated" and _undone(left, hits[-1].end())):
            return role, f"before it: {_plain(hits[-1][0])}", 0.0
    if verbs:
        return _by_verb(passage, verbs, whole, text, fine_tuned=fine_tuned)
    if before[0] in _USED and re.fullmatch(r"[^.;:]{0,25}", text[previous : group.start]) and previous:
        return before[0], f"goes on from: {before[1]}", before[2] * 0.9
    return _without_verb(passage, group, left, right)


def _by_verb(
    passage: Passage, verbs: tuple[str, str, int], whole: str, text: str, *, fine_tuned: bool
) -> tuple[str, str, float]:
    kind, word, distance = verbs
    tuning = bool(cues.FINE_TUNING.search(word))
    base = cues.BASE_NOUN.search(whole)
    own_model = re.search(r"\b(?:this|the|our|these|final) (?:[\w-]+ ){0,2}(?:models?|checkpoint|network|weights|encoder) (?:was|were|is|are|has been|had been)?\s*(?:also )?(?:first )?pre-?train", text, re.IGNORECASE)  # fmt: skip
    if base and not (tuning and not re.search(r"had been|whose|base model|encoder is|original", base[0], re.IGNORECASE)) \
            and base.start() <= whole.rfind(word) and not re.match(r"(?i)we took", word):  # fmt: skip
        return "base", f"speaks of what it began with: {_plain(base[0])}", 0.0
    if kind == "pretrained":
        own_heading = any(re.search(r"pre-?train|training", one, re.IGNORECASE) for one in passage.heading)
        if fine_tuned and not own_model and not own_heading:
            return "base", f"fine-tuned elsewhere, here: {word}", 0.0
        return "trained", f"before it: {word}", 0.85
    role = "evaluated" if kind == "evaluated" else "trained"
    return role, f"before it: {word}", 0.9 if distance <= 40 else 0.8


def _without_verb(passage: Passage, group: _Group, left: str, right: str) -> tuple[str, str, float]:
    text = passage.text
    if re.search(r"\b(?:frozen|backbone|initiali[sz]ed|pre-?trained)\b", text[: group.start], re.IGNORECASE) and \
            not re.search(r"\bon\b", left):  # fmt: skip
        return "base", "speaks of what it began with", 0.0
    after = re.split(r"[.;]\s", right, maxsplit=1)[0]
    if re.match(r"^[\s\]\"'`*)]*(?:for|zum|pour|para)\s(?:\w+\s)?(?:training|fine-?tuning|train|apprentissage)\b", after) or \
            re.search(r"で(?:学習|訓練|微調整)|(?:数据集|数据)?上(?:进行)?(?:训练|微调|预训练)|trainiert|に(?:て)?学習", after):  # fmt: skip
        return "trained", "behind it: training", 0.8
    scored = re.search(r"\d", right) or re.search(r"\d+\.\d", left)
    if cues.METRIC.search(left) or (cues.METRIC.search(text) and scored):
        return "evaluated", "a score in the same sentence", 0.7
    heading, word = _heading(passage)
    if heading in _USED and passage.kind == "item":
        return heading, f"in a list below: {word}", 0.8
    if cues.EVALUATED.search(text[: group.start]) or re.match(r"^[\s*`\"')\]]*[:=]?\s*\d", right):
        return "evaluated", "beside a number or a word of evaluation", 0.6
    if heading in _USED and cues.DATA_WORD.search(right):
        return heading, f"below: {word}", 0.6
    if cues.TRAINED.search(passage.above[-80:]) and passage.kind == "item" and passage.above.rstrip().endswith(":"):
        return "trained", "in a list after a sentence on training", 0.8
    if cues.PREPOSITION.search(left) and heading not in {"others", "intended"}:
        return "trained", "after a preposition", 0.55
    if heading in _USED and len(text) < 200:
        return heading, f"below: {word}", 0.5
    return "bare", "named alone", 0.3


def _last_verbs(clause: str) -> tuple[str, str, int] | None:
    """The cue nearest to the clause's end: its kind, its word, how many characters lie between."""
    best: tuple[int, str, str] | None = None
    for kind, pattern in (("evaluated", cues.EVALUATED), ("trained", cues.TRAINED), ("pretrained", cues.PRETRAINED)):
        for match in pattern.finditer(clause):
            if best is None or match.end() >= best[0]:
                best = (match.end(), kind, _plain(match[0]))
    return None if best is None else (best[1], best[2], len(clause) - best[0])


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


def _scored(passage: Passage, passages: Sequence[Passage]) -> bool:
    """Whether the next sentence gives a score: "Fashion-MNIST in place of MNIST. Test accuracy 92.8 %."."""
    at = next((n for n, one in enumerate(passages) if one is passage), -1)
    after = passages[at + 1 : at + 2] if at >= 0 else ()
    return any(one.line == passage.line and cues.METRIC.search(one.text) and re.search(r"\d", one.text) for one in after)


# --- cells and code ---------------------------------------------------------------------------------------------------


def _in_cell(passage: Passage, catalogue: Catalogue) -> list[Mention]:
    names = _names(passage, catalogue)
    heading, _ = _heading(passage)
    is_head = passage.head == "\0"
    numbers = sum(bool(re.search(r"\d", cell)) for cell in passage.row)
    if is_head:
        role, rule, confidence = ("evaluated", "the head of a column of numbers", 0.75) if numbers else ("bare", "a column's head", 0.3)
    elif cues.TABLE_HEAD.search(passage.head):
        used = "trained" if re.search(r"train|pairs|tuples|size|samples", " ".join((passage.head, *passage.heading)), re.IGNORECASE) else "evaluated"
        role, rule, confidence = used, f"in a column headed {_plain(passage.head)}", 0.8
    elif passage.row and passage.row[0] == passage.text and numbers:
        role, rule, confidence = "evaluated", "the first cell of a row with numbers", 0.65
    else:
        role, rule, confidence = "bare", "in a table", 0.3
    if heading == "others" or re.search(r"pre-?train|backbone|weights", passage.head, re.IGNORECASE):
        role, rule, confidence = "base", "in a column on what it began with", 0.0
    return [
        Mention(one.spelling.dataset, passage.text[one.start : one.end], passage, role, rule, one.score,
                round(confidence * _share(one, passage.text) * one.score / 100, 3))
        for one in names if _as_written(one, passage.text)
    ]  # fmt: skip


def _in_code(passage: Passage, catalogue: Catalogue) -> list[Mention]:
    """`load_dataset("name", "configuration")` counts where the same code trains on it."""
    result = []
    trains = re.search(r"\.train\(\)|\.fit\(|trainer\.|Trainer\(|do_train", passage.text)
    for match in re.finditer(
        r"(\w+)?\s*=?\s*\bload_dataset\(\s*[\"']([\w./-]+)[\"'](?:\s*,\s*(?:name\s*=\s*)?[\"']([\w.-]+)[\"'])?([^)]*)\)", passage.text
    ):
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
    from corpus.cards.names import Found

    text = passage.text
    links = [(a, b, slug) for a, b, name in passage.links if (slug := catalogue.on_hub(name))]
    for match in _HUB_NAME.finditer(text):
        slug = catalogue.hub.get((match[0].casefold(), ""))
        if slug and not any(a <= match.start() < b for a, b, _ in links):
            links.append((match.start(), match.end(), slug))
    found = [Found(_linked(catalogue, slug), a, b, 100.0) for a, b, slug in links]
    for one in catalogue.spellings.find(text):
        if not any(a <= one.start < b for a, b, _ in links) and _stands_alone(text, one):
            found.append(one)
    taken = [(one.start, one.end) for one in found]
    for match in _NEAR_CANDIDATE.finditer(text):
        if any(a < match.end() and match.start() < b for a, b in taken):
            continue
        if not cues.PREPOSITION.search(text[: match.start()]):
            continue
        near = catalogue.spellings.near(match[0])
        if near:
            found.append(Found(near.spelling, match.start(), match.end(), near.score))
    return sorted(found, key=lambda one: one.start)


def _linked(catalogue: Catalogue, slug: str) -> Spelling:
    from corpus.cards.names import Spelling

    return Spelling(catalogue.datasets[slug].name, slug, distinctive=True, several_words=False)


def _stands_alone(text: str, one: Found) -> bool:
    """Not a part of another name: mini-ImageNet, ImageNet-C, an e-mail address, a path."""
    before, behind = text[max(0, one.start - 20) : one.start], text[one.end : one.end + 20]
    if _ANOTHER_BEFORE.search(before) or re.search(r"[\w.]/$|@$|www\.$", before):
        return False
    return not (_ANOTHER_BEHIND.search(behind) and not _BENIGN_BEHIND.search(behind))


def _groups(text: str, names: Sequence[Found]) -> list[_Group]:
    groups: list[list[Found]] = []
    for one in names:
        if groups and cues.LIST_GAP.fullmatch(text[groups[-1][-1].end : one.start]):
            groups[-1].append(one)
        else:
            groups.append([one])
    return [_Group(tuple(group)) for group in groups]


def _granted(one: Found, text: str, confidence: float, rule: str, *, listed: bool) -> float:
    """What of a confidence a name keeps: one that is a plain word needs more around it."""
    if one.spelling.distinctive and one.spelling.written:
        written = text[one.start : one.end]
        if not (written.islower() and " " in written and not re.search(r"\d", written)):
            return confidence
    behind = text[one.end : one.end + 40]
    called = bool(cues.DATA_WORD.match(behind) or re.search(r"[`\"]$", text[: one.start]))
    if text[one.start : one.end].islower():
        return min(confidence, 0.65) if called and confidence >= 0.5 else 0.1
    if called or listed:
        return confidence
    direct = cues.PREPOSITION.search(text[: one.start]) or re.search(r"[:(]\s*$", text[: one.start]) or not text[: one.start].strip()
    return min(confidence, 0.75) if direct and "named alone" not in rule else 0.2


def _as_written(one: Found, text: str) -> bool:
    return one.spelling.distinctive or not text[one.start : one.end].islower()


def _share(one: Found, text: str) -> float:
    """A cell that is the name counts in full, a sentence in a cell for less."""
    return 1.0 if (one.end - one.start) / max(len(text.strip()), 1) > 0.3 or len(text) < 40 else 0.7


def _heading(passage: Passage) -> tuple[str, str]:
    for heading in reversed(passage.heading):
        for role, pattern in cues.HEADINGS:
            if match := pattern.search(heading):
                return role, _plain(match[0])
    return "", ""


def _plain(text: str) -> str:
    return " ".join(text.split()).strip(" ,;:.()\"'`*-–")[:40]
