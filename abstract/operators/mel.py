"""The mel scale: frequencies as they are heard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.dims import floor_div
from abstract.error import is_exact, tainted
from abstract.operator import Array, Bound, Call, NotCovered, Operator, Run, Scope, Typing
from abstract.operators.axes import index_constant, whole_number
from abstract.operators.elementwise import FLOAT
from abstract.operators.tapers import NUMBER, output_datatype, typed

if TYPE_CHECKING:
    from abstract.types import Shape

__all__ = ["OPERATORS"]

_STEADY = 2.0**-16  # of a position among the frequencies: some roundings of float on the way to mels and back


def propose_mel(s: Scope) -> Call:
    """Frequencies between 0 and half of the sample rate, in every type that they may have."""
    rate, kind = s.pick((800, 4000, 8000, 16000)), s.dtype("T2", FLOAT)
    lower = s.pick((0, 0, 1, 4, 8)) * rate / 64
    upper = min(lower + s.pick((8, 16, 24, 32)) * rate / 64, rate / 2)
    length = s.integer(2, 40)
    # An odd length has no frequency at half of the rate, and ONNX Runtime refuses what lies beyond the last.
    params: dict[str, Any] = {"num_mel_bins": s.integer(1, 8), "dft_length": length - length % 2 * (2 * upper >= rate)}
    out = s.dtype("T3", NUMBER)
    if out.name != "float" or s.coin(0.5):
        params["output_datatype"] = out.code
    edges = (s.constant(np.asarray(edge).astype(kind.numpy), kind) for edge in (lower, upper))
    return Call((index_constant(s, 2, np.asarray(rate)), *edges), params)


def mel_shape(t: Typing) -> tuple[Shape, ...]:
    """(dft_length // 2 + 1, bands)."""
    return ((floor_div(whole_number(t.params["dft_length"]), 2) + 1, whole_number(t.params["num_mel_bins"])),)


def _positions(run: Run) -> Array:
    """Where the edges and centres of the bands lie among the frequencies of the spectrum, before rounding down.

    ONNX's text gives the scale alone; that the range is cut into ``bands + 2`` steps, and a position is
    ``(dft_length + 1) hertz / rate``, is what its reference evaluator and ONNX Runtime have in common.
    """
    rate, lower, upper = (float(run[i].reshape(-1)[0]) for i in range(3))
    bands, length = (int(whole_number(run.params[name])) for name in ("num_mel_bins", "dft_length"))
    low, high = (2595 * np.log10(1 + f / 700) for f in (lower, upper))
    mels = low + np.arange(bands + 2) * ((high - low) / (bands + 2))
    hertz = 700 * (10 ** (mels / 2595) - 1)
    hertz[0] = lower
    positions: Array = (length + 1) * hertz / rate
    return positions


def mel(run: Run) -> tuple[Array, ...]:
    """Triangles over the frequencies, one a column, with a peak of 1."""
    at = np.floor(_positions(run)).astype(np.int64)
    rows = np.arange(int(whole_number(run.params["dft_length"])) // 2 + 1)[:, None]
    lower, centre, upper = at[:-2], at[1:-1], at[2:]
    if at.min() < 0 or at.max() > len(rows):
        raise NotCovered("MelWeightMatrix of frequencies that the spectrum does not have")
    rising = (rows - lower) / np.maximum(centre - lower, 1)
    falling = (upper - rows) / np.maximum(upper - centre, 1)
    y = np.where((rows >= lower) & (rows < centre), rising, 0.0)
    y = np.where((rows > centre) & (rows < upper), falling, y)
    return (typed(np.where(rows == centre, 1.0, y), run.output_dtypes[0]),)


def _unsteady(run: Run) -> Array:
    """The bands one of whose three positions rounding may move to another frequency."""
    at = _positions(run)
    kind = run.dtypes[1]
    share = _STEADY if kind is None else max(_STEADY, 4 * run.contract.step(kind).unit)
    near = np.abs(at - np.rint(at)) <= share * (at + 1)
    near[0] &= float(run[1].reshape(-1)[0]) != 0.0
    bands: Array = near[:-2] | near[1:-1] | near[2:]
    return bands


def mel_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Nothing is known of a band that is not sure to lie where it does."""
    if not all(map(is_exact, e)):
        return (np.inf,)
    return (tainted(y[0], _unsteady(run)),)


OPERATORS: tuple[Operator, ...] = (
    Operator("MelWeightMatrix", propose_mel, mel_shape, mel, mel_error, parameters=("num_mel_bins", "dft_length"),
             since=17, defined=lambda run: not _unsteady(run).any(), output_dtypes=output_datatype, weight=0.3),
)  # fmt: skip
