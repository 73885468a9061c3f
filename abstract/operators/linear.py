"""Products of matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.error import contraction, is_exact, rounding_unit, spread, step_unit, summation
from abstract.operator import EVERYWHERE, Array, Bound, Call, Domain, NotCovered, Operator, Run, Scope, Typing
from abstract.operators.broadcast import broadcast_shape
from abstract.operators.elementwise import NUMBER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abstract.dims import Dim
    from abstract.dtypes import Kind
    from abstract.graph import Value
    from abstract.types import Shape

__all__ = ["OPERATORS", "factor", "matrices"]

_MODERATE = Domain(-64.0, 64.0)


def factor(s: Scope, shape: Shape) -> Shape:
    """A shape by which one of this shape can be multiplied: a vector, a matrix, a stack of matrices that broadcasts."""
    *batch, inner = shape
    outer: Dim = s.size(1, 8, "n")
    if batch:
        batch.pop()
    style = s.integer(0, 9)
    if style == 0:
        return (inner,)
    if style < 6:
        return (inner, outer)
    return (*[1 if s.coin(0.3) else d for d in batch[s.integer(0, len(batch)) :]], inner, outer)


def matrices(
    s: Scope, left: str = "T", right: str = "T", *, kinds: Sequence[Kind] | None = None, domain: Domain = EVERYWHERE
) -> tuple[Value, Value]:
    """Two operands of a product: see ``factor``."""
    a = s.tensor(left, kinds=kinds, rank=(1, 5), domain=domain, where=lambda v: v.array.size > 0)
    return a, s.shaped(factor(s, a.type.shape), right, weight=True, domain=domain)


def propose_matmul(s: Scope) -> Call:
    """See ``matrices``."""
    return Call(matrices(s, kinds=NUMBER, domain=_MODERATE))


def matmul_shape(t: Typing) -> tuple[Shape, ...]:
    """(*batch, m, k) x (*batch, k, n); a vector is a row on the left, a column on the right, without axis."""
    a, b = t[0], t[1]
    t.store.unify(a[-1], b[-2] if len(b) > 1 else b[-1])
    batch = broadcast_shape(t.store, a[:-2], b[:-2])
    return ((*batch, *a[-2:-1], *(b[-1:] if len(b) > 1 else ())),)


def _multiply(run: Run, a: Array, b: Array) -> Array:
    left, right = a.ndim == 1, b.ndim == 1
    if not (left or right):
        return run.arithmetic.dot(a, b)
    product = run.arithmetic.dot(a[None, :] if left else a, b[:, None] if right else b)
    product = product[..., 0] if right else product
    return product[..., 0, :] if left and not right else product[..., 0] if left else product


def matmul(run: Run) -> tuple[Array, ...]:
    """Numpy's matmul."""
    return (_multiply(run, run[0], run[1]),)


def propose_gemm(s: Scope, kinds: Sequence[Kind] = NUMBER) -> Call:
    """Operands transposed or not, alpha and beta (1 for integers: H7.17), C in every shape that fits."""
    a = s.tensor(kinds=kinds, rank=(2, 2), domain=_MODERATE, where=lambda v: v.array.size > 0)
    trans_a, trans_b = s.coin(0.3), s.coin(0.5)
    m, k = reversed(a.type.shape) if trans_a else a.type.shape
    n = s.size(1, 8, "n")
    b = s.shaped((n, k) if trans_b else (k, n), weight=True, domain=_MODERATE)
    inputs: list[Any] = [a, b]
    if s.coin(0.7):
        shapes = ((m, n), (n,), (1, n), (m, 1), (1, 1), (1,), ())
        inputs.append(s.shaped(shapes[s.pick((0, 1, 1, 2, 3, 4, 5, 6))], weight=True, domain=_MODERATE))
    params: dict[str, Any] = {}
    if trans_a or s.coin(0.2):
        params["transA"] = int(trans_a)
    if trans_b or s.coin(0.2):
        params["transB"] = int(trans_b)
    if a.type.dtype.is_float:
        for name in ("alpha", "beta"):
            if s.coin(0.3):
                params[name] = s.pick((0.25, 0.5, 1.0, 2.0, -1.0, 0.0))
    return Call(tuple(inputs), params)


def gemm_shape(t: Typing) -> tuple[Shape, ...]:
    """(m, n), to which C broadcasts."""
    m, k = reversed(t[0]) if t.params.get("transA", 0) else t[0]
    inner, n = reversed(t[1]) if t.params.get("transB", 0) else t[1]
    t.store.unify(k, inner)
    if len(t.shapes) > 2 and t.shapes[2] is not None:
        wide = broadcast_shape(t.store, (m, n), t[2])
        for mine, theirs in zip((m, n), wide, strict=True):
            t.store.unify(mine, theirs)
    return ((m, n),)


def _product(run: Run, a: Array, b: Array) -> Array:
    a = a.T if run.params.get("transA", 0) else a
    return run.arithmetic.dot(a, b.T if run.params.get("transB", 0) else b)


def _scaled(run: Run, name: str, x: Array) -> Array:
    factor = run.params.get(name, 1.0)
    if factor == 1:
        return x
    if x.dtype.kind != "f":
        raise NotCovered(f"Gemm on integers with {name}")
    result: Array = x * factor
    return result


def gemm(run: Run) -> tuple[Array, ...]:
    """Alpha A' B' + beta C."""
    y = _scaled(run, "alpha", _product(run, run[0], run[1]))
    c = run.optional(2)
    return (y if c is None else y + _scaled(run, "beta", c),)


def _terms(run: Run) -> int:
    return int(run[0].shape[0 if run.params.get("transA", 0) else -1])


_product_error = contraction(_product, _terms)


def gemm_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The product's, scaled; beta C may be where the accumulation starts, so that it errs as each term does.

    Each scaling rounds once more: alpha's the products, beta's C.
    """
    dtype = run.dtypes[0]
    unit = rounding_unit(run, dtype)
    if unit == 0.0 and all(map(is_exact, e)):
        return (0.0,)
    alpha, beta = abs(run.params.get("alpha", 1.0)), abs(run.params.get("beta", 1.0))
    (total,) = _product_error(run, y, e[:2])
    step = step_unit(run, dtype)
    size = 0.0 if alpha == 1 else _product(run, np.abs(run[0]), np.abs(run[1])) * step
    bound = (total * (1 + 2 * step) + 2 * size) * alpha
    c = run.optional(2)
    if c is not None and beta != 0:
        bound = bound + beta * (np.abs(c) * (summation(run, _terms(run), dtype) + 2 * unit) + e[2])
    return (spread(bound, y[0]),)


_matmul_error = contraction(_multiply, lambda run: run[0].shape[-1])


def matmul_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """A contraction's; nothing for exact integers."""
    if all(map(is_exact, e)) and rounding_unit(run, run.dtypes[0]) == 0.0:
        return (0.0,)
    return _matmul_error(run, y, e)


OPERATORS: tuple[Operator, ...] = (
    Operator("MatMul", propose_matmul, matmul_shape, matmul, matmul_error),
    Operator("Gemm", propose_gemm, gemm_shape, gemm, gemm_error),
)
