"""Bodies of control flow: graphs inside of a node, grown by the same generator as the graph around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abstract.constraints import Infeasible
from abstract.graph import Origin, Value
from abstract.operator import Call
from abstract.types import TensorType
from fuzz.generate.builder import Builder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from abstract.dtypes import DType
    from abstract.operator import Array

__all__ = ["Body"]

_BODIED = frozenset({"If", "Loop", "Scan", "SequenceMap"})
_TRIES = 4  # attempts a node
_PLAIN = ("Add", "Mul", "Sub", "Neg", "Abs", "Concat", "Identity", "Max", "Not", "Where")


class Body:
    """A body under construction; implements ``abstract.operator.Body``."""

    def __init__(self, outer: Builder) -> None:
        self._builder = Builder(outer.choices, outer.plan, outer)
        self.graph = self._builder.graph

    def formal(self, type_: TensorType, array: Array, *, exact: bool) -> Value:
        """A new formal input, with what it holds in the first run."""
        return self._builder.formal(type_, array, exact=exact)

    def grow(self, nodes: int) -> None:
        """Call operators until there are so many nodes more, or luck runs out.

        One body in three may have bodies inside; where the model has no other operators at all, a few plain ones serve.
        """
        if self._builder.grow is None:
            raise Infeasible("nothing grows bodies here")
        operators = self._builder.plan.operators
        if self._builder.choices.integer(0, 2):
            operators = [name for name in operators if name not in _BODIED] or _PLAIN
        self._builder.grow(self._builder, len(self.graph.nodes) + nodes, operators, _TRIES)

    def call(self, name: str, inputs: tuple[Value, ...], params: Mapping[str, Any]) -> Value:
        """The first output of one node. Raises Infeasible."""
        return self._builder.place(name, Call(inputs, params))[0]

    def constant(self, array: Array, dtype: DType) -> Value:
        """A new initializer of the body; it stays only if a call takes it."""
        carried = array.astype(dtype.carrier)
        return self._builder.placeholder(TensorType(dtype, tuple(carried.shape)), carried, Origin.INITIALIZER, None)

    def made(self) -> list[Value]:
        """The tensors that its nodes compute."""
        return [v for v in self._builder.values if v.origin is Origin.NODE and not self._builder.is_foreign(v)]

    def visible(self) -> list[Value]:
        """The tensors that it may read."""
        return self._builder.values
