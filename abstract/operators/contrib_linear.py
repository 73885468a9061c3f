"""Products of matrices and convolutions of the domain com.microsoft, with the scales and activations that they take in.

ONNX Runtime, docs/ContribOperators.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible
from abstract.error import step_unit
from abstract.operator import Array, Bound, Call, Domain, Operator, Run, Scope, Typing
from abstract.operators.elementwise import FLOAT
from abstract.operators.linear import factor, matmul, matmul_error, matmul_shape

if TYPE_CHECKING:
    from abstract.types import Shape

__all__ = ["OPERATORS"]

_MODERATE = Domain(-64.0, 64.0)


# -- products ------------------------------------------------------------------------------------------------------


def _order(params: Any, side: str, rank: int) -> tuple[int, ...]:
    """The axes of an operand as they are multiplied: the first behind the other leading ones, the last two swapped.

    A vector stays as it is.
    """
    axes = list(range(rank))
    if rank > 2 and params.get(f"transBatch{side}", 0):
        axes.insert(rank - 2, axes.pop(0))
    if rank > 1 and params.get(f"trans{side}", 0):
        axes[-2:] = axes[:-3:-1]
    return tuple(axes)


def _back(shape: Shape, order: tuple[int, ...]) -> Shape:
    """The shape that has this one when its axes are brought in an order."""
    found = dict(zip(order, shape, strict=True))
    return tuple(found[axis] for axis in range(len(shape)))


def propose_matmul(s: Scope) -> Call:
    """Each side transposed or not, its first axis among the last two or not, scaled or not."""
    a = s.tensor(kinds=FLOAT, rank=(1, 5), domain=_MODERATE, where=lambda v: v.array.size > 0)
    params: dict[str, Any] = {}
    names = [f"trans{side}" for side in "AB"]
    whole = a.type.rank > 2 and s.coin(0.3)
    if whole:
        names += [f"transBatch{side}" for side in "AB"]
    for name in names:
        if name in s.signature.attributes and s.coin(0.4):
            params[name] = s.integer(0, 1)
    if s.coin(0.5):
        params["alpha"] = s.pick((0.125, 0.5, 1.0, 2.0, -1.0, 0.3535533845424652))
    order = _order(params, "A", a.type.rank)
    have = tuple(a.type.shape[axis] for axis in order)
    shape = factor(s, have)
    if whole:  # both of the same rank
        shape = (*(1 if s.coin(0.3) else d for d in have[:-2]), have[-1], shape[-1] if len(shape) > 1 else 1)
    b = s.shaped(_back(shape, _order(params, "B", len(shape))), weight=True, domain=_MODERATE)
    return Call((a, b), params)


def fused_matmul_shape(t: Typing) -> tuple[Shape, ...]:
    """That of a product of the operands with their axes in order."""
    if any(t.params.get(f"transBatch{side}", 0) for side in "AB") and not len(t[0]) == len(t[1]) > 2:
        raise Infeasible("the first axis is moved in stacks of the same rank alone")
    sides = tuple(
        tuple(t[i][axis] for axis in _order(t.params, side, len(t[i]))) for i, side in enumerate("AB")
    )
    return matmul_shape(Typing(t.params, sides, (), 1, t.store))


def _arranged(run: Run) -> Run:
    sides = tuple(run[i].transpose(_order(run.params, side, run[i].ndim)) for i, side in enumerate("AB"))
    return replace(run, inputs=sides)


def fused_matmul(run: Run) -> tuple[Array, ...]:
    """The product of the operands with their axes in order, times alpha."""
    (y,) = matmul(_arranged(run))
    return (y * run.params.get("alpha", 1.0),)


def fused_matmul_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The product's, scaled; the scale rounds the terms, or the sum, and itself to the operands' type."""
    inner, alpha = _arranged(run), abs(run.params.get("alpha", 1.0))
    moved = tuple(
        bound if isinstance(bound, float) else bound.transpose(_order(run.params, side, bound.ndim))
        for bound, side in zip(e, "AB", strict=True)
    )
    (total,) = matmul_error(inner, y, moved)
    if alpha == 1:
        return (total,)
    step = step_unit(run, run.dtypes[0])
    (size,) = matmul(replace(inner, inputs=tuple(np.abs(x) for x in inner.inputs if x is not None)))
    return ((total * (1 + 3 * step) + 3 * step * size) * alpha,)


OPERATORS: tuple[Operator, ...] = (
    Operator("com.microsoft.FusedMatMul", propose_matmul, fused_matmul_shape, fused_matmul, fused_matmul_error),
    Operator("com.microsoft.TransposeMatMul", propose_matmul, fused_matmul_shape, fused_matmul, fused_matmul_error,
             weight=0.5),
)
