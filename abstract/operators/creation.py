"""Operators whose values do not depend on values: Shape, Size, ConstantOfShape, EyeLike, Range."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.numpy_helper

from abstract.dims import Expr
from abstract.dtypes import BY_CODE, DType, Kind, dtype
from abstract.error import SHAPELESS, exact_zero, rounding_unit
from abstract.operator import Array, Bound, Call, NotCovered, Operator, Params, Run, Scope, Typing
from abstract.operators.axes import operand

if TYPE_CHECKING:
    from abstract.schema import Signature
    from abstract.types import Shape

__all__ = ["OPERATORS", "uncertain_count"]

_NUMERIC = (Kind.FLOAT, Kind.SIGNED, Kind.UNSIGNED, Kind.BOOL)


def propose_shape(s: Scope) -> Call:
    """Any operand; from opset 15 a part of its shape, the ends beyond it now and then (hazard H4.13)."""
    x = operand(s)
    params: dict[str, Any] = {}
    if "start" in s.signature.attributes:
        reach = x.type.rank + 1
        if s.coin(0.4):
            params["start"] = s.integer(-reach, reach)
        if s.coin(0.4):
            params["end"] = s.integer(-reach, reach)
    return Call((x,), params)


def _part(params: Params) -> slice:
    return slice(params.get("start", 0), params.get("end"))


def shape_shape(t: Typing) -> tuple[Shape, ...]:
    """As many elements as axes in the part; slices clamp as the specification does."""
    return ((len(t[0][_part(t.params)]),),)


def shape_values(run: Run) -> tuple[Array, ...]:
    """The sizes of the axes."""
    return (np.array(run[0].shape[_part(run.params)], dtype=np.int64),)


def propose_size(s: Scope) -> Call:
    """Any operand."""
    return Call((operand(s),))


def scalar_shape(t: Typing) -> tuple[Shape, ...]:
    """A scalar."""
    del t
    return ((),)


def size_values(run: Run) -> tuple[Array, ...]:
    """The number of elements."""
    return (np.array(run[0].size, dtype=np.int64),)


# -- ConstantOfShape -----------------------------------------------------------------------------------------


def propose_filled(s: Scope) -> Call:
    """A small shape, a scalar now and then; a value of any type, or the default: 0 in float32."""
    sizes = tuple(s.told(1, 4) or s.size(1, 4, "f") for _ in range(s.integer(0, 3)))
    kind = s.dtype(s.signature.outputs[0].variable, _NUMERIC)
    if kind.name == "float" and s.coin(0.4):
        return Call((), {"input": sizes})
    number = s.pick((0, 1, 1, 5)) if kind.kind is not Kind.BOOL else s.integer(0, 1)
    tensor = onnx.TensorProto(data_type=kind.code, dims=[1])
    tensor.raw_data = np.array([number]).astype(kind.numpy).tobytes()
    return Call((), {"input": sizes, "value": tensor})


def filled_shape(t: Typing) -> tuple[Shape, ...]:
    """The shape asked for."""
    return (tuple(t.params["input"]),)


def filled_values(run: Run) -> tuple[Array, ...]:
    """One value everywhere."""
    tensor = run.params.get("value")
    value = 0 if tensor is None else onnx.numpy_helper.to_array(tensor).reshape(-1)[0]
    return (np.full(tuple(run.params["input"]), value, dtype=run.output_dtypes[0].carrier),)


def _filled_dtype(t: Typing, sign: Signature) -> tuple[DType, ...]:
    del sign
    tensor = t.params.get("value")
    return (dtype("float") if tensor is None else BY_CODE[tensor.data_type],)


# -- EyeLike, Range ------------------------------------------------------------------------------------------


def propose_eye(s: Scope) -> Call:
    """Ones on a diagonal, which may lie outside the matrix (hazard H3.18), in the operand's type or another."""
    x = operand(s, rank=(2, 2), kinds=_NUMERIC)
    params: dict[str, Any] = {}
    if s.coin(0.4):
        params["dtype"] = s.dtype("T2", _NUMERIC).code
    if s.coin(0.6):
        params["k"] = s.integer(-3, 3)
    return Call((x,), params)


def eye_shape(t: Typing) -> tuple[Shape, ...]:
    """The input's shape."""
    return (t[0],)


def eye_values(run: Run) -> tuple[Array, ...]:
    """Ones on the k-th diagonal."""
    rows, columns = run[0].shape
    return (np.eye(rows, columns, run.params.get("k", 0), dtype=run.output_dtypes[0].carrier),)


