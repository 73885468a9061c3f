"""Pieces of a model side by side in one model: which of them fails is told by halving, in a handful of runs.

Each node by itself is a piece, then each producer with one of its consumers. None feeds another: what the rest computed
they are given. So forty nodes are asked about in one run, and the one that fails is found in six more, of which few
crash or hang. A piece that a target cannot run hides the others, so its half is divided as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from backends.graph import graphs
from fuzz.judge.verdict import Word
from fuzz.triage.candidate import Candidate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fuzz.triage.candidate import Feed
    from fuzz.triage.search import Search
    from fuzz.triage.selection import Whole

__all__ = ["failing_piece", "side_by_side"]

_RUNS = 24  # for the nodes, and again for each set of pairs


def failing_piece(search: Search, whole: Whole) -> Candidate | None:
    """A node, or a node and its consumer, that fails as it should by itself; None where none does."""
    everything = range(len(whole.nodes))
    pairs = ((producer, at) for at in everything for producer in whole.producers(at))
    groups: list[list[tuple[int, ...]]] = [[(at,) for at in everything], *_disjoint(pairs)]
    for group in groups:
        pieces = [piece for window in group if (piece := whole.only(window)) is not None]
        found = _Halving(search).find(pieces)
        if found is not None:
            return found
    return None


def _disjoint(pairs: Iterable[tuple[int, ...]]) -> list[list[tuple[int, ...]]]:
    """Pairs in sets in which no node stands twice."""
    found: list[list[tuple[int, ...]]] = []
    for pair in pairs:
        for group in found:
            if not any(set(pair) & set(other) for other in group):
                group.append(pair)
                break
        else:
            found.append([pair])
    return found


class _Halving:
    """One search among pieces, with a limit on runs."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._left = _RUNS

    def find(self, pieces: Sequence[Candidate], *, sure: bool = False) -> Candidate | None:
        """The first piece that fails as it should; ``sure``: one of several does, as is known from the others."""
        if not pieces or self._left <= 0:
            return None
        if not sure or len(pieces) == 1:
            self._left -= 1
            together = side_by_side(pieces) if len(pieces) > 1 else pieces[0]
            sure = self._search.seen(together)
            if len(pieces) == 1:
                return pieces[0] if sure else None
            if not sure and self._answers(together):
                return None
        half = len(pieces) // 2
        first = self.find(pieces[:half])
        return first if first is not None else self.find(pieces[half:], sure=sure)

    def _answers(self, together: Candidate) -> bool:
        """Whether the target ran all of it, so that no piece hides another."""
        found = self._search.laboratory.observe(together)
        return found.fit and found.signature.word in {Word.OK, Word.SUSPECT, Word.UNDECIDABLE, Word.WRONG, "dull"}


def side_by_side(pieces: Sequence[Candidate]) -> Candidate:
    """One model of several, and their inputs: each value is called after its piece."""
    proto = pieces[0].proto()
    for field in ("node", "input", "output", "initializer", "sparse_initializer", "value_info"):
        proto.graph.ClearField(field)
    feeds: tuple[Feed, ...] = tuple({} for _ in pieces[0].feeds)
    functions = {(function.domain, function.name): function for function in proto.functions}
    for number, piece in enumerate(pieces):
        prefix, other = f"p{number}_", piece.proto()
        _prefix(other.graph, prefix)
        for field in ("node", "input", "output", "initializer", "sparse_initializer", "value_info"):
            getattr(proto.graph, field).extend(getattr(other.graph, field))
        functions.update({(function.domain, function.name): function for function in other.functions})
        for feed, own in zip(feeds, piece.feeds, strict=True):
            feed.update({prefix + name: value for name, value in own.items()})
    kept = [onnx.FunctionProto.FromString(f.SerializeToString()) for f in functions.values()]
    del proto.functions[:]
    proto.functions.extend(kept)
    return Candidate(proto.SerializeToString(deterministic=True), feeds)


def _prefix(whole: onnx.GraphProto, prefix: str) -> None:
    """Rename every value and node of a graph and of its bodies."""
    for graph in graphs(whole):
        for part in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
            part.name = prefix + part.name
        for sparse in graph.sparse_initializer:
            sparse.values.name = prefix + sparse.values.name
        for node in graph.node:
            node.name = prefix + node.name
            for names in (node.input, node.output):
                for position, name in enumerate(names):
                    names[position] = prefix + name if name else ""
