"""Products of quantised matrices of the domain com.microsoft: in float, quantised again, or by packed weights.

ONNX Runtime, docs/ContribOperators.md. Products of integers are exact; whatever is made of them in float may as well be
the sum of products of the numbers meant.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.dims import Dim, ceil_div
from abstract.dtypes import BY_NAME, Kind
from abstract.operator import Array, Bound, Call, Domain, NotCovered, Operator, Run, Scope, Typing
from abstract.operators.elementwise import FLOAT, MARGIN
from abstract.operators.linear import factor, matmul_shape, matrices
from abstract.operators.quantization import dynamic, dynamic_error, scale_values
from abstract.operators.quantized import matmul_integer, matmul_integer_error
from abstract.operators.requantised import Requantised, by_one, meant, restored
from abstract.running import Algebra, Bounding, Exact, Quantity, Running, bounds_of, rules

if TYPE_CHECKING:
    from abstract.dtypes import DType
    from abstract.graph import Value
    from abstract.schema import Signature
    from abstract.types import Shape

__all__ = ["OPERATORS"]

_FLOAT, _INT16, _INT32, _UINT8 = BY_NAME["float"], BY_NAME["int16"], BY_NAME["int32"], BY_NAME["uint8"]
_MODERATE = Domain(-64.0, 64.0)
_BIAS = Domain(-(2.0**16), 2.0**16)


def _in_float(run: Run) -> Run:
    """The execution with float as the type of all steps."""
    return replace(run, dtypes=(_FLOAT,) * len(run.dtypes))


def _factors(s: Scope, left: str, right: str, **more: Any) -> tuple[Value, Value]:
    """Matrices or stacks of matrices that broadcast."""
    a = s.tensor(left, rank=(2, 4), where=lambda v: v.array.size > 0, **more)
    shape = factor(s, a.type.shape)
    return a, s.shaped(shape if len(shape) > 1 else (*shape, 1), right, weight=True)


def _by_column(s: Scope, b: Value, scale: str, zero: str) -> tuple[Value, Value | None]:
    """A scale for all or one a column, and zero points alike or none."""
    each: Shape = b.type.shape[-1:] if b.type.rank == 2 and s.coin(0.4) else ()
    return scale_values(s, each, scale), s.shaped(each, zero, weight=True) if s.coin(0.6) else None


def _bias(s: Scope, b: Value, variable: str) -> Value | None:
    return s.shaped(b.type.shape[-1:], variable, domain=_MODERATE, weight=True) if s.coin(0.4) else None


def _product_shape(t: Typing) -> tuple[Shape, ...]:
    """A product's; what belongs to columns has as many."""
    for given in t.shapes[2:]:
        if given and t.store.value(given[0]) != 1:
            t.store.unify(given[-1], t[1][-1])
    return matmul_shape(Typing(t.params, t.shapes[:2], (), 1, t.store))


# -- integers ------------------------------------------------------------------------------------------------------


def propose_sixteen(s: Scope) -> Call:
    """Signed numbers: which type others give is not said."""
    s.dtype("T1", (Kind.SIGNED,))
    s.dtype("T2", (Kind.SIGNED,))
    return Call(matrices(s, "T1", "T2"))


def _sixteen_type(t: Typing, sign: Signature) -> tuple[DType, ...]:
    del sign
    if any(d is not _INT16 for d in t.dtypes[:2]):
        raise NotCovered("MatMulInteger16 on unsigned numbers")
    return (_INT32,)


# -- in float ------------------------------------------------------------------------------------------------------


def propose_to_float(s: Scope) -> Call:
    """One scale of A, one of B or one a column; zero points and bias given or left out."""
    a, b = _factors(s, "T1", "T2")
    columns = _by_column(s, b, "T3", "T2")
    scale, zero = by_one(s, "T3", "T1", optional=True)
    return Call((a, b, scale, columns[0], zero, columns[1], _bias(s, b, "T3")))


