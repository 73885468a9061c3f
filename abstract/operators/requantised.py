"""Operators on quantised numbers: the numbers meant, what is made of them, and the result quantised again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.accuracy import in_type
from abstract.dtypes import BY_NAME
from abstract.error import is_exact, spread, step_unit
from abstract.narrow import between
from abstract.operators.elementwise import MARGIN
from abstract.operators.quantization import is_power_of_two, scale_values, stepped
from abstract.running import Algebra, Bounding, Exact, Quantity, Running

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from abstract.graph import Value
    from abstract.operator import Array, Bound, Operator, Run, Scope

__all__ = ["FLOAT", "Requantised", "Triple", "by_one", "by_row", "fixed", "meant", "quantisation", "restored"]

FLOAT = BY_NAME["float"]

_TIE = 2.0**-30
"""Less than exact quotients are apart: by the formulas of QLinearAdd and QLinearMul a zero point is added before the
sum is rounded, which is another way at a tie where the zero point is odd."""

Triple = tuple[int, int, int]
"""The positions of an operand, its scale and its zero point."""


def meant(k: Algebra, triple: Triple) -> Quantity:
    """The numbers that a quantised operand stands for."""
    x, scale, zero = (k.operand(i) for i in triple)
    return restored(k, x, scale.reshape(()), None if zero is None else zero.reshape(()))


def restored(k: Algebra, x: Quantity, scale: Quantity, zero: Quantity | None) -> Quantity:
    """(x - zero) * scale; x * scale - zero * scale is as legal."""
    y = (x if zero is None else x - zero) * scale
    if zero is None or not isinstance(k, Bounding):
        return y
    size = (np.abs(x.value) + np.abs(zero.value)) * scale.value
    return Running(y.value, y.error + size * (2 * k.steps.unit), y.steps)


def by_row(k: Algebra, row: Operator, params: Mapping[str, Any], *operands: Quantity) -> Quantity:
    """What an operator of ONNX makes of numbers meant, in float."""
    arrays = tuple(x.value if isinstance(x, Running) else x for x in operands)
    floats = (FLOAT,) * len(arrays)
    run = replace(k.run, params=params, inputs=arrays, dtypes=floats, output_dtypes=(FLOAT,))
    y = row.evaluate(run)
    if not isinstance(k, Bounding):
        return y[0]
    bound = row.error(run, y, tuple(x.error for x in operands))[0]
    grant, unit = in_type(row.accuracy, FLOAT, run.contract), FLOAT.unit
    bound = bound + np.abs(y[0]) * (2 * grant.ulps * unit) + grant.units * unit
    return Running(y[0], bound, k.steps)


class Requantised:
    """The rules of an operator on quantised numbers: ``real`` is what it makes of the numbers meant.

    At a tie either neighbour will do: see ``_TIE``.

    ``scale`` and ``zero`` are the positions of what the result is quantised by, ``operands`` says those of the
    operands. ``linear``: where all scales are powers of two nothing is rounded on the way.
    """

    def __init__(
        self, real: Callable[[Algebra], Quantity], scale: int, operands: Callable[[Run], Sequence[Triple]], *,
        linear: bool = False,
    ) -> None:  # fmt: skip
        self.real, self.scale, self.operands, self.linear = real, scale, operands, linear

    def _zero(self, run: Run) -> Array | int:
        zero = run.optional(self.scale + 1)
        return 0 if zero is None else zero.reshape(())

    def _quotient(self, run: Run) -> Array:
        return np.asarray(self.real(Exact(run)) / run[self.scale].reshape(()))

    def evaluate(self, run: Run) -> tuple[Array, ...]:
        """saturate(round(result / scale) + zero_point), ties to even."""
        return (stepped(self._quotient(run), self._zero(run), run.output_dtypes[0]),)

    def _is_exact(self, run: Run) -> bool:
        scales = [self.scale, *(scale for _, scale, _ in self.operands(run))]
        return self.linear and all(is_power_of_two(run[i]) for i in scales)

    def error(self, run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
        """What the ends of the quotient's interval are rounded to."""
        zero = e[self.scale + 1] if len(e) > self.scale + 1 else 0.0
        zero = zero if isinstance(zero, float) else zero.reshape(())
        if all(map(is_exact, e)) and self._is_exact(run):
            return (self._between(run, y[0], self._quotient(run).astype(np.float64), _TIE),)
        k = Bounding(replace(run, dtypes=(FLOAT, *run.dtypes[1:])), e)
        made, unit = self.real(k), step_unit(run, FLOAT)
        divisor, moved = run[self.scale].reshape(()), e[self.scale]
        moved = moved if isinstance(moved, float) else moved.reshape(())
        left = divisor - moved
        quotient = made.value / divisor
        reach = made.error / left + np.abs(quotient) * (moved / left + 4 * unit)
        reach = np.where(left > 0, reach, np.inf) + np.abs(self._zero(run)) * (2 * unit)
        return (self._between(run, y[0], quotient, reach) + zero,)

    def _between(self, run: Run, y: Array, quotient: Array, reach: Bound) -> Bound:
        low, high = (stepped(quotient + side * reach, self._zero(run), run.output_dtypes[0]) for side in (-1, 1))
        return spread(between(y.astype(np.float64), low, high), y)

    def defined(self, run: Run) -> bool:
        """Exactly on ties, or so far from them that rounding does not decide."""
        if self._is_exact(run):
            return True
        quotient, zero, dtype = self._quotient(run).astype(np.float64), self._zero(run), run.output_dtypes[0]
        reach = MARGIN * np.max(np.abs(quotient), initial=1.0)
        return bool(np.all(stepped(quotient - reach, zero, dtype) == stepped(quotient + reach, zero, dtype)))


def fixed(*triples: Triple) -> Callable[[Run], Sequence[Triple]]:
    """The same positions in any call."""
    return lambda _run: triples


# -- operands ------------------------------------------------------------------------------------------------------


def by_one(s: Scope, scale: str, zero: str, *, optional: bool = False) -> tuple[Value, Value | None]:
    """One scale and one zero point for all; left out now and then only where ONNX Runtime can do without.

    It refuses most models without the zero point of an operand, and aborts at some without that of a result, all of
    them optional by its text (docs/disputes.md).
    """
    return scale_values(s, (), scale), None if optional and s.coin(0.3) else s.shaped((), zero, weight=True)


def quantisation(s: Scope, *, optional: bool = False) -> tuple[Value, Value | None]:
    """The same of float and of the operand's own type."""
    return by_one(s, "float", "T", optional=optional)
