"""A card: a model's name, its text, and the block of metadata above it, read as far as it can be."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from corpus.cards.reading import CardsError, from_yaml, mappings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Card", "Result", "parse"]

_BLOCK = 256 * 1024
"""The most of a metadata block that is read, in characters."""
_ENTRIES = 1000
"""The most entries of one list that are read."""
_KEYS = ("datasets", "tags", "pipeline_tag", "pretty_name", "task_categories")


@dataclass(frozen=True, slots=True)
class Result:
    """An evaluation: the task, and the dataset by its name, its identifier on a hub and its configuration."""

    where: str
    task: str = ""
    name: str = ""
    identifier: str = ""
    configuration: str = ""
    metrics: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a model from its card.

    ``datasets``: as the metadata lists them, with the place of each. ``body_line``: the line of the file with which
    the text begins, from 1. ``title``: the name that the card of a dataset gives it.
    """

    name: str
    body: str = ""
    body_line: int = 1
    datasets: tuple[tuple[str, str], ...] = ()
    results: tuple[Result, ...] = ()
    tags: tuple[str, ...] = ()
    pipeline_tag: str = ""
    title: str = ""
    layout: str = "huggingface"
    path: str = ""
    remarks: tuple[str, ...] = field(default=())


def parse(name: str, text: str, *, path: str = "", remarks: Iterable[str] = ()) -> Card:
    """The card of a Markdown text with a block of YAML between two lines of three hyphens above it.

    What is broken is told in the remarks, and what can be read of it is: no text is refused.
    """
    block, body, line, told = _split(text)
    metadata, more = _metadata(block)
    tags = _texts(metadata.get("tags"))
    # The cards of datasets have these apart, the hub shows them as tags.
    tags += [f"task_categories:{task}" for task in _texts(metadata.get("task_categories"))]
    return Card(
        name, body, line, tuple(_datasets(metadata)), tuple(_results(metadata)), tuple(dict.fromkeys(tags)),
        _word(metadata.get("pipeline_tag")), _word(metadata.get("pretty_name")), path=path,
        remarks=(*remarks, *told, *more),
    )  # fmt: skip


def _split(text: str) -> tuple[str, str, int, list[str]]:
    """The metadata block, the text below it, the line on which that begins, remarks."""
    text = text.lstrip("\ufeff")
    blank = re.match(r"(?:[ \t]*\n)*", text)
    first = blank.end() if blank else 0
    lines = text[first:].split("\n")
    above = text[:first].count("\n")
    if lines[0].rstrip() != "---":
        return "", text, 1, []
    for number, line in enumerate(lines[1:], 1):
        if line.rstrip() in {"---", "..."}:
            return "\n".join(lines[1:number]), "\n".join(lines[number + 1 :]), above + number + 2, []
    end = next((n for n, line in enumerate(lines[1:], 1) if not line.strip() or line.startswith("#")), len(lines))
    told = ["the metadata block is not closed with ---; it was read up to the first empty line"]
    return "\n".join(lines[1:end]), "\n".join(lines[end:]), above + end + 1, told


def _metadata(block: str) -> tuple[Mapping[str, Any], list[str]]:
    if not block.strip():
        return {}, []
    told = []
    if len(block) > _BLOCK:
        block = block[:_BLOCK]
        told.append(f"only the first {_BLOCK:,} characters of the metadata block were read")
    try:
        found = from_yaml(block, first_line=2)
    except CardsError as problem:
        told.append(f"the metadata block is {problem}; its lists were read line by line")
        return _line_by_line(block), told
    if isinstance(found, dict):
        return found, told
    told.append("the metadata block is no mapping of keys to values")
    return {}, told


def _line_by_line(block: str) -> dict[str, Any]:
    """The few keys that matter, of a block that is not YAML."""
    found: dict[str, Any] = {}
    key = ""
    for line in block.split("\n"):
        head = re.match(r"([A-Za-z_-]+)\s*:\s*(.*)$", line)
        item = re.match(r"\s*-\s+(.*)$", line)
        if head:
            key = head[1] if head[1] in _KEYS else ""
            values = [part.strip(" '\"[]") for part in head[2].split(",")]
            if key and any(values):
                found[key] = [value for value in values if value]
        elif item and key:
            found.setdefault(key, []).append(item[1].strip(" '\""))
        elif line.strip():
            key = ""
    return found


def _datasets(metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
    given = metadata.get("datasets", metadata.get("dataset"))
    entries = given if isinstance(given, list) else [given]
    found = []
    for index, entry in enumerate(entries[:_ENTRIES]):
        where = f"datasets[{index}]" if isinstance(given, list) else "datasets"
        if isinstance(entry, dict):
            entry = entry.get("name", entry.get("type", entry.get("id")))  # noqa: PLW2901 - the same entry, plainer
        if word := _word(entry):
            found.append((where, word))
    return found


def _results(metadata: Mapping[str, Any]) -> list[Result]:
    found = []
    for number, model in enumerate(mappings(metadata.get("model-index"), _ENTRIES)):
        for index, result in enumerate(mappings(model.get("results"), _ENTRIES)):
            task, data = _mapping(result.get("task")), _mapping(result.get("dataset"))
            given = mappings(result.get("metrics"), _ENTRIES)
            metrics = [(_first(one, "type", "name"), _word(one.get("value"))) for one in given]
            where = f"model-index[{number}].results[{index}]"
            name, identifier = _word(data.get("name")), _word(data.get("type"))
            configuration = _first(data, "config", "args")
            found.append(Result(where, _first(task, "type", "name"), name, identifier, configuration, tuple(metrics)))
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: Any) -> list[str]:
    entries = value if isinstance(value, list) else [value]
    return [word for entry in entries[:_ENTRIES] if (word := _word(entry))]


def _first(holder: Mapping[str, Any], *keys: str) -> str:
    return next((word for key in keys if (word := _word(holder.get(key)))), "")


def _word(value: Any) -> str:
    """A value of YAML as one line of text; empty where it is none, or a list, or nothing."""
    if not isinstance(value, str) or value.strip().casefold() in {"", "null", "~", "none"}:
        return ""
    return " ".join(value.split())[:300]
