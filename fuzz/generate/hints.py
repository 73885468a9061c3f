"""What keeps ONNX's shape inference from refusing valid models (docs/disputes.md): more that they say, or other calls.

Inference has its mistakes. A rule that kept clear of all of them would lose what users run: where a model is accepted
that says more, it says more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from abstract.dtypes import dtype
from abstract.graph import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from abstract.dims import Dim
    from abstract.graph import Graph, Node, Value

__all__ = ["PROPAGATED", "declared", "numbers", "overflows"]

_QUERY, _VALUE, _PAST_KEY, _PAST_VALUE = 0, 2, 4, 5
_SCORES = 3
_WINDOW = 1  # of the operands: the step is a parameter
_INT64 = dtype("int64")

PROPAGATED: Mapping[str, Callable[..., Any]] = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply}
"""The arithmetic that inference does itself on vectors and scalars that it knows."""


def _operand(node: Node, position: int) -> Value | None:
    return node.inputs[position] if position < len(node.inputs) else None


def numbers(node: Node) -> Iterator[Dim]:
    """The sizes that must be numbers: inference of Attention takes one that has a name for 0.

    They are the width of the values, and how many keys there are where the scores are asked for.
    """
    value = _operand(node, _VALUE) if node.operator == "Attention" else None
    if value is None:
        return
    shape = value.type.shape
    if len(shape) == 3:
        yield shape[2]
    if len(node.outputs) > _SCORES:
        yield shape[-2]
        past = _operand(node, _PAST_KEY)
        if past is not None:
            yield past.type.shape[2]


def declared(node: Node, graph: Graph) -> list[Value]:
    """The operands, computed in its graph, whose shapes inference must be told.

    Where it does not know that of the query, it makes a scalar of the scores of Attention; a window of STFT of which it
    knows nothing is a scalar to it.
    """
    if node.operator == "STFT":
        read = {_operand(node, _WINDOW)}
    elif node.operator == "Attention" and len(node.outputs) > _SCORES:
        read = {_operand(node, position) for position in (_QUERY, _VALUE, _PAST_KEY, _PAST_VALUE)}
    else:
        return []
    return [v for other in graph.nodes for v in other.outputs if v in read and v not in graph.outputs]


def overflows(operator: str, operands: Sequence[Value | None]) -> bool:
    """Whether a call of ``PROPAGATED`` leaves int64, which inference refuses where both operands are constants."""
    if any(v is None or v.type.dtype is not _INT64 or v.array.ndim > 1 or v.origin is Origin.INPUT for v in operands):
        return False
    wide = PROPAGATED[operator](*(v.array.astype(np.float64) for v in operands if v is not None))
    return bool(np.abs(wide).max(initial=0.0) >= _INT64.maximum)
