"""The two types by which support tables look an operator up: that of its first input, and another that varies freely.

The second one is Cast's other type, which an attribute names; Gather's indices; Where's operands beside its condition.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from abstract.operators import TABLE
from abstract.schema import signature
from fuzz.generate.settings import DEFAULT_DTYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abstract.dtypes import DType

__all__ = ["second_type", "second_variable"]


def _is_common(dtype: DType) -> bool:
    return dtype.name in DEFAULT_DTYPES and not dtype.extension


@cache
def second_variable(operator: str, opset: int) -> str | None:
    """The first type variable of inputs that are no parameters, then of outputs, that is not the first input's.

    None where none may stand for several of the types that numpy has too.
    """
    sign = signature(operator, opset)
    first = sign.inputs[0].variable if sign.inputs else None
    data = [formal for formal in sign.inputs if formal.name not in TABLE[operator].parameters]
    for formal in (*data, *sign.outputs):
        if formal.variable != first and sum(_is_common(d) for d in sign.types[formal.variable]) > 1:
            return formal.variable
    return None


def second_type(
    operator: str, opset: int, inputs: Sequence[DType | None], outputs: Sequence[DType]
) -> DType | None:
    """What the second variable stands for in a call whose operands and outputs have these types."""
    variable = second_variable(operator, opset)
    if variable is None:
        return None
    sign = signature(operator, opset)
    data = [formal for formal in sign.inputs if formal.name not in TABLE[operator].parameters]
    known = (*zip(data, inputs, strict=False), *zip(sign.outputs, outputs, strict=False))
    return next((dtype for formal, dtype in known if formal.variable == variable and dtype is not None), None)
