"""Operators of the domain com.microsoft that pick elements, count or convolve as ONNX's own of the same name do.

ONNX Runtime, docs/ContribOperators.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible, at_least
from abstract.error import moved
from abstract.operator import Array, Bound, Call, NotCovered, Operator, Run, Scope, Typing
from abstract.operators import creation, quantized, selection
from abstract.operators.axes import operand

if TYPE_CHECKING:
    from collections.abc import Callable

    from abstract.operator import Params
    from abstract.types import Parts, Shape, Sizes

__all__ = ["OPERATORS"]

_ROWS: dict[str, Operator] = {
    row.name: row for rows in (creation.OPERATORS, quantized.OPERATORS, selection.OPERATORS) for row in rows
}


def propose_gather_nd(s: Scope) -> Call:
    """As ONNX's of version 11, which has no batch axes."""
    call = _ROWS["GatherND"].propose(s)
    if call.params.get("batch_dims"):
        raise Infeasible("no batch axes")
    return Call(call.inputs)


# -- Range ---------------------------------------------------------------------------------------------------------


def _stepped(params: Params) -> dict[str, Any]:
    """The parameters with a step: 1 where it is left out."""
    return {**params, "delta": 1 if params.get("delta") is None else params["delta"]}


def propose_range(s: Scope) -> Call:
    """As ONNX's; a step of 1 may be left out."""
    call = _ROWS["Range"].propose(s)
    if call.params["delta"] != 1 or s.coin(0.5):
        return call
    return replace(call, params={name: given for name, given in call.params.items() if name != "delta"})


def range_shape(t: Typing) -> tuple[Sizes | Parts, ...]:
    """Range's."""
    return _ROWS["Range"].shape(replace(t, params=_stepped(t.params)))


def range_values(run: Run) -> tuple[Array, ...]:
    """Range's."""
    return _ROWS["Range"].evaluate(replace(run, params=_stepped(run.params)))


def range_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Range's."""
    return _ROWS["Range"].error(replace(run, params=_stepped(run.params)), y, e)


# -- UnfoldTensor --------------------------------------------------------------------------------------------------


def propose_unfold(s: Scope) -> Call:
    """Windows along any axis, one after the other, apart, or one over the other."""
    x = operand(s, rank=(1, 7), where=lambda v: v.array.size <= 512 and any(v.array.shape))
    axis = s.pick([axis for axis, n in enumerate(x.array.shape) if n])
    params: dict[str, int] = {"size": s.integer(1, min(x.array.shape[axis], 4))}
    if axis < x.type.rank - 1 or s.coin(0.5):
        params["dim"] = axis - s.pick((0, x.type.rank))
    if s.coin(0.6):
        params["step"] = s.integer(1, 4)
    return Call((x,), params)


def unfold_shape(t: Typing) -> tuple[Shape, ...]:
    """(n - size) // step + 1 windows along the axis, and an axis for what is in one."""
    x, size = t[0], t.params["size"]
    axis = _axis(t.params, len(x))
    t.store.require(at_least(x[axis], size))
    count = (x[axis] - size) // t.params.get("step", 1) + 1
    return ((*x[:axis], count, *x[axis + 1 :], size),)


def _axis(params: Params, rank: int) -> int:
    axis = params.get("dim", -1)
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of a tensor of rank {rank}")
    return int(axis % rank)


def unfold_values(run: Run) -> tuple[Array, ...]:
    """As numpy's sliding windows, of which each step-th is kept."""
    x = run[0]
    axis = _axis(run.params, x.ndim)
    windows = np.lib.stride_tricks.sliding_window_view(x, run.params["size"], axis)
    kept = windows[(slice(None),) * axis + (slice(None, None, run.params.get("step", 1)),)]
    return (np.array(kept),)


# -- QLinearConv ---------------------------------------------------------------------------------------------------


def _channels_first(rule: Callable[..., Any]) -> Callable[..., Any]:
    """A rule of ONNX's QLinearConv, whose channels come first."""

    def asked(run: Any, *rest: Any) -> Any:
        if run.params.get("channels_last"):
            raise NotCovered("channels in the last axis")
        return rule(run, *rest)

    return asked


_CONV = _ROWS["QLinearConv"]

OPERATORS: tuple[Operator, ...] = (
    replace(_ROWS["GatherND"], name="com.microsoft.GatherND", propose=propose_gather_nd, weight=0.3),
    Operator("com.microsoft.Range", propose_range, range_shape, range_values, range_error,
             parameters=("start", "limit", "delta"), exact=True, weight=0.3),
    Operator("com.microsoft.UnfoldTensor", propose_unfold, unfold_shape, unfold_values, moved(unfold_values),
             exact=True, weight=0.3),
    replace(_CONV, name="com.microsoft.QLinearConv", shape=_channels_first(_CONV.shape),
            evaluate=_channels_first(_CONV.evaluate), error=_channels_first(_CONV.error), weight=0.5),
)  # fmt: skip
