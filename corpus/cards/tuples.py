"""(model, dataset, task): of a model's datasets, the tasks that the card states or that the dataset is used for."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from corpus.cards.catalogue import slug_of
from corpus.file import move, part_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from corpus.cards.catalogue import Catalogue

__all__ = ["Tuple", "file_name", "tuples", "write_folders"]

_LIKE = 90.0
_LONGEST = 200  # characters of a file's name; most file systems have 255 bytes

HUB_TASKS: Mapping[str, tuple[str, ...]] = {
    "text-classification": (
        "text-classification", "sentiment-analysis", "natural-language-inference", "linguistic-acceptability",
        "paraphrase-identification", "emotion-classification", "intent-detection", "semantic-textual-similarity",
    ),
    "token-classification": ("named-entity-recognition-ner", "named-entity-recognition", "part-of-speech-tagging"),
    "zero-shot-classification": ("natural-language-inference", "text-classification"),
    "question-answering": ("question-answering", "reading-comprehension"),
    "document-question-answering": ("visual-question-answering-vqa", "visual-question-answering", "question-answering"),
    "visual-question-answering": ("visual-question-answering-vqa", "visual-question-answering"),
    "summarization": ("text-summarization", "summarization", "abstractive-text-summarization"),
    "translation": ("machine-translation",),
    "fill-mask": ("language-modelling",),
    "text-generation": (
        "language-modelling", "text-generation", "common-sense-reasoning", "multi-task-language-understanding",
        "arithmetic-reasoning", "code-generation", "question-answering",
    ),
    "sentence-similarity": ("semantic-textual-similarity", "passage-retrieval", "natural-language-inference",
                            "paraphrase-identification"),
    "automatic-speech-recognition": (
        "speech-recognition", "automatic-speech-recognition", "automatic-speech-recognition-asr",
    ),
    "audio-classification": (
        "audio-classification", "keyword-spotting", "speech-emotion-recognition", "genre-classification",
        "intent-detection", "speaker-verification",
    ),
    "text-to-speech": ("text-to-speech-synthesis", "speech-synthesis"),
    "image-classification": ("image-classification", "fine-grained-image-classification", "scene-recognition",
                             "document-image-classification", "domain-generalization"),
    "zero-shot-image-classification": (
        "image-classification", "fine-grained-image-classification", "scene-recognition",
    ),
    "object-detection": ("object-detection", "face-detection"),
    "image-segmentation": ("semantic-segmentation", "instance-segmentation", "panoptic-segmentation"),
    "keypoint-detection": ("keypoint-detection", "pose-estimation"),
    "depth-estimation": ("monocular-depth-estimation", "depth-estimation"),
    "image-to-text": ("image-captioning",),
    "text-to-image": ("text-to-image-generation",),
    "unconditional-image-generation": ("image-generation",),
    "video-classification": ("action-classification", "action-recognition"),
    "graph-ml": ("node-classification", "graph-regression"),
}  # fmt: skip
"""The hub's tasks, and papers-with-code's that a model of such a kind can do."""


@dataclass(frozen=True, slots=True)
class Tuple:
    """A model, a dataset that it was trained or evaluated on, a task that it does there (slugs).

    ``task_rule``: ``stated`` (the card names a task that the dataset is used for), ``dataset`` (the card names none of
    them: all that the dataset is used for), ``card`` (of the dataset no task is known, of the card is).
    """

    model: str
    dataset: str
    task: str
    confidence: float
    task_rule: str
    evidence: str

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


def tuples(matched: Mapping[str, Any], catalogue: Catalogue) -> Iterator[Tuple]:
    """The tuples of one line of matches (`corpus.cards.matching.Matched.to_json`), by dataset and task."""
    model = matched["model"]
    for one in matched["matches"]:
        slug = one["dataset"]
        dataset = catalogue.datasets.get(slug)
        if dataset is None:
            continue
        stated = [task for task, of in matched["tasks"] if of in {"", slug}]
        # What was measured on this very dataset says more than the model's general kind, and that more than what was
        # measured elsewhere.
        own = [task for task, of in matched["tasks"] if of == slug]
        anywhere = [task for task, _ in matched["tasks"]]
        chosen = next(filter(None, (_both(one, dataset.tasks, catalogue) for one in (own, stated, anywhere))), [])
        rule = "stated"
        if not chosen:
            chosen, rule = list(dataset.tasks), "dataset"
        if not chosen:
            chosen, rule = [task for text in stated if (task := _known(text, catalogue))], "card"
        top = one["evidence"][0] if one["evidence"] else {}
        words = f"{top.get('source', '')} {top.get('where', '')}: {top.get('text', '')}".strip()
        for task in dict.fromkeys(chosen):
            yield Tuple(model, slug, task, one["confidence"], rule, words)


def _both(stated: Iterable[str], tasks: Sequence[str], catalogue: Catalogue) -> list[str]:
    """Those of a dataset's tasks that a card states: by slug, by the hub's names, by likeness of the names."""
    from rapidfuzz import fuzz

    found = []
    for text in stated:
        slug = slug_of(text)
        wanted = {slug, *HUB_TASKS.get(slug, ())}
        exact = [task for task in tasks if task in wanted]
        near = [task for task in tasks if fuzz.token_sort_ratio(text.casefold(), _label(task, catalogue)) >= _LIKE]
        found += exact or near
    return found


def _label(task: str, catalogue: Catalogue) -> str:
    return catalogue.tasks[task].name.casefold() if task in catalogue.tasks else task.replace("-", " ")


def _known(text: str, catalogue: Catalogue) -> str:
    """The task of the catalogue that a card's words are, else their slug."""
    slug = slug_of(text)
    return next((one for one in (slug, *HUB_TASKS.get(slug, ())) if one in catalogue.tasks), slug)


# --- files ------------------------------------------------------------------------------------------------------------


def file_name(name: str) -> str:
    """A file's name for any text: what is no letter, digit, hyphen, point or underscore is percent-encoded.

    A name of points alone leads nowhere, a long one ends in a digest of the whole; `urllib.parse.unquote` takes the
    others back.
    """
    encoded = quote(name, safe="")
    if encoded.startswith("."):
        encoded = "%2E" + encoded[1:]
    if len(encoded) > _LONGEST:
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        encoded = f"{encoded[: _LONGEST - 17].rstrip('%')}-{digest}"
    return encoded or "%"


def write_folders(folder: Path, found: Iterable[Tuple]) -> int:
    """Write {task}/{dataset}/{model}, each a JSON list of the three, in place of a former folder. Raises OSError."""
    part = part_of(folder)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    count = 0
    try:
        for one in found:
            place = part / file_name(one.task) / file_name(one.dataset)
            place.mkdir(parents=True, exist_ok=True)
            text = json.dumps([one.model, one.dataset, one.task]) + "\n"
            (place / file_name(one.model)).write_text(text, encoding="utf-8")
            count += 1
        move(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return count
