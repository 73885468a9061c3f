"""Normalization by mean and deviation: of a batch, an instance, a group, a layer; mean-variance and RMS."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible, divisible
from abstract.dtypes import BY_CODE
from abstract.error import is_exact, rounding_unit, spread, step_unit
from abstract.operator import Accuracy, Array, Bound, Call, Domain, NotCovered, Operator, Run, Scope, Typing
from abstract.operators.axes import counted, from_front
from abstract.operators.broadcast import broadcast_shape
from abstract.operators.elementwise import FLOAT, same_shape
from abstract.operators.normalized import FLOAT32, Axes, Normalized, epsilon_loss, stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from abstract.dtypes import DType
    from abstract.graph import Value
    from abstract.schema import Signature
    from abstract.types import Shape

__all__ = ["OPERATORS"]

_MODERATE = Domain(-64.0, 64.0)  # H6.14: squares of |x| > 256 leave float16
_POSITIVE = Domain(low=0.0625, high=64.0)


def _not_empty(value: Value) -> bool:
    return value.array.size > 0


def _per_channel(x: Array | float, rank: int) -> Any:
    """A tensor (C,) or its bound so that it broadcasts along axis 1."""
    return x if isinstance(x, float) else x.reshape(-1, *(1,) * (rank - 2)) if rank > 1 else x


# -- scale and bias -----------------------------------------------------------------------------------------------


def _affine_error(run: Run, scaled: Array, error: Array, scale: Any, bias: Any, bounds: tuple[Any, Any]) -> Bound:
    """The error of scaled * scale + bias: products of errors, a rounding a step, whichever way it is folded."""
    unit = max(rounding_unit(run, d) for d in (stage(run), *run.dtypes))
    size = np.abs(scale)
    total: Bound = error * (size + bounds[0]) * (1 + 4 * unit) + np.abs(scaled) * (bounds[0] + size * (4 * unit))
    return total if bias is None else total + bounds[1] + np.abs(bias) * (2 * unit)


def _affine(y: Array, scale: Array, bias: Array | None) -> Array:
    result: Array = y * scale
    return result if bias is None else result + bias


# -- instance, group, layer, RMS -------------------------------------------------------------------------------


def _scale_and_bias(s: Scope, shape: Shape) -> tuple[Value, Value]:
    scale = s.shaped(shape, weight=True, domain=_MODERATE)
    return scale, s.shaped(shape, weight=True, domain=_MODERATE)


def propose_instance(s: Scope) -> Call:
    """Scale and bias a channel."""
    x = s.tensor(kinds=FLOAT, rank=(3, 5), domain=_MODERATE, where=_not_empty)
    scale, bias = _scale_and_bias(s, (x.type.shape[1],))
    return Call((x, scale, bias), {"epsilon": s.pick((1e-5, 1e-3, 0.01))} if s.coin(0.5) else {})


def channel_shape(t: Typing) -> tuple[Shape, ...]:
    """The shape of the input; every other operand has one element a channel."""
    x = t[0]
    for shape in t.shapes[1:]:
        if shape is not None:
            t.store.unify(shape[0], x[1] if len(x) > 1 else 1)
    return (x,)


def _instance_axes(run: Run) -> Axes:
    return tuple(range(2, run[0].ndim))


def _epsilon(run: Run) -> float:
    return float(run.params.get("epsilon", 1e-5))


def instance(run: Run) -> tuple[Array, ...]:
    """Each plane of each instance by its own mean and variance."""
    x = run[0]
    made = Normalized(run, x, _instance_axes(run), _epsilon(run), centre=True)
    return (_affine(made.scaled, _per_channel(run[1], x.ndim), _per_channel(run[2], x.ndim)),)


def instance_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """See ``Normalized.errors`` and ``_affine_error``."""
    del y
    x = run[0]
    made = Normalized(run, x, _instance_axes(run), _epsilon(run), centre=True)
    error = made.errors(run, e[0])[2]
    scale, bias = _per_channel(run[1], x.ndim), _per_channel(run[2], x.ndim)
    bounds = (_per_channel(e[1], x.ndim), _per_channel(e[2], x.ndim))
    return (_affine_error(run, made.scaled, error, scale, bias, bounds),)


def propose_group(s: Scope) -> Call:
    """Groups that divide the channels; scale and bias a channel, or before opset 21 a group."""
    x = s.tensor(kinds=FLOAT, rank=(3, 5), domain=_MODERATE, where=_not_empty)
    channels = x.type.shape[1]
    count = s.store.value(channels)
    groups = s.pick([g for g in range(1, count + 1) if count % g == 0])
    s.store.require(divisible(channels, groups))
    length = channels if s.signature.since >= 21 else groups
    scale, bias = _scale_and_bias(s, (length,))
    return Call((x, scale, bias), {"num_groups": groups})


def group_shape(t: Typing) -> tuple[Shape, ...]:
    """The shape of the input. Scale and bias have one element a channel (opset 21) or a group (opset 18)."""
    x, groups = t[0], t.params["num_groups"]
    t.store.require(divisible(x[1], groups))
    each = t.store.value(t[1][0]) == t.store.value(x[1])
    for shape in (t[1], t[2]):
        t.store.unify(shape[0], x[1] if each else groups)
    return (x,)


def _grouped(run: Run) -> tuple[Array, Callable[[Any], Any]]:
    """The input as (N, G, C/G, *spatial), and how scale, bias and their bounds are brought to it."""
    x, groups = run[0], int(run.params["num_groups"])
    wide = x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])

    def fitted(v: Any) -> Any:
        if isinstance(v, float):
            return v
        return v.reshape(groups, -1, *(1,) * (x.ndim - 2))

    return wide, fitted


def group(run: Run) -> tuple[Array, ...]:
    """Each group of channels of each instance by its own mean and variance."""
    x, fitted = _grouped(run)
    made = Normalized(run, x, tuple(range(2, x.ndim)), _epsilon(run), centre=True)
    return (_affine(made.scaled, fitted(run[1]), fitted(run[2])).reshape(run[0].shape),)


def group_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """As for an instance, on the grouped input."""
    wide, fitted = _grouped(run)
    inner = replace(run, inputs=(wide, *run.inputs[1:]))
    made = Normalized(inner, wide, tuple(range(2, wide.ndim)), _epsilon(run), centre=True)
    first = e[0] if isinstance(e[0], float) else np.broadcast_to(e[0], run[0].shape).reshape(wide.shape)
    error = made.errors(inner, first)[2]
    bounds = (fitted(e[1]), fitted(e[2]))
    total = _affine_error(run, made.scaled, error, fitted(run[1]), fitted(run[2]), bounds)
    return (np.broadcast_to(total, wide.shape).reshape(y[0].shape),)


def _layer_params(s: Scope, rank: int) -> tuple[int, dict[str, Any]]:
    axis = s.integer(0, rank - 1)
    params: dict[str, Any] = {}
    if axis != rank - 1 or s.coin(0.4):
        params["axis"] = axis - rank if s.coin(0.5) else axis
    if s.coin(0.4):
        params["epsilon"] = s.pick((1e-5, 1e-3, 0.01))
    return axis, params


def propose_layer(s: Scope) -> Call:
    """Axes from any on; a scale and now and then a bias of their shape; up to three outputs."""
    x = s.tensor(kinds=FLOAT, rank=(1, 5), domain=_MODERATE, where=_not_empty)
    axis, params = _layer_params(s, x.type.rank)
    tail = x.type.shape[axis:]
    scale = s.shaped(tail, weight=True, domain=_MODERATE)
    bias = s.shaped(tail, weight=True, domain=_MODERATE) if s.coin(0.7) else None
    if s.coin(0.9):
        return Call((x, scale, bias), params, outputs=s.pick((1, 1, 1, 2, 3)))
    return Call((x, scale, bias), {**params, "stash_type": s.dtype("U").code}, outputs=3)


def layer_shape(t: Typing) -> tuple[Shape, ...]:
    """The input's, and for mean and deviation the same with 1 from the axis on; scale and bias broadcast."""
    x = t[0]
    for shape in t.shapes[1:]:
        if shape is not None:
            for mine, theirs in zip(x, broadcast_shape(t.store, x, shape), strict=True):
                t.store.unify(mine, theirs)
    axis = from_front(t.params.get("axis", -1), len(x))
    statistics = (*x[:axis], *(1,) * (len(x) - axis))
    return (x, statistics, statistics)[: t.outputs]


