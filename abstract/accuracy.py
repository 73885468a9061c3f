"""How accurate a maths library has to be: what each function is granted, as data with its source.

Measured on eight CPU backends over 379,000 float32 points a function (2026-11): about twice the worst that any showed,
regions excluded that are plainly wrong. An ``ulp`` is the spacing at the exact result, a ``unit`` is u = 2**-precision.
Half-width types get ``HALF`` for every function: backends compute them in float32 and round once, or compose them.
"""

from __future__ import annotations

from abstract.dtypes import DType
from abstract.operator import Accuracy

__all__ = ["HALF", "granted", "in_type"]

CORRECTLY_ROUNDED = Accuracy(0.5, 0.0)
HALF = Accuracy(8.0, 16.0)

# function: (ulps, units)
_FUNCTIONS: dict[str, Accuracy] = {
    "Exp": Accuracy(11, 0),
    "Sin": Accuracy(5, 4),
    "Sqrt": Accuracy(1.5, 0),
}


def granted(name: str) -> Accuracy:
    """What an operator's result is granted in float32 and wider; correct rounding unless the table says otherwise."""
    return _FUNCTIONS.get(name, CORRECTLY_ROUNDED)


def in_type(accuracy: Accuracy, dtype: DType) -> Accuracy:
    """The grant in an element type: functions are composed more coarsely in half-width types."""
    if accuracy is CORRECTLY_ROUNDED or dtype.bits > 16:
        return accuracy
    return Accuracy(max(accuracy.ulps, HALF.ulps), max(accuracy.units, HALF.units))
