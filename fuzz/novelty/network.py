"""A compiled graph as coverage sees it: kinds of nodes, and which kind feeds which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Node", "features"]


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of a compiler's graph.

    ``kind`` is what it does, without names or sizes; ``detail`` what else tells one form of it from another (element
    types, the implementation). ``inputs`` and ``outputs`` are values by name, only to see what belongs together.
    """

    kind: str
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    detail: str = ""


def features(nodes: Iterable[Node]) -> Iterator[str]:
    """``op`` for a kind in each of its forms, ``edge`` for a producer and its consumer, wherever they stand.

    A value has one producer; where a program writes twice to one name, the last writer before the reader counts.
    """
    made: dict[str, str] = {}
    for node in nodes:
        yield f"op {node.kind} {node.detail}".rstrip()
        for name in node.inputs:
            if name in made:
                yield f"edge {made[name]} > {node.kind}"
        made.update(dict.fromkeys(node.outputs, node.kind))