def _layer_types(t: Typing, sign: Signature) -> tuple[DType, ...]:
    """Mean and inverse deviation are of the stash type."""
    own, stash = t.dtypes[0] or FLOAT32, BY_CODE[t.params.get("stash_type", sign.defaults["stash_type"])]
    return own, stash, stash


def _layer_axes(run: Run) -> Axes:
    rank = run[0].ndim
    return tuple(range(from_front(int(run.params.get("axis", -1)), rank), rank))


def layer(run: Run) -> tuple[Array, ...]:
    """The last axes by their mean and variance; also returns the mean and 1 / deviation."""
    made = Normalized(run, run[0], _layer_axes(run), _epsilon(run), centre=True)
    return _affine(made.scaled, run[1], run.optional(2)), made.mean, 1 / made.deviation


def layer_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """See ``Normalized.errors``; the inverse deviation errs by moved / (d (d - moved))."""
    made = Normalized(run, run[0], _layer_axes(run), _epsilon(run), centre=True)
    mean, moved, error = made.errors(run, e[0])
    bounds = (e[1], e[2] if len(e) > 2 else 0.0)
    total = _affine_error(run, made.scaled, error, run[1], run.optional(2), bounds)
    left = made.deviation - moved
    inverse = np.where(left > 0, moved / (made.deviation * left), np.inf)
    inverse = inverse + 4 * step_unit(run, stage(run)) / made.deviation
    return spread(total, y[0]), mean, inverse


