"""Window functions of the signal operators: Hann, Hamming, Blackman."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.dtypes import BY_CODE, DType, Kind
from abstract.operator import Array, Bound, Call, Operator, Run, Scope, Typing
from abstract.operators.axes import whole_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from abstract.schema import Signature
    from abstract.types import Shape

__all__ = ["NUMBER", "OPERATORS", "output_datatype", "typed"]

NUMBER = (Kind.FLOAT, Kind.SIGNED, Kind.UNSIGNED)
_SINGLE = 2.0**-24


def propose_window(s: Scope) -> Call:
    """Two points or more (a window of one divides by 0 where it is symmetric), of every type."""
    params: dict[str, Any] = {"size": np.int32(s.integer(2, 17)) if s.coin(0.3) else s.size(2, 17, "w")}
    kind = s.dtype(s.signature.outputs[0].variable, NUMBER)
    if kind.name != "float" or s.coin(0.5):
        params["output_datatype"] = kind.code
    if s.coin(0.6):
        params["periodic"] = s.integer(0, 1)
    return Call((), params)


def window_shape(t: Typing) -> tuple[Shape, ...]:
    """As many points as asked for."""
    return ((whole_number(t.params["size"]),),)


def output_datatype(t: Typing, sign: Signature) -> tuple[DType, ...]:
    """What the attribute of that name says; float where it says nothing."""
    del sign
    return (BY_CODE[int(t.params.get("output_datatype", 1))],)


def _curve(run: Run, weights: tuple[float, float, float]) -> Array:
    """a0 - a1 cos(x) + a2 cos(2x), x going once around in size points, or in size - 1 if symmetric."""
    size = int(whole_number(run.params["size"]))
    around = size if run.params.get("periodic", 1) else size - 1
    x = np.arange(size) * (2 * np.pi / max(around, 1))
    first, second, third = weights
    y: Array = first - second * np.cos(x) + third * np.cos(2 * x)
    return y


def typed(y: Array, dtype: DType) -> Array:
    """Numbers in the type that is asked for, cut off where that has whole ones alone."""
    return y if dtype.is_float else np.trunc(y).astype(dtype.carrier)


def _window(*weights: float) -> tuple[Callable[[Run], tuple[Array, ...]], Callable[..., tuple[Bound, ...]]]:
    """Value and error of a window. The function's body computes it in float and casts it, whatever it is asked for.

    The angle, up to 2 pi, is rounded three times (40 units; twice that at 2 x), a cosine is granted 9, sums the rest.
    """
    first, second, third = weights

    def evaluate(run: Run) -> tuple[Array, ...]:
        return (typed(_curve(run, (first, second, third)), run.output_dtypes[0]),)

    def error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
        del e
        kind = run.output_dtypes[0]
        unit = max(_SINGLE, run.contract.step(kind).unit)
        reach = unit * (50 * second + 90 * third + 4)
        if kind.is_float:
            return (np.full(y[0].shape, reach),)
        exact = _curve(run, (first, second, third))
        ends = np.abs([np.trunc(exact + reach) - y[0], np.trunc(exact - reach) - y[0]])
        return (ends.max(axis=0),)

    return evaluate, error


_HANN = _window(0.5, 0.5, 0.0)
_HAMMING = _window(25 / 46, 21 / 46, 0.0)
_BLACKMAN = _window(0.42, 0.5, 0.08)


OPERATORS: tuple[Operator, ...] = tuple(
    Operator(name, propose_window, window_shape, *rules, parameters=("size",), since=17, output_dtypes=output_datatype,
             tied=True, weight=0.3)
    for name, rules in (("HannWindow", _HANN), ("HammingWindow", _HAMMING), ("BlackmanWindow", _BLACKMAN))
)  # fmt: skip