def _plus(k: Algebra, left: Quantity, right: Quantity, bias: Quantity | None) -> Quantity:
    y = k.total(k.product(left, right, 0, 1))
    return y if bias is None else y + bias


def _of_columns(k: Algebra, at: int, scale: int, zero: int) -> Quantity:
    """A matrix, or a stack of them, of which each column may have a scale and a zero point of its own."""
    return restored(k, k.operand(at), k.operand(scale), k.operand(zero))


def _to_float(k: Algebra) -> tuple[Quantity, ...]:
    """The product of the numbers meant, and a bias."""
    return (_plus(k, meant(k, (0, 2, 4)), _of_columns(k, 1, 3, 5), k.operand(6)),)


# -- quantised on the way ------------------------------------------------------------------------------------------


def propose_dynamic(s: Scope) -> Call:
    """A of numbers that are not all 0; B with one scale or one a column."""
    a, b = _factors(s, "T1", "T2", domain=_MODERATE)
    columns = _by_column(s, b, "T1", "T2")
    return Call((a, b, *columns, _bias(s, b, "T1")))


def _quantising(run: Run) -> Run:
    """The execution of DynamicQuantizeLinear on A."""
    return replace(run, inputs=run.inputs[:1], dtypes=(_FLOAT,), output_dtypes=(_UINT8, _FLOAT, _UINT8))


def _requantised(k: Algebra) -> Quantity:
    """A as it comes back from DynamicQuantizeLinear."""
    run = _quantising(k.run)
    if not np.any(run[0]):
        return k.operand(0)
    numbers, scale, zero = dynamic(run)
    exact = (numbers - zero) * scale
    if not isinstance(k, Bounding):
        return exact
    steps, moved, shifted = dynamic_error(run, (numbers, scale, zero), (k.errors[0],))
    error = np.abs(numbers - zero) * (moved + 2 * scale * k.steps.unit)
    error = error + (np.asarray(steps) + shifted) * (scale + moved)
    return Running(exact, error, k.steps)


def _dynamic(k: Algebra) -> tuple[Quantity, ...]:
    """The product of A quantised to 8 bits, and of the numbers that B stands for; and a bias."""
    return (_plus(k, _requantised(k), _of_columns(k, 1, 2, 3), k.operand(4)),)


def _dynamic_defined(run: Run) -> bool:
    """No number of A so near a tie that rounding decides."""
    a = _quantising(run)
    if not np.any(run[0]):
        return False
    bounds = dynamic_error(a, dynamic(a), (MARGIN * float(np.max(np.abs(run[0]))),))
    return float(np.max(bounds[0])) == 0.0 and bounds[2] == 0.0


# -- Gemm ----------------------------------------------------------------------------------------------------------


def propose_gemm(s: Scope) -> Call:
    """Each side transposed or not; C in every shape that fits or none; the result quantised or in float."""
    a = s.tensor("TA", rank=(2, 2), where=lambda v: v.array.size > 0)
    trans_a, trans_b = s.coin(0.3), s.coin(0.5)
    m, k = reversed(a.type.shape) if trans_a else a.type.shape
    n: Dim = s.size(1, 8, "n")
    b = s.shaped((n, k) if trans_b else (k, n), "TB", weight=True)
    each: Shape = (n,) if s.coin(0.3) else ()
    inputs: list[Value | None] = [a, *by_one(s, "T", "TA"), b, scale_values(s, each, "T"),
                                  s.shaped(each, "TB", weight=True)]  # fmt: skip
    shapes: tuple[Shape, ...] = ((m, n), (n,), (1, n), (m, 1), (1, 1), (1,), ())
    c = s.shaped(s.pick(shapes), "TC", domain=_BIAS, weight=True) if s.coin(0.6) else None
    inputs.append(c)
    if s.coin(0.5):
        inputs += [scale_values(s, (), "T"), s.of(a.type.dtype, ())]  # another type no runtime has
    params: dict[str, Any] = {}
    for name, said in (("transA", trans_a), ("transB", trans_b)):
        if said or s.coin(0.2):
            params[name] = int(said)
    if s.coin(0.4):
        params["alpha"] = s.pick((0.25, 0.5, 1.0, 2.0, 0.3))
    return Call(tuple(inputs), params)