def propose_rms(s: Scope) -> Call:
    """Axes from any on; a scale of their shape and the input's type (see docs/disputes.md for types of its own)."""
    x = s.tensor(kinds=FLOAT, rank=(1, 5), domain=_MODERATE, where=_not_empty)
    axis, params = _layer_params(s, x.type.rank)
    return Call((x, s.shaped(x.type.shape[axis:], weight=True, domain=_MODERATE)), params)


def rms(run: Run) -> tuple[Array, ...]:
    """The last axes by the root of their mean square."""
    made = Normalized(run, run[0], _layer_axes(run), _epsilon(run), centre=False)
    return (_affine(made.scaled, run[1], None),)


def rms_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """See ``Normalized.errors``."""
    made = Normalized(run, run[0], _layer_axes(run), _epsilon(run), centre=False)
    error = made.errors(run, e[0])[2]
    return (spread(_affine_error(run, made.scaled, error, run[1], None, (e[1], 0.0)), y[0]),)


# -- batch -----------------------------------------------------------------------------------------------------


def propose_batch(s: Scope) -> Call:
    """Inference alone (H6.13); variances off 0."""
    x = s.tensor(kinds=FLOAT, rank=(2, 5), domain=_MODERATE, where=_not_empty)
    channels = (x.type.shape[1],)
    # Types of their own for scale and statistics are legal since opset 15, and rare in practice.
    own = s.coin(0.2)
    names = [f.variable if own else "T" for f in s.signature.inputs]
    domains = (_MODERATE, _MODERATE, _MODERATE, _POSITIVE)
    operands = [s.shaped(channels, n, weight=True, domain=d) for n, d in zip(names[1:], domains, strict=True)]
    return Call((x, *operands), {"epsilon": s.pick((1e-5, 1e-3, 0.01))} if s.coin(0.4) else {})


