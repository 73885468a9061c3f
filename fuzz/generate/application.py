"""One application of an operator, before it enters a graph: its parameters as the file holds them, what it computes.

And whether a graph may have that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.bounded import tensors
from abstract.constraints import Infeasible
from abstract.dims import Dim, Expr
from abstract.hazards.detection import avoided
from abstract.narrow import is_narrow
from abstract.nonfinite import carries
from abstract.operator import as_array

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from abstract.dtypes import DType
    from abstract.operator import Array, Operator, Run
    from abstract.schema import Signature

__all__ = ["admitted", "concrete", "evaluated", "refuse_specials", "settle"]

_LARGEST = 8192  # elements of a computed tensor
# Beyond these magnitudes sums stop being sharp (or, for float16, come near the end of the range).
_CEILING = {"float16": 2048.0, "bfloat16": 1e4, "float": 1e6, "double": 1e9}
_MARGIN = 1e-6  # relative: see docs/notes/witness-values.md


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


def admitted(
    row: Operator, array: Array, dtype: DType, palettes: Sequence[str], *, exact: bool,
    limits: Callable[[], tuple[float, float]] | None = None,
) -> tuple[float, float, float]:  # fmt: skip
    """The range of a computed tensor and its margin; Infeasible where it is too large or leaves its type.

    ``palettes`` are those of the model; ``limits`` gives least and most where they are known already.
    """
    if array.size > _LARGEST:
        raise Infeasible(f"{row.name} makes {array.size} elements")
    if not (dtype.is_ordered and array.size):
        return 0.0, 0.0, 0.0
    if "nonfinite" in palettes and dtype.is_float:
        array, limits = array[np.isfinite(array)], None  # what is not finite is what the operands had
        if not array.size:
            return 0.0, 0.0, 0.0
    low, high = limits() if limits is not None else (float(array.min()), float(array.max()))
    if not dtype.is_float:
        # Sums and products may have wrapped around where 64 bits end; what is moved has not.
        if low < dtype.minimum or high > (float(dtype.maximum) if row.exact else min(dtype.maximum, 2**53)):
            raise Infeasible(f"{row.name} overflows {dtype}")
        return low, high, 0.0
    # Last bits differ between machines: no decision may hang on one.
    # Of the narrow floats every number will do: what is put into them is rounded there, not computed.
    narrow = is_narrow(dtype)
    margin = 0.0 if exact or narrow else _MARGIN * max(-low, high)
    largest = dtype.maximum if narrow or (exact and row.exact) else dtype.maximum / 4
    ceiling = largest if "large" in palettes else _CEILING.get(dtype.name, largest)
    if dtype.minimum > 0 and low < dtype.minimum:
        raise Infeasible(f"{row.name} makes a zero, and {dtype} has none")
    if not (-ceiling <= low - margin and high + margin <= ceiling):
        raise Infeasible(f"{row.name} leaves the range of {dtype}")
    return low, high, margin
