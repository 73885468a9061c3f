"""The nodes of a window typed again by their specifications, with symbols for the sizes of the operands.

Each size of an operand but 1 becomes a symbol whose witness is the size at the trace; the shape rules make equal what
must be equal, and say which constraints there are. Parameters that hold sizes (the target of a Reshape, the parts of a
Split) are said in those symbols first, where that can be. What comes out is checked: at the trace all shapes are those
that were traced, and other sizes are found at which all constraints hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from abstract.constraints import Constraints, Infeasible, divisible
from abstract.dims import Dim, Expr, Symbol, evaluate, floor_div, product, symbols
from abstract.operator import NotCovered, Typing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from abstract.types import Shape
    from fuzz.seeds.net import Edge, Place

__all__ = ["Typed", "retyped", "small_sizes"]

_FAILURES = (NotCovered, Infeasible, ValueError, IndexError, KeyError, TypeError, ArithmeticError)
_MOST = 2000  # elements of a tensor at the sizes that are looked for
_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Typed:
    """A window's sizes: of the operands by name, the parameters of each call, the store that ties them."""

    store: Constraints
    shapes: Mapping[str, Shape]
    params: tuple[Mapping[str, Any], ...]

    def free(self) -> list[Symbol]:
        """The symbols that stand for sizes, oldest first."""
        used = {s for dim in self._dims() for s in symbols(self.store.resolve(dim))}
        return [s for s in self.store.unbound() if s in used]

    def _dims(self) -> Iterator[Dim]:
        for shape in self.shapes.values():
            yield from shape
        for params in self.params:
            for value in params.values():
                yield from (v for v in (value if isinstance(value, tuple) else (value,)) if isinstance(v, Expr))


def retyped(places: Sequence[Place]) -> tuple[Typed | None, str]:
    """The nodes (in order) with symbolic sizes; else None and why not, in words.

    Sizes of 1 in front (the batch) are symbols where the rules let them, else every 1 is one.
    """
    reason = ""
    for batch in (True, False):
        typed, reason = _Typer(places, batch=batch).run()
        if typed is not None and typed.free():
            return typed, ""
    return None, reason or "every size is tied to a number"


class _Typer:
    def __init__(self, places: Sequence[Place], *, batch: bool) -> None:
        self.places = places
        self.batch = batch
        self.store = Constraints()
        self.shapes: dict[str, Shape] = {}
        self.operands: dict[str, Shape] = {}

    def run(self) -> tuple[Typed | None, str]:
        params = []
        try:
            for place in self.places:
                params.append(self.call(place))
        except _FAILURES as error:
            return None, f"{place.operator}: {type(error).__name__}"
        if self.store.moved:
            return None, "the rules ask for other sizes than were traced"
        return Typed(self.store, self.operands, tuple(params)), ""

    def call(self, place: Place) -> Mapping[str, Any]:
        """Type one node; its parameters with symbols."""
        inputs = tuple(None if edge is None else self.shape(edge) for edge in place.inputs)
        rule = _SAID.get(place.operator)
        said = dict(place.params)
        if rule is not None:
            rule(self, place, inputs, said)
        dtypes = tuple(None if edge is None else edge.dtype for edge in place.inputs)
        from abstract.schema import newest_opset, signature  # what a node leaves out has its default

        defaults = signature(place.operator, newest_opset()).defaults
        typing = Typing({**defaults, **said}, inputs, dtypes, len(place.outputs), self.store)
        made = place.row.shape(typing)
        for edge, sizes in zip(place.outputs, made, strict=False):
            if not isinstance(sizes, tuple):
                raise NotCovered("a container")
            shape = tuple(self.fresh(size) if d is None else d for d, size in zip(sizes, edge.shape, strict=True))
            if tuple(map(self.store.value, shape)) != edge.shape:
                raise Infeasible("other sizes than were traced")
            self.shapes[edge.name] = shape
        return said

    def fresh(self, size: int) -> Expr:
        return self.store.fresh(size, low=1 if size else 0)

    def shape(self, edge: Edge) -> Shape:
        """The sizes of a value; those of an operand at the first request. Constants keep theirs."""
        known = self.shapes.get(edge.name)
        if known is None:
            symbolic = edge.kind != "constant"
            known = tuple(
                self.fresh(size) if symbolic and (size != 1 or (self.batch and not axis and not edge.weight)) else size
                for axis, size in enumerate(edge.shape)
            )
            self.shapes[edge.name] = self.operands[edge.name] = known
        return known