def batch(run: Run) -> tuple[Array, ...]:
    """(x - mean) / sqrt(var + epsilon) * scale + bias with statistics that are given."""
    if run.params.get("training_mode", 0) or len(run.output_dtypes) > 1:
        raise NotCovered("BatchNormalization that trains")
    x = run[0]
    scale, bias, mean, variance = (_per_channel(run[i], x.ndim).astype(x.dtype, copy=False) for i in range(1, 5))
    return ((x - mean) / np.sqrt(variance + _epsilon(run)) * scale + bias,)


def batch_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Products of (x - mean), 1/sqrt(var + epsilon) and the scale, each with its error; or folded to x s' + b'."""
    x = run[0]
    scale, bias, mean, variance = (_per_channel(run[i], x.ndim) for i in range(1, 5))
    unit = max(rounding_unit(run, d) for d in run.dtypes)  # each step in the type of its own operand
    epsilon = _epsilon(run)
    inverse = 1 / np.sqrt(variance + epsilon)
    slope = np.abs(scale) * inverse
    size = (np.abs(x) + np.abs(mean)) * slope
    rounding = size * (6 * unit + epsilon_loss(run, epsilon) * inverse * inverse) + np.abs(bias) * (2 * unit)
    if all(map(is_exact, e)):
        return (spread(rounding, y[0]),)
    e_scale, e_bias, e_mean, e_variance = (_per_channel(b, x.ndim) for b in e[1:5])
    steeper = 1 / np.sqrt(variance - e_variance + epsilon)  # NaN where the variance may be negative
    centred = np.abs(x - mean)
    grown = (centred + e[0] + e_mean) * steeper * (np.abs(scale) + e_scale)
    return (spread(grown * (1 + 6 * unit) - centred * slope + rounding + e_bias, y[0]),)


# -- mean-variance ----------------------------------------------------------------------------------------------


def propose_mean_variance(s: Scope) -> Call:
    """Any axes, never constant along them (H6.11). Always written, and float: ONNX's function body has no other."""
    x = s.tensor(kinds=FLOAT, rank=(2, 5), domain=_MODERATE, where=_not_empty)
    if x.type.dtype is not FLOAT32:
        raise Infeasible("MeanVarianceNormalization of another type than float")
    rank = x.type.rank
    axes = tuple(a for a in range(rank) if s.coin(0.5)) or (rank - 1,)
    return Call((x,), {"axes": tuple(a - rank for a in axes) if s.coin(0.3) else axes})


def _mean_variance(run: Run) -> Normalized:
    rank = run[0].ndim
    axes = counted(run.params.get("axes", (0, 2, 3)), rank)
    return Normalized(run, run[0], axes, 0.0, centre=True)


def mean_variance(run: Run) -> tuple[Array, ...]:
    """(x - mean) / (deviation + 1e-9), as ONNX's function body has it."""
    made = _mean_variance(run)
    return (made.centred / (made.deviation + 1e-9),)


def mean_variance_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """See ``Normalized.errors``; with or without the 1e-9, which kernels leave out."""
    made = _mean_variance(run)
    error = made.errors(run, e[0])[2]
    return (error + np.abs(y[0]) * (1e-9 / made.deviation + 4 * step_unit(run, run.dtypes[0])),)


def _has_spread(run: Run) -> bool:
    return bool((_mean_variance(run).deviation > 2.0**-6).all())


OPERATORS: tuple[Operator, ...] = (
    Operator("BatchNormalization", propose_batch, channel_shape, batch, batch_error, accuracy=Accuracy(2, 0)),
    Operator("InstanceNormalization", propose_instance, channel_shape, instance, instance_error),
    Operator("GroupNormalization", propose_group, group_shape, group, group_error, since=18),
    Operator("LayerNormalization", propose_layer, layer_shape, layer, layer_error, output_dtypes=_layer_types,
             since=17),
    Operator("RMSNormalization", propose_rms, layer_shape, rms, rms_error, since=23),
    Operator("MeanVarianceNormalization", propose_mean_variance, same_shape, mean_variance, mean_variance_error,
             defined=_has_spread, weight=0.5),
)  # fmt: skip
