"""Architectures of files and of builds, for the commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpus.architecture.collection import Sample, read
from corpus.architecture.features import features
from corpus.architecture.layers import ArchitectureError, abstract_architecture
from corpus.cache import builds
from corpus.graphs.computation import GraphError
from corpus.graphs.sources import read_graph
from fuzz.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["gather"]


def gather(sources: Sequence[Path], corpus: Path | None) -> list[Sample]:
    """The models of files of JSON lines and of a cache's builds; of one that is there twice the last.

    Raises UsageError.
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
        found.update((one.name, one) for one in _of_builds(corpus))
    return list(found.values())


def _of_builds(corpus: Path) -> Iterator[Sample]:
    """The builds of which a trace or a model is there; the class of one without a label is its architecture."""
    for name in builds(corpus):
        try:
            graph = read_graph(corpus / name, name=name, whole=True, traced=True)
        except (GraphError, OSError):
            continue
        labels = {key: str(value) for key, value in graph.labels.items()}
        if "class" in labels:
            labels.setdefault("architecture", labels["class"])
        yield Sample(name, labels, features(abstract_architecture(graph)))
