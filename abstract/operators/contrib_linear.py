"""Products of matrices and convolutions of the domain com.microsoft, with the scales and activations that they take in.

ONNX Runtime, docs/ContribOperators.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible
from abstract.error import step_unit, underflow
from abstract.operator import Array, Bound, Call, Domain, NotCovered, Operator, Run, Scope, Typing
from abstract.operators import convolution, linear
from abstract.operators.activation import ACTIVATIONS
from abstract.operators.elementwise import FLOAT, apart
from abstract.operators.linear import factor, matmul, matmul_error, matmul_shape
from abstract.running import Algebra, Bounding, Exact, Quantity, bounds_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from abstract.operator import Params
    from abstract.types import Shape

__all__ = ["OPERATORS"]

_MODERATE = Domain(-64.0, 64.0)
_ROWS = {row.name: row for family in (linear, convolution) for row in family.OPERATORS}
_CONV_ROW, _GEMM_ROW = _ROWS["Conv"], _ROWS["Gemm"]


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


# -- with an activation ----------------------------------------------------------------------------------------------


def _given(params: Any, names: Sequence[str]) -> list[float | None]:
    return [params.get(name) for name in names]


class _Activated:
    """A product, to which a tensor of its shape may be added, and an activation of it.

    ``operands`` are those of the product; ``chosen`` says the activation and its coefficients.
    """

    def __init__(
        self, row: Operator, operands: int, chosen: Callable[[Params], tuple[str, Sequence[float | None]]]
    ) -> None:
        self.row, self.operands, self.chosen = row, operands, chosen

    def _inner(self, run: Run) -> Run:
        return replace(run, inputs=run.inputs[: self.operands], dtypes=run.dtypes[: self.operands])

    def _outer(self, k: Algebra) -> Quantity:
        name, given = self.chosen(k.run.params)
        x, more = k.operand(0), k.operand(1)
        x = x if more is None else x + more
        if not name:
            return x
        if name == "Clip":
            low, high = given
            return k.clip(x, -np.inf if low is None else low, np.inf if high is None else high)
        row = ACTIVATIONS.get(name)
        if row is None:
            raise NotCovered(f"the activation {name}")
        alpha, beta = (other or 0.0 if value is None else value
                       for value, other in zip(given, (row.alpha, row.beta), strict=True))  # fmt: skip
        return row.apply(k, x, alpha, beta)

    def evaluate(self, run: Run) -> tuple[Array, ...]:
        """See the class."""
        (made,) = self.row.evaluate(self._inner(run))
        return (self._outer(Exact(replace(run, inputs=(made, run.optional(self.operands))))),)

    def error(self, run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
        """The product's, rounded to the type of the operands or not, and what follows."""
        del y
        inner = self._inner(run)
        (made,) = self.row.evaluate(inner)
        (bound,) = self.row.error(inner, (made,), e[: self.operands])
        dtype = run.dtypes[0]
        bound = bound + (np.abs(made) + bound) * (2 * step_unit(run, dtype)) + underflow(run, dtype)
        more = e[self.operands] if len(e) > self.operands else 0.0
        after = replace(run, inputs=(made, run.optional(self.operands)))
        return bounds_of(self._outer(Bounding(after, (bound, more))))

    def defined(self, run: Run) -> bool:
        """No sum so near the place where an activation jumps that rounding decides."""
        name, given = self.chosen(run.params)
        if name != "ThresholdedRelu":
            return True
        (made,) = self.row.evaluate(self._inner(run))
        return apart(made - (given[0] or 0.0), made)


_ALPHAS = (0.01, 0.125, 0.25, 1.0, 1.5)
_GEMM = _Activated(_GEMM_ROW, 3, lambda params: (
    params.get("activation", b"").decode(), _given(params, ("activation_alpha", "activation_beta"))))  # fmt: skip


def propose_gemm(s: Scope) -> Call:
    """Gemm, followed by one of the activations that ONNX Runtime fuses, all of its coefficients given."""
    call = linear.propose_gemm(s, FLOAT)
    name = s.pick(("Relu", "Sigmoid", "Tanh", "LeakyRelu", "Elu", "HardSigmoid", "Softplus", "Softsign",
                   "ThresholdedRelu"))  # fmt: skip
    params = {**call.params, "activation": name.encode()}
    if name in ("LeakyRelu", "Elu", "HardSigmoid", "ThresholdedRelu"):
        params["activation_alpha"] = s.pick(_ALPHAS)
    if name == "HardSigmoid":
        params["activation_beta"] = s.pick((0.0, 0.25, 0.5))
    return Call(call.inputs, params)


def _conv_activation(params: Params) -> tuple[str, Sequence[float | None]]:
    name, given = params.get("activation", b"").decode(), tuple(params.get("activation_params") or ())
    return name, (*given, None, None)[:2]


_CONV = _Activated(_CONV_ROW, 3, _conv_activation)


def propose_conv(s: Scope) -> Call:
    """Conv, a tensor of the result's shape added or not, and an activation or none."""
    call = _CONV_ROW.propose(s)
    params = dict(call.params)
    name = s.pick(("", "Relu", "Sigmoid", "Tanh", "LeakyRelu", "Clip", "HardSigmoid"))
    if name:
        params["activation"] = name.encode()
    if name == "LeakyRelu":
        params["activation_params"] = (s.pick(_ALPHAS),)
    elif name == "HardSigmoid":
        params["activation_params"] = (s.pick(_ALPHAS), s.pick((0.0, 0.25, 0.5)))
    elif name == "Clip":
        params["activation_params"] = s.pick(((0.0, 6.0), (-1.0, 1.0), (-8.0, 8.0)))
    inputs = call.inputs
    if s.coin(0.3):
        shapes = tuple(None if v is None else v.type.shape for v in inputs)
        given = {**s.signature.defaults, **params}
        (shape,) = _CONV_ROW.shape(Typing(given, shapes, (), 1, s.store))
        inputs = (*inputs, s.shaped(shape, domain=_MODERATE))
    return Call(inputs, params)


def fused_conv_shape(t: Typing) -> tuple[Shape, ...]:
    """Conv's, which is that of the tensor that is added."""
    (shape,) = _CONV_ROW.shape(Typing(t.params, t.shapes[:3], (), 1, t.store))
    if len(t.shapes) > 3 and t.shapes[3] is not None:
        for mine, theirs in zip(t[3], shape, strict=True):
            t.store.unify(mine, theirs)
    return (shape,)


OPERATORS: tuple[Operator, ...] = (
    Operator("com.microsoft.FusedGemm", propose_gemm, _GEMM_ROW.shape, _GEMM.evaluate, _GEMM.error,
             defined=_GEMM.defined),
    Operator("com.microsoft.FusedConv", propose_conv, fused_conv_shape, _CONV.evaluate, _CONV.error),
    Operator("com.microsoft.FusedMatMul", propose_matmul, fused_matmul_shape, fused_matmul, fused_matmul_error),
    Operator("com.microsoft.TransposeMatMul", propose_matmul, fused_matmul_shape, fused_matmul, fused_matmul_error,
             weight=0.5),
)