def _eye_dtype(t: Typing, sign: Signature) -> tuple[DType, ...]:
    del sign
    like, code = t.dtypes[0], t.params.get("dtype")
    if code is not None:
        return (BY_CODE[code],)
    if like is None:
        raise NotCovered("EyeLike of an unknown element type")
    return (like,)


def propose_range(s: Scope) -> Call:
    """Whole numbers, of floats halves too, upwards or downwards (hazard H4.15); from 0 to an open size as well."""
    whole, stored = s.told(1, 12), s.stored("T")
    if whole is not None:
        return Call((), {"start": 0, "limit": whole, "delta": 1}, stored=stored)
    start, delta = s.integer(-5, 5), s.pick((1, 1, 2, 3, -1, -2))
    limit = start + delta * s.integer(1, 6) - (s.integer(0, abs(delta) - 1) if delta > 0 else 0)
    params: dict[str, int | float] = {"start": start, "limit": limit, "delta": delta}
    if stored and stored["T"].is_float and s.coin(0.5):
        params = {name: number / 2 for name, number in params.items()}
    return Call((), params, stored=stored)


def range_shape(t: Typing) -> tuple[Shape, ...]:
    """The ceiling of (limit - start) / delta, at least 0."""
    limit = t.params["limit"]
    return ((limit if isinstance(limit, Expr) else _steps(t.params),),)


def _scalar(params: Params, name: str) -> int | float:
    """A scalar parameter; a tensor of one element, which ONNX's own function bodies pass, does as well."""
    given = params[name]
    number: int | float = given[0] if isinstance(given, tuple) else given
    return number


def _steps(params: Params) -> int:
    start, limit, delta = (_scalar(params, name) for name in ("start", "limit", "delta"))
    if all(isinstance(v, int) for v in (start, limit, delta)):
        return int(max(-((start - limit) // delta), 0))
    return int(max(ceil((limit - start) / delta), 0))


def range_values(run: Run) -> tuple[Array, ...]:
    """Element i is start + i * delta, without accumulation."""
    start, delta = _scalar(run.params, "start"), _scalar(run.params, "delta")
    at = np.arange(_steps(run.params))
    carrier = run.output_dtypes[0].carrier
    return (start + at.astype(carrier) * carrier.type(delta),)


def uncertain_count(start: float, limit: float, delta: float, kind: DType) -> bool:
    """Whether the number of steps is whole but for roundings to a type; not if start and limit are multiples of one."""
    steps = (limit - start) / delta
    whole = (start / delta).is_integer() and (limit / delta).is_integer()
    lost = (abs(start) + abs(limit) + 2 * abs(limit - start)) * kind.unit / abs(delta)
    return not whole and abs(steps - round(steps)) <= lost


def range_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """None for whole numbers that the type holds; else one rounding an element if the step is accumulated.

    Where the number of steps hangs on a rounding nothing is known. The table of hazards says so of the declared type;
    the type here is that in which a target holds it, which may be narrower.
    """
    del e
    kind = run.output_dtypes[0]
    if not kind.is_float:
        return (0.0,)
    largest = float(np.abs(y[0]).max(initial=0.0)) + abs(_scalar(run.params, "delta"))
    if largest <= 2.0**kind.precision and all(float(run.params[n]).is_integer() for n in ("start", "delta")):
        return (0.0,)
    start, limit, delta = (float(run.params[n]) for n in ("start", "limit", "delta"))
    if uncertain_count(start, limit, delta, kind):
        return (SHAPELESS,)
    return (largest * rounding_unit(run, kind) * (y[0].size + 1),)


OPERATORS: tuple[Operator, ...] = (
    Operator("Shape", propose_shape, shape_shape, shape_values, exact_zero, exact=True, weight=0.7),
    Operator("Size", propose_size, scalar_shape, size_values, exact_zero, exact=True, weight=0.3),
    Operator("ConstantOfShape", propose_filled, filled_shape, filled_values, exact_zero, parameters=("input",),
             exact=True, weight=0.3, output_dtypes=_filled_dtype),
    Operator("EyeLike", propose_eye, eye_shape, eye_values, exact_zero, exact=True, weight=0.3,
             output_dtypes=_eye_dtype),
    Operator("Range", propose_range, range_shape, range_values, range_error, parameters=("start", "limit", "delta"),
             exact=True, weight=0.3),
)  # fmt: skip
