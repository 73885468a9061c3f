"""Folders of cards: Hugging Face's and mmdetection's layouts, dumps as JSON lines; whatever lies there, safely."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from corpus.cards.card import Card, Result, parse
from corpus.cards.reading import CardsError, Problem, files, from_yaml, json_lines, mappings, read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["cards"]

_DUMPS = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
_METAFILES = {"metafile.yml", "metafile.yaml", "metafile.yml.gz"}
# What lies beside cards and is none. A model's name may hold points, so other endings are part of it.
_FOREIGN = re.compile(
    r"\.(?:json|ya?ml|py|ipynb|png|jpe?g|gif|svg|webp|csv|tsv|bin|pt|pth|ckpt|h5|onnx|safetensors|msgpack|model|vocab|xml|html?|"
    r"lock|zip|tar|tgz|parquet|arrow|pdf|sh|toml|cfg|ini|log|so|whl|pb|npz|npy|metadata)(?:\.gz)?$",
    re.IGNORECASE,
)
_TEXT = re.compile(r"(?:\.md|\.markdown|\.txt)?(?:\.gz)?$", re.IGNORECASE)
_NAME_KEYS = ("modelId", "model_id", "id", "name")
_CARD_KEYS = ("card", "readme", "content", "text")


def cards(sources: Sequence[Path]) -> Iterator[Card | Problem]:
    """The cards of files and folders, in the order of their paths, and what could not be read.

    A folder holds ``owner/name/README.md``, ``owner/name.md`` or ``owner/name`` (Markdown, gzip'd or not), a cache of
    huggingface_hub (``models--owner--name/snapshots/.../README.md``), dumps as JSON lines (a name in ``modelId`` or
    ``id``, the text in ``card``), or mmdetection's configurations (``metafile.yml``), also mixed. Of two cards of one
    model the first counts.

    Raises:
        CardsError: a source that is not there.
    """
    seen: dict[str, str] = {}
    for source in sources:
        for found in _of_source(source):
            if isinstance(found, Card):
                if found.name in seen:
                    yield Problem(found.path, f"another card of {found.name}, after {seen[found.name]}, is left out")
                    continue
                seen[found.name] = found.path
            yield found


def _of_source(source: Path) -> Iterator[Card | Problem]:
    if source.is_file():
        yield from _of_file(source, (source.name,), alone=True)
        return
    if not source.is_dir():
        raise CardsError(f"{source} is not there: name a folder of cards, or a file of them as JSON lines")
    for found in files(source):
        if isinstance(found, Problem):
            yield found
        else:
            yield from _of_file(found, found.relative_to(source).parts, alone=False, inside=source.name)


def _of_file(path: Path, parts: tuple[str, ...], *, alone: bool, inside: str = "") -> Iterator[Card | Problem]:
    try:
        if path.name in _METAFILES:
            yield from _metafile(path)
        elif path.name.endswith(_DUMPS):
            yield from _dump(path)
        elif _is_card(path, parts):
            name = _TEXT.sub("", path.name) if alone else _name(parts, inside)
            text = read_text(path)
            yield parse(name, text.text, path=str(path), remarks=text.remarks)
        elif alone:
            raise CardsError(f"{path} is no card: Markdown, JSON lines and metafile.yml are read")  # noqa: TRY301
    except CardsError as problem:
        if alone:
            raise
        yield Problem(str(path), str(problem))


def _is_card(path: Path, parts: tuple[str, ...]) -> bool:
    if any(part.startswith(".") and part not in {".", ".."} for part in parts) or _FOREIGN.search(path.name):
        return False
    if any(part.startswith("models--") for part in parts[:-1]):
        return path.name == "README.md" and "snapshots" in parts
    if path.name.upper().startswith("README"):
        return path.name in {"README.md", "readme.md", "README.md.gz"} and not any(
            (path.parent / name).exists() for name in _METAFILES
        )
    return path.name.upper() not in {"LICENSE", "NOTICE", "MAKEFILE", "LICENSE.TXT", "LICENSE.MD", "CONTRIBUTING.MD"}


def _name(parts: tuple[str, ...], inside: str) -> str:
    """The model's name, out of the path of its card below the folder that was named."""
    for part in parts:
        if part.startswith("models--"):
            return part.removeprefix("models--").replace("--", "/", 1)
    if parts[-1].upper().startswith("README"):
        above = parts[:-1] or (inside,)
        return "/".join(above[-2:])
    label = _TEXT.sub("", parts[-1])
    if len(parts) == 1:
        return label.replace("--", "/", 1)
    return f"{parts[-2]}/{label}"


def _dump(path: Path) -> Iterator[Card | Problem]:
    for number, row in json_lines(path):
        if isinstance(row, Problem):
            yield row
            continue
        name = next((row[key] for key in _NAME_KEYS if isinstance(row.get(key), str) and row[key].strip()), None)
        text = next((row[key] for key in _CARD_KEYS if isinstance(row.get(key), str)), None)
        if name is None or text is None:
            lacks = "a name (modelId or id)" if name is None else "a text (card)"
            yield Problem(f"{path}:{number}", f"it lacks {lacks}")
            continue
        card = parse(name.strip(), text, path=f"{path}:{number}")
        yield _joined(card, row)


def _joined(card: Card, row: Mapping[str, Any]) -> Card:
    """A card and what the hub says of the model beside it: tags such as dataset:imdb, the task."""
    tags = row.get("tags")
    more = tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()
    task = row.get("pipeline_tag")
    return replace(
        card,
        tags=tuple(dict.fromkeys((*card.tags, *more))),
        pipeline_tag=card.pipeline_tag or (task if isinstance(task, str) else ""),
    )


# --- mmdetection ------------------------------------------------------------------------------------------------------


def _metafile(path: Path) -> Iterator[Card | Problem]:
    """The models of a metafile: each a card without text, with the datasets of its results and of its collection."""
    text = read_text(path)
    try:
        content = from_yaml(text.text)
    except CardsError as problem:
        raise CardsError(f"{path} is {problem}") from None
    collections, models = {}, []
    parts = content if isinstance(content, list) else [content]
    for part in parts:
        if isinstance(part, dict):
            for index, one in enumerate(mappings(part.get("Collections"))):
                collections[_word(one.get("Name"))] = (f"Collections[{index}]", one)
            # Old files are a list of models.
            models += mappings(part.get("Models")) or ([part] if "Results" in part and "Name" in part else [])
    if not models:
        yield Problem(str(path), "it lists no models under Models")
    for index, one in enumerate(models):
        name = _word(one.get("Name"))
        if not name:
            yield Problem(str(path), f"Models[{index}] has no Name")
            continue
        where, collection = collections.get(_word(one.get("In Collection")), ("", {}))
        results = [
            *_training(f"Models[{index}]", one), *(_training(where, collection) if where else ()),
            *_measured(f"Models[{index}]", one),
        ]  # fmt: skip
        yield Card(name, results=tuple(results), layout="mmdetection", path=str(path), remarks=text.remarks)


def _training(where: str, holder: Mapping[str, Any]) -> Iterable[Result]:
    metadata = holder.get("Metadata")
    given = metadata.get("Training Data") if isinstance(metadata, dict) else None
    for one in given if isinstance(given, list) else [given]:
        # "COCO, Objects365" and "Objects365 and COCO train2017" name two.
        for name in re.split(r"\s*(?:,|\+|\band\b)\s*", _word(one)):
            if name:
                yield Result(f"{where}.Metadata.Training Data", name=name)


def _measured(where: str, model: Mapping[str, Any]) -> Iterable[Result]:
    given = model.get("Results")
    for index, one in enumerate(mappings(given if isinstance(given, list) else [given])):
        metrics = one.get("Metrics")
        pairs = metrics.items() if isinstance(metrics, dict) else ()
        yield Result(
            f"{where}.Results[{index}]", _word(one.get("Task")), _word(one.get("Dataset")),
            metrics=tuple((_word(key), _word(value)) for key, value in pairs),
        )  # fmt: skip


def _word(value: Any) -> str:
    return " ".join(value.split())[:300] if isinstance(value, str) else ""