# --- parameters that hold sizes -----------------------------------------------------------------------------------


def _reshape(typer: _Typer, place: Place, inputs: tuple[Shape | None, ...], said: dict[str, Any]) -> None:
    """The target of Reshape: axes that are kept, merged or split, group by group."""
    source = inputs[0]
    if source is None:
        return
    store = typer.store
    target = list(place.outputs[0].shape)
    if 0 in target:
        return
    said["shape"] = tuple(_matched(store, source, target))
    said.pop("allowzero", None)


def _matched(store: Constraints, source: Shape, target: Sequence[int]) -> Iterator[Dim]:
    """The sizes of a target, said in those of the source: both are cut where the products so far are equal."""
    i = j = 0
    while i < len(source) or j < len(target):
        ins, outs = list(source[i : i + 1]), list(target[j : j + 1])
        i, j = i + len(ins), j + len(outs)
        while (a := prod(map(store.value, ins))) != (b := prod(outs)):
            if a < b and i < len(source):
                ins.append(source[i])
                i += 1
            elif j < len(target):
                outs.append(target[j])
                j += 1
            else:
                raise Infeasible("another number of elements")
        while i == len(source) and j < len(target):  # ones at the end
            outs.append(target[j])
            j += 1
        yield from _split(store, ins, outs)


def _split(store: Constraints, ins: Sequence[Dim], outs: Sequence[int]) -> list[Dim]:
    """One group: so many axes whose product is that of so many others."""
    whole = product(list(ins))
    wide = [at for at, size in enumerate(outs) if size != 1]
    result: list[Dim] = list(outs)
    if not outs:
        store.unify(whole, 1)
        return []
    if len(wide) <= 1:
        if wide or not isinstance(whole, int):
            result[wide[0] if wide else 0] = whole
        return result
    own = whole if isinstance(whole, int) else whole.symbol
    if isinstance(own, Symbol) and store.free(own):
        for at in wide:
            result[at] = store.fresh(outs[at], low=1)
        store.unify(whole, product(result))
        return result
    if isinstance(whole, Expr) and _distributed(store, whole, outs, wide, result):
        return result
    return _pinned(store, whole, outs, wide, result)


def _distributed(
    store: Constraints, whole: Expr, outs: Sequence[int], wide: Sequence[int], result: list[Dim]
) -> bool:
    """Give each axis some of the factors of a product of symbols, where the numbers come out even."""
    if whole.constant or len(whole.terms) != 1 or whole.terms[0][1] != 1:
        return False
    left = list(whole.terms[0][0])
    if not all(isinstance(f, Symbol) for f in left):
        return False
    for at in wide:
        taken: Dim = 1
        for factor in left[:]:
            if not isinstance(factor, Symbol):
                return False
            more = store.value(taken) * store.witness(factor)
            if outs[at] % more == 0 and store.value(taken) != outs[at]:
                taken = taken * Expr.of(factor)
                left.remove(factor)
        if store.value(taken) != outs[at]:
            return False
        result[at] = taken
    return not left


def _pinned(
    store: Constraints, whole: Dim, outs: Sequence[int], wide: Sequence[int], result: list[Dim]
) -> list[Dim]:
    """All axes as they are but the first, which takes what is left."""
    if isinstance(whole, int):
        return result
    rest = prod(outs) // outs[wide[0]]
    store.require(divisible(whole, rest))
    result[wide[0]] = floor_div(whole, rest)
    return result


def _expand(typer: _Typer, place: Place, inputs: tuple[Shape | None, ...], said: dict[str, Any]) -> None:
    """The target of Expand: an axis of the operand, or a size of its own."""
    source = inputs[0]
    target = place.params.get("shape")
    if source is None or not isinstance(target, tuple):
        return
    padded = (1,) * (len(target) - len(source)) + tuple(source)[-len(target) :] if target else ()
    found: list[Dim] = []
    for own, size in zip(padded, target, strict=True):
        if size == 1:
            found.append(1)
        elif typer.store.value(own) == size:
            found.append(own)
        else:
            found.append(typer.fresh(size))
    said["shape"] = tuple(found)


