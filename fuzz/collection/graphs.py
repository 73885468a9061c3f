"""Computation graphs of many models, put into a cache: one that is there is not made again, one that fails is told."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from corpus.cache import STATE, builds
from corpus.graphs.cache import Cache
from corpus.graphs.computation import GraphError
from corpus.graphs.sources import SAVED, read_graph, title_of
from fuzz.errors import UsageError
from fuzz.file import unwritten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from corpus.graphs.computation import ComputationGraph

__all__ = ["Gathered", "Unread", "chosen", "find", "gather", "noted", "the_cache", "useless"]

_SUFFIXES = frozenset({".onnx", ".pb"})


@dataclass(frozen=True, slots=True)
class Unread:
    """A model that could not be read, and why."""

    file: str
    why: str

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"file": self.file, "why": self.why}

    def text(self) -> str:
        """One line, which names the file once."""
        return self.why if self.file in self.why else f"{self.file}: {self.why}"


@dataclass(slots=True)
class Gathered:
    """What became of the models that were given."""

    family: str
    models: int = 0
    added: int = 0
    present: int = 0
    nodes: int = 0
    unread: list[Unread] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "family": self.family, "models": self.models, "added": self.added, "present": self.present,
            "nodes": self.nodes, "unread": [one.to_json() for one in self.unread],
        }  # fmt: skip


def find(paths: Sequence[Path], corpus: Path | None) -> list[tuple[Path, str]]:
    """The models under paths (files, folders of them at any depth, or all builds of a corpus cache), and their names.

    Two that would be called alike are told apart by the folder that they lie in. Raises UsageError where there is none.
    """
    found: dict[Path, None] = {}
    for path in paths:
        known = path if path.exists() or corpus is None else corpus / path.name
        if not known.exists():
            raise UsageError(f"{path} does not exist: give a model, a folder of models or a build of a corpus cache")
        found.update(dict.fromkeys(_models(known)))
    if corpus is not None and not paths:
        found.update(dict.fromkeys(corpus / build for build in builds(corpus)))
    if not found:
        raise UsageError(f"no model under {', '.join(map(str, paths)) or corpus}: they are *.onnx, *.pb or SavedModels")
    often = Counter(map(title_of, found))
    names = [title_of(path) for path in found]
    longer = [
        name if often[name] == 1 else f"{path.resolve().parent.name}-{name}"
        for path, name in zip(found, names, strict=True)
    ]
    return list(zip(found, longer, strict=True))


def _models(path: Path) -> list[Path]:
    if path.is_file() or (path / SAVED).is_file() or (path / STATE).is_file():
        return [path]
    inside = sorted(one for one in path.rglob("*") if one.suffix in _SUFFIXES and one.is_file())
    # What lies in a SavedModel's folder is part of it; .pb are data of test cases too, whose folders say so.
    kept = [one.parent if one.name == SAVED else one for one in inside if "test_data_set" not in one.parent.name]
    return list(dict.fromkeys(kept))


def gather(
    models: Sequence[tuple[Path, str]], cache: Cache, family: str, progress: Callable[[int], object]
) -> Gathered:
    """Put the graphs of models into a family of a cache, each with its parameters and operations as labels.

    What was made before an interruption stays. Raises UsageError for a name that no family can have, StorageError.
    """
    result = Gathered(family, len(models))
    try:
        present = cache.names(family)
        wanted = [(path, name) for path, name in models if name not in present]
        result.present = len(models) - len(wanted)
        progress(result.present)
        result.added = cache.append(family, _graphs(wanted, family, result, progress))
    except GraphError as problem:
        raise UsageError(str(problem)) from None
    except OSError as problem:
        raise unwritten(problem, cache.folder) from None
    return result


def _graphs(
    wanted: Sequence[tuple[Path, str]], family: str, result: Gathered, progress: Callable[[int], object]
) -> Iterator[ComputationGraph]:
    for path, name in wanted:
        graph = noted(path, result.unread, name=name, family=family)
        if graph is not None:
            operations = graph.flops()
            counted = {"parameters": graph.parameters()} | ({} if operations is None else {"flops": operations})
            result.nodes += len(graph.nodes)
            yield graph.labelled(counted)
        progress(1)


def noted(
    path: Path, unread: list[Unread], *, name: str, family: str = "", whole: bool = False, traced: bool = False
) -> ComputationGraph | None:
    """What `read_graph` gives; None, and a note in ``unread``, where it cannot be read."""
    try:
        return read_graph(path, name=name, family=family, whole=whole, traced=traced)
    except GraphError as problem:
        unread.append(Unread(str(path), str(problem)))
    except OSError as problem:
        unread.append(Unread(str(path), problem.strerror or str(problem)))
    return None


def useless(models: int, unread: Sequence[Unread]) -> UsageError:
    """What to say where none of so many models could be read."""
    return UsageError(f"none of {models:,} models can be read: {unread[0].text()}")


def the_cache(folder: Path) -> Cache:
    """The cache of graphs that a folder is. Raises UsageError where it holds no family."""
    cache = Cache(folder)
    if not cache.families():
        raise UsageError(f"{folder} is no cache of computation graphs: `fuzz corpus graph MODEL --out DIR` makes one")
    return cache


def chosen(name: str, cache: Cache | None, count: int, seed: int) -> list[ComputationGraph]:
    """The graphs that a word names: a model's path, FAMILY, of which a sample is taken, or FAMILY/GRAPH.

    Raises UsageError.
    """
    from pathlib import Path

    path = Path(name)
    try:
        if path.exists() and (cache is None or name.partition("/")[0] not in cache.families()):
            return [read_graph(path)]
        if cache is None:
            raise UsageError(f"{name} does not exist: give a model, or a family and its cache as --graphs DIR")
        family, _, graph = name.partition("/")
        found = cache.load(family)
        return [found.graph(graph)] if graph else list(found.sample(count, seed))
    except GraphError as problem:
        raise UsageError(str(problem)) from None
    except OSError as problem:
        raise UsageError(f"cannot read {name}: {problem.strerror or problem}") from None
