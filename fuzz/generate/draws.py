"""What every scope draws of recorded integers: one of several, a chance, a symbolic size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from abstract.constraints import Infeasible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from abstract.constraints import Constraints
    from abstract.dims import Expr

__all__ = ["Draws"]


class Draws:
    """The part of ``abstract.operator.Scope`` that knows no operands: ``integer`` decides, ``store`` has the sizes."""

    integer: Callable[[int, int], int]
    store: Constraints

    def pick(self, options: Sequence[Any]) -> Any:
        """One of the options."""
        return options[self.integer(0, len(options) - 1)]

    def coin(self, chance: float) -> bool:
        """True with this chance, to one part in a thousand."""
        return self.integer(0, 999) < chance * 1000

    def size(self, low: int, high: int, name: str = "p") -> Expr:
        """A symbolic parameter; Infeasible where the range is empty."""
        if low > high:
            raise Infeasible(f"no {name} in [{low}, {high}]")
        return self.store.fresh(self.integer(low, high), low=low, high=high, name=name)
