"""Smaller sizes: those of inputs and constants are symbols, which the operators' shape rules tie to one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from abstract.constraints import Constraints
from abstract.dims import Dim, Symbol, evaluate, symbols
from abstract.dtypes import BY_NAME
from backends.tensor import Tensor, from_numpy, to_numpy
from fuzz.mutate.parent import Parent
from fuzz.mutate.shapes import fitted, refill, symbolic_shapes
from fuzz.triage.assessment import carried, invalid, know
from fuzz.triage.candidate import Candidate, encoded, forget_shapes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fuzz.triage.search import Search

__all__ = ["drop_ranks", "fix_sizes", "fixed", "flatter", "shrink_sizes", "smaller"]

_WISHES = (1, 2, 3)
_MOST = 24  # candidates of one round


def fix_sizes(search: Search) -> None:
    """A model that is run on one data set says its sizes in numbers."""
    search.attempt(search.laboratory.apart(fixed, search.best) or ())


def fixed(candidate: Candidate) -> list[Candidate]:
    """The candidate with its inputs' sizes in numbers; none where they are, or differ from data set to data set."""
    proto = candidate.proto()
    if len(candidate.feeds) != 1:
        return []
    before = proto.SerializeToString(deterministic=True)
    for info in proto.graph.input:
        value = candidate.feeds[0].get(info.name)
        if isinstance(value, Tensor):
            for dim, n in zip(info.type.tensor_type.shape.dim, value.shape, strict=False):
                dim.dim_value = n
    if proto.SerializeToString(deterministic=True) == before:
        return []
    forget_shapes(proto)
    return [encoded(proto, candidate.feeds)]


def shrink_sizes(search: Search) -> None:
    """Take the smallest sizes at which the case still fails alike: 1 everywhere, else 1, 2, 3 or half, one by one."""
    while search.attempt(search.laboratory.apart(smaller, search.best) or ()):
        pass


def smaller(candidate: Candidate) -> list[Candidate]:
    """The candidate at smaller sizes, the smallest first."""
    if len(candidate.feeds) != 1:
        return []
    proto, store = candidate.proto(), Constraints()
    values = candidate.feeds[0]
    dtypes = {n: BY_NAME[v.element_type] for n, v in values.items() if isinstance(v, Tensor)}
    feed = {name: carried(value, dtypes.get(name)) for name, value in values.items()}
    parent = Parent("", proto, candidate.model, (feed,), dtypes, {})
    shapes = symbolic_shapes(parent, store)
    names = [name for name in shapes if name in values or name in parent.program.constants]
    free = _free(store, shapes, names)
    free.sort(key=store.witness, reverse=True)
    found: list[Candidate] = []
    for wish in _wishes(store, free):
        if store.satisfied(lambda s, wish=wish: wish.get(s, store.witness(s))):  # type: ignore[misc]
            sizes = {
                n: tuple(evaluate(store.resolve(d), lambda s: wish.get(s, store.witness(s))) for d in shapes[n])  # noqa: B023
                for n in names
            }
            found.append(_at(candidate, sizes))
    return found[:_MOST]


def _free(store: Constraints, shapes: Mapping[str, tuple[Dim, ...]], names: list[str]) -> list[Symbol]:
    """The symbols in the sizes of inputs and constants."""
    return list(dict.fromkeys(s for name in names for dim in shapes[name] for s in symbols(store.resolve(dim))))


def _wishes(store: Constraints, free: list[Symbol]) -> list[dict[Symbol, int]]:
    """Other values of the symbols, none greater than it is."""
    wishes = [{s: min(n, store.witness(s)) for s in free} for n in _WISHES]
    for symbol in free:
        now = store.witness(symbol)
        wishes += ({symbol: n} for n in dict.fromkeys((*_WISHES, now // 2)) if 0 < n < now)
    return [wish for wish in wishes if any(n < store.witness(s) for s, n in wish.items())]


def _at(candidate: Candidate, sizes: Mapping[str, tuple[int, ...]]) -> Candidate:
    proto = candidate.proto()
    feed = dict(candidate.feeds[0])
    for name, value in feed.items():
        if name in sizes and isinstance(value, Tensor):
            feed[name] = from_numpy(np.asarray(fitted(to_numpy(value), sizes[name])))
    for info in proto.graph.input:
        if info.name in sizes:
            for dim, n in zip(info.type.tensor_type.shape.dim, sizes[info.name], strict=False):
                dim.dim_value = n
    for tensor in proto.graph.initializer:
        if tensor.name in sizes and sizes[tensor.name] != tuple(tensor.dims):
            refill(tensor, sizes[tensor.name])
    forget_shapes(proto)
    return encoded(proto, (feed,))


def drop_ranks(search: Search) -> None:
    """Leave out an axis of size 1 that all tensors of the highest rank have in common."""
    while search.attempt(search.laboratory.apart(flatter, search.best) or ()):
        pass


def flatter(candidate: Candidate) -> list[Candidate]:
    """Without the first axis, or the last, of inputs and constants of the highest rank; first without all that can go.

    A parameter (a shape, axes) keeps its rank: the checker and the reference may take a number for a list of one,
    which the standard does not say and backends refuse.
    """
    parameters = know(candidate).parameters
    shapes = {n: v.shape for feed in candidate.feeds for n, v in feed.items() if isinstance(v, Tensor)}
    shapes.update((t.name, tuple(t.dims)) for t in candidate.proto().graph.initializer)
    shapes = {name: shape for name, shape in shapes.items() if name not in parameters}
    top = max((len(shape) for shape in shapes.values()), default=0)
    if not top:
        return []
    highest = {name for name, shape in shapes.items() if len(shape) == top}
    axes = [axis for axis in (0, top - 1) if all(shapes[name][axis] == 1 for name in highest)]
    found = [_without_axis(candidate, highest, axis) for axis in dict.fromkeys(axes)]
    further = [flat for flat in (flatter(found[0]) if top > 1 and found else ()) if not invalid(flat.model)]
    return [*further[:1], *found]


def _without_axis(candidate: Candidate, names: set[str], axis: int) -> Candidate:
    proto = candidate.proto()
    feeds = [
        {n: _squeezed(v, axis) if n in names and isinstance(v, Tensor) else v for n, v in feed.items()}
        for feed in candidate.feeds
    ]
    for info in proto.graph.input:
        if info.name in names and len(info.type.tensor_type.shape.dim) > axis:
            del info.type.tensor_type.shape.dim[axis]
    for tensor in proto.graph.initializer:
        if tensor.name in names:
            del tensor.dims[axis]
    for info in proto.graph.output:
        info.type.tensor_type.ClearField("shape")
    forget_shapes(proto)
    return encoded(proto, feeds)


def _squeezed(value: Tensor, axis: int) -> Tensor:
    return Tensor(value.element_type, (*value.shape[:axis], *value.shape[axis + 1 :]), value.data)
