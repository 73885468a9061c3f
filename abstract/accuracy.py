"""How accurate a maths library has to be: what each function is granted, as data with its source.

Measured on eight CPU backends over 379,000 float32 points a function (2026-11): about twice the worst that
any showed, regions excluded that are plainly wrong. An ``ulp`` is the spacing at the exact result, a ``unit``
is u = 2**-precision. Functions that half-width types compose of several narrow steps get ``HALF`` there:
backends compute them in float32 and round once, or round each step. double has the float32 figures, in its
own ulps, but for what ``_EXTRA`` adds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from abstract.contract import PERMISSIVE, Contract
from abstract.operator import Accuracy, Array, Bound, Run

if TYPE_CHECKING:
    from abstract.dtypes import DType

__all__ = ["HALF", "extra", "granted", "in_type"]

CORRECTLY_ROUNDED = Accuracy(0.5, 0.0)
HALF = Accuracy(8.0, 16.0, composed=True)


def _function(ulps: float, units: float) -> Accuracy:
    return Accuracy(ulps, units, composed=True)


# Each row names the worst backend; "absolute" says that some backend is accurate only in units of u there.
_GRANTS: dict[str, Accuracy] = {
    "Exp": _function(11, 0),  # XLA, IREE 5.5 ulp at 88.7
    "Log": _function(6, 0),  # ONNX Runtime 3.0 at 1.28; relative even next to 1
    "Sin": _function(5, 4),  # inductor 2.4; absolute next to multiples of pi
    "Cos": _function(5, 4),
    "Tan": _function(4, 0),  # TVM 1.8
    "Asin": _function(14, 0),  # IREE 6.8 near 1
    "Acos": _function(8, 0),  # ONNX Runtime 4.1
    "Atan": _function(11, 0),  # jax 5.3
    "Sinh": _function(3, 4),  # XLA 24 at 67: grows with |x|, see _EXTRA
    "Cosh": _function(3, 4),
    "Tanh": _function(9, 4),  # ONNX Runtime 4.3; TVM absolute near 0
    "Asinh": _function(6, 4),  # XLA 2.8
    "Acosh": _function(6, 4),  # XLA 3.0
    "Atanh": _function(6, 4),  # XLA 2.7; TVM, IREE, inductor absolute near 0
    "Erf": _function(11, 20),  # XLA 5.1; OpenVINO and inductor absolute (8.5 u)
    "Sigmoid": _function(6, 6),  # 3.0; ONNX Runtime is exactly 0 below -18
    "Softplus": _function(15, 6),  # XLA 7.2; TVM, tract absolute
    "Softsign": Accuracy(4, 0),  # 2.0
    "Sqrt": Accuracy(1.5, 0),  # torch 0.75: not always correctly rounded
    "Reciprocal": Accuracy(2, 0),  # 0.5; x * (1/y) rewrites double it
    "Div": Accuracy(4, 0),  # OpenVINO, tract 1.7: x * (1/y)
    "Pow": _function(3, 0),  # x * x * x 1.3
    "Mean": Accuracy(2, 0),  # the sum is rounded, then divided or multiplied by 1/n
    "Elu": _function(11, 8),  # XLA 4.8; exp(x) - 1 is absolute next to 0
    "Selu": _function(11, 8),
    "Celu": _function(11, 8),
    "HardSigmoid": Accuracy(2, 2),  # cancellation next to its zero
    "HardSwish": Accuracy(5, 5),
    "Mish": _function(13, 6),  # ONNX Runtime 6.2
    "Gelu": _function(11, 40),  # OpenVINO, torch 18 u below 0, where 1 + erf cancels; tanh form 9.2 u
    "Swish": _function(9, 6),  # x * sigmoid(alpha * x): the grant of Sigmoid, see _EXTRA for its units
}

Extra = Callable[[Run, Array], Bound]


def _is_double(run: Run) -> bool:
    dtype = run.dtypes[0]
    return dtype is not None and dtype.name == "double"


def _unit(run: Run) -> float:
    """The unit roundoff of a step inside of the function."""
    dtype = run.dtypes[0]
    return run.contract.step(dtype).unit if dtype is not None else 0.0


def _hyperbolic(run: Run, y: Array) -> Bound:
    """0.75 |x| ulp: exp(|x|) computed as exp2 of a rounded product (XLA; 500 ulp at 709 in double)."""
    bound: Bound = np.abs(run[0] * y) * (1.5 * _unit(run))
    return bound


def _power(run: Run, y: Array) -> Bound:
    """|y ln x| u relative in half-width types: exp(y * log x) with its product rounded."""
    dtype = run.dtypes[0]
    if dtype is None or run.contract.step(dtype).bits > 16 or not dtype.is_float:
        return 0.0
    size = np.abs(y)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.abs(np.log(size)) * size
    return np.where(np.isfinite(spread), spread, 0.0) * _unit(run)


def _coefficients(count: int, double: Extra) -> Extra:
    """``count`` attributes rounded to a half-width type before use, as OpenVINO and TVM do; ``double`` otherwise."""

    def extra(run: Run, y: Array) -> Bound:
        dtype = run.dtypes[0]
        if dtype is None or dtype.bits > 16:
            return double(run, y)
        return np.abs(y) * (count * dtype.unit)

    return extra


def _in_double(factor: float, absolute: float = 0.0) -> Extra:
    """``factor * |y| + absolute`` in double alone, where a backend is worse than in float."""

    def extra(run: Run, y: Array) -> Bound:
        return np.abs(y) * factor + absolute if _is_double(run) else 0.0

    return extra


def _swish(run: Run, y: Array) -> Bound:
    """The absolute units of Sigmoid, times x."""
    del y
    return np.abs(run[0]) * (6 * _unit(run))


def _softplus(run: Run, y: Array) -> Bound:
    """exp(-x) in double beyond 20, where torch returns x itself."""
    if not _is_double(run):
        return 0.0
    size = np.abs(y)
    return np.where(size > 19, 1.1 * np.exp(-np.maximum(size, 0)), 0.0)


def _slope(run: Run, y: Array) -> Bound:
    """A factor of x held in float32: 1/6 of HardSwish, which ONNX's function body has as an attribute."""
    del y
    return np.abs(run[0]) * _FLOAT32 if _is_double(run) else 0.0


