"""Collections of architectures: JSON lines with labels, and their vectors in a file of arrays.

A line is ``{"name", "labels": {…}, "layers", "connections", "removed"}``. A file that was cut off in the middle of a
line, as by a kill, is read up to there. The file of arrays (.npz) holds the vectors as a compressed sparse matrix
(``data``, ``indices``, ``indptr``, ``shape``), the n-grams and the labels as texts: no objects, so no pickles.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from corpus.architecture.features import Vocabulary, features
from corpus.architecture.layers import Architecture, ArchitectureError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from corpus.architecture.features import Features

__all__ = ["Sample", "line", "read", "read_vectors", "write_vectors"]


@dataclass(frozen=True, slots=True)
class Sample:
    """A model: its name, what it is said to be (``model_type``, ``architecture``), and its features."""

    name: str
    labels: Mapping[str, str]
    features: Features


def line(name: str, labels: Mapping[str, str], architecture: Architecture, **more: Any) -> str:
    """The line of a model, with its end; ``more`` is what else is to be kept of it."""
    row = {"name": name, "labels": dict(labels), **more, **architecture.to_json()}
    return json.dumps(row, separators=(",", ":")) + "\n"


def read(path: Path) -> Iterator[Sample]:
    """The models of a file (.jsonl or .jsonl.gz), or of all such files of a folder.

    Raises ArchitectureError of one line where there are none, or one cannot be read; OSError.
    """
    files = sorted([*path.glob("*.jsonl"), *path.glob("*.jsonl.gz")]) if path.is_dir() else [path]
    if not files:
        raise ArchitectureError(f"{path} holds no architectures: they are files *.jsonl or *.jsonl.gz")
    for file in files:
        yield from _of_file(file)


def _of_file(path: Path) -> Iterator[Sample]:
    raw = path.read_bytes()
    try:
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError):
        raise ArchitectureError(
            f"{path} is no file of JSON lines: `fuzz corpus architecture MODEL --out FILE.jsonl` makes one"
        ) from None
    # What follows the last end of a line was being written when something ended it.
    for number, row in enumerate(text.split("\n")[:-1], 1):
        try:
            content = json.loads(row)
            name, labels = str(content["name"]), {str(k): str(v) for k, v in content["labels"].items()}
            sample = Sample(name, labels, features(Architecture.from_json(content)))
        except ArchitectureError as problem:
            raise ArchitectureError(f"{path}, line {number}: {problem}") from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ArchitectureError(f"{path}, line {number}: it is no architecture with a name and labels") from None
        yield sample


def write_vectors(path: Path, samples: Sequence[Sample], vocabulary: Vocabulary) -> None:
    """Write the vectors of models, their names and labels; the same models make the same bytes. Raises OSError."""
    import numpy as np

    places = vocabulary.places()
    rows = [list(vocabulary.row(one.features.counts(), places)) for one in samples]
    keys = sorted({key for one in samples for key in one.labels})
    arrays: dict[str, Any] = {
        "data": np.array([count for row in rows for _, count in row], dtype=np.int32),
        "indices": np.array([place for row in rows for place, _ in row], dtype=np.int32),
        "indptr": np.cumsum([0, *map(len, rows)]).astype(np.int64),
        "shape": np.array([len(rows), vocabulary.length], dtype=np.int64),
        "vocabulary": np.array(vocabulary.texts, dtype=np.str_),
        "names": np.array([one.name for one in samples], dtype=np.str_),
        **{f"label_{key}": np.array([one.labels.get(key, "") for one in samples], dtype=np.str_) for key in keys},
    }
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_vectors(path: Path) -> tuple[Vocabulary, list[str], list[dict[str, int]], dict[str, list[str]]]:
    """What `write_vectors` wrote: the vocabulary, and of each model its name, counts and labels.

    Raises ArchitectureError, OSError.
    """
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {key: arrays[key].tolist() for key in arrays.files}
        vocabulary = Vocabulary(tuple(found["vocabulary"]), found["shape"][1])
        pairs = list(zip(found["indices"], found["data"], strict=True))
        bounds = zip(found["indptr"], found["indptr"][1:], strict=False)
        counts = [{vocabulary.name(place): count for place, count in pairs[low:high]} for low, high in bounds]
        labels = {key.removeprefix("label_"): found[key] for key in found if key.startswith("label_")}
    except (ValueError, KeyError, IndexError, TypeError):
        raise ArchitectureError(f"{path} holds no vectors of architectures") from None
    return vocabulary, found["names"], counts, labels
