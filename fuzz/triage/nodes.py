"""Which nodes a failure needs: first those around the node that is to blame, then halves, quarters, single nodes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fuzz.judge.subset import fewest
from fuzz.judge.verdict import Word
from fuzz.triage.origin import first_wrong
from fuzz.triage.pieces import failing_piece

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fuzz.triage.candidate import Candidate
    from fuzz.triage.search import Search
    from fuzz.triage.selection import Whole

__all__ = ["reduce_nodes"]

_WIDER = 16  # windows of three nodes that are tried around one
_NAMED = 6  # nodes that a message may name


def reduce_nodes(search: Search) -> None:
    """Leave out nodes; what they computed is given instead.

    A wrong answer begins at a node that can be found by exposing all values, a refusal often names it: that node
    alone is tried first, then with one and two of its neighbours, since a fusion needs producer and consumer. Of what
    tells nothing (a crash, a hang) all nodes are tried side by side, then all pairs. Only where none of these fails is
    the shortest failing beginning of the graph looked for, by bisection, then its shortest failing end, then what of
    it can be left out.
    """
    whole = search.whole()
    if whole is None or len(whole.nodes) < 2:
        return
    anchors = _anchors(search, whole)
    for anchor in anchors:
        _at_source(search, whole, anchor)
        if search.attempt(_windows(whole, anchor)):
            _settle(search)
            return
    piece = failing_piece(search, whole)
    if piece is not None:
        search.take(piece)
        _settle(search)
        return
    whole = _at_outputs(search, whole)
    exposing = _exposing(search, whole)

    def fails(keep: Sequence[int]) -> bool:
        candidate = whole.only(keep, exposing=exposing)
        return candidate is not None and search.seen(candidate)

    everything = range(len(whole.nodes))
    if not fails(everything):
        return
    last = _least(len(everything), lambda count: fails(everything[:count]))
    if last - 1 not in anchors and search.attempt(_windows(whole, last - 1)):
        _settle(search)
        return
    start = last - _least(last, lambda count: fails(everything[last - count : last]))
    keep = fewest(everything[start:last], last - 1, fails)
    _take(search, whole.only(keep, exposing=exposing))


def _at_source(search: Search, whole: Whole, anchor: int) -> None:
    """What is wrong of an answer counts where it begins: a number that is too large may be NaN further on."""
    candidate = whole.only((anchor,)) if search.wanted.word == Word.WRONG else None
    found = search.laboratory.observe(candidate) if candidate is not None else None
    if found is not None and found.fit and found.signature.word == Word.WRONG:
        search.wanted = found.signature


def _take(search: Search, candidate: Candidate | None) -> None:
    if candidate is not None and search.seen(candidate):
        search.take(candidate)


def _settle(search: Search) -> None:
    """What is left is few: leave out each that can go, what it computed being an input then, or else a constant."""
    while (whole := search.whole()) is not None and len(whole.nodes) > 1:
        everything = range(len(whole.nodes))
        fewer = [[i for i in everything if i != at] for at in everything]
        if not search.attempt(whole.only(keep, frozen=frozen) for frozen in (False, True) for keep in fewer):
            return


def _least(top: int, fails: Callable[[int], bool]) -> int:
    """The least count that fails, one less not, by bisection; ``top`` is known to fail."""
    low = 0
    while top - low > 1:
        middle = (low + top) // 2
        if fails(middle):
            top = middle
        else:
            low = middle
    return top


def _at_outputs(search: Search, whole: Whole) -> Whole:
    """The model cut to what the wrong output, or any single output, needs."""
    verdict = search.first_seen.verdict
    told = [verdict.output] if verdict is not None and verdict.output in whole.outputs else []
    names = dict.fromkeys([*told, *whole.outputs])
    if len(names) > 1 and search.attempt(whole.only(whole.making([n]), outputs=[n]) for n in names if n):
        return search.whole() or whole
    return whole


def _exposing(search: Search, whole: Whole) -> bool:
    """Whether all outputs that the model has must stay, those that are read inside as well."""
    everything = range(len(whole.nodes))
    plain = whole.only(everything)
    return plain is None or not search.seen(plain)


# --- where to look first --------------------------------------------------------------------------------------------


def _anchors(search: Search, whole: Whole) -> list[int]:
    """The nodes that are probably to blame, by position."""
    if search.wanted.word == Word.WRONG:
        found = first_wrong(search.laboratory, _cut(search, whole))
        return [at for at, node in enumerate(whole.nodes) if found in node.output] if found else []
    said = search.first_seen.said
    named = [at for at, node in enumerate(whole.nodes) if len(node.name) > 1 and _says(said, node.name)]
    typed = [at for at, node in enumerate(whole.nodes) if _says(said, node.op_type)]
    return list(dict.fromkeys((*named, *typed)))[:_NAMED]


def _cut(search: Search, whole: Whole) -> Candidate:
    """The model as far as the wrong output needs it: what is wrong elsewhere is another matter."""
    verdict = search.first_seen.verdict
    if verdict is None or verdict.output not in whole.outputs or len(whole.outputs) < 2:
        return search.best
    return whole.only(whole.making([verdict.output]), outputs=[verdict.output]) or search.best


def _says(text: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) is not None


def _windows(whole: Whole, at: int) -> Iterator[Candidate | None]:
    """A node alone, then with its neighbours; what several nodes read may have to stay an output."""
    seen: set[tuple[int, ...]] = set()
    for window in _neighbourhoods(whole, at):
        key = tuple(sorted(set(window)))
        if key not in seen:
            seen.add(key)
            plain, exposed = whole.only(key), whole.only(key, exposing=True)
            yield plain
            if exposed != plain:
                yield exposed


def _neighbourhoods(whole: Whole, at: int) -> Iterator[Sequence[int]]:
    yield (at,)
    before, after = whole.producers(at), whole.consumers(at)
    for other in (*before, *after):
        yield (other, at)
    wider = [
        *((*before, at),), *((at, *after),),
        *((p, at, c) for p in before for c in after),
        *((pp, p, at) for p in before for pp in whole.producers(p)),
        *((at, c, cc) for c in after for cc in whole.consumers(c)),
        *((p, at, o) for p in before for o in whole.consumers(p) if o != at),
        *((p, at, c) for c in after for p in whole.producers(c) if p != at),
    ]  # fmt: skip
    yield from (window for window in wider[:_WIDER] if len(set(window)) > 2)
