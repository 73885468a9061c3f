"""Activations of the domain com.microsoft: the forms of Gelu, and Swish by another name.

ONNX Runtime, docs/ContribOperators.md: Gelu and BiasGelu are x/2 (1 + erf(x / sqrt 2)), FastGelu its tanh form, in
which its constants are written with six digits; QuickGelu is x * sigmoid(alpha x).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from abstract.operator import Array, Bound, Call, Operator, Run, Scope, Typing
from abstract.operators import elementwise
from abstract.operators.elementwise import FLOAT, same_shape
from abstract.running import Bounding, Exact

if TYPE_CHECKING:
    from abstract.running import Algebra, Quantity
    from abstract.types import Shape

__all__ = ["OPERATORS"]

_ROWS = {row.name: row for row in elementwise.OPERATORS}
_SIX_DIGITS = 1.5e-6
"""What FastGelu's constants, as the text has them, may be off by, relatively: 0.797885 for sqrt(2/pi)."""


def propose_bias_gelu(s: Scope) -> Call:
    """A bias as long as the last axis."""
    x = s.tensor(kinds=FLOAT, rank=(1, 8), where=lambda v: v.array.size > 0)
    return Call((x, s.shaped(x.type.shape[-1:], weight=True)))


def propose_fast_gelu(s: Scope) -> Call:
    """With a bias as long as the last axis, or without."""
    x = s.tensor(kinds=FLOAT, rank=(1, 8), where=lambda v: v.array.size > 0)
    return Call((x, s.shaped(x.type.shape[-1:], weight=True) if s.coin(0.6) else None))


def biased_shape(t: Typing) -> tuple[Shape, ...]:
    """The shape of the input; the bias is as long as its last axis."""
    if len(t.shapes) > 1 and t.shapes[1] is not None:
        t.store.unify(t[1][0], t[0][-1])
    return (t[0],)


def _sum(k: Algebra) -> Quantity:
    x, bias = k.operand(0), k.operand(1)
    return x if bias is None else x + bias


class _Gelu:
    """Gelu of the sum of input and bias."""

    def __init__(self, form: bytes) -> None:
        self.form = form

    def _inner(self, run: Run) -> Run:
        return replace(run, inputs=(_sum(Exact(run)),), params={"approximate": self.form})

    def evaluate(self, run: Run) -> tuple[Array, ...]:
        """See the module."""
        return _ROWS["Gelu"].evaluate(self._inner(run))

    def error(self, run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
        """What the sum may be off by, and Gelu's own."""
        total = _sum(Bounding(run, e)).error if run.optional(1) is not None else e[0]
        (bound,) = _ROWS["Gelu"].error(self._inner(run), y, (total,))
        if self.form == b"tanh":
            bound = bound + np.abs(_sum(Exact(run))) * _SIX_DIGITS
        return (bound,)


_ERF, _TANH = _Gelu(b"none"), _Gelu(b"tanh")


OPERATORS: tuple[Operator, ...] = (
    replace(_ROWS["Gelu"], name="com.microsoft.Gelu", propose=lambda s: Call((s.tensor(kinds=FLOAT),))),
    Operator("com.microsoft.BiasGelu", propose_bias_gelu, biased_shape, _ERF.evaluate, _ERF.error,
             accuracy=_ROWS["Gelu"].accuracy),
    Operator("com.microsoft.FastGelu", propose_fast_gelu, biased_shape, _TANH.evaluate, _TANH.error,
             accuracy=_ROWS["Gelu"].accuracy),
    replace(_ROWS["Swish"], name="com.microsoft.QuickGelu", shape=same_shape),
)  # fmt: skip
