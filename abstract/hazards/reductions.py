"""Hazards of reductions, normalization and softmax."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from abstract.hazards.arithmetic import nan_result
from abstract.hazards.hazard import ALL, NONE, Hazard, Says, Treatment, each
from abstract.operators.reduction import reduced_axes

if TYPE_CHECKING:
    from abstract.hazards.hazard import Mask
    from abstract.operator import Array, Run

__all__ = ["HAZARDS"]

_SUMS = ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceProd", "ReduceSum", "ReduceSumSquare")


def _empty(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Whether nothing is reduced to something."""
    del y
    shape = run[0].shape
    if 0 not in shape:
        return NONE
    axes = reduced_axes(run.params, len(shape))
    kept = prod(n for a, n in enumerate(shape) if a not in axes)
    return ALL if kept and 0 in [shape[a] for a in axes] else NONE


def _empty_integers(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    return _empty(run, y) if run.output_dtypes[0].is_integer else NONE


def _integers(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    return ALL if run[0].dtype.kind in "iu" else NONE


def _uneven_mean(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Integers whose sum is no multiple of their count, so that the mean must be rounded."""
    del y
    x = run[0]
    if x.dtype.kind not in "iu":
        return NONE
    axes = reduced_axes(run.params, x.ndim)
    count = prod(x.shape[a] for a in axes)
    total = x.sum(axis=axes, keepdims=bool(run.params.get("keepdims", 1)))
    return ALL if not count else each(np.asarray(total % count != 0))


# -- softmax ---------------------------------------------------------------------------------------------------


def _open_line(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Lines whose greatest element is no number: all of them -inf, or one +inf or NaN."""
    del y
    x = run[0]
    if not x.size or not x.ndim:
        return NONE
    top = x.max(axis=int(run.params.get("axis", -1)), keepdims=True)
    return each(~np.isfinite(top))


def _open_block(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """The same below version 13, where all axes from ``axis`` on are one line."""
    del y
    x = run[0]
    if not x.size or not x.ndim:
        return NONE
    first = int(run.params.get("axis", 1)) % max(x.ndim, 1) if x.ndim > 1 else 0
    top = x.max(axis=tuple(range(first, x.ndim)), keepdims=True)
    return each(~np.isfinite(top))


# -- normalization ---------------------------------------------------------------------------------------------


def _no_norm(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    x = run[0]
    if np.count_nonzero(x) == x.size:
        return NONE
    return each(~np.logical_or.reduce(x != 0, axis=int(run.params.get("axis", -1)), keepdims=True))


def _no_spread(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Sets that are constant, or so nearly that E[x**2] - E[x]**2 may be negative in their type."""
    del y
    x, own = run[0], run.dtypes[0]
    axes = tuple(int(a) % x.ndim for a in run.params.get("axes", (0, 2, 3)))
    if not x.size or own is None or max(axes, default=0) >= x.ndim:
        return NONE
    mean = x.mean(axis=axes, keepdims=True)
    variance = np.square(x - mean).mean(axis=axes, keepdims=True)
    count = prod(x.shape[a] for a in axes)
    return each(~(variance > np.square(mean) * (count * own.unit)))


def _training(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Several outputs are the sign of training below version 14."""
    del y
    return ALL if len(run.output_dtypes) > 1 else NONE


def _negative_variance(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Channels whose variance and epsilon are not positive together."""
    del y
    if run.params.get("training_mode", 0):
        return NONE
    bad = ~(run[4] + float(run.params.get("epsilon", 1e-5)) > 0)
    return each(bad.reshape(-1, *(1,) * max(run[0].ndim - 2, 0))) if bad.any() else NONE


# -- losses ----------------------------------------------------------------------------------------------------


def _stray_target(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    target, classes = run[1], run[0].shape[1]
    stray = (target < 0) | (target >= classes)
    ignored = run.params.get("ignore_index")
    if ignored is not None:
        stray &= target != ignored
    return ALL if stray.any() else NONE


def _all_ignored(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """The mean over no target at all."""
    del y
    ignored, reduction = run.params.get("ignore_index"), run.params.get("reduction", b"mean")
    return ALL if reduction == b"mean" and ignored is not None and bool((run[1] == ignored).all()) else NONE


_LOSSES = ("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
_EMPTY = "empty set"

HAZARDS: tuple[Hazard, ...] = (
    Hazard(
        "empty-reduction-unstated", _SUMS, "nothing is reduced to something, at version 11",
        Says.SILENT, "text; versions 1 and 13 have the sentence", Treatment.AVOID, _empty, since=11, until=13,
        words=_EMPTY, stops=True),
    Hazard(
        "empty-extremum-unstated", ("ReduceMax", "ReduceMin"), "nothing is reduced to something, at version 12",
        Says.SILENT, "text; versions 11 and 13 have the sentence", Treatment.AVOID, _empty, since=12, until=13,
        words=_EMPTY, stops=True),
    Hazard(
        "empty-mean", ("ReduceMean",), "the mean of nothing", Says.UNDEFINED, "text", Treatment.AVOID, _empty, since=13,
        words="empty set of values yields undefined", stops=True),
    Hazard(
        "empty-mean-unstated", ("ReduceMean",), "the mean of nothing, at version 11", Says.SILENT, "text",
        Treatment.AVOID, _empty, since=11, until=13, words=_EMPTY, stops=True),
    Hazard(
        "empty-logarithm", ("ReduceLogSum", "ReduceLogSumExp"), "the logarithm of a sum of nothing, as an integer",
        Says.UNDEFINED, "text", Treatment.AVOID, _empty_integers, since=13, until=28, words="or undefined otherwise",
        stops=True),
    Hazard(
        "empty-reduction", ("ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum"),
        "nothing is reduced to something: 0, 1, or the far end of the type",
        Says.DEFINED, "text", Treatment.COMPARE, since=13, words=_EMPTY),
    Hazard(
        "no-axes", ("ReduceSum",), "no axes: all are reduced, or with noop_with_empty_axes none",
        Says.DEFINED, "axes, noop_with_empty_axes", Treatment.COMPARE, since=13, words="noop_with_empty_axes"),
    Hazard(
        "reduced-nan", ("ReduceMax", "ReduceMin"), "NaN among what is reduced: passed on or passed over",
        Says.SILENT, "text", Treatment.AVOID, nan_result, words=r"(?-i:\bNaN\b)"),
    Hazard(
        "integer-mean", ("ReduceMean",), "integers whose mean is not whole: which way it is rounded",
        Says.SILENT, "text", Treatment.AVOID, _uneven_mean, words="integer division|round|trunc"),
    Hazard(
        "integer-root", ("ReduceL2", "ReduceLogSum", "ReduceLogSumExp"), "a root or logarithm as an integer",
        Says.SILENT, "text", Treatment.AVOID, _integers, words="integer division|round|trunc"),
    Hazard(
        "accumulator-width", ("Gemm", "MatMul", "ReduceMean", "ReduceSum"),
        "the type in which 16-bit floats are summed; the bound covers their own",
        Says.SILENT, "text", Treatment.COMPARE, since=13, words="accumulat"),
    Hazard(
        "softmax-open-line", ("Hardmax", "LogSoftmax", "Softmax"),
        "a line of -inf alone, or with +inf or NaN in it: the quotient has no value",
        Says.SILENT, "text", Treatment.AVOID, _open_line, since=13, words=r"infinit|(?-i:\bNaN\b)"),
    Hazard(
        "softmax-open-block", ("Hardmax", "LogSoftmax", "Softmax"), "the same below version 13, over all later axes",
        Says.SILENT, "text", Treatment.AVOID, _open_block, until=13, words=r"infinit|(?-i:\bNaN\b)"),
    Hazard(
        "zero-norm", ("LpNormalization",), "a line of zeros at version 1, whose older releases said nothing: NaN or 0",
        Says.DEFINED, "text as shipped today", Treatment.AVOID, _no_norm, until=22, words="zero"),
    Hazard(
        "zero-norm-defined", ("LpNormalization",), "a line of zeros from version 22 on gives zeros",
        Says.DEFINED, "text", Treatment.COMPARE, since=22, words="zero"),
    Hazard(
        "constant-set", ("MeanVarianceNormalization",),
        "a set without spread: no epsilon in the formula, one outside of the root in the function body",
        Says.IMPLEMENTATION, "text and function body", Treatment.AVOID, _no_spread, since=9, words=r"E\(X-EX\)\^2"),
    Hazard(
        "early-training", ("BatchNormalization",), "several outputs below version 14: training, on which variance",
        Says.SILENT, "text", Treatment.PROPERTIES, _training, since=7, until=14, words="population", stops=True),
    Hazard(
        "training-statistics", ("BatchNormalization",), "training from version 14 on: the population's variance",
        Says.DEFINED, "text", Treatment.COMPARE, since=14, words="population"),
    Hazard(
        "negative-variance", ("BatchNormalization",), "a variance that epsilon does not make positive",
        Says.SILENT, "text", Treatment.AVOID, _negative_variance, since=7, words="negative"),
    Hazard(
        "stray-target", _LOSSES, "a class outside of the scores that is not the one to ignore",
        Says.ERROR, "target, labels", Treatment.AVOID, _stray_target, since=12, words="shall be in range", stops=True),
    Hazard(
        "all-ignored", _LOSSES, "the mean over no target at all: 0 / 0", Says.SILENT, "text", Treatment.AVOID,
        _all_ignored, since=12, words="all ignored|divide by zero|0/0"),
)  # fmt: skip