def _gelu(run: Run, y: Array) -> Bound:
    """Constants of the tanh form held in float32 (ONNX Runtime: 5.8e-9 in double)."""
    return 0.0 if run.params.get("approximate", b"none") == b"none" else _slope(run, y)


# Coefficients that are written with more digits than float32 attributes hold: 0.01, 1/6, 0.2, Selu's alpha.
_FLOAT32 = 2.0**-24
_U = 2.0**-53

_EXTRA: dict[str, Extra] = {
    "Sinh": _hyperbolic,
    "Cosh": _hyperbolic,
    "Pow": _power,
    "Swish": _swish,
    "Softplus": _softplus,
    "Gelu": _gelu,
    "Sin": _in_double(0.0, 8 * _U),  # ONNX Runtime 6 u
    "Cos": _in_double(0.0, 8 * _U),
    "Atanh": _in_double(2 * 260 * _U),  # XLA 130 ulp
    "Mish": _in_double(0.0, 74 * _U),  # 37 u
    "Selu": _coefficients(2, _in_double(2 * _FLOAT32)),
    "LeakyRelu": _coefficients(1, _in_double(_FLOAT32)),
    "Elu": _coefficients(1, _in_double(0.0)),
    "Celu": _coefficients(1, _in_double(0.0)),
    "HardSigmoid": _in_double(_FLOAT32, _FLOAT32),
    "HardSwish": _slope,
}


def granted(name: str) -> Accuracy:
    """What a result is granted in float32 and wider; correct rounding unless the table says otherwise."""
    return _GRANTS.get(name, CORRECTLY_ROUNDED)


def extra(name: str) -> Extra | None:
    """What is granted on top and depends on operands or type: a function of run and result, or None."""
    return _EXTRA.get(name)


def in_type(accuracy: Accuracy, dtype: DType, contract: Contract = PERMISSIVE) -> Accuracy:
    """The grant in an element type: half-width types have steps of their own, or those of float and one rounding."""
    if not accuracy.composed or dtype.bits > 16:
        return accuracy
    step = contract.step(dtype)
    if step is not dtype:
        finer = step.unit / dtype.unit
        return Accuracy(0.5 + accuracy.ulps * finer, accuracy.units * finer, composed=True)
    return Accuracy(max(accuracy.ulps, HALF.ulps), max(accuracy.units, HALF.units), composed=True)
