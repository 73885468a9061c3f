"""A node that exists, shown to its operator's row as a scope: what the row proposes for its operands is legal there.

So the whole domain of an operator's parameters is known without a second table of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from abstract.constraints import Constraints, Infeasible
from abstract.graph import Origin, Value
from abstract.operator import EVERYWHERE, Array, Domain
from abstract.types import TensorType
from fuzz.generate.draws import Draws

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from abstract.dims import Dim, Expr
    from abstract.dtypes import DType, Kind
    from abstract.graph import Graph
    from abstract.operator import Body
    from abstract.schema import Signature
    from abstract.types import Container, Shape
    from fuzz.generate.choices import Choices

__all__ = ["Borrowed"]


class Borrowed(Draws):
    """The operands of a node, handed out in their order; implements ``abstract.operator.Scope``.

    ``operands`` are a tensor with its type for each data operand (None where it is absent).
    """

    def __init__(
        self, choices: Choices, sign: Signature, operands: Sequence[tuple[Array, DType] | None]
    ) -> None:
        self.store = Constraints()
        self.signature = sign
        self.integer = choices.integer
        self._operands = [
            Value(f"x{i}", TensorType(given[1], tuple(given[0].shape)), given[0], Origin.INPUT, exact=True)
            for i, given in enumerate(operands) if given is not None
        ]  # fmt: skip
        self._next = 0

    def told(self, low: int, high: int, near: Dim = 1) -> Expr | None:
        """None: all sizes are numbers here."""

    def stored(self, _variable: str, _kinds: Sequence[Kind] | None = None) -> Mapping[str, DType]:
        """Nothing: parameters keep their types."""
        return {}

    def dtype(self, variable: str, kinds: Sequence[Kind] | None = None) -> DType:
        """The type of the first operand of that variable; of what is made, any."""
        for value in self._operands[self._next :] + self._operands:
            own = value.type.dtype
            if own in self.signature.types.get(variable, ()) and (kinds is None or own.kind in kinds):
                return own
        allowed = [d for d in self.signature.types.get(variable, ()) if kinds is None or d.kind in kinds]
        if not allowed:
            raise Infeasible(f"no element type for {variable}")
        return self.pick(allowed)  # type: ignore[no-any-return]

    def _taken(self, fits: Callable[[Value], bool]) -> Value:
        if self._next >= len(self._operands) or not fits(self._operands[self._next]):
            raise Infeasible("the node has another operand there")
        self._next += 1
        return self._operands[self._next - 1]

    def tensor(
        self, variable: str = "T", *, rank: tuple[int, int] = (0, 8), kinds: Sequence[Kind] | None = None,
        domain: Domain = EVERYWHERE, where: Callable[[Value], bool] | None = None,
    ) -> Value:  # fmt: skip
        """The next operand; Infeasible where it is not of this kind."""
        allowed = self.signature.types.get(variable)

        def fits(value: Value) -> bool:
            return (
                rank[0] <= value.array.ndim <= rank[1]
                and (allowed is None or value.type.dtype in allowed)
                and (kinds is None or value.type.dtype.kind in kinds)
                and domain.admits(value)
                and (where is None or where(value))
            )

        return self._taken(fits)

    def shaped(
        self, shape: Shape, variable: str = "T", *, domain: Domain = EVERYWHERE,
        weight: bool = False,  # noqa: ARG002 - the node has what it has
    ) -> Value:  # fmt: skip
        """The next operand; Infeasible where it is of another shape."""
        value = self.tensor(variable, domain=domain)
        for mine, theirs in zip(shape, value.array.shape, strict=False):
            self.store.unify(mine, theirs)
        if len(shape) != value.array.ndim:
            raise Infeasible("another rank")
        return value

    def broadcastable(self, value: Value, variable: str = "T", *, domain: Domain = EVERYWHERE) -> Value:
        """The next operand; Infeasible where it does not broadcast."""
        other = self.tensor(variable, domain=domain)
        try:
            np.broadcast_shapes(value.array.shape, other.array.shape)
        except ValueError as error:
            raise Infeasible("shapes that do not broadcast") from error
        return other

    def unidirectional(self, value: Value, variable: str = "T", *, domain: Domain = EVERYWHERE) -> Value:
        """The next operand; Infeasible where it does not broadcast."""
        return self.broadcastable(value, variable, domain=domain)

    def constant(self, array: Array, dtype: DType) -> Value:
        """The next operand, whatever is in it: its values are not what changes."""
        return self._taken(lambda value: value.type.dtype is dtype and value.array.ndim == np.ndim(array))

    def of(self, dtype: DType, shape: Shape | None) -> Value:
        """The next operand; Infeasible where it is of another type or shape."""
        value = self._taken(lambda value: value.type.dtype is dtype)
        if shape is not None and len(shape) != value.array.ndim:
            raise Infeasible("another rank")
        return value

    def forget(self, variable: str) -> None:
        """Types are those of the operands."""

    def container(
        self, kinds: Sequence[Container], where: Callable[[Value], bool] | None = None  # noqa: ARG002 - none will do
    ) -> Value:
        """Nodes on containers are left as they are."""
        _no_container()

    def body(self) -> Body:
        """Nodes with bodies are left as they are."""
        _no_container()

    def inside(
        self, graph: Graph, values: Mapping[Value, Array]  # noqa: ARG002 - there is no body
    ) -> tuple[Any, ...]:
        """Nodes with bodies are left as they are."""
        _no_container()


def _no_container() -> NoReturn:
    raise Infeasible("a container or a body")
