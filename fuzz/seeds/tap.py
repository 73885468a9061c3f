"""Another reader of a value inside of a window: what a compiler would fuse away has two users then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abstract.constraints import Infeasible
from abstract.operators import TABLE
from fuzz.generate.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from abstract.dtypes import DType
    from abstract.graph import Value
    from abstract.operator import Call, Domain
    from abstract.schema import Signature
    from fuzz.generate.builder import Builder

__all__ = ["tap"]

_TRIES = 6  # operators looked at for one that takes the value


def tap(builder: Builder, value: Value) -> str:
    """Let one of the operators that the model draws read a value; which it is, "" where none takes it."""
    names, draw = builder.plan.operators, builder.choices.integer
    for _ in range(_TRIES):
        name = names[draw(0, len(names) - 1)]
        if builder.attempt(name, lambda sign, name=name: _reading(builder, sign, name, value)):  # type: ignore[misc]
            return name
    return ""


def _reading(builder: Builder, sign: Signature, name: str, value: Value) -> Call:
    if not builder.plan.runs(name, sign):
        raise Infeasible(f"the targets do not run {name}")
    scope = _Tapping(builder, sign, name, value)
    call = TABLE[name].propose(scope)
    if not scope.tapped:
        raise Infeasible(f"{name} does not take the value")
    return call


class _Tapping(Scope):
    """A scope whose first operand that can be is one value; the others are drawn as ever."""

    def __init__(self, builder: Builder, sign: Signature, name: str, inner: Value) -> None:
        super().__init__(builder, sign, name)
        self._inner: Value | None = inner

    @property
    def tapped(self) -> bool:
        """Whether the value was taken."""
        return self._inner is None

    def _operand(
        self, allowed: tuple[DType, ...], rank: tuple[int, int], domain: Domain, where: Callable[[Value], bool] | None
    ) -> Value | None:
        inner = self._inner
        if inner is not None and self._suits(inner, allowed, rank) and (where is None or where(inner)):
            self._inner = None
            guarded = self._inside(inner, domain)
            if guarded is not None:
                return guarded
        return super()._operand(allowed, rank, domain, where)

    def _suits(self, value: Value, allowed: Sequence[DType], rank: tuple[int, int]) -> bool:
        return value.type.dtype in allowed and rank[0] <= len(value.array.shape) <= rank[1]