def gemm_shape(t: Typing) -> tuple[Shape, ...]:
    """(m, n)."""
    m, k = reversed(t[0]) if t.params.get("transA", 0) else t[0]
    inner, n = reversed(t[3]) if t.params.get("transB", 0) else t[3]
    t.store.unify(k, inner)
    for position in (4, 5):
        if len(t[position]) and t.store.value(t[position][0]) != 1:
            t.store.unify(t[position][0], n)
    return ((m, n),)


def _gemm(k: Algebra) -> Quantity:
    params, scale, zero = k.run.params, k.operand(4), k.operand(5)
    left, b = meant(k, (0, 1, 2)), k.operand(3)
    if params.get("transB", 0):
        b = b.transpose(1, 0)
    y = k.total(k.product(left.transpose(1, 0) if params.get("transA", 0) else left, restored(k, b, scale, zero), 0, 3))
    c, alpha = k.operand(6), k.coefficient(float(params.get("alpha", 1.0)))
    if c is not None:
        y = y + c * k.operand(1).reshape(()) * scale
    return y * alpha


_GEMM = Requantised(_gemm, 7, lambda _run: ())


def gemm(run: Run) -> tuple[Array, ...]:
    """Alpha times the product of the numbers meant and C, whose scale is that of the product; quantised or not."""
    return _GEMM.evaluate(run) if run.optional(7) is not None else (_gemm(Exact(run)),)


def gemm_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The steps' own."""
    wide = _in_float(run)
    return _GEMM.error(wide, y, e) if run.optional(7) is not None else bounds_of(_gemm(Bounding(wide, e)))


def _gemm_type(t: Typing, sign: Signature) -> tuple[DType, ...]:
    del sign
    quantised = len(t.dtypes) > 7 and t.dtypes[7] is not None
    zero = t.dtypes[8] if quantised and len(t.dtypes) > 8 else None
    return (zero if zero is not None else (t.dtypes[0] or _FLOAT) if quantised else _FLOAT,)


# -- packed weights ------------------------------------------------------------------------------------------------

_LEVELS = {2: 2.0**-11, 3: 2.0**-8, 4: 0.0}


