"""Operators of the domain com.microsoft that move elements: what ONNX has since, under its old name or another form.

ONNX Runtime, docs/ContribOperators.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from abstract.constraints import Infeasible
from abstract.error import moved
from abstract.operator import Array, Bound, Call, NotCovered, Operator, Run, Scope, Typing
from abstract.operators import cropping
from abstract.operators.axes import operand
from abstract.operators.elementwise import FLOAT

if TYPE_CHECKING:
    from abstract.operator import Params
    from abstract.types import Shape

__all__ = ["OPERATORS"]

_ROWS = {row.name: row for row in cropping.OPERATORS}


def propose_expand(s: Scope) -> Call:
    """A new axis anywhere, counted from either end."""
    x = operand(s, rank=(0, 7))
    return Call((x,), {"axis": s.integer(-x.type.rank - 1, x.type.rank)})


def _axis(params: Params, rank: int) -> int:
    axis = int(params["axis"])
    if not -rank - 1 <= axis <= rank:
        raise Infeasible("an axis out of range")
    return axis % (rank + 1)


def expand_shape(t: Typing) -> tuple[Shape, ...]:
    """A 1 at the axis."""
    axis = _axis(t.params, len(t[0]))
    return ((*t[0][:axis], 1, *t[0][axis:]),)


def expand_values(run: Run) -> tuple[Array, ...]:
    """As numpy's expand_dims."""
    return (np.expand_dims(run[0], _axis(run.params, run[0].ndim)),)


def _renamed(params: Params) -> dict[str, object]:
    """The parameters as ONNX's Pad has them."""
    if any(isinstance(width, list) for width in params["pads"]):
        raise NotCovered("pads of two axes")
    given = params.get("value")
    value = given[0] if isinstance(given, tuple) else given
    kept = {name: params[name] for name in ("mode", "pads") if name in params}
    return kept if value is None else {**kept, "constant_value": value}


def propose_pad(s: Scope) -> Call:
    """As ONNX's at opset 13, on floats."""
    call = _ROWS["Pad"].propose(s)
    first = call.inputs[0]
    if first is None or first.type.dtype.kind not in FLOAT or call.params.get("mode") == b"wrap":
        raise Infeasible("floats alone, and three modes")
    params = dict(call.params)
    if "constant_value" in params:
        params["value"] = params.pop("constant_value")
    return Call(call.inputs, params)


def pad_shape(t: Typing) -> tuple[Shape, ...]:
    """Pad's."""
    (shape,) = _ROWS["Pad"].shape(replace(t, params=_renamed(t.params)))
    return (shape,)  # type: ignore[return-value]


def pad_values(run: Run) -> tuple[Array, ...]:
    """Pad's."""
    return _ROWS["Pad"].evaluate(replace(run, params=_renamed(run.params)))


def pad_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Pad's."""
    return _ROWS["Pad"].error(replace(run, params=_renamed(run.params)), y, e)


OPERATORS: tuple[Operator, ...] = (
    replace(_ROWS["Trilu"], name="com.microsoft.Trilu", since=13),
    Operator("com.microsoft.ExpandDims", propose_expand, expand_shape, expand_values, moved(expand_values),
             parameters=("axis",), exact=True, weight=0.3),
    Operator("com.microsoft.Pad", propose_pad, pad_shape, pad_values, pad_error, parameters=("pads", "value"),
             exact=True, weight=0.3),
)  # fmt: skip
