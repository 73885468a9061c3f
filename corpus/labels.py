"""Labels of scripts: the comment in their first line, what is stored of them in a cache, how they are matched.

A line of labels is that of TurnkeyML: ``# labels: key::value,value key::value``. A key may have several values.
The keys in use are name, author, task, license and test_group.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "FILE", "Labels", "LabelsError", "load_from_cache", "matches", "parse", "read", "save_to_cache", "wanted", "write",
]  # fmt: skip

Labels: TypeAlias = "Mapping[str, tuple[str, ...]]"
"""Values by key, in the order in which they are written."""

FILE = "labels.json"
"""Where a build's folder in a cache keeps them."""

_PREFIX = "# labels:"


class LabelsError(ValueError):
    """Text that is no label; one line that says what a label looks like."""


def parse(line: str) -> Labels:
    """The labels of a script's first line; none where the line is no line of labels.

    Raises:
        LabelsError: it begins with ``# labels:`` and goes on otherwise than labels do.
    """
    if not line.startswith(_PREFIX):
        return MappingProxyType({})
    return _pairs(line.removeprefix(_PREFIX).split())


def wanted(texts: Iterable[str]) -> Labels:
    """What labels are asked for, of texts ``key::value,value``; the values of one key in several texts add up.

    Raises:
        LabelsError: a text is no label.
    """
    return _pairs(texts)


def read(path: Path) -> Labels:
    """The labels in the first line of a file. Raises LabelsError, OSError."""
    with path.open(encoding="utf-8", errors="replace") as file:
        try:
            return parse(file.readline().rstrip("\n"))
        except LabelsError as problem:
            raise LabelsError(f"{path}: {problem}") from None


def write(labels: Labels) -> str:
    """The line that `parse` reads."""
    return " ".join([_PREFIX, *(f"{key}::{','.join(values)}" for key, values in labels.items())])


def matches(labels: Labels, asked: Labels) -> bool:
    """Whether there is, for each key that is asked for, one of the values asked for. Letter case does not count."""
    return all(
        {value.casefold() for value in values} & {value.casefold() for value in labels.get(key, ())}
        for key, values in asked.items()
    )


def save_to_cache(cache_dir: Path | str, build_name: str, labels: Labels) -> Path:
    """Keep labels beside a build, as a JSON object of lists; the file's path. Raises OSError."""
    path = Path(cache_dir) / build_name / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({key: list(values) for key, values in labels.items()}) + "\n", encoding="utf-8")
    return path


def load_from_cache(cache_dir: Path | str, build_name: str) -> dict[str, list[str]]:
    """The labels of a build; none where it has none.

    Raises:
        LabelsError: the file is there and is no file of labels.
    """
    path = Path(cache_dir) / build_name / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {str(key): [str(value) for value in values] for key, values in found.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError, TypeError) as problem:
        raise LabelsError(f"{path} is no file of labels ({problem}): remove it and run the model again") from None


def _pairs(texts: Iterable[str]) -> Labels:
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        key, separator, values = text.partition("::")
        split = tuple(value for value in values.split(",") if value)
        if not (key and separator and split):
            raise LabelsError(f"{text!r} is no label: write key::value or key::value,value")
        found[key] = found.get(key, ()) + split
    return MappingProxyType(found)