def _parts(typer: _Typer, place: Place, inputs: tuple[Shape | None, ...], said: dict[str, Any]) -> None:
    """The parts of a Split: alike where they were, else each a size of its own."""
    given, source = place.params.get("split"), inputs[0]
    if not isinstance(given, tuple) or source is None or min(given) < 1:
        return
    whole = source[place.params.get("axis", 0)]
    if isinstance(whole, int):
        return
    if len(set(given)) == 1:
        typer.store.require(divisible(whole, len(given)))
        said["split"] = (floor_div(whole, len(given)),) * len(given)
    elif whole.symbol is not None and typer.store.free(whole.symbol):
        alike = {size: typer.fresh(size) for size in given}
        said["split"] = tuple(alike[size] for size in given)
    else:
        rest = sum(given) - given[0]
        said["split"] = (whole - rest, *given[1:])


def _slice(typer: _Typer, place: Place, inputs: tuple[Shape | None, ...], said: dict[str, Any]) -> None:
    """Where a Slice begins and ends: at the end of the axis, or at a simple part of it, where it did so."""
    source, axes = inputs[0], place.params.get("axes")
    starts, ends = place.params.get("starts"), place.params.get("ends")
    if source is None or not isinstance(starts, tuple) or not isinstance(ends, tuple):
        return
    axes = range(len(starts)) if axes is None else axes
    said["starts"] = tuple(_part(typer.store, source[a], at) for a, at in zip(axes, starts, strict=True))
    said["ends"] = tuple(_part(typer.store, source[a], at) for a, at in zip(axes, ends, strict=True))


def _part(store: Constraints, whole: Dim, at: int) -> Dim:
    """A position said in the size of its axis: the end of it, or so many parts of so many."""
    size = store.value(whole)
    if isinstance(whole, int) or at <= 1 or at > size:
        return at
    for parts in (1, 2, 3, 4, 6, 8):
        if size % parts == 0 and at % (size // parts) == 0 and size // parts > 1:
            store.require(divisible(whole, parts))
            return floor_div(whole, parts) * (at // (size // parts))
    return at


def _grouped(typer: _Typer, place: Place, inputs: tuple[Shape | None, ...], said: dict[str, Any]) -> None:
    """A convolution with a group a channel has as many at other sizes too; the kernel is that of the weight."""
    said.pop("kernel_shape", None)
    group, source = place.params.get("group", 1), inputs[0]
    if group > 1 and source is not None and typer.store.value(source[1]) == group:
        said["group"] = source[1]


Rule: TypeAlias = "Callable[[_Typer, Place, tuple[Shape | None, ...], dict[str, Any]], None]"

_SAID: Mapping[str, Rule] = MappingProxyType({
    "Reshape": _reshape, "Expand": _expand, "Split": _parts, "Slice": _slice, "Conv": _grouped,
    "ConvTranspose": _grouped,
})  # fmt: skip


# --- other sizes ------------------------------------------------------------------------------------------------


def small_sizes(typed: Typed, first: int) -> dict[Symbol, int] | None:
    """Values of the symbols at which every constraint holds and every operand is small; None where none are found.

    Begins at the traced sizes and makes one symbol after the other smaller; ``first`` moves what each aims at.
    """
    free = typed.store.unbound()
    now = {symbol: typed.store.witness(symbol) for symbol in free}
    for _ in range(_ROUNDS):
        before = dict(now)
        for place, symbol in enumerate(free):
            aim = _AIMS[(place + first) % len(_AIMS)]
            for target in _towards(now[symbol], aim):
                trial = {**now, symbol: target}
                if typed.store.satisfied(trial.__getitem__):
                    now = trial
                    break
        if now == before:
            break
    return now if _largest(typed, now) <= _MOST else None


_AIMS = (3, 4, 2, 6, 5, 8, 7)


def _towards(size: int, aim: int) -> list[int]:
    """Sizes nearer to what is aimed at, the nearest first; 1 is none of them, for it broadcasts."""
    near = [n for n in range(2, min(max(size, aim), 65) + 1) if abs(n - aim) < abs(size - aim)]
    halves = [size // 2] if size > 130 else []
    return sorted(near, key=lambda n: (abs(n - aim), n)) + halves


def _largest(typed: Typed, values: Mapping[Symbol, int]) -> int:
    resolve = typed.store.resolve
    return max(
        (prod(evaluate(resolve(d), values.__getitem__) for d in shape) for shape in typed.shapes.values()), default=0
    )
