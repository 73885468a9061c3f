"""One application of an operator, before it enters a graph: its parameters as the file holds them, what it computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.bounded import tensors
from abstract.constraints import Infeasible
from abstract.dims import Dim, Expr
from abstract.hazards.detection import avoided
from abstract.nonfinite import carries
from abstract.operator import as_array

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from abstract.dtypes import DType
    from abstract.operator import Operator, Run
    from abstract.schema import Signature

__all__ = ["concrete", "evaluated", "refuse_specials", "settle"]


def concrete(params: Mapping[str, Any], value: Callable[[Dim], int]) -> dict[str, Any]:
    """Parameters with every symbolic integer replaced by its witness."""
    return {
        name: (
            tuple([value(v) if isinstance(v, Expr) else v for v in given])
            if isinstance(given, tuple)
            else value(given)
            if isinstance(given, Expr)
            else given
        )
        for name, given in params.items()
    }


def settle(params: Mapping[str, Any], row: Operator, sign: Signature, dtype: DType | None) -> dict[str, Any]:
    """Float parameters as the model file will hold them: float32 in attributes, the operand's type in inputs.

    Raises Infeasible for a fraction where integers are due, and for an integer that their type does not hold.
    """
    result = dict(params)
    for name, given in params.items():
        if isinstance(given, float) or (isinstance(given, tuple) and given and isinstance(given[0], float)):
            as_input = name in row.parameters and name not in sign.attributes
            own = dtype is not None and dtype.is_float and not isinstance(given, tuple)
            storage = dtype.numpy if as_input and own and dtype is not None else np.dtype(np.float32)
            if isinstance(given, tuple):
                result[name] = tuple(float(storage.type(v)) for v in given)
            elif as_input and dtype is not None and dtype.is_integer and _shares(name, sign):
                if given != int(given) or not dtype.minimum <= given <= dtype.maximum:
                    raise Infeasible(f"{row.name} of integers has no {name} of {given}")
                result[name] = int(given)
            else:
                result[name] = float(storage.type(given))
    return result


def _shares(name: str, sign: Signature) -> bool:
    """Whether a parameter has the type of the first operand."""
    return any(formal.name == name and formal.variable == sign.inputs[0].variable for formal in sign.inputs)


def evaluated(row: Operator, sign: Signature, run: Run) -> tuple[Any, ...]:
    """What a call computes; Infeasible where it is not defined, or the specification leaves it open."""
    open_ = avoided(row.name, sign.since, run, None)
    if open_ or (row.defined is not None and not row.defined(run)):
        raise Infeasible(f"{row.name} is not defined there" + (open_ and f": {open_}"))
    # A container holds a list, or nothing.
    made = row.evaluate(run)
    arrays: tuple[Any, ...] = tuple([a if a is None or isinstance(a, list) else as_array(a) for a in made])
    open_ = avoided(row.name, sign.since, run, arrays)
    if open_:
        raise Infeasible(f"{row.name}: {open_}")
    return arrays


def refuse_specials(name: str, arrays: Sequence[Any]) -> None:
    """Infeasible where an operator gets NaN or an infinity, and what it makes of them is open."""
    if carries(name):
        return
    for array in arrays:
        for part in tensors(array):
            if part.dtype.kind == "f" and not np.isfinite(part).all():
                raise Infeasible(f"{name} of what is not finite")
