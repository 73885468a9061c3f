"""Architectures of files, builds and models, for the commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from corpus.architecture.collection import Sample, line, read
from corpus.architecture.distance import Known
from corpus.architecture.features import features
from corpus.architecture.layers import ArchitectureError, abstract_architecture
from corpus.cache import builds
from fuzz.collection.graphs import noted
from fuzz.errors import StorageError, UsageError
from fuzz.file import write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from corpus.architecture.distance import Distance
    from corpus.architecture.layers import Architecture
    from fuzz.collection.graphs import Unread

__all__ = ["Described", "append", "described", "gather"]


@dataclass(frozen=True, slots=True)
class Described:
    """A model, its labels, its architecture, and its distance to what is known, where anything is."""

    name: str
    labels: Mapping[str, str]
    architecture: Architecture
    distance: Distance | None


def gather(sources: Sequence[Path], corpus: Path | None = None, unread: list[Unread] | None = None) -> list[Sample]:
    """The models of files of JSON lines and of a cache's builds; of one that is there twice the last.

    ``unread`` gets the builds that could not be read. Raises UsageError.
    """
    found: dict[str, Sample] = {}
    for source in sources:
        try:
            found.update((one.name, one) for one in read(source))
        except ArchitectureError as problem:
            raise UsageError(str(problem)) from None
        except OSError as problem:
            raise UsageError(f"cannot read {source}: {problem.strerror or problem}") from None
    if corpus is not None:
        models = [(corpus / name, name) for name in builds(corpus)]
        for one in described(models, (), {}, [] if unread is None else unread, lambda _: None):
            found[one.name] = Sample(one.name, one.labels, features(one.architecture))
    return list(found.values())


def described(
    models: Sequence[tuple[Path, str]], known: Sequence[Sample], labels: Mapping[str, str],
    unread: list[Unread], progress: Callable[[int], object], *, operators: bool = False,
) -> Iterator[Described]:  # fmt: skip
    """The architectures of models, each a path and a name.

    Args:
        models: what `corpus.graphs.sources.read_graph` reads; of a build the trace comes before the ONNX model.
        known: those to measure the distance to.
        labels: of all that have no other; the class of a build is its architecture.
        unread: gets what could not be read, and why.
        progress: told each model.
        operators: each operator of an ONNX model is a layer, whatever module it is in.
    """
    near = Known(known) if known else None
    for path, name in models:
        graph = noted(path, unread, name=name, whole=True, traced=not operators)
        if graph is not None:
            told = {**labels, **{key: str(value) for key, value in graph.labels.items()}}
            if "class" in told:
                told.setdefault("architecture", told["class"])
            made = abstract_architecture(graph, operators=operators)
            yield Described(name, told, made, None if near is None else near.distance(features(made)))
        progress(1)


def append(path: Path, models: Sequence[Described]) -> int:
    """Add models to a file of JSON lines, but for those that it has by name; how many were added.

    The file is replaced as a whole, so that nothing is lost where it is interrupted. Raises UsageError, StorageError.
    """
    before = {one.name for one in gather([path])} if path.exists() else set()
    new = [one for one in models if one.name not in before]
    if not new:
        return 0
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError):
        raise StorageError(f"{path} is no text that could be added to: name another file, or unpack it") from None
    whole = text[: text.rfind("\n") + 1]
    write_text(path, whole + "".join(line(one.name, one.labels, one.architecture) for one in new), folder=True)
    return len(new)