def propose_packed(s: Scope) -> Call:
    """Weights of 2, 4 or 8 bits in blocks of 16 or 32; zero points packed, as numbers, or left out; a bias or none."""
    a = s.tensor("T1", kinds=FLOAT, rank=(2, 4), domain=_MODERATE, where=lambda v: v.array.size > 0)
    inner, n = a.type.shape[-1], s.size(1, 8, "n")
    bits, block = s.pick((4, 4, 4, 8, 2)), s.pick((16, 16, 32))
    blocks = ceil_div(inner, block)
    weights = s.shaped((n, blocks, block * bits // 8), "T2", weight=True)
    scales = s.shaped((n, blocks), "T1", domain=Domain(2.0**-6, 1.0), weight=True)
    zeros, style = None, s.integer(0, 3)
    if style == 0 and bits < 8:  # ONNX Runtime has no zero points as numbers for 8 bits
        zeros = s.of(a.type.dtype, (n, blocks))
    elif style == 1:
        zeros = s.of(BY_NAME["uint8"], (n, ceil_div(blocks * bits, 8)))
    params: dict[str, Any] = {"K": inner, "N": n, "block_size": block}
    if bits != 4 or s.coin(0.5):
        params["bits"] = bits
    if s.coin(0.3):
        params["accuracy_level"] = s.pick((0, 1))
    bias = s.shaped((n,), "T1", domain=_MODERATE, weight=True) if s.coin(0.3) else None
    return Call((a, weights, scales, zeros, None, bias), params)


def packed_shape(t: Typing) -> tuple[Shape, ...]:
    """(..., N); the weights are (N, blocks, bytes of a block)."""
    p = t.params
    n, inner = p["N"], p["K"]
    bits, block = int(p.get("bits", 4)), int(p["block_size"])
    blocks = ceil_div(inner, block)
    pairs = [(t[0][-1], inner), *zip(t[1], (n, blocks, block * bits // 8), strict=True)]
    if len(t[2]) == 2:
        pairs += zip(t[2], (n, blocks), strict=True)
    for mine, theirs in pairs:
        t.store.unify(mine, theirs)
    return ((*t[0][:-1], n),)


def _unpacked(packed: Array, bits: int) -> Array:
    """The numbers in bytes along the last axis, the lower bits first."""
    parts = [packed >> shift & (1 << bits) - 1 for shift in range(0, 8, bits)]
    return np.stack(parts, -1).reshape(*packed.shape[:-1], -1)


def _weights(k: Algebra) -> Quantity:
    """The matrix (K, N) that the packed weights stand for."""
    run, params = k.run, k.run.params
    bits, block, inner, n = (int(params[name]) for name in ("bits", "block_size", "K", "N"))
    if run.optional(4) is not None or bits not in (2, 4, 8):
        raise NotCovered("MatMulNBits with an order of groups, or of other bits")
    numbers = _unpacked(run[1].reshape(n, -1), bits)[:, :inner]
    blocks = run[2].size // n
    zeros, kind = run.optional(3), run.dtypes[3] if len(run.dtypes) > 3 else None
    each: Any = 2 ** (bits - 1)
    if zeros is not None:
        packed = kind is not None and kind.name == "uint8"
        each = _unpacked(zeros.reshape(n, -1), bits)[:, :blocks] if packed else zeros.reshape(n, blocks)
        each = each.repeat(block, 1)[:, :inner]
    scale = k.operand(2).reshape(n, blocks).repeat(block, 1)[:, :inner]
    offset = k.constant(np.broadcast_to(np.asarray(each), numbers.shape))
    return restored(k, k.constant(numbers), scale, offset).transpose(1, 0)


def _packed(k: Algebra) -> tuple[Quantity, ...]:
    """The product with the numbers that the weights stand for, and a bias.

    ``accuracy_level`` lets A be rounded to 16 or 8 bits.
    """
    a, level = k.operand(0), int(k.run.params.get("accuracy_level", 0))
    if isinstance(k, Bounding) and level in _LEVELS:
        size = np.abs(a.value)
        coarse = size.max(axis=-1, keepdims=True) / 250 if level == 4 else size * _LEVELS[level]
        a = Running(a.value, a.error + coarse, a.steps)
    return (_plus(k, a, _weights(k), k.operand(5)),)


OPERATORS: tuple[Operator, ...] = (
    Operator("com.microsoft.MatMulInteger16", propose_sixteen, _product_shape, matmul_integer, matmul_integer_error,
             output_dtypes=_sixteen_type, weight=0.5),
    Operator("com.microsoft.MatMulIntegerToFloat", propose_to_float, _product_shape,
             *rules(_to_float, stage=_in_float)),
    Operator("com.microsoft.DynamicQuantizeMatMul", propose_dynamic, _product_shape,
             *rules(_dynamic, stage=_in_float), defined=_dynamic_defined),
    Operator("com.microsoft.QGemm", propose_gemm, gemm_shape, gemm, gemm_error, output_dtypes=_gemm_type, tied=True,
             defined=lambda run: run.optional(7) is None or _GEMM.defined(run)),
    Operator("com.microsoft.MatMulNBits", propose_packed, packed_shape, *rules(_packed, 1, 3)),
)  # fmt: skip
