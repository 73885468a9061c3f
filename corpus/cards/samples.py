"""Samples for a model that designs networks: what is wanted, in words, and a network that does it, as XML."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from corpus.cards.reading import CardsError, Problem, files, json_lines, read_json, read_text
from corpus.cards.tuples import file_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from corpus.cards.catalogue import Catalogue

__all__ = ["Graphs", "Sample", "graph", "prompt", "rows", "sample"]

_GRAPH = re.compile(r"\.(?:xml|xml\.gz|onnx)$")
_LARGEST = 32 * 2**20  # bytes of a graph


@dataclass(frozen=True, slots=True)
class Sample:
    """``prompt``: the task's and the dataset's descriptions; ``completion``: the network's graph as XML."""

    name: str
    prompt: str
    completion: str
    model: str
    dataset: str
    task: str

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


class Graphs:
    """Graphs as XML by the model's name, out of folders.

    A folder holds ``owner/name.xml``, ``owner--name.xml`` or the name percent-encoded with ``.xml`` behind (gzip'd or
    not); in place of XML an ONNX model (``owner/name.onnx``, ``owner/name/model.onnx``), whose XML sequence is made, in
    the ``version`` that is asked for; or ``graphs.json``, which maps names to such files in the folder.
    """

    def __init__(self, folders: Sequence[Path], version: int = 2) -> None:
        """Look through the folders. Raises CardsError where one is none, or its map is broken."""
        self._paths: dict[str, Path] = {}
        self._version = version
        for folder in folders:
            found = [path for path in files(folder) if isinstance(path, Path) and _GRAPH.search(path.name)]
            # XML that is there goes before a model of which it would have to be made.
            for path in sorted(found, key=lambda path: path.suffix == ".onnx"):
                place = path.relative_to(folder)
                key = place.parent.as_posix() if path.name == "model.onnx" else _GRAPH.sub("", place.as_posix())
                self._paths.setdefault(key, path)
            if (folder / "graphs.json").is_file():
                self._learn(folder)

    def __len__(self) -> int:
        return len(self._paths)

    def find(self, model: str) -> Path | None:
        """The file of a model's graph."""
        for key in (model, file_name(model), quote(model, safe=""), model.replace("/", "--"), model.replace("/", "_")):
            if key in self._paths:
                return self._paths[key]
        return None

    def read(self, path: Path) -> str:
        """The XML of a file that `find` gave. Raises CardsError."""
        return _sequence(path, self._version) if path.suffix == ".onnx" else graph(path)

    def _learn(self, folder: Path) -> None:
        content = read_json(folder / "graphs.json")
        if not isinstance(content, dict):
            raise CardsError(f"{folder / 'graphs.json'} maps no names to files: write {{\"owner/name\": \"file.xml\"}}")
        inside = {path.relative_to(folder).as_posix(): path for path in files(folder) if isinstance(path, Path)}
        for model, name in content.items():
            if name not in inside:
                raise CardsError(f"{folder / 'graphs.json'} names {name!r}, which is no file in {folder}")
            self._paths[model] = inside[name]


def prompt(dataset: str, task: str, catalogue: Catalogue) -> str | None:
    """The words of a sample, by slugs; None where the dataset or the task has no description."""
    what, which = catalogue.datasets.get(dataset), catalogue.tasks.get(task)
    if what is None or which is None or not (what.description and which.description):
        return None
    return f"Dataset: {what.name}\n{what.description}\n\nTask: {which.name}\n{which.description}\n"


def sample(row: Mapping[str, Any], catalogue: Catalogue, graphs: Graphs) -> Sample | str:
    """The sample of a tuple, or why there is none.

    Raises:
        CardsError: a graph that is there and cannot be read as one.
    """
    model, dataset, task = row["model"], row["dataset"], row["task"]
    words = prompt(dataset, task, catalogue)
    if words is None:
        return "no description of its dataset or task"
    path = graphs.find(model)
    if path is None:
        return "no graph of its model"
    return Sample(f"{task}/{dataset}/{model}", words, graphs.read(path), model, dataset, task)


def graph(path: Path) -> str:
    """The text of an XML file whose root is a graph. Raises CardsError."""
    from xml.etree import ElementTree as ET

    text = read_text(path, _LARGEST)
    if text.remarks:
        raise CardsError(f"{path} is no graph: {text.remarks[0]}")
    if "<!DOCTYPE" in text.text or "<!ENTITY" in text.text:
        raise CardsError(f"{path} is no graph: it declares a document type")
    try:
        root = ET.fromstring(text.text)  # noqa: S314 - no document type, so no entities
    except (ET.ParseError, RecursionError, ValueError) as problem:
        raise CardsError(f"{path} is no XML ({problem})") from None
    if root.tag.rpartition("}")[2] != "graph":
        raise CardsError(f"{path} is no graph: its root is <{root.tag}>, not <graph>")
    return text.text


def _sequence(path: Path, version: int) -> str:
    from corpus.graphs.computation import GraphError
    from corpus.graphs.sequence import VERSIONS, sequence
    from corpus.graphs.sources import read_graph

    try:
        return sequence(read_graph(path, whole=VERSIONS[version].whole), version)
    except (GraphError, OSError) as problem:
        raise CardsError(f"{path} gives no graph: {problem}") from None


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The tuples of a file of `corpus.cards.tuples.Tuple.to_json`. Raises CardsError."""
    for number, row in json_lines(path):
        if isinstance(row, Problem) or not all(isinstance(row.get(key), str) for key in ("model", "dataset", "task")):
            raise CardsError(f"{path} is broken in line {number}: run `fuzz corpus tuples` again")
        yield row
