"""Shape parameters that the graph computes: Shape, then Gather or Slice, arithmetic, Unsqueeze and Concat.

What a model of open dims says of a shape must be worked out from shapes that it has. Exporters write chains of integer
nodes for it, each in its own style; a model draws one here and keeps to it (docs/notes/symbolic-shapes.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from abstract.constraints import Constraint, at_least
from abstract.dims import Dim, Expr, Factor, Quotient, Symbol, product, substitute, symbols
from abstract.dtypes import DType, dtype
from abstract.types import ContainerType
from fuzz.generate.choices import Seeded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from abstract.constraints import Constraints
    from abstract.graph import Graph, Value

__all__ = ["LINKS", "TOLD", "Chain", "Sink", "Sources", "Style", "divisions", "draw_style", "readable"]

LINKS = ("Shape", "Size", "Gather", "Slice", "Squeeze", "Unsqueeze", "Concat", "Add", "Sub", "Mul", "Div", "Cast",
         "ReduceProd")  # fmt: skip
"""The operators that chains are made of: all of them on int64."""

TOLD = ("Reshape", "Expand", "Slice", "Tile", "Pad", "ConstantOfShape", "Range", "Resize", "Split", "TopK", "OneHot",
        "CenterCropPad")  # fmt: skip
"""The operators that take what chains compute; a model that has chains calls them more often."""

_INT64, _INT32 = dtype("int64"), dtype("int32")
_PARTS = 15  # the opset from which Shape has start and end


class Sink(Protocol):
    """Where nodes of a chain go: the graph, before the node that needs them."""

    def link(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """A node; the name of its output."""

    def fixed(self, array: Any, kind: DType, *, node: bool) -> str:
        """A constant, as a Constant node or an initializer; its name."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a model writes its chains.

    ``scalars``: sizes are taken out one by one and put together again, as scalars; else as vectors of one element.
    ``shared``: one Shape node a tensor and graph. ``runs``: neighbouring axes are taken out at once. ``narrow``: the
    arithmetic is done in int32. ``nodes``: constants are nodes, not initializers. ``direct``: how many parts of ten
    are computed although 0 and -1 would say the same.
    """

    draw: Seeded
    scalars: bool
    shared: bool
    runs: bool
    narrow: bool
    nodes: bool
    direct: int

    def coin(self, tenths: int) -> bool:
        """True in so many of ten cases."""
        return self.draw.integer(0, 9) < tenths


def draw_style(seed: int) -> Style:
    """The style of a seed."""
    draw = Seeded(seed)
    scalars, shared, runs, narrow, nodes = (draw.integer(0, 9) < tenths for tenths in (6, 5, 6, 1, 5))
    return Style(draw, scalars, shared, runs, narrow, nodes, (3, 7, 10)[draw.integer(0, 2)])


def _linear(dim: Dim) -> Symbol | None:
    """The symbol of ``c * symbol + k`` with c > 0; None where the dim is no such thing."""
    if isinstance(dim, int) or len(dim.terms) != 1:
        return None
    monomial, coefficient = dim.terms[0]
    (factor, *more) = monomial
    return factor if isinstance(factor, Symbol) and not more and coefficient > 0 else None


def readable(graph: Graph) -> frozenset[Symbol]:
    """The symbols that the shape of some input of a graph tells by itself."""
    resolve = graph.store.resolve
    dims = (resolve(dim) for value in graph.inputs for dim in value.type.shape)
    return frozenset(symbol for dim in dims if (symbol := _linear(dim)) is not None)


def divisions(dim: Dim) -> Iterator[Constraint]:
    """What must hold for Div, which truncates, to be the floor division in an expression."""
    if isinstance(dim, int):
        return
    for monomial, _ in dim.terms:
        for factor in monomial:
            if isinstance(factor, Quotient):
                yield at_least(factor.numerator, 0)
                yield at_least(factor.denominator, 1)
                yield from divisions(factor.numerator)
                yield from divisions(factor.denominator)


@dataclass(slots=True)
class Sources:
    """Where sizes stand: the axes of the values that were computed so far, by what they are."""

    store: Constraints
    live: frozenset[Symbol]
    kinds: tuple[DType, ...]  # those that Shape takes at the version
    axes: dict[Dim, list[tuple[Value, int]]] = field(default_factory=dict)
    lines: dict[Symbol, Dim] = field(default_factory=dict)
    known: set[Value] = field(default_factory=set)

    def plain(self, dim: Dim) -> Dim:
        """A dim in live symbols alone: the others by their witness."""
        dim = self.store.resolve(dim)
        if isinstance(dim, int) or all(s in self.live for s in symbols(dim)):
            return dim
        return substitute(dim, lambda s: Expr.of(s) if s in self.live else self.store.witness(s))

    def shape(self, value: Value) -> tuple[Dim, ...]:
        """The shape of a value, each dim plain."""
        return tuple(map(self.plain, value.type.shape))

    def add(self, values: Iterable[Value]) -> None:
        """Values that may be read from now on."""
        for value in values:
            if isinstance(value.type, ContainerType) or value.type.dtype not in self.kinds:
                continue
            self.known.add(value)
            for axis, dim in enumerate(self.shape(value)):
                if isinstance(dim, Expr):
                    self.axes.setdefault(dim, []).append((value, axis))
                    symbol = _linear(dim)
                    if symbol is not None:
                        self.lines.setdefault(symbol, dim)


class Chain:
    """The chains of one graph or body, written before the nodes that need them."""

    def __init__(self, style: Style, sources: Sources, sink: Sink, opset: int) -> None:
        self.style, self.sources, self.sink, self.opset = style, sources, sink, opset
        self.kind = _INT32 if style.narrow else _INT64
        self._shapes: dict[str, str] = {}

    def write(self, given: tuple[Dim, ...] | Dim, kind: DType, operand: Value | None) -> str:
        """The name of a tensor that holds these sizes, of a type, and of the rank of what is given.

        ``operand`` is what the node works on: its shape is the first that exporters look at.
        """
        own = operand if operand in self.sources.known else None
        if isinstance(given, tuple):
            name, held = self._vector(tuple(map(self.sources.plain, given)), own)
        else:
            name, held = self._scalar(self.sources.plain(given), own), self.kind
        return name if held is kind else self.sink.link("Cast", (name,), to=kind.code)

    def _scalar(self, dim: Dim, own: Value | None) -> str:
        if self.style.scalars:
            return self._term(dim, own)
        return self.sink.link("Squeeze", (self._term(dim, own), self._axes()))

    def _axes(self) -> str:
        return self._constant((0,), _INT64)

    # -- vectors -----------------------------------------------------------------------------------------------

    def _vector(self, dims: tuple[Dim, ...], own: Value | None) -> tuple[str, DType]:
        """All sizes in one tensor, with the type that it has."""
        if own is not None and self.style.runs:
            at = self._places(dims, self.sources.shape(own))
            if at is not None:
                return self._taken(own, at), _INT64
        parts: list[str] = []
        position = 0
        while position < len(dims):
            length, name = self._part(dims[position:], own)
            parts.append(name)
            position += length
        return parts[0] if len(parts) == 1 else self.sink.link("Concat", parts, axis=0), self.kind

    @staticmethod
    def _places(dims: tuple[Dim, ...], shape: tuple[Dim, ...]) -> tuple[int, ...] | None:
        """The axes of a shape of which these dims are a part or another order; None where they are neither."""
        left = list(range(len(shape)))
        found: list[int] = []
        for dim in dims:
            at = next((a for a in left if shape[a] == dim), None)
            if at is None:
                return None
            left.remove(at)
            found.append(at)
        return tuple(found)

    def _taken(self, own: Value, at: tuple[int, ...]) -> str:
        """These axes of a shape: all of them, neighbours, or any."""
        first, count = at[0], len(at)
        if at != tuple(range(first, first + count)):
            return self.sink.link("Gather", (self._whole(own), self._constant(at, _INT64)))
        if count == len(own.type.shape):
            return self._whole(own)
        return self._cut(own, first, first + count)

    def _cut(self, value: Value, first: int, end: int) -> str:
        """Neighbouring sizes of a shape."""
        rank = len(value.type.shape)
        if self.opset >= _PARTS and self.style.coin(3):
            bounds = {"start": first} if end == rank else {"start": first, "end": end}
            return self.sink.link("Shape", (value.name,), **bounds)
        start = first - rank if self.style.coin(2) else first
        starts, ends = self._constant((start,), _INT64), self._constant((end,), _INT64)
        return self.sink.link("Slice", (self._whole(value), starts, ends, self._axes()))

    def _part(self, dims: tuple[Dim, ...], own: Value | None) -> tuple[int, str]:
        """One piece of a Concat and how many sizes it holds: constants, a run of a shape, or one size."""
        constants = 0
        while constants < len(dims) and isinstance(dims[constants], int):
            constants += 1
        if constants:
            return constants, self._constant(dims[:constants], self.kind)
        if self.style.runs and own is not None:
            shape = self.sources.shape(own)
            for first in range(len(shape)):
                length = 0
                while length < min(len(dims), len(shape) - first) and dims[length] == shape[first + length]:
                    length += 1
                if length > 1:
                    return length, self._as_kind(self._cut(own, first, first + length))
        name = self._term(dims[0], own)
        return 1, self.sink.link("Unsqueeze", (name, self._axes())) if self.style.scalars else name

    def _as_kind(self, name: str) -> str:
        return name if self.kind is _INT64 else self.sink.link("Cast", (name,), to=self.kind.code)

    # -- single sizes: scalars, or vectors of one element ---------------------------------------------------------

    def _constant(self, numbers: Any, kind: DType) -> str:
        return self.sink.fixed(np.array(numbers, kind.carrier), kind, node=self.style.nodes)

    def _number(self, number: int) -> str:
        return self._constant(number if self.style.scalars else (number,), self.kind)

    def _whole(self, value: Value) -> str:
        """The shape of a value."""
        name = self._shapes.get(value.name) if self.style.shared else None
        if name is None:
            name = self._shapes[value.name] = self.sink.link("Shape", (value.name,))
        return name

    def _read(self, dim: Dim, own: Value | None) -> str | None:
        """A size that stands somewhere: on the operand by preference, else on one of the values before."""
        entries = self.sources.axes.get(dim)
        if not entries:
            return None
        near = [entry for entry in entries if entry[0] is own]
        value, axis = near[0] if near and self.style.coin(8) else entries[self.style.draw.integer(0, len(entries) - 1)]
        return self._as_kind(self._axis(value, axis))

    def _axis(self, value: Value, axis: int) -> str:
        if not self.style.scalars:
            if self.style.coin(6):
                return self._cut(value, axis, axis + 1)
            return self.sink.link("Gather", (self._whole(value), self._constant((axis,), _INT64)))
        if self.style.coin(8):
            at = axis - len(value.type.shape) if self.style.coin(2) else axis
            return self.sink.link("Gather", (self._whole(value), self._constant(at, _INT64)), axis=0)
        return self.sink.link("Squeeze", (self._cut(value, axis, axis + 1), self._axes()))

    def _product(self, dim: Expr, own: Value | None) -> str | None:
        """A product of neighbouring axes of the operand, or of all of them: Size and ReduceProd say it at once."""
        if own is None or not any(len(monomial) > 1 for monomial, _ in dim.terms) or not self.style.coin(5):
            return None
        shape = self.sources.shape(own)
        if product(shape) == dim:
            name = self.sink.link("Size", (own.name,))
            return self._as_kind(name if self.style.scalars else self.sink.link("Unsqueeze", (name, self._axes())))
        for first in range(len(shape) - 1):
            for end in range(first + 2, len(shape) + 1):
                if product(shape[first:end]) == dim:
                    cut = self._as_kind(self._cut(own, first, end))
                    return self.sink.link("ReduceProd", (cut,), keepdims=int(not self.style.scalars))
        return None

    def _term(self, dim: Dim, own: Value | None) -> str:
        """One size, read or worked out."""
        if isinstance(dim, int):
            return self._number(dim)
        known = self._read(dim, own) or self._product(dim, own)
        if known is not None:
            return known
        added = [self._monomial(m, c, own) for m, c in dim.terms if c > 0]
        taken = [self._monomial(m, -c, own) for m, c in dim.terms if c < 0]
        if dim.constant > 0 or not added:
            added.append(self._number(dim.constant))
        elif dim.constant:
            taken.append(self._number(-dim.constant))
        total = added[0]
        for name in added[1:]:
            total = self.sink.link("Add", (total, name))
        for name in taken:
            total = self.sink.link("Sub", (total, name))
        return total

    def _monomial(self, factors: tuple[Factor, ...], coefficient: int, own: Value | None) -> str:
        total: str | None = None
        for factor in factors:
            name = self._factor(factor, own)
            total = name if total is None else self.sink.link("Mul", (total, name))
        if total is None:
            return self._number(coefficient)
        return total if coefficient == 1 else self.sink.link("Mul", (total, self._number(coefficient)))

    def _factor(self, factor: Factor, own: Value | None) -> str:
        if isinstance(factor, Quotient):
            numerator, denominator = self._term(factor.numerator, own), self._term(factor.denominator, own)
            return self.sink.link("Div", (numerator, denominator))
        return self._read(Expr.of(factor), own) or self._solved(factor, own)

    def _solved(self, symbol: Symbol, own: Value | None) -> str:
        """A symbol of which only ``c * symbol + k`` stands somewhere."""
        line = self.sources.lines[symbol]
        name = self._read(line, own)
        if name is None or isinstance(line, int):
            raise AssertionError(f"no shape tells {symbol}")
        ((_, scale),) = line.terms
        if line.constant:
            operator = "Sub" if line.constant > 0 else "Add"
            name = self.sink.link(operator, (name, self._number(abs(line.constant))))
        return name if scale == 1 else self.sink.link("Div", (name, self._number(scale)))
